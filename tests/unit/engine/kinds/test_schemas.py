"""A definition out of somebody's file judges objects, or it is said what is wrong with it; nothing is raised."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.kinds.schemas import Schemas

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 1, "default": 3},
                "name": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$", "format": "hostname"},
                "class": {"type": "string", "enum": ["a", "b"], "nullable": True},
                "ports": {
                    "type": "array",
                    "maxItems": 3,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port"],
                    "items": {
                        "type": "object",
                        "required": ["port"],
                        "properties": {"port": {"x-kubernetes-int-or-string": True}},
                    },
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 3},
                "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
            "anyOf": [{"required": ["name"]}, {"not": {"required": ["class"]}}],
            "x-kubernetes-validations": [{"rule": "self.size > 0", "message": "too small"}],
        }
    },
}
BOX: dict[str, Any] = {
    "apiVersion": "example.com/v1",
    "kind": "Box",
    "metadata": {"name": "box"},
    "spec": {
        "size": 2,
        "name": "box",
        "class": "a",
        "ports": [{"port": 1}, {"port": "http"}],
        "labels": {"a": "b"},
        "raw": {"x": [1]},
        "more": {"unknown": 1},
    },
}


def definition(*, former: bool = False) -> dict[str, Any]:
    schema = copy.deepcopy({"openAPIV3Schema": SCHEMA})
    spec: dict[str, Any] = {"group": "example.com", "names": {"kind": "Box", "plural": "boxes"}}
    version: dict[str, Any] = {"name": "v1", "served": True, "storage": True}
    if former:
        spec |= {"versions": [version], "validation": schema, "preserveUnknownFields": False}
    else:
        spec |= {"versions": [version | {"schema": schema, "subresources": {"status": {}}}]}
    api_version = f"apiextensions.k8s.io/{'v1beta1' if former else 'v1'}"
    return {"apiVersion": api_version, "kind": "CustomResourceDefinition", "spec": spec}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value, as what holds it and its key there."""
    for key, child in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(child, dict | list):
            yield from places(child)


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda child: st.one_of(st.lists(child, max_size=2), st.dictionaries(st.text(max_size=3), child, max_size=2)),
    max_leaves=4,
)


def test_a_sound_definition_judges() -> None:
    for former in (False, True):
        judgement = Schemas([definition(former=former)]).judge(BOX)
        assert judgement.useless == ""
        assert judgement.problems == [("spec.more", "is not a field of it: the API server drops it")]


@given(former=st.booleans(), data=st.data())
def test_whatever_a_definition_holds_it_judges_or_it_is_said_why_not(former: bool, data: st.DataObject) -> None:
    made = definition(former=former)
    spots = list(places(made["spec"]))
    for _ in range(data.draw(st.integers(1, 2))):
        holder, key = data.draw(st.sampled_from(spots))
        holder[key] = data.draw(JUNK)
    judgement = Schemas([made]).judge(BOX)
    outline = definition()["spec"]
    if all(made["spec"][part] == outline[part] for part in ("group", "names")):
        assert judgement.problems is not None or judgement.useless


@pytest.mark.parametrize(
    ("path", "junk", "says"),
    [
        (("names", "kind"), "Box", ""),
        (("group",), None, "is malformed: spec.group is missing"),
        (("group",), 5, "is malformed: spec.group is a number, not text"),
        (("versions",), {"name": "v1"}, "is malformed: spec.versions is a map, not a list"),
        (("versions", 0), "v1", "is malformed: spec.versions[0] is text, not a map"),
        (("versions", 0, "name"), None, "is malformed: spec.versions[0].name is missing"),
        (
            ("versions", 0, "schema", "openAPIV3Schema", "properties", "spec", "required"),
            "size",
            'openAPIV3Schema.properties.spec.required: Invalid value: "size": must be a list',
        ),
        (
            ("versions", 0, "schema", "openAPIV3Schema", "properties", "spec", "properties", "size"),
            None,
            "openAPIV3Schema.properties.spec.properties.size: Invalid value: null: must be a map",
        ),
    ],
)
def test_what_is_wrong_with_a_definition_is_said_with_its_field(
    path: tuple[Any, ...], junk: Any, says: str
) -> None:
    made = definition()
    *above, last = path
    holder: Any = made["spec"]
    for key in above:
        holder = holder[key]
    holder[last] = junk
    useless = Schemas([made]).judge(BOX).useless
    assert says in useless
    assert bool(useless) == bool(says)
