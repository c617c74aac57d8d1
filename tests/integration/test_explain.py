"""What kubectl says of an API by itself: kubectl explain, the columns of kubectl get, and the short name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.authoring.lint.linted import promise
from tests.unit.promises.library import load_promise
from tests.waiting import eventually_sync
from troth.api.objects import read_promise
from troth.dev import ControlPlane
from troth.engine.admission.serving import as_served
from troth.engine.promises.offers import read_offer

pytestmark = pytest.mark.integration
Install = Callable[[dict[str, Any]], str]


@pytest.fixture
def install(control_plane: ControlPlane, namespace: str) -> Iterator[Install]:
    """Installs the API of a Promise in a group of this test's own; gives its name for kubectl."""
    installed: list[str] = []

    def run(built: dict[str, Any]) -> str:
        obj = copy.deepcopy(built)
        api = obj["spec"]["api"]
        api["spec"]["group"] = f"{namespace}.example.com"
        api["metadata"]["name"] = f"{api['spec']['names']['plural']}.{api['spec']['group']}"
        api["spec"]["names"].pop("shortNames", None)
        definition = read_offer(read_promise(as_served(obj))).definition
        assert definition is not None
        name: str = definition["metadata"]["name"]
        installed.append(name)
        control_plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(definition))
        control_plane.wait_established(f"crd/{name}")
        eventually_sync(
            lambda: control_plane.kubectl("get", name, check=False).code == 0, "its requests are served", within=30
        )
        return name

    yield run
    for name in installed:
        control_plane.kubectl("delete", "crd", name, "--ignore-not-found")


def explained(control_plane: ControlPlane, path: str) -> str:
    """What kubectl explain says, once the API server has published the schema."""
    eventually_sync(
        lambda: control_plane.kubectl("explain", path, check=False).code == 0, "its schema is published", within=90
    )
    return control_plane.kubectl("explain", path).stdout


def things(status: dict[str, Any], declared: dict[str, Any] | None = None) -> dict[str, Any]:
    obj = promise({"files": [{"path": "a.yaml", "template": "a: {{ spec }}"}], "status": status})
    if declared is not None:
        root = obj["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        root["properties"]["status"] = {"type": "object", "properties": declared}
    return obj


def test_explain_tells_of_the_kind_the_spec_and_the_status(control_plane: ControlPlane, install: Install) -> None:
    name = install(load_promise("postgresql"))

    def explain(path: str) -> str:
        return explained(control_plane, path)

    assert "A PostgreSQL database with a user of its own" in explain(name)
    assert "How much the database may use" in explain(f"{name}.spec")
    status = explain(f"{name}.status")
    assert "host\t<string>" in status
    assert "The address inside of the cluster." in status
    assert "instances\t<integer>" in status
    assert "When" not in explain(f"{name}.status.port")
    assert "True, False or Unknown." in explain(f"{name}.status.conditions")
    entries = explain(f"{name}.status.kratix.workflows.configure.pipelines")
    for field in ("attempts\t<integer>", "hash\t<string>", "nextRetryAt\t<string>"):
        assert field in entries
    failure = explain(f"{name}.status.troth.failure")
    for field in ("container\t<string>", "exitCode\t<integer>", "log\t<string>"):
        assert field in failure
    assert "<no description>" not in status


def test_explain_lists_what_pipelines_write_though_the_promise_declares_no_status(
    control_plane: ControlPlane, install: Install
) -> None:
    name = install(
        things({"host": "{{ name }}.svc", "port": 1, "replicas": "{{ spec.replicas }}", "at": {"a": "b"}})
    )
    status = explained(control_plane, f"{name}.status")
    for line in ("host\t<string>", "port\t<integer>", "at\t<Object>", "replicas\t<"):
        assert line in status
    assert status.count("Written by the pipeline one.") == 4


def test_a_status_that_was_stored_before_its_type_was_known_stands_in_nobodys_way(
    control_plane: ControlPlane, namespace: str, install: Install
) -> None:
    name = install(things({}))
    group = name.partition(".")[2]
    request = {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "old", "namespace": namespace},
        "spec": {"size": "small"},
    }
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(request))

    def patch(body: dict[str, Any], *more: str) -> int:
        words = ("patch", name, "old", "-n", namespace, "--type=merge", "-p", json.dumps(body), *more)
        return control_plane.kubectl(*words, check=False).code

    assert patch({"status": {"port": "5432", "free": {"of": ["any", 1]}}}, "--subresource=status") == 0
    install(things({"port": 5432, "free": "{{ spec.size }}"}))
    assert patch({"spec": {"size": "large"}}) == 0
    assert patch({"metadata": {"finalizers": ["example.com/one"]}}) == 0
    assert patch({"metadata": {"finalizers": []}}) == 0
    assert patch({"status": {"message": "Hello"}}, "--subresource=status") == 0
    eventually_sync(
        lambda: patch({"status": {"port": "80"}}, "--subresource=status") != 0,
        "the new type is in force",
        within=30,
    )
    assert patch({"status": {"port": 80}}, "--subresource=status") == 0
    kept = json.loads(control_plane.kubectl("get", name, "old", "-n", namespace, "-o", "json").stdout)
    assert kept["status"]["free"] == {"of": ["any", 1]}


def test_get_shows_size_and_version(control_plane: ControlPlane, namespace: str, install: Install) -> None:
    name = install(load_promise("postgresql"))
    request = {
        "apiVersion": f"{name.partition('.')[2]}/v1",
        "kind": "PostgreSQL",
        "metadata": {"name": "orders", "namespace": namespace},
    }
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(request))
    status = json.dumps({"status": {"size": "small", "version": "16", "host": "orders-rw"}})
    control_plane.kubectl(
        "patch", name, "orders", "-n", namespace, "--subresource=status", "--type=merge", "-p", status
    )
    head, row = control_plane.kubectl("get", name, "-n", namespace).stdout.splitlines()
    assert head.split()[:4] == ["NAME", "SIZE", "VERSION", "HOST"]
    assert row.split()[:4] == ["orders", "small", "16", "orders-rw"]


@pytest.mark.parametrize("name", ["a" * 51, "9lives", "a.b"])
def test_the_api_server_refuses_a_name_that_no_database_may_have(
    control_plane: ControlPlane, namespace: str, install: Install, name: str
) -> None:
    api = install(load_promise("postgresql"))
    request = {
        "apiVersion": f"{api.partition('.')[2]}/v1",
        "kind": "PostgreSQL",
        "metadata": {"name": name, "namespace": namespace},
    }
    done = control_plane.kubectl("apply", "-f", "-", input=json.dumps(request), check=False)
    assert done.code != 0
    assert "at most 50 lower-case letters" in done.stderr


def test_the_api_server_lets_a_database_grow_and_not_shrink(
    control_plane: ControlPlane, namespace: str, install: Install
) -> None:
    api = install(load_promise("postgresql"))

    def apply(spec: dict[str, Any] | None) -> str:
        request: dict[str, Any] = {
            "apiVersion": f"{api.partition('.')[2]}/v1",
            "kind": "PostgreSQL",
            "metadata": {"name": "orders", "namespace": namespace},
        }
        if spec is not None:
            request["spec"] = spec
        return control_plane.kubectl("apply", "-f", "-", input=json.dumps(request), check=False).stderr

    assert apply(None) == ""
    assert apply({"size": "small"}) == ""
    assert apply({}) == ""
    assert apply({"size": "medium"}) == ""
    for less in ({"size": "small"}, {}, None):
        assert "a database does not shrink" in apply(less)
    assert apply({"size": "large", "version": "17"}) == ""
    assert "a database does not shrink" in apply({"size": "medium"})
