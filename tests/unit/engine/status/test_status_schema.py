"""Every status fits the schema of its kind: a field that the API server prunes would be written for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from troth.engine.failure import Failure
from troth.engine.status.author import AuthorStatus
from troth.engine.status.deletion import deletion_status
from troth.engine.status.facts import (
    DependentFacts,
    DestinationFacts,
    PipelineFacts,
    PlacementFacts,
    PromiseFacts,
    RequestFacts,
    RequirementFacts,
    StateStoreFacts,
    Waiting,
    WorkFacts,
    WorkflowFacts,
)
from troth.engine.status.own_schema import own_schema
from troth.engine.status.patch import apply_patch, status_patch
from troth.engine.status.placement import placement_status, work_status
from troth.engine.status.promise import promise_status
from troth.engine.status.request import request_status
from troth.engine.status.store import destination_status, state_store_status

CRDS = Path(__file__).parents[4] / "crds"
NOW = "2026-03-01T08:00:00Z"
PLACEMENT = PlacementFacts("w.d-5058f", "5058f", "d", "resources/x", 2, True, "3f1c", True, "refused", 3)
WORK = WorkFacts("w", 2, True, (Waiting("aaaaa", {"role": "backup"}),), (PLACEMENT,), 3)
WORKFLOW = WorkflowFacts(
    (
        PipelineFacts("a", "Succeeded", hash="h"),
        PipelineFacts("b", "Suspended", "wait", NOW, 2, "h"),
        PipelineFacts("c", "Failed"),
    ),
    AuthorStatus({"message": "hello"}),
    {"reason": "Refused", "pipeline": "c", "file": "x", "line": 1, "column": 2, "value": "v", "message": "m"},
    "c/x:1: m",
)
PROMISE = PromiseFacts(
    4,
    "v1",
    "Redis",
    "marketplace.io/v1",
    requirements=(RequirementFacts("sql", "v1", "Requirement installed"),),
    required_by=(DependentFacts("stack", "v2", "v1"),),
    workflow=WORKFLOW,
    works=(WORK,),
)
AVAILABLE = PromiseFacts(
    4, "v1", "Redis", "marketplace.io/v1", workflow=WorkflowFacts((PipelineFacts("a", "Succeeded"),))
)
STATUSES: list[tuple[str, dict[str, Any]]] = [
    ("workplacements", placement_status({}, PLACEMENT, now=NOW)),
    ("works", work_status({}, WORK, now=NOW)),
    ("promises", promise_status({}, PROMISE, now=NOW)),
    ("promises", promise_status({}, AVAILABLE, now=NOW)),
    ("destinations", destination_status({}, DestinationFacts("GitStateStore", "main", "Ready"), now=NOW)),
    ("gitstatestores", state_store_status({}, StateStoreFacts(1, "SecretNotFound", "gone"), now=NOW)),
    ("bucketstatestores", state_store_status({}, StateStoreFacts(1), now=NOW)),
    ("kubernetesstatestores", state_store_status({}, StateStoreFacts(1), now=NOW)),
    ("directorystatestores", state_store_status({}, StateStoreFacts(1), now=NOW)),
]


@pytest.mark.parametrize(("plural", "computed"), STATUSES)
def test_what_is_written_is_valid_and_nothing_is_pruned(plural: str, computed: dict[str, Any]) -> None:
    (path,) = CRDS.glob(f"*_{plural}.yaml")
    definition = yaml.safe_load(path.read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    status = apply_patch({}, status_patch({}, computed))

    jsonschema.validate(status, schema)
    assert pruned(status, schema) == status


FAILURE = Failure(
    "ContainerFailed", "m", "p", "f", 1, 2, "e", "i", "v", "h", container="one", exit_code=3, log="no such zone"
)
RECORDED = replace(WORKFLOW, failure=FAILURE.as_status())


@pytest.mark.parametrize("kind", ["request", "Promise"])
def test_each_field_of_the_workflows_and_of_a_failure_is_described(kind: str) -> None:
    if kind == "request":
        facts = RequestFacts(4, "v1", RECORDED, (WORK,))
        status, schema = request_status({}, facts, now=NOW), own_schema()
    else:
        status = promise_status({}, replace(PROMISE, workflow=RECORDED), now=NOW)
        definition = yaml.safe_load((CRDS / "platform.kratix.io_promises.yaml").read_text())
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    deletion = deletion_status(status, waiting_for="it", now=NOW, workflow=RECORDED, generation=4)
    for written in (status, deletion):
        written = apply_patch({}, status_patch({}, written))
        jsonschema.validate(written, schema)
        assert undescribed(written["kratix"]["workflows"], schema["properties"]["kratix"], "workflows") == []
        assert undescribed(written["troth"]["failure"], schema["properties"]["troth"], "failure") == []


def undescribed(value: Any, schema: Mapping[str, Any], name: str) -> list[str]:
    """The paths below ``schema.name`` of what a value has and the schema does not describe."""
    found = schema.get("properties", {}).get(name, {})
    missing = [] if "description" in found else [name]
    children = [(found, value)] if isinstance(value, Mapping) else []
    if isinstance(value, list):
        children = [(found.get("items", {}), item) for item in value]
    return missing + [
        f"{name}.{path}" for at, item in children for key in item for path in undescribed(item[key], at, key)
    ]


def pruned(value: Any, schema: Mapping[str, Any]) -> Any:
    """What the API server keeps of a value."""
    if schema.get("x-kubernetes-preserve-unknown-fields") and not {"items", "properties"} & set(schema):
        return value
    if isinstance(value, list):
        return [pruned(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    kept = {}
    for key, item in value.items():
        if key in properties:
            kept[key] = pruned(item, properties[key])
        elif extra:
            kept[key] = pruned(item, extra if isinstance(extra, dict) else {})
        elif schema.get("x-kubernetes-preserve-unknown-fields"):
            kept[key] = item
    return kept
