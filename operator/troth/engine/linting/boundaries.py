"""Variants of a valid request: each member of each enum, each boundary, each optional field left out.

Random values reach every case only probably, and an author who has a size ``large`` wants it tried in every run. So one
value at a time is changed in a request that the API allows, which also shows which change breaks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

_MOST: Final = 120
_DEEPEST: Final = 8
_LONGEST: Final = 300
_MOST_ITEMS: Final = 100


def around(schema: Mapping[str, Any], value: Mapping[str, Any], *, most: int = _MOST) -> list[Mapping[str, Any]]:
    """Returns at most ``most`` variants of a value with one part at a boundary. The API may still refuse some."""
    found: dict[bytes, Mapping[str, Any]] = {}
    for changed in _changes(schema, value, 0):
        found.setdefault(orjson.dumps(changed, option=orjson.OPT_SORT_KEYS), changed)
        if len(found) >= most:
            break
    return list(found.values())


def _changes(schema: Any, value: Any, depth: int) -> Iterator[Any]:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    for other in _edges(schema):
        if other != value:
            yield other
    properties = schema.get("properties")
    if isinstance(value, Mapping) and isinstance(properties, Mapping):
        required = set(schema.get("required") or ())
        for name, child in properties.items():
            if name not in value:
                for edge in _edges(child) if isinstance(child, Mapping) else ():
                    yield {**value, name: edge}
                continue
            if name not in required:
                yield {key: other for key, other in value.items() if key != name}
            for changed in _changes(child, value[name], depth + 1):
                yield {**value, name: changed}
    elif isinstance(value, list) and value:
        yield from _lists(schema, value, depth)


def _lists(schema: Mapping[str, Any], value: Sequence[Any], depth: int) -> Iterator[list[Any]]:
    least, most = schema.get("minItems") or 0, schema.get("maxItems")
    yield list(value[:least])
    if least != 1:
        yield list(value[:1])
    for changed in _changes(schema.get("items"), value[0], depth + 1):
        yield [changed, *value[1:]]
    if isinstance(most, int) and len(value) < most <= _MOST_ITEMS and not schema.get("x-kubernetes-list-type"):
        yield [value[index % len(value)] for index in range(most)]


def _edges(schema: Mapping[str, Any]) -> Iterator[Any]:
    enum = schema.get("enum")
    if isinstance(enum, Sequence) and not isinstance(enum, str):
        yield from enum
        return
    kind = schema.get("type")
    if kind == "boolean":
        yield from (False, True)
    elif kind in ("integer", "number"):
        step = schema.get("multipleOf") or 1
        for name, exclusive, inwards in (
            ("minimum", "exclusiveMinimum", step),
            ("maximum", "exclusiveMaximum", -step),
        ):
            bound = schema.get(name)
            if isinstance(bound, (int, float)):
                yield bound + inwards if schema.get(exclusive) is True else bound
        if "minimum" not in schema:
            yield 0
    elif kind == "string" and not schema.get("format"):
        least, most = schema.get("minLength") or 0, schema.get("maxLength")
        for length in (least, most):
            if isinstance(length, int) and length <= _LONGEST:
                yield from ("a" * length, "1" * length)
