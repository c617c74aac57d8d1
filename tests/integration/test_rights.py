"""The operator does all its work with the rights that the chart gives it, and is refused nothing."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts import SYSTEM_NAMESPACE, render, rights
from tests.compounds import components
from tests.job_player import JobPlayer
from tests.operators import OperatorProcess
from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    condition,
    destination,
    git_store,
    is_ready,
    promise,
)
from tests.waiting import eventually
from troth.api import Resource
from troth.api.labels import PROMISE_NAME
from troth.api.resources import (
    CONFIG_MAP,
    DESTINATION,
    GIT_STATE_STORE,
    KUBERNETES_STATE_STORE,
    NAMESPACE,
    PROMISE,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
)
from troth.authoring.home import load_home
from troth.dev import AuditLog, ControlPlane
from troth.dev.audit import AuditEntry
from troth.dev.git_server import GitServer
from troth.kube import Client

PROMISES = Path(__file__).parents[2] / "promises"
POSTGRESQL = Resource("database.example.com", "v1", "postgresqls", "PostgreSQL")
ENVIRONMENT = Resource("platform.example.com", "v1", "environments", "Environment")
SERVICE = Resource("platform.example.com", "v1", "applicationservices", "ApplicationService")
RESOURCE_QUOTA = Resource("", "v1", "resourcequotas", "ResourceQuota")
SUBJECT = f"system:serviceaccount:{SYSTEM_NAMESPACE}:troth"

_ALL = ["get", "list", "create", "patch", "delete"]
SAME_CLUSTER: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["namespaces", "resourcequotas", "limitranges"], "verbs": _ALL},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _ALL},
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": _ALL},
    {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles"],
        "resourceNames": ["view", "edit", "admin"],
        "verbs": ["bind"],
    },
    # For promises/service: to make requests is a right of its own.
    {
        "apiGroups": ["platform.example.com", "database.example.com"],
        "resources": ["webapps", "redises", "postgresqls"],
        "verbs": _ALL,
    },
]


@pytest.fixture
async def platform(
    control_plane: ControlPlane,
    client: Client,
    helm: Path,
    operator: Callable[..., OperatorProcess],
    tmp_path: Path,
) -> AsyncIterator[Platform]:
    """The operator under the chart's service account, with nothing but the chart's rights."""
    values = {"kubernetesStore": {"rules": SAME_CLUSTER}}
    async with under_rights(control_plane, client, helm, operator, tmp_path, values) as platform:
        yield platform


@asynccontextmanager
async def under_rights(
    control_plane: ControlPlane,
    client: Client,
    helm: Path,
    operator: Callable[..., OperatorProcess],
    stores: Path,
    values: Mapping[str, Any],
    *arguments: str,
) -> AsyncIterator[Platform]:
    """An operator with the rights that the chart gives with these values, and with these arguments."""
    objects = await asyncio.to_thread(render, helm, values)
    namespaces = [entry for entry in objects if entry["kind"] == "Namespace"]
    text = yaml.safe_dump_all([*namespaces, *rights(objects)])
    await asyncio.to_thread(control_plane.kubectl, "create", "namespace", SYSTEM_NAMESPACE, check=False)
    await asyncio.to_thread(control_plane.kubectl, "apply", "--server-side", "-f", "-", input=text)
    kubeconfig = control_plane.kubeconfig_for(SUBJECT)
    await asyncio.to_thread(operator, "--local-stores", stores, *arguments, kubeconfig=kubeconfig)
    platform = Platform(client)
    yield platform
    await platform.clean()
    await asyncio.to_thread(
        control_plane.kubectl,
        "delete",
        "--ignore-not-found",
        "--wait=false",
        "-f",
        "-",
        input=yaml.safe_dump_all(rights(objects)),
    )


async def test_the_charts_rights_are_enough_and_nothing_is_refused(
    platform: Platform, control_plane: ControlPlane, tmp_path: Path
) -> None:
    audit = AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)
    with GitServer(tmp_path / "git", username="troth", password="s3cret") as server:
        await asyncio.to_thread(server.create_repository, "gitops")
        repository = Repository(tmp_path / "git" / "gitops.git")
        await platform.make(
            SECRET,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "gitops", "namespace": "default"},
                "data": {
                    "username": base64.b64encode(b"troth").decode(),
                    "password": base64.b64encode(b"s3cret").decode(),
                },
            },
        )
        store = git_store("gitops", server.url("gitops"), secretRef={"name": "gitops", "namespace": "default"})
        await platform.make(GIT_STATE_STORE, store)
        await platform.make(DESTINATION, destination("dev", store="gitops", labels={"environment": "dev"}))
        for name, resource in (("postgresql", POSTGRESQL), ("environment", ENVIRONMENT)):
            await platform.publish(load_home(PROMISES / name).promise)
            for example in sorted((PROMISES / name / "examples").glob("*.yaml")):
                request = load(example)
                await platform.make(resource, request)
                await platform.wait(
                    resource, request["metadata"]["name"], is_ready, namespace=request["metadata"]["namespace"]
                )
        files = await all_files(repository, "dev/")
        assert any(path.endswith("cluster.yaml") for path in files)
        await platform.delete(PROMISE, "postgresql")
        await platform.gone(PROMISE, "postgresql", within=30)
        await platform.delete(PROMISE, "environment")
        await platform.gone(PROMISE, "environment", within=30)
    assert refused(audit) == []


async def test_the_same_cluster_is_a_destination_with_the_rules_that_the_values_show(
    platform: Platform, control_plane: ControlPlane
) -> None:
    audit = AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)
    store = {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "KubernetesStateStore",
        "metadata": {"name": "here"},
        "spec": {},
    }
    await platform.make(KUBERNETES_STATE_STORE, store)
    here = destination("here", store="here", kind="KubernetesStateStore", labels={"environment": "dev"})
    await platform.make(DESTINATION, here)
    await platform.publish(load_home(PROMISES / "environment").promise)
    request = load(PROMISES / "environment" / "examples" / "minimal.yaml")
    await platform.make(ENVIRONMENT, request)
    await platform.wait(ENVIRONMENT, "dev", is_ready, namespace="default")
    await platform.client.get(NAMESPACE, "payments-dev")
    quotas = await platform.client.list(RESOURCE_QUOTA, "payments-dev")
    assert quotas.items
    await platform.delete(ENVIRONMENT, "dev", namespace="default")
    await platform.gone(ENVIRONMENT, "dev", namespace="default")
    assert (await platform.client.list(RESOURCE_QUOTA, "payments-dev")).items == []
    assert refused(audit) == []
    control_plane.finish_namespace("payments-dev")


async def test_a_compound_promise_needs_the_right_to_make_requests_and_no_other(
    platform: Platform, control_plane: ControlPlane, tmp_path: Path
) -> None:
    audit = AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)
    repository = await asyncio.to_thread(Repository, tmp_path / "parts.git")
    await platform.make(GIT_STATE_STORE, git_store("parts", str(repository.path)))
    await platform.make(DESTINATION, destination("parts", store="parts", labels={"environment": "dev"}))
    store = {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "KubernetesStateStore",
        "metadata": {"name": "platform"},
        "spec": {},
    }
    await platform.make(KUBERNETES_STATE_STORE, store)
    here = destination(
        "platform", store="platform", kind="KubernetesStateStore", labels={"environment": "platform"}
    )
    await platform.make(DESTINATION, here)
    for name in ("web-app", "postgresql", "redis", "service"):
        await platform.publish(load_home(PROMISES / name).promise, within=30)
    request = load(PROMISES / "service" / "examples" / "shop.yaml")
    await platform.make(SERVICE, request)
    live = await platform.wait(SERVICE, "shop", is_ready, namespace="default", within=30)
    assert [item["kind"] for item in components(live)] == ["PostgreSQL", "Redis", "WebApp"]
    await platform.delete(SERVICE, "shop", namespace="default")
    await platform.gone(SERVICE, "shop", namespace="default", within=30)
    assert refused(audit) == []


async def test_a_promise_whose_api_may_not_be_read_says_which_right_is_missing(
    platform: Platform, unique: str
) -> None:
    await platform.make(PROMISE, promise(unique))
    live = await platform.wait(
        PROMISE, unique, lambda live: "may not list" in condition(live, "Ready").get("message", "")
    )
    assert f"{unique}.example.com" in condition(live, "Ready")["message"]
    assert "rbac.requestApis.groups" in condition(live, "Ready")["message"]


async def test_containers_run_with_the_rights_that_the_chart_gives_for_them_and_no_other(
    control_plane: ControlPlane,
    client: Client,
    helm: Path,
    operator: Callable[..., OperatorProcess],
    unique: str,
    namespace: str,
    tmp_path: Path,
) -> None:
    audit = AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)
    values = {
        "containerPipelines": {"enabled": True},
        "rbac": {"requestApis": {"groups": [f"{unique}.example.com"]}},
    }
    image = ("--adapter-image", "registry.example.com/troth:1")
    asking = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    async with (
        under_rights(control_plane, client, helm, operator, tmp_path, values, *image) as platform,
        JobPlayer(control_plane, client, namespace, tmp_path / "pods") as player,
    ):
        repository = await asyncio.to_thread(Repository, tmp_path / "files.git")
        await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
        await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
        found = promise(unique)
        pipeline: dict[str, Any] = {
            "apiVersion": "platform.kratix.io/v1alpha1",
            "kind": "Pipeline",
            "metadata": {"name": "instance"},
            "spec": {
                "containers": [
                    {
                        "name": "one",
                        "image": "a:1",
                        "command": ["sh", "-c", "echo 'kind: A' > /kratix/output/a.yaml"],
                    }
                ]
            },
        }
        own = {**pipeline, "metadata": {"name": "install"}}
        found["spec"]["workflows"] = {
            "config": {"pipelineNamespace": namespace},
            "promise": {"configure": [own]},
            "resource": {"configure": [pipeline]},
        }
        await platform.publish(found)
        player.hold()
        await platform.ask(unique, "cache", namespace)
        await player.waiting()
        answered: list[AuditEntry] = []

        def has_read_events() -> bool:
            answered.extend(entry for entry in audit.read() if entry.user == SUBJECT)
            return any((entry.verb, entry.resource, entry.code) == ("list", "events", 200) for entry in answered)

        await eventually(has_read_events, "the operator reads the Events about the Job that waits")
        player.release()
        await platform.ready(unique, "cache", namespace)
        assert [entry.uri for entry in answered if entry.code == 403] == []
        assert refused(audit) == []
        assert len(player.ran) == 2
        pipeline["spec"] = {**pipeline["spec"], "rbac": {"permissions": asking}}
        await platform.publish(found)
        live = await platform.wait(
            api_of(unique),
            "cache",
            lambda live: "attempting to grant RBAC permissions" in condition(live, "Ready").get("message", ""),
            namespace=namespace,
        )
        assert live["status"]["troth"]["failure"]["reason"] == "JobRefused"
        assert len(player.ran) == 3, "the Promise has changed, so its own pipeline ran again"
        await platform.delete(PROMISE, unique)
        await platform.gone(PROMISE, unique, within=30)
        for resource in (ROLE, ROLE_BINDING, SERVICE_ACCOUNT, CONFIG_MAP):
            left = (await client.list(resource, namespace, label_selector=f"{PROMISE_NAME}={unique}")).items
            assert left == [], f"{resource.plural} of the Promise"


def load(path: Path) -> dict[str, Any]:
    """The one object in a file."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def refused(audit: AuditLog) -> list[str]:
    """What the operator was refused for lack of rights."""
    return [f"{entry.verb} {entry.uri}" for entry in audit.read() if entry.user == SUBJECT and entry.code == 403]
