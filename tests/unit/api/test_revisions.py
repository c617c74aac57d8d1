"""Views of PromiseRevisions and ResourceBindings, which are read strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from troth.api import InvalidObject
from troth.api.revisions import read_promise_revision, read_resource_binding

EXAMPLES = Path(__file__).parents[2] / "data" / "examples"


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return found


def test_a_revision_is_read_with_the_spec_of_its_version() -> None:
    found = read_promise_revision(example("promiserevision"))
    assert (found.promise, found.version, found.is_latest) == ("jenkins", "v0.1.0", True)
    assert found.spec.destination_selectors == {"environment": "dev"}
    assert len(found.spec.resource_workflows.configure) == 1
    assert found.raw_spec == example("promiserevision")["spec"]["promiseSpec"]


@pytest.mark.parametrize(
    ("status", "available"),
    [
        ({}, False),
        ({"observedGeneration": 2, "conditions": [{"type": "Available", "status": "True"}]}, True),
        ({"observedGeneration": 1, "conditions": [{"type": "Available", "status": "True"}]}, False),
        ({"observedGeneration": 2, "conditions": [{"type": "Available", "status": "False"}]}, False),
        ({"observedGeneration": "2", "conditions": "Available"}, False),
    ],
)
def test_a_revision_is_available_when_its_status_says_so_of_its_newest_spec(
    status: dict[str, Any], available: bool
) -> None:
    obj = example("promiserevision")
    obj["metadata"]["generation"] = 2
    assert read_promise_revision({**obj, "status": status}).is_available is available


def test_the_labels_of_a_binding_count_before_the_names_in_its_spec() -> None:
    obj = example("resourcebinding")
    found = read_resource_binding(obj)
    assert (found.promise, found.resource, found.version, found.applied) == ("jenkins", "orders", "latest", "")
    obj["metadata"]["labels"] = {"kratix.io/promise-name": "redis", "kratix.io/resource-name": "cache"}
    found = read_resource_binding({**obj, "status": {"lastAppliedVersion": "v1"}})
    assert (found.promise, found.resource, found.applied) == ("redis", "cache", "v1")


@pytest.mark.parametrize(
    ("name", "path", "value", "field"),
    [
        ("promiserevision", ("promiseRef",), None, "spec.promiseRef.name"),
        ("promiserevision", ("version",), "", "spec.version"),
        ("promiserevision", ("version",), 1.0, "spec.version"),
        ("promiserevision", ("promiseSpec", "dependencies"), "none", "spec.dependencies"),
        ("resourcebinding", ("version",), None, "spec.version"),
        ("resourcebinding", ("promiseRef", "name"), "", "spec.promiseRef.name"),
        ("resourcebinding", ("resourceRef",), [], "spec.resourceRef"),
    ],
)
def test_what_would_count_for_something_that_nobody_has_written_is_refused(
    name: str, path: tuple[str, ...], value: Any, field: str
) -> None:
    obj = example(name)
    place = obj["spec"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    read = read_promise_revision if name == "promiserevision" else read_resource_binding
    with pytest.raises(InvalidObject) as refused:
        read(obj)
    assert refused.value.field == field
