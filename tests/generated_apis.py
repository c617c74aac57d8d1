"""Generates APIs of Promises of which the next one differs from the last in some places.

All that a CustomResourceDefinition can say occurs: rules, bounds, enums, names, columns, subresources, selectable
fields, labels, annotations and conversions, and also what the API server drops or completes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from troth.engine.admission.definitions import definition_refusals
from troth.engine.promises.definitions import build_definition

Object = dict[str, Any]

RULES = [
    {"rule": "has(self.size)"},
    {"rule": "has(self.size)", "message": "say a size", "reason": "FieldValueRequired"},
    {"rule": "!has(self.count) || self.count < 9", "messageExpression": "'at most 8'", "fieldPath": ".count"},
    {"rule": "!oldSelf.hasValue() || has(self.size)", "optionalOldSelf": True},
]
COLUMNS = [
    {"name": "size", "type": "string", "jsonPath": ".spec.size", "priority": 0},
    {"name": "count", "type": "integer", "jsonPath": ".spec.count", "priority": 1, "description": "how many"},
    {"name": "age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": ""},
]
WEBHOOK = {
    "strategy": "Webhook",
    "webhook": {
        "conversionReviewVersions": ["v1"],
        "clientConfig": {"service": {"namespace": "default", "name": "convert"}},
    },
}


def some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    """A map with some of these keys."""
    return st.fixed_dictionaries({}, optional=keywords)


def with_(fixed: Mapping[str, Any], **keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    return some(**{name.replace("_", "-"): value for name, value in keywords.items()}).map(
        lambda chosen: {**chosen, **fixed}
    )


WORDS = st.sampled_from(["", "what it is", "Text"])
TEXT = with_(
    {"type": "string"},
    description=WORDS,
    enum=st.lists(st.sampled_from(["small", "large", "huge"]), unique=True),
    maxLength=st.integers(5, 9),
    minLength=st.integers(0, 3),
    pattern=st.sampled_from(["", "^[a-z]+$"]),
    format=st.sampled_from(["", "hostname", "poem"]),
    default=st.just("small"),
    nullable=st.booleans(),
    example=st.sampled_from(["x", ""]),
    minLenght=st.just(3),  # no keyword
    x_kubernetes_validations=st.sampled_from([[], [{"rule": "self != 'no'", "message": ""}]]),
)
NUMBER = with_(
    {"type": "integer"},
    maximum=st.sampled_from([8, 9.0, 2**63]),
    minimum=st.sampled_from([0, 1, -3]),
    multipleOf=st.sampled_from([1, 0.5]),
    exclusiveMaximum=st.booleans(),
    format=st.sampled_from(["int32", "int64"]),
    default=st.sampled_from([2, 4]),
)
LIST = with_(
    {"type": "array", "items": {"type": "string"}},
    maxItems=st.integers(0, 5),
    x_kubernetes_list_type=st.sampled_from(["set", "atomic"]),
    uniqueItems=st.just(False),
)
MAP = st.sampled_from(
    [
        {"type": "object", "additionalProperties": {"type": "string", "description": ""}},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {}},
        {"type": "object", "properties": {"any": {"x-kubernetes-preserve-unknown-fields": True}}, "default": {}},
    ]
)
EITHER = st.sampled_from(
    [
        {"x-kubernetes-int-or-string": True},
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"x-kubernetes-int-or-string": True, "allOf": [{}, {"not": {"enum": [0]}}]},
    ]
)
SPEC = with_(
    {},
    required=st.lists(st.sampled_from(["size", "count"]), unique=True),
    description=WORDS,
    x_kubernetes_validations=st.lists(st.sampled_from(RULES), unique_by=str),
    externalDocs=st.sampled_from([{}, {"url": "https://example.com"}]),
    anyOf=st.sampled_from([[], [{"required": ["size"]}, {"properties": {"size": {}}}]]),
    minProperties=st.integers(0, 2),
)
FIELDS = some(size=TEXT, count=NUMBER, items=LIST, more=MAP, either=EITHER)


@st.composite
def versions(draw: st.DrawFn, name: str, *, storage: bool) -> Object:
    spec = {
        "type": "object",
        **draw(SPEC),
        "properties": {"size": {"type": "string"}, "count": {"type": "integer"}},
    }
    spec["properties"] |= draw(FIELDS)
    root = draw(with_({}, required=st.sampled_from([[], ["spec"]]), description=WORDS))
    extra = draw(
        some(
            additionalPrinterColumns=st.lists(st.sampled_from(COLUMNS), unique_by=str),
            deprecated=st.booleans(),
            selectableFields=st.sampled_from([[], [{"jsonPath": ".spec.size"}]]),
            subresources=st.sampled_from(
                [{}, {"scale": {"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count"}}]
            ),
        )
    )
    if extra.get("deprecated"):
        extra |= draw(some(deprecationWarning=st.sampled_from(["use another", ""])))
    schema = {"openAPIV3Schema": {"type": "object", **root, "properties": {"spec": spec}}}
    return {"name": name, "served": True, "storage": storage, "schema": schema, **extra}


@st.composite
def apis(draw: st.DrawFn) -> Object:
    """The API of a Promise, of which the next one differs in some places."""
    spec: Object = {"group": "GROUP", "scope": "Namespaced", "versions": [draw(versions("v1", storage=True))]}
    if draw(st.booleans()):
        spec["versions"].append(draw(versions("v2", storage=False)))
    spec["names"] = {"plural": "things", "kind": "Thing"} | draw(
        some(
            shortNames=st.lists(st.sampled_from(["th", "tg"]), unique=True),
            categories=st.lists(st.sampled_from(["all", "troth"]), unique=True),
            singular=st.sampled_from(["thing", "athing"]),
            listKind=st.sampled_from(["ThingList", "Things"]),
        )
    )
    spec |= draw(
        some(conversion=st.sampled_from([{"strategy": "None"}, WEBHOOK]), preserveUnknownFields=st.just(False))
    )
    metadata = draw(
        some(
            labels=some(team=st.sampled_from(["a", "b"]), tier=st.just("gold")),
            annotations=some(note=st.sampled_from(["", "b"])),
        )
    )
    return {"metadata": metadata, "spec": spec}


def definition_of(api: Mapping[str, Any], group: str = "example.com") -> Object:
    """The definition that the operator makes of such an API."""
    return build_definition(
        "things",
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {**api["metadata"], "name": f"things.{group}"},
            "spec": {**api["spec"], "group": group},
        },
    )


def is_sound(api: Object) -> bool:
    """Whether an API server would take the definition."""
    return not definition_refusals(definition_of(api))


def sound_apis() -> st.SearchStrategy[Object]:
    """APIs whose definitions an API server would take."""
    return apis().filter(is_sound)


VALUES: Mapping[str, Sequence[Any]] = {
    "size": ["small", "large", "huge", "tiny", "no", "", "UPPER", "a-long-text", None],
    "count": [0, 1, 2, 7, 8, 9, -3, 2.0, 4],
    "items": [[], ["a"], ["a", "b"], ["a", "a"], list("abcdef")],
    "more": [{}, {"any": "x"}, {"any": 1, "other": {"deep": [1]}}],
    "either": [0, 5, "text"],
}
SPECS = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})
"""The spec of a request, which may fit such an API or not."""
