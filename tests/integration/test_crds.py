"""The definitions of Troth's kinds, as the real API server takes them.

Examples are as Kratix's users write them; they are sent with strict field validation, so a field that the schema
would prune is an error here. Objects are sent as dry runs wherever that proves the same: nobody else sees them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from troth.dev import ControlPlane, crds_folder

pytestmark = pytest.mark.integration

DATA = Path(__file__).parents[1] / "data"
PLATFORM, TROTH = "platform.kratix.io/v1alpha1", "troth.dev/v1alpha1"
FILES = sorted(crds_folder().glob("*.yaml"))
EXAMPLES = {
    f"{path.stem}-{index}": document
    for path in sorted((DATA / "examples").glob("*.yaml"))
    for index, document in enumerate(yaml.safe_load_all(path.read_text()))
}
NAMESPACED = {"Work", "WorkPlacement", "ResourceBinding", "HealthRecord", "DryRun"}


def collection(obj: Mapping[str, Any]) -> str:
    namespace = "namespaces/default/" if obj["kind"] in NAMESPACED else ""
    return f"/apis/{obj['apiVersion']}/{namespace}{obj['kind'].lower()}s"


def send(plane: ControlPlane, obj: Mapping[str, Any]) -> tuple[int, Any]:
    """Create an object as a dry run, an unknown field being an error."""
    return plane.api.request("POST", f"{collection(obj)}?dryRun=All&fieldValidation=Strict", obj)


def obj(kind: str, spec: Mapping[str, Any] | None, api_version: str = PLATFORM, **top: Any) -> dict[str, Any]:
    metadata = {"name": "wrong", **({"namespace": "default"} if kind in NAMESPACED else {})}
    made = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **top}
    return made if spec is None else {**made, "spec": spec}


@pytest.fixture
def create(control_plane: ControlPlane, unique: str) -> Iterator[Callable[[str, Mapping[str, Any]], str]]:
    """Creates an object of a cluster-scoped kind for real, under the test's own name; returns its path."""
    paths: list[str] = []

    def make(kind: str, spec: Mapping[str, Any]) -> str:
        body = {"apiVersion": PLATFORM, "kind": kind, "metadata": {"name": unique}, "spec": spec}
        status, answer = control_plane.api.request("POST", collection(body), body)
        assert status == 201, answer
        paths.append(f"{collection(body)}/{unique}")
        return paths[-1]

    yield make
    for path in paths:
        control_plane.api.request("DELETE", path)


def test_the_definitions_are_accepted_without_a_warning(control_plane: ControlPlane) -> None:
    applied = control_plane.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", crds_folder()
    )
    assert applied.stderr == ""
    assert len(applied.stdout.splitlines()) == len(FILES) == 13


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_definition_is_established_and_structural(control_plane: ControlPlane, path: Path) -> None:
    name = yaml.safe_load(path.read_text())["metadata"]["name"]
    _, crd = control_plane.api.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert crd["status"]["storedVersions"] == ["v1alpha1"]


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_what_kratix_accepts_is_accepted_and_kept(control_plane: ControlPlane, example: dict[str, Any]) -> None:
    status, answer = send(control_plane, example)
    assert status == 201, answer["message"]
    for key in ("spec", "data"):
        assert_within(example.get(key) or {}, answer.get(key, {}))


def assert_within(wanted: Any, found: Any, path: str = "") -> None:
    """Everything of ``wanted`` stands in ``found``, where defaults may have been added."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            assert key in found, f"{path}.{key} was pruned"
            assert_within(value, found[key], f"{path}.{key}")
    elif isinstance(wanted, list):
        assert len(wanted) == len(found), path
        for index, value in enumerate(wanted):
            assert_within(value, found[index], f"{path}[{index}]")
    else:
        assert wanted == found, path


def test_there_is_an_example_of_every_kind() -> None:
    kinds = {yaml.safe_load(path.read_text())["spec"]["names"]["kind"] for path in FILES}
    assert {example["kind"] for example in EXAMPLES.values()} == kinds


def test_the_seed_promise_is_accepted_as_it_is(control_plane: ControlPlane) -> None:
    seed = DATA / "seed-promise.yaml"
    created = control_plane.kubectl("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", seed)
    assert created.stderr == ""
    assert json.loads(created.stdout)["spec"] == yaml.safe_load(seed.read_text())["spec"]


@pytest.mark.parametrize(
    "api", [None, {}, {"kind": "Deployment", "anything": [1]}], ids=["null", "empty", "other"]
)
def test_an_api_that_is_none_is_for_the_controller_to_judge(control_plane: ControlPlane, api: Any) -> None:
    status, answer = send(control_plane, obj("Promise", {"api": api}))
    assert status == 201, answer
    assert answer["spec"] == {"api": api}


def test_defaults_are_those_of_kratix(control_plane: ControlPlane) -> None:
    def spec(kind: str, given: Mapping[str, Any] | None, api_version: str = PLATFORM) -> Any:
        status, answer = send(control_plane, obj(kind, given, api_version))
        assert status == 201, answer
        return answer["spec"]

    store = {"kind": "GitStateStore", "name": "default"}
    assert spec("Destination", {"path": "", "stateStoreRef": store}) == {
        "path": "",
        "stateStoreRef": store,
        "strictMatchLabels": False,
        "filepath": {"mode": "nestedByMetadata"},
        "cleanup": "none",
        "initWorkloads": {"enabled": True},
    }
    assert spec("GitStateStore", {"url": "https://git.example.com/a.git"}) == {
        "url": "https://git.example.com/a.git",
        "branch": "main",
        "authMethod": "basicAuth",
        "gitAuthor": {"name": "kratix"},
    }
    bucket = {"bucketName": "a", "endpoint": "b", "secretRef": {"name": "c"}}
    assert spec("BucketStateStore", bucket) == {**bucket, "authMethod": "accessKey"}
    assert spec("PromiseRelease", {"sourceRef": {"type": "http", "url": "u"}}) == {
        "sourceRef": {"type": "http", "url": "u"}
    }
    assert spec("KubernetesStateStore", None, TROTH) == {}
    assert spec("KubernetesStateStore", {"secretRef": {"name": "a"}}, TROTH) == {
        "secretRef": {"name": "a", "namespace": "default", "key": "kubeconfig"}
    }


STORE = {"kind": "GitStateStore", "name": "default"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a Destination without a store": (
        obj("Destination", {"path": "a"}),
        "spec.stateStoreRef: Required value: stateStoreRef is required: name the state store",
    ),
    "a Destination without a path": (obj("Destination", {"stateStoreRef": STORE}), "spec.path: Required value"),
    "a store of an unknown kind": (
        obj("Destination", {"path": "a", "stateStoreRef": {"kind": "FtpStateStore", "name": "a"}}),
        '"KubernetesStateStore", "DirectoryStateStore"',
    ),
    "an unknown layout": (
        obj("Destination", {"path": "a", "stateStoreRef": STORE, "filepath": {"mode": "flat"}}),
        "spec.filepath.mode: Unsupported value",
    ),
    "an unknown cleanup": (
        obj("Destination", {"path": "a", "stateStoreRef": STORE, "cleanup": "some"}),
        "spec.cleanup: Unsupported value",
    ),
    "an interval below a minute": (
        obj("Promise", {"workflows": {"config": {"reconciliationInterval": "59s"}}}),
        "reconciliationInterval must be at least 1m",
    ),
    "an interval that is none": (
        obj("Promise", {"workflows": {"config": {"reconciliationInterval": "daily"}}}),
        "reconciliationInterval must be a duration such as 10h or 1h30m",
    ),
    "a release without an address": (
        obj("PromiseRelease", {}),
        "spec.sourceRef.url: Required value: sourceRef.url must be set",
    ),
    "a bucket without credentials": (
        obj("BucketStateStore", {"bucketName": "a", "endpoint": "b"}),
        "spec.secretRef: Required value: authMethod accessKey needs secretRef",
    ),
    "a bucket without a name": (
        obj("BucketStateStore", {"endpoint": "b", "authMethod": "IAM"}),
        "spec.bucketName: Required value",
    ),
    "an unknown login": (
        obj("GitStateStore", {"url": "a", "authMethod": "kerberos"}),
        "spec.authMethod: Unsupported value",
    ),
    "a relative folder": (
        obj("DirectoryStateStore", {"path": "state"}, TROTH),
        "path must be absolute: begin it with a slash",
    ),
    "a folder that climbs": (
        obj("DirectoryStateStore", {"path": "/srv/../etc"}, TROTH),
        "path must not hold the segment ..",
    ),
    "a directory store without a folder": (obj("DirectoryStateStore", None, TROTH), "spec: Required value"),
    "a kubeconfig without a Secret": (
        obj("KubernetesStateStore", {"secretRef": {"key": "a"}}, TROTH),
        "spec.secretRef.name: Required value",
    ),
    "a record of no known state": (
        obj("HealthRecord", None, data={"promiseRef": {"name": "a"}, "state": "fine"}),
        "data.state: Unsupported value",
    ),
    "a binding without a version": (
        obj("ResourceBinding", {"promiseRef": {"name": "a"}, "resourceRef": {"name": "b"}}),
        "spec.version: Required value",
    ),
    "a dry run of nothing": (
        obj("DryRun", {"promiseRef": {"name": "a"}, "resourceRequestRef": {"name": "b"}}),
        "spec.resource: Required value",
    ),
}


@pytest.mark.parametrize(("wrong", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused_and_told_why(
    control_plane: ControlPlane, wrong: dict[str, Any], message: str
) -> None:
    status, answer = send(control_plane, wrong)
    assert status == 422, answer
    assert message in answer["message"]


@pytest.mark.parametrize("filepath", [{"mode": "none"}, None], ids=["changed", "left out"])
def test_the_layout_of_a_destination_cannot_change(
    control_plane: ControlPlane, create: Callable[..., str], filepath: Any
) -> None:
    path = create("Destination", {"path": "a", "stateStoreRef": STORE, "filepath": {"mode": "aggregatedYAML"}})
    status, answer = control_plane.api.request("PATCH", path, {"spec": {"filepath": filepath}})
    assert status == 422, answer
    assert "filepath.mode is immutable" in answer["message"]
    status, answer = control_plane.api.request("PATCH", path, {"spec": {"path": "b"}})
    assert status == 200, answer


def test_a_status_keeps_what_kratix_and_troth_write(
    control_plane: ControlPlane, create: Callable[..., str]
) -> None:
    """Also what a newer Kratix writes below kratix.workflows, and a status that has only a part of it all."""
    path = create("Promise", {})
    condition = {
        "type": "Available",
        "status": "True",
        "reason": "PromiseAvailable",
        "message": "Ready to fulfil resource requests",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    pipelines = [{"name": "a", "phase": "Succeeded", "lastTransitionTime": "2026-01-02T03:04:05Z", "hash": "x"}]
    status = {
        "conditions": [condition, {**condition, "type": "Ready"}],
        "status": "Available",
        "kind": "jenkins",
        "apiVersion": "marketplace.example.com/v1alpha1",
        "version": "v0.1.0",
        "message": "Promise configured",
        "observedGeneration": 1,
        "lastAvailableTime": "2026-01-02T03:04:05Z",
        "requiredPromises": [{"name": "a", "version": "v1", "state": "Requirement installed"}],
        "requiredBy": [{"promise": {"name": "b", "version": "v1"}, "requiredVersion": "v1"}],
        "kratix": {
            "status": "Available",
            "workflows": {"pipelines": pipelines, "suspendedGeneration": 1, "configure": {"pipelines": pipelines}},
        },
        "troth": {
            "phase": "Committed",
            "placements": [
                {"destination": "d", "path": "p", "files": 2, "version": "3f1c", "state": "Written", "more": 1}
            ],
            "failure": {
                "reason": "TemplateSyntax",
                "line": 1,
                "column": 2,
                "message": "m",
                "hint": "h",
                "more": 1,
            },
            "more": {"of": ["it"]},
        },
    }
    code, answer = control_plane.api.request("PATCH", f"{path}/status", {"status": status})
    assert code == 200, answer
    assert answer["status"] == status
    code, answer = control_plane.api.request("PATCH", f"{path}/status", {"status": {"unknown": 1}})
    assert code == 200
    assert answer["status"] == status, "the status of a Promise prunes what nobody declared, as Kratix's does"


def test_columns_show_what_people_look_for(control_plane: ControlPlane, create: Callable[..., str]) -> None:
    path = create("Promise", {})
    condition = {"type": "Ready", "status": "False", "reason": "A", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    status = {
        "status": "Unavailable",
        "kind": "jenkins",
        "version": "v1",
        "message": "m",
        "conditions": [condition],
    }
    control_plane.api.request("PATCH", f"{path}/status", {"status": status})
    heading, row = control_plane.kubectl("get", "promise", path.rpartition("/")[2]).stdout.splitlines()
    assert heading.split() == ["NAME", "STATUS", "KIND", "API", "VERSION", "VERSION", "READY", "MESSAGE", "AGE"]
    assert row.split()[1:6] == ["Unavailable", "jenkins", "v1", "False", "m"]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Promise", {}),
        ("Destination", {"path": "a", "stateStoreRef": {"kind": "GitStateStore", "name": "a"}}),
        ("GitStateStore", {"url": "https://git.example.com/a.git"}),
        ("BucketStateStore", {"bucketName": "a", "endpoint": "b", "secretRef": {"name": "c"}}),
    ],
)
def test_wide_output_has_the_reason(
    control_plane: ControlPlane, create: Callable[..., str], kind: str, spec: Mapping[str, Any]
) -> None:
    path = create(kind, spec)
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "StateStoreNotReady",
        "message": "it is away",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    control_plane.api.request("PATCH", f"{path}/status", {"status": {"conditions": [condition]}})
    name = path.rpartition("/")[2]
    narrow = control_plane.kubectl("get", kind, name).stdout
    assert "REASON" not in narrow
    heading, row = control_plane.kubectl("get", kind, name, "-o", "wide").stdout.splitlines()
    assert heading.index("READY") < heading.index("REASON")
    assert row[heading.index("REASON") :].startswith("StateStoreNotReady")


@pytest.mark.parametrize("name", ["dest", "dests", "wp", "wps", "kss", "dss", "kratix", "troth"])
def test_short_names_and_categories_are_served(control_plane: ControlPlane, name: str) -> None:
    assert control_plane.kubectl("get", name, "--all-namespaces").code == 0


def test_explain_tells_how_to_write_a_template(control_plane: ControlPlane) -> None:
    text = control_plane.kubectl("explain", "promise.spec.workflows.resource.configure.spec.files").stdout
    assert "JinjaPipeline: the files to render" in text
