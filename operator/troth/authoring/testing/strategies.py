"""Hypothesis strategies from the structural schema of a Promise's API.

A structural schema is not JSON Schema: an unknown field is pruned, ``x-kubernetes-int-or-string`` is a type, patterns
are RE2's, rules are CEL. So strategies are built for what it says of types, bounds, enums, patterns and formats, with
the boundaries more likely than what lies between; whether the API server would take a value is for `engine.admission`
to say, which whoever draws uses as a filter. Simple values come first: hypothesis shrinks towards them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_ALPHABET: Final = "a01bcdefghijklmnopqrstuvwxyz23456789ABCZ-._ :#'\"\\/{}[]()<>&*!|>%@`,?=~+^$;\n\täß€😀\u2028"
_WORDS: Final = (
    "a",
    "",
    "true",
    "null",
    "0123",
    "1e3",
    "1",
    "a b",
    "a: b",
    "- a",
    "# a",
    "{{ a }}",
    "two\nlines",
    " a ",
    "é",
    "1Gi",
    "10m",
    "a.example.com",
)
_CLASSES: Final[Mapping[str, str]] = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "a-zA-Z0-9",
    "[:lower:]": "a-z",
    "[:upper:]": "A-Z",
    "[:space:]": r"\s",
    "[:word:]": r"\w",
    "[:xdigit:]": "0-9a-fA-F",
}
_BITS: Final[Mapping[str, int]] = {"int32": 31, "int64": 53}
_DEEPEST: Final = 8
_MOST_ITEMS: Final = 4
_MOST_AT_BOUND: Final = 16
_LONGEST: Final = 300
_LONGEST_PATTERN: Final = 2000


def values(schema: Any, depth: int = 0) -> SearchStrategy[Any]:
    """What a field of this schema may be; an upper bound of what is allowed."""
    if not isinstance(schema, Mapping):
        return st.just({})
    found = _of_type(schema, depth)
    if schema.get("nullable"):
        found = st.one_of(found, st.none())
    if "default" in schema:
        found = st.one_of(st.just(schema["default"]), found)
    return found


def _of_type(schema: Mapping[str, Any], depth: int) -> SearchStrategy[Any]:
    enum = schema.get("enum")
    if isinstance(enum, Sequence) and not isinstance(enum, str) and enum:
        return st.sampled_from(list(enum))
    if schema.get("x-kubernetes-int-or-string"):
        return st.one_of(st.integers(1, 100), st.sampled_from(("50%", "1", "http")))
    kind = schema.get("type")
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        return _integers(schema)
    if kind == "number":
        return _numbers(schema)
    if kind == "string":
        return _texts(schema)
    if kind == "array":
        return _lists(schema, depth)
    if kind == "object" or "properties" in schema:
        return _maps(schema, depth)
    return st.one_of(st.just({}), st.just("a"), st.integers(0, 3))


# ---- scalars


def _integers(schema: Mapping[str, Any]) -> SearchStrategy[int]:
    bits = _BITS.get(str(schema.get("format")), 53)
    step = int(schema.get("multipleOf") or 1) or 1
    least = _bound(schema, "minimum", "exclusiveMinimum", 1, default=-(2**bits))
    most = _bound(schema, "maximum", "exclusiveMaximum", -1, default=2**bits - 1)
    low, high = -(-int(least) // step), int(most) // step
    if low > high:
        return st.nothing()
    edges = sorted({low, high, min(low + 1, high), max(high - 1, low)}, key=abs)
    near = st.integers(max(low, min(0, high)), min(high, max(low, 0) + 20))
    return st.one_of(near, st.sampled_from(edges), st.integers(low, high)).map(lambda number: number * step)


def _numbers(schema: Mapping[str, Any]) -> SearchStrategy[float]:
    if schema.get("multipleOf"):
        return _integers({**schema, "multipleOf": 1}).map(lambda number: number * schema["multipleOf"])
    least = _bound(schema, "minimum", "exclusiveMinimum", 0, default=-1e9)
    most = _bound(schema, "maximum", "exclusiveMaximum", 0, default=1e9)
    if least > most:
        return st.nothing()
    whole = st.integers(-(-int(least) // 1), int(most)) if int(most) >= least else st.nothing()
    between = st.floats(
        least,
        most,
        exclude_min=bool(schema.get("exclusiveMinimum")) and least < most,
        exclude_max=bool(schema.get("exclusiveMaximum")) and least < most,
    ).map(lambda number: round(number, 3))
    return st.one_of(whole, st.sampled_from((least, most)), between)


def _bound(schema: Mapping[str, Any], name: str, exclusive: str, inwards: int, *, default: float) -> float:
    bound = schema.get(name)
    if not isinstance(bound, (int, float)) or isinstance(bound, bool):
        return default
    return bound + inwards if schema.get(exclusive) is True else bound


def _texts(schema: Mapping[str, Any]) -> SearchStrategy[str]:
    least, most = schema.get("minLength") or 0, schema.get("maxLength", _LONGEST)
    of_format = _formats().get(str(schema["format"])) if schema.get("format") else None
    if of_format is not None:
        return of_format.filter(lambda text: least <= len(text) <= most)
    edges = [
        text
        for text in (*_WORDS, "a" * least, "a" * min(most, _LONGEST), "1" * min(most, _LONGEST))
        if _fits(text, schema, least, most)
    ]
    pattern = schema.get("pattern")
    if not pattern:
        anything = st.text(_ALPHABET, min_size=least, max_size=min(most, max(least, 40)))
        return st.one_of(st.sampled_from(edges), anything) if edges else anything
    matching = _matching(pattern)
    if matching is not None:
        matching = matching.filter(lambda text: least <= len(text) <= most)
    known = st.sampled_from(edges) if edges else None
    if matching is None:
        return known if known is not None else st.nothing()
    return matching if known is None else st.one_of(known, matching)


def _fits(text: str, schema: Mapping[str, Any], least: int, most: int) -> bool:
    if not least <= len(text) <= most:
        return False
    pattern = schema.get("pattern")
    compiled = _pattern(pattern) if pattern else None
    return not pattern or (compiled is not None and compiled.search(text) is not None)


def _matching(pattern: str) -> SearchStrategy[str] | None:
    compiled = _pattern(pattern)
    if compiled is None:
        return None
    try:
        found = st.from_regex(compiled, alphabet=_ALPHABET)
        found.validate()
    except Exception:  # noqa: BLE001 - a pattern that hypothesis cannot turn around; the known words are left
        return None
    return found


def _pattern(pattern: str) -> re.Pattern[str] | None:
    """RE2's pattern as Python's, for making texts only: what they really match is for admission to say."""
    if len(pattern) > _LONGEST_PATTERN:
        return None
    for name, members in _CLASSES.items():
        pattern = pattern.replace(name, members)
    pattern = re.sub(r"(?<!\\)((?:\\\\)*)\$(?=\)*$)", r"\1\\Z", pattern.replace(r"\z", r"\Z"))
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None


def _formats() -> Mapping[str, SearchStrategy[str]]:
    digits = st.integers(0, 2**64 - 1)
    return {
        "date": st.dates().map(str),
        "date-time": st.datetimes().map(lambda at: f"{at.replace(microsecond=0).isoformat()}Z"),
        "email": st.sampled_from(("a@example.com", "a.b+c@example.org")),
        "uuid": st.uuids().map(str),
        "uri": st.sampled_from(("https://example.com/a", "http://a.example.com:8080/?b=c#d")),
        "hostname": st.sampled_from(("a.example.com", "example.com")),
        "ipv4": st.ip_addresses(v=4).map(str),
        "ipv6": st.ip_addresses(v=6).map(str),
        "cidr": st.integers(8, 32).map(lambda bits: f"10.0.0.0/{bits}"),
        "mac": st.just("00:00:5e:00:53:01"),
        "byte": digits.map(lambda number: base64.b64encode(str(number).encode()).decode()),
        "duration": st.builds("{}{}".format, st.integers(0, 90), st.sampled_from(("s", "m", "h"))),
    }


# ---- lists and maps


def _lists(schema: Mapping[str, Any], depth: int) -> SearchStrategy[list[Any]]:
    least = schema.get("minItems") or 0
    most = schema.get("maxItems")
    if depth > _DEEPEST:
        return st.just([])
    item = values(schema.get("items"), depth + 1)
    unique: Any = None
    if schema.get("x-kubernetes-list-type") == "set" or schema.get("uniqueItems"):
        unique = repr
    elif schema.get("x-kubernetes-list-type") == "map":
        keys = schema.get("x-kubernetes-list-map-keys") or ()
        unique = lambda found: repr([found.get(key) for key in keys]) if isinstance(found, dict) else repr(found)  # noqa: E731 - hypothesis wants a function
    upper = min(least + _MOST_ITEMS, most) if isinstance(most, int) else least + _MOST_ITEMS
    few = st.lists(item, min_size=least, max_size=upper, unique_by=unique)
    if isinstance(most, int) and upper < most <= _MOST_AT_BOUND and unique is None:
        return st.one_of(few, st.lists(item, min_size=most, max_size=most))
    return few


def _maps(schema: Mapping[str, Any], depth: int) -> SearchStrategy[dict[str, Any]]:
    properties = schema.get("properties")
    if depth > _DEEPEST:
        return st.just({})
    if isinstance(properties, Mapping) and properties:
        required = set(schema.get("required") or ())
        children = {name: values(child, depth + 1) for name, child in properties.items()}
        return st.fixed_dictionaries(
            {name: child for name, child in children.items() if name in required},
            optional={name: child for name, child in children.items() if name not in required},
        )
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        least, most = schema.get("minProperties") or 0, schema.get("maxProperties", _MOST_ITEMS)
        keys = st.one_of(
            st.sampled_from(("a", "b-c", "d.example.com/e", "F_G", "1")),
            st.text("abcdef012-", min_size=1, max_size=10),
        )
        return st.dictionaries(
            keys, values(additional, depth + 1), min_size=least, max_size=min(most, least + _MOST_ITEMS)
        )
    if schema.get("x-kubernetes-embedded-resource"):
        return st.just({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    return st.just({})
