"""The operator runs as the Pod that ships: the chart, installed by helm, with the image of `make image`."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from tests.charts import SYSTEM_NAMESPACE
from tests.container_site import containers
from tests.node.images import BUSYBOX
from tests.node.installed.release import Release
from tests.node.installed.repositories import Repositories
from tests.node.node import Node
from tests.platforms import Platform, all_files, promise
from troth import __version__
from troth.api.resources import CLUSTER_ROLE

pytestmark = pytest.mark.timeout(900)

_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def _rights(group: str, *more: str) -> dict[str, Any]:
    """The ClusterRole by which a Promise brings along the rights to its own API, as the chart's page shows it."""
    verbs = ["get", "list", "watch", "patch", "delete", *more]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"promise-{group}", "labels": {"troth.dev/aggregate-to-operator": "true"}},
        "rules": [{"apiGroups": [group], "resources": ["*"], "verbs": verbs}],
    }


def _claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def test_the_pod_becomes_ready_and_is_confined(release: Release, node: Node) -> None:
    release.install()
    deployment = json.loads(
        node.kubectl("get", "deployment", "troth", "-n", SYSTEM_NAMESPACE, "-o", "json").stdout
    )
    conditions = {found["type"]: found["status"] for found in deployment["status"]["conditions"]}
    assert conditions["Available"] == "True"
    pod = release.pod()
    (status,) = pod["status"]["containerStatuses"]
    assert (status["ready"], status["started"], status["restartCount"]) == (True, True, 0)
    written = release.run(
        """
        id -u
        ! touch /opt/x /var/x /x 2>/dev/null
        touch /tmp/x /workspace/x
        rm /tmp/x /workspace/x
        troth --version
        """
    )
    assert written.splitlines() == ["65532", f"troth {__version__}"]
    first = dict(line.split(":\t", 1) for line in release.run("cat /proc/1/status").splitlines())
    assert first["Uid"].split() == ["65532"] * 4
    assert (first["CapEff"], first["NoNewPrivs"], first["Seccomp"]) == ("0" * 16, "1", "2")


def test_probes_and_metrics_are_answered_where_the_chart_says(release: Release) -> None:
    release.install()
    assert release.get(8081, "/healthz")
    assert release.get(8081, "/readyz")
    assert "troth_" in release.get(8080, "/metrics")


def test_the_operator_logs_in_with_its_projected_token_of_an_hour(release: Release) -> None:
    release.install()
    (mounted,) = [volume for volume in release.pod()["spec"]["volumes"] if "projected" in volume]
    assert mounted["name"] == "token"  # and Kubernetes has added none of its own
    claims = _claims(release.run(f"cat {_TOKEN}"))
    assert claims["sub"] == f"system:serviceaccount:{SYSTEM_NAMESPACE}:troth"
    assert claims["exp"] - claims["iat"] == pytest.approx(3600, abs=60)
    assert claims["kubernetes.io"]["pod"]["name"] == release.pod()["metadata"]["name"]


def test_nothing_that_confines_templates_is_missing_in_the_pod(release: Release) -> None:
    release.install()
    logged = release.log()
    assert "every kind has been listed" in logged
    assert "this system lacks" not in logged


async def test_a_request_becomes_files_in_git_over_https(
    release: Release, platform: Platform, repositories: Repositories, namespace: str
) -> None:
    """The Promise brings along the right to its own API, which kube-controller-manager gives to the operator."""
    release.install()
    name = namespace
    repository = await repositories.connect(platform, name)
    await platform.make(CLUSTER_ROLE, _rights(f"{name}.example.com"))
    await platform.publish(promise(name), within=60)
    await platform.ask(name, "cache", namespace, size="small")
    await platform.ready(name, "cache", namespace, within=60)
    written = [yaml.safe_load(text) for path, text in (await all_files(repository)).items() if "/cache/" in path]
    assert [(found["kind"], found["data"]) for found in written] == [("ConfigMap", {"size": "small"})]


async def test_a_pipeline_of_containers_runs_from_apply_to_commit(
    release: Release, platform: Platform, repositories: Repositories, namespace: str
) -> None:
    """Its own containers have the image of the release."""
    release.install({"containerPipelines": {"enabled": True}})
    name = namespace
    repository = await repositories.connect(platform, name)
    await platform.make(CLUSTER_ROLE, _rights(f"{name}.example.com", "create", "update"))
    pipeline = containers("instance")
    pipeline["spec"]["containers"][0]["image"] = BUSYBOX
    wanted = promise(name)
    wanted["spec"]["workflows"]["resource"]["configure"] = [pipeline]
    await platform.publish(wanted, within=60)
    await platform.ask(name, "cache", namespace, size="small")
    live = await platform.ready(name, "cache", namespace, within=180)
    assert live["status"]["url"] == "https://cache.example.com"
    files = {path: text for path, text in (await all_files(repository)).items() if "/cache/" in path}
    assert [yaml.safe_load(text) for text in files.values()] == [
        {"kind": "Made", "metadata": {"name": "cache"}, "size": "small"}
    ]
    assert next(iter(files)).endswith("/made.yaml")
