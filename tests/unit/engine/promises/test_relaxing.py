"""What is left of an API that is going away refuses nothing, and is otherwise what it was."""

from __future__ import annotations

from typing import Any

import pytest

from troth.engine.admission.admitting import Admitted, admit
from troth.engine.promises.definitions import build_definition, read_definition
from troth.engine.promises.relaxing import relaxing_patch

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "maxProperties": 1,
    "anyOf": [{"required": ["size"]}, {"required": ["count"]}],
    "x-kubernetes-validations": [{"rule": "has(self.size)"}],
    "properties": {
        "size": {"type": "string", "enum": ["small"], "maxLength": 5, "pattern": "^s", "default": "small"},
        "count": {"type": "integer", "maximum": 3, "multipleOf": 2},
        "either": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "names": {
            "type": "array",
            "maxItems": 1,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["n"],
            "items": {"type": "object", "required": ["n"], "properties": {"n": {"type": "string"}}},
        },
        "more": {"type": "object", "additionalProperties": {"type": "string", "minLength": 3}},
    },
}


def definition() -> dict[str, Any]:
    """A definition that refuses much."""
    root = {
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-validations": [{"rule": "self.metadata.name != 'odd'"}],
        "properties": {"spec": SPEC},
    }
    return build_definition(
        "things",
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}],
            },
        },
    )


def relaxed() -> dict[str, Any]:
    before = definition()
    patch = relaxing_patch(read_definition(before))
    assert patch is not None
    return {**before, "spec": {**before["spec"], **patch["spec"]}}


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        {"size": "enormous", "count": 5},
        {"names": [{"n": "a"}, {"n": "a"}, {}], "more": {"a": ""}},
        {"either": "text"},
    ],
)
def test_a_relaxed_definition_refuses_no_value_of_its_types(spec: Any) -> None:
    body = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "odd", "namespace": "a"}}
    asked = body if spec is None else {**body, "spec": spec}
    assert not isinstance(admit(definition(), asked), Admitted)
    assert isinstance(admit(relaxed(), asked), Admitted)


def test_a_relaxed_definition_keeps_its_defaults_and_drops_the_same_fields() -> None:
    body = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "odd", "namespace": "a"}}
    admitted = admit(relaxed(), {**body, "spec": {"count": 5, "unknown": 1}})
    assert isinstance(admitted, Admitted)
    assert admitted.object["spec"] == {"count": 5, "size": "small"}


def test_what_is_relaxed_is_not_written_twice() -> None:
    assert relaxing_patch(read_definition(relaxed())) is None
