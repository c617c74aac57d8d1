"""What is said of a Promise's API without a cluster is what the API server says of the definition."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.platforms import promise
from troth.api import InvalidObject
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION
from troth.engine.admission.definitions import definition_refusals
from troth.engine.promises.definition_changes import definition_patch
from troth.engine.promises.definitions import build_definition, read_definition
from troth.kube import ApiError, Client

TEXT: Mapping[str, Any] = {"type": "string"}
EITHER: Mapping[str, Any] = {"x-kubernetes-int-or-string": True}
BOTH = [{"type": "integer"}, {"type": "string"}]
KEYED: Mapping[str, Any] = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["k"],
    "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}},
}

# The schema of a field of spec.
FIELDS: Mapping[str, Any] = {
    "text": TEXT,
    "no type": {},
    "null": {"type": "null"},
    "strange type": {"type": "text"},
    "type is a list": {"type": ["string"]},
    "free": {"x-kubernetes-preserve-unknown-fields": True},
    "not free": {"type": "object", "x-kubernetes-preserve-unknown-fields": False},
    "either": {"x-kubernetes-int-or-string": True},
    "either with a type": {"type": "string", "x-kubernetes-int-or-string": True},
    "either, said twice": {
        "x-kubernetes-int-or-string": True,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
    },
    "either, with a bound for one": {**EITHER, "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]},
    "either, the other way round": {**EITHER, "anyOf": [{"type": "string"}, {"type": "integer"}]},
    "either, and a third": {**EITHER, "anyOf": [*BOTH, {"minimum": 1}]},
    "either, said in allOf": {**EITHER, "allOf": [{"anyOf": BOTH}, {"minimum": 1}]},
    "either, said in allOf with more": {**EITHER, "allOf": [{"anyOf": BOTH, "minimum": 1}]},
    "either, said in the second of allOf": {**EITHER, "allOf": [{"minimum": 1}, {"anyOf": BOTH}]},
    "either, said in anyOf and allOf": {**EITHER, "anyOf": BOTH, "allOf": [{"anyOf": BOTH}]},
    "either, said in oneOf": {**EITHER, "oneOf": BOTH},
    "either, said in not": {**EITHER, "not": {"type": "integer"}},
    "either, bounds without types": {**EITHER, "anyOf": [{"minimum": 1}, {"pattern": "^[a-z]+$"}]},
    "either, said further up": {
        "type": "object",
        "properties": {"a": EITHER},
        "anyOf": [{"properties": {"a": {"anyOf": BOTH}}}],
    },
    "a condition on a field that is not declared": {
        "type": "object",
        "properties": {"a": TEXT},
        "anyOf": [{"properties": {"b": {"minLength": 1}}}],
    },
    "a condition on a field of a field that is not declared": {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"c": TEXT}}},
        "not": {"properties": {"a": {"properties": {"b": {"minLength": 1}}}}},
    },
    "a condition on a field of an open map": {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "allOf": [{"properties": {"b": {"minLength": 1}}}],
    },
    "a condition on a key of a map": {
        "type": "object",
        "additionalProperties": TEXT,
        "allOf": [{"properties": {"b": {"minLength": 1}}}],
    },
    "a condition on a field called metadata": {
        "type": "object",
        "properties": {"metadata": {"type": "object", "properties": {"a": TEXT}}},
        "allOf": [{"properties": {"metadata": {"required": ["a"]}}}],
    },
    "misspelled keyword": {"type": "string", "minLenght": 3},
    "misspelled keyword in a condition": {"type": "string", "allOf": [{"minLenght": 3}]},
    "a condition on the items of no list": {"type": "object", "allOf": [{"items": {"minLength": 1}}]},
    "a condition on the items of a list": {"type": "array", "items": TEXT, "allOf": [{"items": {"minLength": 1}}]},
    "a required field that is not declared, in a condition": {
        "type": "object",
        "properties": {"a": TEXT},
        "oneOf": [{"required": ["b"]}],
    },
    "a rule in a condition": {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 3}},
        "allOf": [{"x-kubernetes-validations": [{"rule": "has(self.a)"}]}],
    },
    "list without items": {"type": "array"},
    "list of nothing": {"type": "array", "items": {}},
    "list of texts": {"type": "array", "items": TEXT},
    "tuple": {"type": "array", "items": [TEXT]},
    "unique items": {"type": "array", "items": TEXT, "uniqueItems": True},
    "closed map": {"type": "object", "additionalProperties": False},
    "closed map with properties": {"type": "object", "additionalProperties": False, "properties": {"a": TEXT}},
    "open map": {"type": "object", "additionalProperties": True},
    "map of texts": {"type": "object", "additionalProperties": TEXT},
    "map and object": {"type": "object", "additionalProperties": TEXT, "properties": {"a": TEXT}},
    "reference": {"$ref": "#/definitions/x", "type": "object"},
    "pattern properties": {"type": "object", "patternProperties": {"a": TEXT}},
    "pattern": {"type": "string", "pattern": "^[a-z]+$"},
    "pattern that looks ahead": {"type": "string", "pattern": "^(?!a)"},
    "pattern without an end": {"type": "string", "pattern": "[a"},
    "properties of a text": {"type": "string", "properties": {"a": TEXT}},
    "required text": {"type": "object", "required": "a", "properties": {"a": TEXT}},
    "required unknown": {"type": "object", "required": ["b"], "properties": {"a": TEXT}},
    "limit as text": {"type": "string", "maxLength": "3"},
    "limit below zero": {"type": "string", "maxLength": -3},
    "format unknown": {"type": "string", "format": "poem"},
    "enum": {"type": "string", "enum": ["a", "b"]},
    "enum of numbers": {"type": "string", "enum": [1]},
    "default": {"type": "string", "default": "a"},
    "default of a wrong type": {"type": "string", "default": 3},
    "default outside of the enum": {"type": "string", "enum": ["a"], "default": "b"},
    "default that is pruned": {"type": "object", "default": {"b": 1}, "properties": {"a": TEXT}},
    "default that is too short": {"type": "string", "minLength": 3, "default": "a"},
    "default without what is required": {
        "type": "object",
        "default": {},
        "required": ["a"],
        "properties": {"a": TEXT},
    },
    "default that is completed": {
        "type": "object",
        "default": {},
        "required": ["a"],
        "properties": {"a": {"type": "string", "default": "x"}},
    },
    "default in the values of a map that does not fit": {
        "type": "object",
        "additionalProperties": {"type": "string", "pattern": "^a", "default": "b"},
    },
    "default null": {"type": "string", "default": None},
    "default null, nullable": {"type": "string", "nullable": True, "default": None},
    "one of": {
        "type": "object",
        "properties": {"a": TEXT, "b": TEXT},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "one of with types": {"type": "object", "properties": {"a": TEXT}, "oneOf": [{"type": "object"}]},
    "one of with a description": {"type": "object", "oneOf": [{"description": "x", "required": ["a"]}]},
    "one of with a new field": {"type": "object", "oneOf": [{"properties": {"a": {"minLength": 1}}}]},
    "one of with a known field": {
        "type": "object",
        "properties": {"a": TEXT},
        "oneOf": [{"properties": {"a": {"minLength": 1}}}],
    },
    "not with a type": {"type": "string", "not": {"type": "string"}},
    "not an enum": {"type": "string", "not": {"enum": ["a"]}},
    "all of with a default": {"type": "string", "allOf": [{"default": "a"}]},
    "all of with bounds": {"type": "string", "allOf": [{"minLength": 1}, {"maxLength": 3}]},
    "keyed list": KEYED,
    "keyed list without keys": {key: value for key, value in KEYED.items() if "keys" not in key},
    "keys of a plain list": {**KEYED, "x-kubernetes-list-type": "atomic"},
    "keyed list of texts": {**KEYED, "items": TEXT},
    "key that is no field": {**KEYED, "x-kubernetes-list-map-keys": ["z"]},
    "key twice": {**KEYED, "x-kubernetes-list-map-keys": ["k", "k"]},
    "key that may be missing": {**KEYED, "items": {"type": "object", "properties": {"k": TEXT}}},
    "key with a default": {**KEYED, "items": {"type": "object", "properties": {"k": {**TEXT, "default": "x"}}}},
    "key that is a map": {
        **KEYED,
        "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "object"}}},
    },
    "set": {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
    "strange list type": {"type": "array", "x-kubernetes-list-type": "bag", "items": TEXT},
    "list type of a text": {"type": "string", "x-kubernetes-list-type": "set"},
    "map type": {"type": "object", "x-kubernetes-map-type": "atomic"},
    "map type of a text": {"type": "string", "x-kubernetes-map-type": "atomic"},
    "strange map type": {"type": "object", "x-kubernetes-map-type": "loose"},
    "embedded": {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
    },
    "embedded, unknown": {"type": "object", "x-kubernetes-embedded-resource": True},
    "embedded text": {"type": "string", "x-kubernetes-embedded-resource": True},
    "rule": {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'a'"}]},
    "empty rule": {"type": "string", "x-kubernetes-validations": [{"rule": ""}]},
    "enum without members": {"type": "string", "enum": []},
    "enum with a member twice": {"type": "string", "enum": ["a", "a"]},
    "enum with null": {"type": "string", "nullable": True, "enum": ["a", None]},
    "minimum above the maximum": {"type": "integer", "minimum": 5, "maximum": 3},
    "exclusive bound without a bound": {"type": "integer", "exclusiveMinimum": True},
    "exclusive bound as a number": {"type": "integer", "exclusiveMinimum": 3},
    "multiple of zero": {"type": "integer", "multipleOf": 0},
    "multiple of a negative number": {"type": "integer", "multipleOf": -2},
    "minimum with a fraction": {"type": "integer", "minimum": 0.5},
    "maxLength with a fraction": {"type": "string", "maxLength": 1.5},
    "maxLength without a fraction": {"type": "string", "maxLength": 2.0},
    "required twice": {"type": "object", "required": ["a", "a"], "properties": {"a": TEXT}},
    "unknown keyword": {"type": "string", "const": "a"},
    "keyword that only looks like one of ours": {"type": "string", "x-kubernetes-odd": True},
    "example": {"type": "string", "example": "a", "title": "A", "externalDocs": {"url": "https://example.com"}},
    "nullable as a text": {"type": "string", "nullable": "true"},
    "description as a number": {"type": "string", "description": 3},
    "set of maps": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}},
    "set of atomic maps": {
        "type": "array",
        "x-kubernetes-list-type": "set",
        "items": {"type": "object", "x-kubernetes-map-type": "atomic"},
    },
    "set of lists": {
        "type": "array",
        "x-kubernetes-list-type": "set",
        "items": {"type": "array", "items": TEXT},
    },
    "set of atomic lists": {
        "type": "array",
        "x-kubernetes-list-type": "set",
        "items": {"type": "array", "x-kubernetes-list-type": "atomic", "items": TEXT},
    },
    "set of either": {"type": "array", "x-kubernetes-list-type": "set", "items": EITHER},
    "set of nullable texts": {
        "type": "array",
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "nullable": True},
    },
    "keyed list of nullable maps": {**KEYED, "items": {**KEYED["items"], "nullable": True}},
    "key that may be null": {
        **KEYED,
        "items": {
            "type": "object",
            "required": ["k"],
            "properties": {"k": {"type": "string", "nullable": True}},
        },
    },
    "key that is either": {
        **KEYED,
        "items": {"type": "object", "required": ["k"], "properties": {"k": EITHER}},
    },
    "keyed list with unknown fields": {
        **KEYED,
        "items": {**KEYED["items"], "x-kubernetes-preserve-unknown-fields": True},
    },
    "free text": {"type": "string", "x-kubernetes-preserve-unknown-fields": True},
    "free list": {"type": "array", "items": TEXT, "x-kubernetes-preserve-unknown-fields": True},
    "embedded with its own apiVersion": {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "properties": {"apiVersion": {"type": "integer"}, "spec": {"type": "object"}},
    },
    "embedded with labels": {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}},
    },
    "embedded with a text for metadata": {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "properties": {"metadata": {"type": "string"}, "spec": {"type": "object"}},
    },
    "embedded in embedded": {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "properties": {
            "spec": {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "x-kubernetes-preserve-unknown-fields": True,
            }
        },
    },
    "embedded with a default": {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
        "default": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}},
    },
    "rule with a reason that is none": {
        "type": "string",
        "x-kubernetes-validations": [{"rule": "self != 'a'", "reason": "Odd"}],
    },
    "rule with a field path": {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 9}},
        "x-kubernetes-validations": [{"rule": "self.a != 'a'", "fieldPath": ".a", "reason": "FieldValueRequired"}],
    },
    "rule with a message of two lines": {
        "type": "string",
        "x-kubernetes-validations": [{"rule": "self != 'a'", "message": "a\nb"}],
    },
    "rule with a message of nothing": {
        "type": "string",
        "x-kubernetes-validations": [{"rule": "self != 'a'", "message": "  "}],
    },
    "rule of two lines without a message": {
        "type": "string",
        "x-kubernetes-validations": [{"rule": "self != 'a' &&\nself != 'b'"}],
    },
    "rule with a message that is reckoned": {
        "type": "string",
        "maxLength": 9,
        "x-kubernetes-validations": [{"rule": "self != 'a'", "messageExpression": "'not ' + self"}],
    },
    "rule about what was, below a keyed list": {
        **KEYED,
        "maxItems": 3,
        "items": {
            "type": "object",
            "required": ["k"],
            "properties": {
                "k": {"type": "string", "maxLength": 9},
                "a": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]},
            },
        },
    },
    "rule on either": {**EITHER, "x-kubernetes-validations": [{"rule": "type(self) == int || self != 'a'"}]},
    "default of a list with null": {"type": "array", "items": TEXT, "default": [None]},
    "default of a map with null": {"type": "object", "properties": {"a": TEXT}, "default": {"a": None}},
    "default of either": {**EITHER, "default": "3"},
    "default of a number": {"type": "number", "default": 1},
    "default of a whole number with a fraction": {"type": "integer", "default": 1.0},
    "default of a format": {"type": "string", "format": "date", "default": "no date"},
    "default that breaks oneOf": {
        "type": "object",
        "properties": {"a": TEXT, "b": TEXT},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        "default": {},
    },
    "a text for a schema": "string",
    "deep": {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}},
}

# A change of the whole definition's spec.
DEFINITIONS: Mapping[str, Any] = {
    "group without a dot": lambda spec: spec.update(group="things"),
    "group in capitals": lambda spec: spec.update(group="Things.example.com"),
    "protected group": lambda spec: spec.update(group="things.k8s.io"),
    "kind in capitals": lambda spec: spec["names"].update(kind="THINGS"),
    "kind with a dash at the end": lambda spec: spec["names"].update(kind="Thing-"),
    "list kind is the kind": lambda spec: spec["names"].update(listKind=spec["names"]["kind"]),
    "strange singular": lambda spec: spec["names"].update(singular="The Thing"),
    "short names": lambda spec: spec["names"].update(shortNames=["th"]),
    "strange short names": lambda spec: spec["names"].update(shortNames=["TH"]),
    "version in capitals": lambda spec: spec["versions"][0].update(name="V1"),
    "version without a name": lambda spec: spec["versions"][0].pop("name"),
    "version twice": lambda spec: spec["versions"].append({**spec["versions"][0], "storage": False}),
    "second version": lambda spec: spec["versions"].append(
        {**spec["versions"][0], "storage": False, "name": "v2"}
    ),
    "conversion to nothing": lambda spec: spec.update(conversion={"strategy": "None"}),
    "conversion of a strange kind": lambda spec: spec.update(conversion={"strategy": "Magic"}),
    "conversion by a webhook that is not named": lambda spec: spec.update(conversion={"strategy": "Webhook"}),
    "conversion without a strategy": lambda spec: spec.update(conversion={}),
    "unknown fields everywhere": lambda spec: spec.update(preserveUnknownFields=True),
    "unknown fields nowhere": lambda spec: spec.update(preserveUnknownFields=False),
    "version of digits": lambda spec: spec["versions"][0].update(name="1"),
    "version with a dot": lambda spec: spec["versions"][0].update(name="v1.2"),
    "a long version": lambda spec: spec["versions"][0].update(name="v" * 64),
    "a long kind": lambda spec: spec["names"].update(kind="K" * 64, listKind="KList"),
    "deprecated": lambda spec: spec["versions"][0].update(deprecated=True, deprecationWarning="soon"),
    "a warning without a deprecation": lambda spec: spec["versions"][0].update(deprecationWarning="soon"),
    "a warning with a line break": lambda spec: spec["versions"][0].update(
        deprecated=True, deprecationWarning="a\nb"
    ),
    "an empty warning": lambda spec: spec["versions"][0].update(deprecated=True, deprecationWarning=""),
    "a field to select by": lambda spec: _select(spec, ".spec.a"),
    "a field to select by that is not there": lambda spec: _select(spec, ".spec.b"),
    "a map to select by": lambda spec: _select(spec, ".spec"),
    "a name to select by": lambda spec: _select(spec, ".metadata.name"),
    "fields to select by, twice": lambda spec: _select(spec, ".spec.a", ".spec.a"),
    "nine fields to select by": lambda spec: _select(spec, *(f".spec.a{number}" for number in range(9))),
    "scale": lambda spec: _scale(spec, specReplicasPath=".spec.replicas", statusReplicasPath=".status.replicas"),
    "scale without paths": lambda spec: _scale(spec),
    "scale of strange paths": lambda spec: _scale(
        spec, specReplicasPath="spec.replicas", statusReplicasPath=".spec.replicas"
    ),
    "scale of a list": lambda spec: _scale(
        spec, specReplicasPath=".spec.l[0]", statusReplicasPath=".status.replicas"
    ),
    "short names, twice": lambda spec: spec["names"].update(shortNames=["th", "th"]),
    "categories": lambda spec: spec["names"].update(categories=["all"]),
    "strange categories": lambda spec: spec["names"].update(categories=["All"]),
    "a short name that is the plural": lambda spec: spec["names"].update(shortNames=[spec["names"]["plural"]]),
    "plural with a dot": lambda spec: spec["names"].update(plural="thi.ngs"),
    "no plural": lambda spec: spec["names"].update(plural="x" * 64),
    "no name of a list": lambda spec: spec["names"].update(listKind=""),
    "an empty singular": lambda spec: spec["names"].update(singular=""),
    "column of a strange path": lambda spec: _column(spec, jsonPath="spec.a"),
    "column of a path without an end": lambda spec: _column(spec, jsonPath=".spec.a["),
    "column of a path with a search": lambda spec: _column(spec, jsonPath='.status.c[?(@.type=="A")].s'),
    "column of a path with braces": lambda spec: _column(spec, jsonPath="{.spec.a}"),
    "column with a priority": lambda spec: _column(spec, priority=1),
    "column with a priority below zero": lambda spec: _column(spec, priority=-1),
    "column with a priority as a text": lambda spec: _column(spec, priority="1"),
    "column with a format": lambda spec: _column(spec, type="integer", format="int32"),
    "column with a strange format": lambda spec: _column(spec, format="poem"),
    "columns of one name": lambda spec: spec["versions"][0].update(
        additionalPrinterColumns=[{"name": "a", "type": "string", "jsonPath": ".spec.a"}] * 2
    ),
    "column with an unknown word": lambda spec: _column(spec, odd=True),
    "unknown word in a version": lambda spec: spec["versions"][0].update(odd=True),
    "unknown word": lambda spec: spec.update(odd=True),
    "root with additional properties": lambda spec: _schema(spec).update(
        additionalProperties={"type": "string"}, properties={}
    ),
    "free root": lambda spec: _schema(spec).update({"x-kubernetes-preserve-unknown-fields": True}),
    "root with a default": lambda spec: _schema(spec).update(default={}),
    "root that is embedded": lambda spec: _schema(spec).update({"x-kubernetes-embedded-resource": True}),
    "root that is atomic": lambda spec: _schema(spec).update({"x-kubernetes-map-type": "atomic"}),
    "root with a rule on the name": lambda spec: _schema(spec).update(
        {"x-kubernetes-validations": [{"rule": "self.metadata.name.size() < 9"}]}
    ),
    "root that requires metadata": lambda spec: _schema(spec).update(required=["metadata"]),
    "field of the root beside spec": lambda spec: _schema(spec)["properties"].update(data={"type": "string"}),
    "metadata with a default": lambda spec: _schema(spec)["properties"].update(
        metadata={"type": "object", "default": {"name": "a"}}
    ),
    "metadata with a default for a name": lambda spec: _schema(spec)["properties"].update(
        metadata={"type": "object", "properties": {"name": {"type": "string", "default": "a"}}}
    ),
    "metadata that is required to have a name": lambda spec: _schema(spec)["properties"].update(
        metadata={"type": "object", "required": ["name"]}
    ),
    "metadata with a condition": lambda spec: _schema(spec)["properties"].update(
        metadata={"type": "object", "anyOf": [{"required": ["name"]}]}
    ),
    "metadata in a condition": lambda spec: _schema(spec).update(
        anyOf=[{"properties": {"metadata": {"properties": {"name": {"pattern": "^a"}}}}}]
    ),
    "kind with a default": lambda spec: _schema(spec)["properties"].update(
        kind={"type": "string", "default": "Thing"}
    ),
    "column": lambda spec: spec["versions"][0].update(
        additionalPrinterColumns=[{"name": "a", "type": "string", "jsonPath": ".spec.a"}]
    ),
    "no columns at all": lambda spec: spec["versions"][0].update(additionalPrinterColumns=[]),
    "strange column": lambda spec: spec["versions"][0].update(
        additionalPrinterColumns=[{"name": "a", "type": "text", "jsonPath": ".spec.a"}]
    ),
    "column of nothing": lambda spec: spec["versions"][0].update(
        additionalPrinterColumns=[{"name": "a", "type": "string"}]
    ),
    "root that is no object": lambda spec: _schema(spec).update(type="array"),
    "nullable root": lambda spec: _schema(spec).update(nullable=True),
    "metadata with labels": lambda spec: _schema(spec)["properties"].update(
        metadata={"type": "object", "properties": {"labels": {"type": "object"}}}
    ),
    "metadata with a pattern": lambda spec: _schema(spec)["properties"].update(
        metadata={"type": "object", "properties": {"name": {"type": "string", "pattern": "^a"}}}
    ),
    "apiVersion as a number": lambda spec: _schema(spec)["properties"].update(apiVersion={"type": "integer"}),
}


def _column(spec: dict[str, Any], **words: Any) -> None:
    column = {"name": "a", "type": "string", "jsonPath": ".spec.a", **words}
    spec["versions"][0]["additionalPrinterColumns"] = [column]


def _select(spec: dict[str, Any], *paths: str) -> None:
    properties = {name: {"type": "string"} for name in ("a", *(f"a{number}" for number in range(9)))}
    _schema(spec)["properties"]["spec"] = {"type": "object", "properties": properties}
    spec["versions"][0]["selectableFields"] = [{"jsonPath": path} for path in paths]


def _scale(spec: dict[str, Any], **paths: str) -> None:
    properties = {"replicas": {"type": "integer"}, "l": {"type": "array", "items": {"type": "integer"}}}
    _schema(spec)["properties"]["spec"] = {"type": "object", "properties": properties}
    spec["versions"][0]["subresources"] = {"scale": paths}


def _schema(spec: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = spec["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


APPROVALS = (
    "https://github.com/kubernetes/enhancements/pull/1111",
    "http://a",
    "HTTP://a:80/b?c#d",
    "ftp://me@host/a",
    "x://[::1]/a",
    "unapproved",
    "unapproved, experimental",
    "unapprovedly",
    "Unapproved",
    "",
    " ",
    "not a url",
    "approved",
    "example.com/pull/1",
    "//example.com/a",
    "/a",
    "https:",
    "https://",
    "https:///a",
    "https:a",
    "https://?a",
    "https://a b/c",
    "https://a/b c",
    "https://a/%zz",
    "https://:80",
    "https://@",
    " https://a",
    "1https://a",
)


def variants(unique: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, schema in FIELDS.items():
        api = promise(unique)["spec"]["api"]
        properties = {"field": copy.deepcopy(schema)}
        _schema(api["spec"])["properties"]["spec"] = {"type": "object", "properties": properties}
        found[f"field: {name}"] = api
    for name, change in DEFINITIONS.items():
        api = copy.deepcopy(promise(unique)["spec"]["api"])
        change(api["spec"])
        api["metadata"]["name"] = f"{api['spec']['names']['plural']}.{api['spec']['group']}"
        found[name] = api
    for group in ("things.k8s.io", "things.kubernetes.io", "things.x-k8s.io"):
        for approval in APPROVALS:
            api = copy.deepcopy(promise(unique)["spec"]["api"])
            api["spec"]["group"] = group
            api["metadata"] = {
                "name": f"{api['spec']['names']['plural']}.{group}",
                "annotations": {"api-approved.kubernetes.io": approval},
            }
            found[f"{group} approved by {approval!r}"] = api
    return found


async def test_a_definition_is_refused_here_exactly_when_the_api_server_refuses_it(
    client: Client, unique: str
) -> None:
    differences = []
    for name, api in variants(unique).items():
        ours: Sequence[object]
        try:
            definition = build_definition("things", api)
            ours = definition_refusals(definition)
        except InvalidObject as error:
            if error.field == "spec.api.spec.group":  # a group that no Promise may use, whatever the server says
                continue
            definition, ours = api, [error]
        answer = ""
        try:
            live = await client.apply(CUSTOM_RESOURCE_DEFINITION, definition, dry_run=True)
        except ApiError as error:
            answer = str(error)
        else:
            if not ours:
                again = definition_patch(read_definition(live), definition)
                assert again is None, f"{name} would be written again: {again}"
        if bool(ours) != bool(answer):
            differences.append(f"{name}: here {[str(refusal) for refusal in ours]}, there {answer!r}")
    if differences:
        pytest.fail("\n".join(differences))
