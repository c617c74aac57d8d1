"""The Promises of the library on a real API server: it takes them, and refuses what their schemas say."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.promises.library import PROMISES, examples, load_promise
from tests.waiting import eventually_sync
from troth.authoring.home import build, load_home
from troth.authoring.rendering.request_files import render_files
from troth.dev import ControlPlane
from troth.engine.promises.definitions import build_definition
from troth.engine.yaml.manifests import load_documents

NAMES = sorted(path.parent.name for path in PROMISES.glob("*/promise.yaml"))
KUBERNETES = {"v1", "apps", "autoscaling", "batch", "networking.k8s.io", "policy", "rbac.authorization.k8s.io"}
CLUSTER_SCOPED = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Namespace"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", [(), ("--server-side",)], ids=["plain", "server-side"])
def test_kubectl_apply_takes_the_built_promise_and_keeps_every_field(
    name: str, way: tuple[str, ...], control_plane: ControlPlane
) -> None:
    built = build(load_home(PROMISES / name))
    answer = control_plane.kubectl("apply", *way, "--dry-run=server", "-o", "json", "-f", "-", input=built)
    assert json.loads(answer.stdout)["spec"] == load_promise(name)["spec"]


@pytest.mark.parametrize("name", NAMES)
def test_the_api_server_takes_the_api_with_its_defaults_and_rules(name: str, control_plane: ControlPlane) -> None:
    definition = build_definition(name, load_promise(name)["spec"]["api"])
    control_plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=json.dumps(definition))


@pytest.mark.parametrize("name", NAMES)
def test_the_api_server_takes_the_dependencies(name: str, control_plane: ControlPlane) -> None:
    wanted = [
        item for item in load_promise(name)["spec"].get("dependencies") or () if item["kind"] in CLUSTER_SCOPED
    ]
    if wanted:
        listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})
        control_plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=listing)


@pytest.mark.parametrize("name", NAMES)
def test_the_api_server_takes_what_the_examples_render_and_every_pod_meets_the_restricted_standard(
    name: str, namespace: str, control_plane: ControlPlane
) -> None:
    control_plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/warn=restricted")
    wanted = []
    for _, rendering in render_files(PROMISES / name, examples(name), None):
        assert not rendering.complaint
        for content in rendering.files.values():
            for item in load_documents(content.decode()):
                if item["apiVersion"].partition("/")[0] in KUBERNETES:
                    if "namespace" in item["metadata"]:
                        item["metadata"]["namespace"] = namespace
                    wanted.append(item)
    if wanted:
        listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})
        said = control_plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=listing)
        assert "Warning" not in said.stderr


@pytest.fixture(scope="module")
def environments(control_plane: ControlPlane) -> Iterator[dict[str, Any]]:
    """The API of `environment` in a group of its own, so that no operator of another test minds it."""
    api = copy.deepcopy(load_promise("environment")["spec"]["api"])
    group = "library.test.example.com"
    api["spec"]["group"] = group
    api["metadata"]["name"] = f"environments.{group}"
    for version in api["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"]["properties"]["status"] = {"type": "object"}
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(api))
    control_plane.wait_established(f"crd/{api['metadata']['name']}")
    yield {"apiVersion": f"{group}/v1", "kind": "Environment"}
    control_plane.kubectl("delete", "crd", api["metadata"]["name"], "--timeout=20s")


def apply(plane: ControlPlane, request: dict[str, Any]) -> tuple[int, str]:
    done = plane.kubectl("apply", "-f", "-", input=json.dumps(request), check=False)
    return done.code, done.stderr


def test_the_schema_of_environment_refuses_what_it_says(
    environments: dict[str, Any], namespace: str, control_plane: ControlPlane
) -> None:
    def ask(**spec: Any) -> dict[str, Any]:
        return {**environments, "metadata": {"name": "dev", "namespace": namespace}, "spec": spec}

    eventually_sync(
        lambda: apply(control_plane, ask(team="payments"))[0] == 0, "the API is served", within=30, every=0.2
    )
    for spec, words in (
        ({"team": "kube-x"}, "belong to Kubernetes"),
        ({"team": "other"}, "cannot change"),
        ({"team": "Payments"}, "should match"),
        ({"team": "payments", "members": [{"name": "a"}, {"name": "a"}]}, "Duplicate value"),
        ({"size": "small"}, "spec.team: Required value"),
    ):
        code, said = apply(control_plane, ask(**spec))
        assert code != 0, spec
        assert words in said


@pytest.mark.parametrize("path", examples("environment"), ids=lambda path: path.stem)
def test_the_api_server_takes_every_example(
    path: Path, environments: dict[str, Any], namespace: str, control_plane: ControlPlane
) -> None:
    import yaml

    request = {**yaml.safe_load(path.read_text("utf-8")), **environments}
    request["metadata"]["namespace"] = namespace
    eventually_sync(lambda: apply(control_plane, request)[0] == 0, "the API is served", within=30, every=0.2)
