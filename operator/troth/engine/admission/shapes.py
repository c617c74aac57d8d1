"""Whether a schema can be read as one: each of its words has a value of the type that it needs, down to the last node.

What judges an object by a schema relies on that and does not ask again. So whoever has a schema out of somebody's file
asks here first, and an exception while an object is judged is a bug of ours and never a mistake in the file.

Upstream: the types of `JSONSchemaProps` in `pkg/apis/apiextensions/v1/types_jsonschema.go` of
k8s.io/apiextensions-apiserver v0.36.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.engine.admission.refusals import Refusal, invalid

WORD_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "type": (str,),
    "format": (str,),
    "title": (str,),
    "description": (str,),
    "pattern": (str,),
    "properties": (dict,),
    "required": (list,),
    "enum": (list,),
    "allOf": (list,),
    "anyOf": (list,),
    "oneOf": (list,),
    "not": (dict,),
    "nullable": (bool,),
    "uniqueItems": (bool,),
    "exclusiveMinimum": (bool,),
    "exclusiveMaximum": (bool,),
    "minimum": (int, float),
    "maximum": (int, float),
    "multipleOf": (int, float),
    "minLength": (int,),
    "maxLength": (int,),
    "minItems": (int,),
    "maxItems": (int,),
    "minProperties": (int,),
    "maxProperties": (int,),
    "items": (dict, list),
    "additionalProperties": (dict, bool),
    "x-kubernetes-preserve-unknown-fields": (bool,),
    "x-kubernetes-embedded-resource": (bool,),
    "x-kubernetes-int-or-string": (bool,),
    "x-kubernetes-list-type": (str,),
    "x-kubernetes-map-type": (str,),
    "x-kubernetes-list-map-keys": (list,),
    "x-kubernetes-validations": (list,),
}
"""The words of a schema whose values have a type, and the types."""

JUNCTORS: Final = ("allOf", "anyOf", "oneOf")

_TYPES: Final[Mapping[type, str]] = {
    str: "a text",
    dict: "a map",
    list: "a list",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}
_LISTS_OF_TEXTS: Final = ("required", "x-kubernetes-list-map-keys")


def unreadable_part(schema: Any, field: str) -> Refusal | None:
    """The first part of a schema because of which it cannot judge an object; None when it can.

    Args:
        schema: as it stands in somebody's file.
        field: its path.
    """
    waiting = [(field, schema)]  # and no recursion: it may be nested to any depth
    while waiting:
        where, node = waiting.pop()
        problem = next(_problems(node, where), None)
        if problem is not None:
            return problem
        waiting += [(f"{where}.{path}", child) for path, child in reversed(list(children(node)))]
    return None


def _problems(node: Any, field: str) -> Iterator[Refusal]:
    if not isinstance(node, Mapping):
        yield invalid(field, node, "must be a map")
        return
    mistyped = mistyped_word(node, field)
    if mistyped is not None:
        yield mistyped
        return
    yield from mistyped_texts(node, field)
    if isinstance(node.get("items"), list):
        yield invalid(f"{field}.items", node["items"], "must be a map")
    for index, rule in enumerate(node.get("x-kubernetes-validations") or ()):
        if not isinstance(rule, Mapping):
            yield invalid(f"{field}.x-kubernetes-validations[{index}]", rule, "must be a map")


def mistyped_word(node: Mapping[str, Any], field: str) -> Refusal | None:
    """The first word of a node that has a value of another type; what is below it counts for nothing here."""
    mistyped = {name for name, value in node.items() if not _fits(value, WORD_TYPES.get(name))}
    for name in WORD_TYPES if mistyped else ():
        if name in mistyped:
            wanted = " or ".join(_TYPES[kind] for kind in WORD_TYPES[name])
            return invalid(f"{field}.{name}", node[name], f"must be {wanted}")
    return None


def mistyped_texts(node: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    """The entries that are not text where a node lists texts."""
    for name in _LISTS_OF_TEXTS:
        for index, word in enumerate(node.get(name) or ()):
            if not isinstance(word, str):
                yield invalid(f"{field}.{name}[{index}]", word, "must be a text")


def children(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas in a node whose words have values of their types, each with its path in the node."""
    for name, child in (node.get("properties") or {}).items():
        yield f"properties.{name}", child
    for name in ("items", "additionalProperties", "not"):
        if isinstance(node.get(name), dict):
            yield name, node[name]
    for name in JUNCTORS:
        for index, child in enumerate(node.get(name) or ()):
            yield f"{name}[{index}]", child


def _fits(value: Any, types: tuple[type, ...] | None) -> bool:
    if types is None or value is None:
        return True
    if isinstance(value, bool):
        return bool in types
    return isinstance(value, types) or (types == (int,) and isinstance(value, float) and value.is_integer())
