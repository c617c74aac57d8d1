"""The whole chain: somebody asks for a database, and it takes a connection.

Troth as the Pod that ships writes to Git over https; Flux's controllers apply what is there; CloudNativePG's operator,
which the Promise brings as its dependency, runs PostgreSQL; and psql logs in with the Secret that the request's status
names. All of them are the real programs, and the Promise is the one of the library. Two things are different from a
cluster with a network: the images come from an archive, so the Kustomization of the dependencies changes the pull
policy of CloudNativePG, and there is no DNS, so psql's Pod is told the address of the name in the status.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.chain.flux import NAMESPACE as FLUX_NAMESPACE
from tests.node.chain.flux import apply, install_flux, kustomization, repository, uninstall_flux
from tests.node.chain.images import POSTGRES_USER, POSTGRESQL, chain_images
from tests.node.chain.programs import ChainPrograms, find_chain_programs
from tests.node.installed.release import Release
from tests.node.installed.repositories import Repositories
from tests.node.node import Node
from tests.node.programs import find_busybox
from tests.platforms import Platform
from tests.waiting import eventually_sync
from troth.api.resources import DESTINATION

pytestmark = [pytest.mark.chain, pytest.mark.timeout(1500)]

PROMISE = Path(__file__).parents[3] / "promises" / "postgresql"
_CLUSTER = "clusters.postgresql.cnpg.io"
_REQUEST = "postgresqls.database.example.com"
_STORAGE_CLASS = "chain"
_PULL_POLICY = """\
- op: replace
  path: /spec/template/spec/containers/0/imagePullPolicy
  value: IfNotPresent
"""
_ROWS = """\
create table orders (id int primary key, what text not null);
insert into orders values (1, 'a book');
select what from orders where id = 1;
"""

Object = dict[str, Any]


@pytest.fixture(scope="module")
def programs() -> ChainPrograms:
    return find_chain_programs()


@pytest.fixture(scope="module")
def flux(node: Node, programs: ChainPrograms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Flux on the node, which also has the images of CloudNativePG and PostgreSQL."""
    node.load(chain_images(programs, find_busybox()), tmp_path_factory.mktemp("images"))
    try:
        install_flux(node, programs)
        yield
    finally:
        uninstall_flux(node)


@pytest.fixture
def storage(node: Node, tmp_path: Path) -> Iterator[None]:
    """A volume that the first database gets: the default storage class has one folder of this machine."""
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o700)
    os.chown(folder, POSTGRES_USER, POSTGRES_USER)
    for parent in folder.parents:  # pytest's folders are closed to others, and the database is another user
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    apply(node, *_storage(folder))
    yield
    node.kubectl("delete", "persistentvolume", _STORAGE_CLASS, "--ignore-not-found", "--wait=false")
    node.kubectl("delete", "storageclass", _STORAGE_CLASS, "--ignore-not-found")


@pytest.mark.usefixtures("flux", "storage")
async def test_who_asks_for_a_database_logs_in_to_it_with_what_the_status_says_and_it_goes_with_the_request(
    node: Node,
    release: Release,
    platform: Platform,
    repositories: Repositories,
    programs: ChainPrograms,
    namespace: str,
) -> None:
    version = programs.postgresql.name
    release.install({"rbac": {"requestApis": {"groups": ["database.example.com"]}}})
    name = namespace
    await repositories.connect(platform, name)
    labels = {"metadata": {"labels": {"environment": "dev"}}}
    await platform.client.merge_patch(DESTINATION, name, labels)
    _follow(node, repositories, name)

    node.kubectl("apply", "--server-side", "-f", "-", stdin=_built())
    _wait(node, "promise", "postgresql", "Ready", within=120)
    apply(node, _request(namespace, version))
    _wait(node, _REQUEST, "orders", "Ready", namespace, within=120)
    status = json.loads(node.kubectl("get", _REQUEST, "orders", "-n", namespace, "-o", "json").stdout)["status"]
    assert status["host"] == f"orders-rw.{namespace}.svc"

    _wait(node, _CLUSTER, "orders", "Ready", namespace, within=400)
    assert _psql(node, namespace, version, status).split() == ["a", "book"]

    node.kubectl("delete", _REQUEST, "orders", "-n", namespace, "--timeout=120s", timeout=130)
    eventually_sync(
        lambda: node.kubectl("get", _CLUSTER, "-n", namespace, "-o", "name").stdout == "",
        "the database is gone with its request",
        within=120,
    )
    node.kubectl("delete", "promise", "postgresql", "--timeout=120s", timeout=130)
    eventually_sync(
        lambda: node.kubectl("get", "namespace", "cnpg-system", "--ignore-not-found", "-o", "name").stdout == "",
        "CloudNativePG is gone with its Promise",
        within=180,
    )


def _follow(node: Node, repositories: Repositories, name: str) -> None:
    """Let Flux follow the destination: first the dependencies, and when they are healthy, the requests."""
    secret = repositories.secret(name, FLUX_NAMESPACE)
    pulls = {"target": {"kind": "Deployment", "name": "cnpg-controller-manager"}, "patch": _PULL_POLICY}
    apply(
        node,
        secret,
        repository(name, repositories.server.url(name), name),
        kustomization(f"{name}-dependencies", name, f"./{name}/dependencies", patches=[pulls]),
        kustomization(
            f"{name}-resources", name, f"./{name}/resources", dependsOn=[{"name": f"{name}-dependencies"}]
        ),
    )


def _built() -> str:
    """The Promise as one document, as `troth build` prints it."""
    command = [sys.executable, "-P", "-m", "troth", "build", str(PROMISE)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()


def _request(namespace: str, version: str) -> Object:
    return {
        "apiVersion": "database.example.com/v1",
        "kind": "PostgreSQL",
        "metadata": {"name": "orders", "namespace": namespace},
        "spec": {"size": "small", "version": version},
    }


def _storage(folder: Path) -> tuple[Object, Object]:
    is_default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return (
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": _STORAGE_CLASS, "annotations": is_default},
            "provisioner": "kubernetes.io/no-provisioner",
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": _STORAGE_CLASS},
            "spec": {
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": _STORAGE_CLASS,
                "hostPath": {"path": str(folder)},
            },
        },
    )


def _psql(node: Node, namespace: str, version: str, status: Object) -> str:
    """What psql prints, in a Pod with the login from the Secret, at the host of the status."""
    service = status["host"].partition(".")[0]
    address = node.kubectl("get", "service", service, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}").stdout
    login = [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": status["secretName"], "key": key}}}
        for variable, key in (("PGUSER", "username"), ("PGPASSWORD", "password"))
    ]
    plain = {"PGHOST": status["host"], "PGPORT": str(status["port"]), "PGDATABASE": status["database"]}
    container = {
        "name": "psql",
        "image": f"{POSTGRESQL}:{version}",
        "command": ["psql", "-v", "ON_ERROR_STOP=1", "-qAtc", _ROWS],
        "env": [*login, *({"name": variable, "value": value} for variable, value in plain.items())],
    }
    pod = {
        "restartPolicy": "Never",
        "hostAliases": [{"ip": address, "hostnames": [status["host"]]}],
        "containers": [container],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "psql", "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }
    apply(node, job)
    node.kubectl("wait", "job/psql", "-n", namespace, "--for=condition=Complete", "--timeout=60s", timeout=70)
    return node.kubectl("logs", "job/psql", "-n", namespace).stdout


def _wait(node: Node, kind: str, name: str, condition: str, namespace: str = "", *, within: int) -> None:
    """Wait for a condition, also of an object that does not exist yet.

    Raises:
        AssertionError: it did not come; the message is what the object and Flux say.
    """
    place = ("-n", namespace) if namespace else ()

    def holds() -> bool:
        path = f'jsonpath={{.status.conditions[?(@.type=="{condition}")].status}}'
        return node.kubectl("get", kind, name, *place, "-o", path, check=False).stdout == "True"

    try:
        eventually_sync(holds, f"{kind} {name} is {condition}", within=within, every=1)
    except AssertionError as error:
        looks = (
            ("describe", kind, name, *place),
            ("get", "gitrepositories,kustomizations", "-A"),
            ("get", "pods,events", "-A"),
        )
        said = "\n".join(node.kubectl(*look, check=False).stdout[-6000:] for look in looks)
        raise AssertionError(f"{error}\n{said}") from None
