"""Generates requests that show what a Promise can render: the smallest, the fullest, each enum member and boundary.

They are few and chosen, not random, because the next run must find the same faults. Random inputs belong to tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from troth.engine.admission.validation import compile_pattern
from troth.engine.linting.patterns import text_for

_TEXTS: Final = ("example", "a", "aa", "1", "16", "1.0", "1.2.3", "v1.2.3", "1Gi", "10m", "a.example.com")
_FORMATS: Final[Mapping[str, str]] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "a@example.com",
    "uuid": "01234567-89ab-cdef-0123-456789abcdef",
    "uri": "https://example.com/a",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "cidr": "192.0.2.0/24",
    "byte": "YQ==",
    "duration": "1h",
}
_MOST_AT_ONE: Final = 12
_MOST: Final = 60
_DEEPEST: Final = 8
_LONGEST_TEXT: Final = 4096
LONGEST: Final = 63
LENGTHS: Final = (63, 58, 53, 50, 45, 40, 35, 30, 25, 20, 12)


def specs(schema: Mapping[str, Any]) -> list[Any]:
    """Returns at most 60 values for ``spec``; an empty list when none is found that the schema allows."""
    found: dict[bytes, Any] = {}
    for value in _candidates(schema, 0):
        found.setdefault(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), value)
        if len(found) >= _MOST:
            break
    return list(found.values())


def longest(schema: Mapping[str, Any], depth: int = 0) -> Any:
    """Returns a spec with every text as long as possible, up to 63 characters; None when none is found."""
    kind = schema.get("type")
    if kind == "object" and isinstance(schema.get("properties"), Mapping) and depth < _DEEPEST:
        value = {}
        for name, child in schema["properties"].items():
            found = longest(child, depth + 1) if isinstance(child, Mapping) else None
            if found is not None:
                value[name] = found
        missing = [name for name in schema.get("required") or () if name not in value]
        return None if missing else value
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        found = longest(schema["items"], depth + 1)
        return None if found is None else [found] * max(1, min(3, schema.get("minItems") or 1))
    if kind == "string" and "enum" not in schema and not schema.get("format"):
        for length in range(min(schema.get("maxLength", LONGEST), LONGEST), 0, -1):
            if _fits("a" * length, schema):
                return "a" * length
    return next(_candidates(schema, depth), None)


def _candidates(schema: Any, depth: int) -> Iterator[Any]:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    enum = schema.get("enum")
    if isinstance(enum, Sequence) and not isinstance(enum, str):
        yield from enum[:_MOST_AT_ONE]
        return
    kind = schema.get("type")
    if "default" in schema and kind not in ("object", "array"):
        yield schema["default"]
    if schema.get("x-kubernetes-int-or-string"):
        yield from (1, "50%")
    elif kind == "boolean":
        yield from (False, True)
    elif kind in ("integer", "number"):
        yield from _numbers(schema)
    elif kind == "string":
        yield from _texts(schema)
    elif kind == "array":
        yield from _lists(schema, depth)
    elif kind == "object" or "properties" in schema:
        yield from _objects(schema, depth)


def _numbers(schema: Mapping[str, Any]) -> Iterator[Any]:
    low, high = schema.get("minimum"), schema.get("maximum")
    step = schema.get("multipleOf") or 1
    if isinstance(low, (int, float)):
        yield low + (step if schema.get("exclusiveMinimum") else 0)
    if isinstance(high, (int, float)):
        yield high - (step if schema.get("exclusiveMaximum") else 0)
    if low is None and high is None:
        yield from (step, 3 * step)


def _texts(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("format") in _FORMATS:
        yield _FORMATS[schema["format"]]
        return
    least = schema.get("minLength") or 0
    shown = schema.get("example")  # the example that the author wrote for people
    texts = (*((shown,) if isinstance(shown, str) else ()), *_TEXTS, "a" * min(max(least, 1), _LONGEST_TEXT))
    fitting = [text for text in texts if _fits(text, schema)]
    if not fitting and isinstance(schema.get("pattern"), str):
        written = text_for(schema["pattern"])
        fitting = [written] if written is not None and _fits(written, schema) else []
    yield from fitting[:1]


def _fits(text: str, schema: Mapping[str, Any]) -> bool:
    if not (schema.get("minLength") or 0) <= len(text) <= schema.get("maxLength", len(text)):
        return False
    pattern = schema.get("pattern")
    if not pattern:
        return True
    # Compiled as in the API server, with a matcher that takes linear time for any pattern.
    search, _ = compile_pattern(pattern) if len(pattern) < 1000 else (None, "")
    return search is not None and search(text)


def _lists(schema: Mapping[str, Any], depth: int) -> Iterator[list[Any]]:
    least = schema.get("minItems") or 0
    if least == 0:
        yield []
    for count, item in enumerate(_candidates(schema.get("items"), depth + 1)):
        if least <= 1:
            yield [item]
        if count >= _MOST_AT_ONE:
            break


def _objects(schema: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        yield {}
        additional = schema.get("additionalProperties")
        for value in _candidates(additional, depth + 1):
            yield {"example": value}
            break
        return
    choices = {name: list(_first(_candidates(child, depth + 1))) for name, child in properties.items()}
    required = [name for name in schema.get("required") or () if name in properties]
    if any(not choices[name] for name in required):
        return
    least = {name: choices[name][0] for name in required}
    full = {name: values[-1] for name, values in choices.items() if values}
    yield least
    yield full
    for name, values in choices.items():
        for value in values:
            yield {**least, name: value}
            yield {**full, name: value}


def _first(values: Iterator[Any]) -> Iterator[Any]:
    for _, value in zip(range(_MOST_AT_ONE), values, strict=False):
        yield value
