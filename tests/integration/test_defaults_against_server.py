"""Defaults that the API server refuses are refused without one, and no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from troth.dev import ControlPlane
from troth.engine.admission.defaults import refused_default
from troth.engine.admission.definitions import definition_refusals

NUMBER = {"type": "integer", "default": 1}
RULE = [{"rule": "self.min <= self.max", "message": "min is above max"}]
PAIR = {"type": "object", "properties": {"min": NUMBER, "max": {"type": "integer", "default": 2}}}

SCHEMAS: dict[str, tuple[dict[str, Any], bool]] = {
    "an empty map beside a rule that reads further defaults": (
        {**PAIR, "x-kubernetes-validations": RULE, "default": {}},
        False,
    ),
    "the same spelled out": ({**PAIR, "x-kubernetes-validations": RULE, "default": {"min": 1, "max": 2}}, True),
    "the same spelled out against the rule": (
        {**PAIR, "x-kubernetes-validations": RULE, "default": {"min": 3, "max": 2}},
        False,
    ),
    "the rule one level up": (
        {
            "type": "object",
            "properties": {"replicas": {**PAIR, "default": {}}},
            "x-kubernetes-validations": [{"rule": "self.replicas.min <= self.replicas.max"}],
        },
        True,
    ),
    "an empty map without rules": ({**PAIR, "default": {}}, True),
    "a transition rule": (
        {
            "type": "string",
            "default": "a",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "never"}],
        },
        True,
    ),
    "a wrong type": ({"type": "integer", "default": "1"}, False),
    "no member of the enum": ({"type": "string", "enum": ["a", "b"], "default": "c"}, False),
    "beyond a bound": ({"type": "integer", "maximum": 5, "default": 6}, False),
    "a missing required field": (
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}, "default": {}},
        False,
    ),
    "a required field with a default": (
        {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": "string", "default": "x"}},
            "default": {},
        },
        False,
    ),
    "an unknown field": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "default": {"b": 1}},
        False,
    ),
    "an unknown field that is kept": (
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "default": {"b": 1}},
        True,
    ),
    "in the items of a list": (
        {
            "type": "array",
            "items": {"type": "object", "properties": {"port": {"type": "integer", "minimum": 1, "default": 0}}},
        },
        False,
    ),
    "in the values of a map": (
        {"type": "object", "additionalProperties": {"type": "string", "pattern": "^a", "default": "b"}},
        True,
    ),
    "a list with the same key twice": (
        {
            "type": "array",
            "x-kubernetes-list-type": "set",
            "items": {"type": "string"},
            "default": ["a", "a"],
        },
        True,
    ),
    "a rule inside of the default": (
        {
            "type": "object",
            "properties": {
                "host": {"type": "string", "maxLength": 9, "x-kubernetes-validations": [{"rule": "self != 'x'"}]}
            },
            "default": {"host": "x"},
        },
        False,
    ),
}


def definition(schema: dict[str, Any]) -> dict[str, Any]:
    """A CRD whose ``spec.value`` has that schema."""
    spec = {"type": "object", "properties": {"value": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.defaults.example.com"},
        "spec": {
            "group": "defaults.example.com",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
                }
            ],
        },
    }


@pytest.mark.parametrize("case", SCHEMAS)
def test_a_default_is_refused_exactly_when_the_api_server_refuses_it(
    case: str, control_plane: ControlPlane
) -> None:
    schema, taken = SCHEMAS[case]
    built = definition(schema)
    answer = control_plane.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(built), check=False)
    assert (answer.code == 0) == taken, answer.stderr
    refusal = refused_default(built)
    assert (refusal is None) == taken, refusal
    assert definition_refusals(built) == (() if refusal is None else (refusal,))
    if refusal is not None:
        assert refusal.field.startswith("spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.value")
        assert refusal.field.endswith(".default")
