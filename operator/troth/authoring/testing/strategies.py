"""Makes hypothesis strategies from the structural schema of a Promise's API.

A structural schema is not JSON Schema: an unknown field is pruned, ``x-kubernetes-int-or-string`` is a type, patterns
are RE2's, rules are CEL. So strategies are built from what it says about types, bounds, enums, patterns and formats,
and boundaries are more likely than the values between them. `engine.admission` says whether the API server would
accept a value, and the caller uses that as a filter. Simple values come first, because hypothesis shrinks towards
them.
"""

from __future__ import annotations

import base64
import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from troth.engine.admission.validation import compile_pattern

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
_REPEATS: Final = re.compile(
    r"(?P<other>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<sign>[*+])|\{(?P<least>\d+),(?P<most>\d*)\}", re.DOTALL
)
"""A repetition. What only looks like one, because it is escaped or in a class, is matched by another group."""
_MOST_REPEATS: Final = 8
_parser: Any = importlib.import_module("re._parser")
_DEEPEST: Final = 8
_MOST_ITEMS: Final = 4
_MOST_AT_BOUND: Final = 16
_LONGEST: Final = 300
_LONGEST_PATTERN: Final = 2000


def values(schema: Any, depth: int = 0) -> SearchStrategy[Any]:
    """The values of a field with this schema. Some of them may not be allowed, but every allowed value may occur."""
    if not isinstance(schema, Mapping):
        return st.just({})
    found = _of_type(schema, depth)
    if schema.get("nullable"):
        found = st.one_of(found, st.none())
    if "default" in schema:
        found = st.one_of(st.just(schema["default"]), found)
    return found


def near(schema: Any, value: Any) -> SearchStrategy[Any]:
    """Variants of a value that somebody wrote.

    Only a few of its fields are drawn anew, so that fields that must fit together mostly still do.
    """
    known: dict[int, SearchStrategy[Any]] = {}

    def drawn(child: Any, depth: int) -> SearchStrategy[Any]:
        if id(child) not in known:
            known[id(child)] = values(child, depth)
        return known[id(child)]

    @st.composite
    def changed(draw: st.DrawFn, schema: Any, value: Any, depth: int) -> Any:
        properties = schema.get("properties") if isinstance(schema, Mapping) else None
        if not isinstance(properties, Mapping) or not isinstance(value, Mapping) or depth > _DEEPEST:
            return draw(drawn(schema, depth))
        required = schema.get("required") or ()
        found = dict(value)
        for name in draw(
            st.lists(st.sampled_from(sorted(properties)), max_size=2, unique=True) if properties else st.just([])
        ):
            if name not in required and name in value and draw(st.booleans()):
                del found[name]
            else:
                found[name] = draw(changed(properties[name], value.get(name), depth + 1))
        return found

    return changed(schema, value, 0)


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
    step = max(1, _count(schema, "multipleOf", 1))
    least = max(_bound(schema, "minimum", "exclusiveMinimum", 1, default=-(2**bits)), -(2**63))
    most = min(_bound(schema, "maximum", "exclusiveMaximum", -1, default=2**bits - 1), 2**63)
    low, high = -(-int(least) // step), int(most) // step
    if low > high:
        return st.nothing()
    edges = sorted({low, high, min(low + 1, high), max(high - 1, low)}, key=abs)
    near = st.integers(max(low, min(0, high)), min(high, max(low, 0) + 20))
    return st.one_of(near, st.sampled_from(edges), st.integers(low, high)).map(lambda number: number * step)


def _numbers(schema: Mapping[str, Any]) -> SearchStrategy[float]:
    step = schema.get("multipleOf")
    if isinstance(step, (int, float)) and step > 0:
        return st.integers(-100, 100).map(lambda number: number * step)
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
    least, most = _count(schema, "minLength", 0), _count(schema, "maxLength", _LONGEST)
    if least > min(most, _LONGEST):
        return st.nothing()
    of_format = _formats().get(str(schema["format"])) if schema.get("format") else None
    if of_format is not None:
        return of_format.filter(lambda text: least <= len(text) <= most)
    pattern = schema.get("pattern")
    longest = min(most, _LONGEST)
    edges = [
        text for text in (*_WORDS, "a" * least, "a" * longest, "1" * longest) if _fits(text, pattern, least, most)
    ]
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


def _count(schema: Mapping[str, Any], name: str, default: int) -> int:
    found = schema.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def _fits(text: str, pattern: Any, least: int, most: int) -> bool:
    if not least <= len(text) <= most:
        return False
    search = compile_pattern(str(pattern))[0] if pattern else None
    return not pattern or (search is not None and search(text))


def _matching(pattern: Any) -> SearchStrategy[str] | None:
    """Texts that match a pattern as Python reads it. Admission checks later whether they match RE2's reading."""
    compiled = _pattern(str(pattern))
    if compiled is None:
        return None
    try:
        found = st.from_regex(compiled, alphabet=_ALPHABET)
        found.validate()
    except Exception:  # noqa: BLE001 - a pattern that hypothesis cannot turn around; the known words are left
        return None
    return found


def _pattern(pattern: str) -> re.Pattern[str] | None:
    """A pattern of RE2 as Python's. A pattern on which Python might search for ever gets small bounds."""
    if len(pattern) > _LONGEST_PATTERN:
        return None
    for name, members in _CLASSES.items():
        pattern = pattern.replace(name, members)
    pattern = re.sub(r"(?<!\\)((?:\\\\)*)\$(?=\)*$)", r"\1\\Z", pattern.replace(r"\z", r"\Z"))
    try:
        parsed = _parser.parse(pattern)
        if parsed.getwidth()[0] > _LONGEST:
            return None
        return re.compile(_bounded(pattern) if _is_nested(parsed) else pattern)
    except (re.error, RecursionError, OverflowError, IndexError):
        return None


def _is_nested(parsed: Any, *, inside: bool = False) -> bool:
    """Whether a repetition without an upper bound contains another one."""
    for operation, argument in parsed:
        name = str(operation)
        if name.endswith("_REPEAT"):
            endless = argument[1] > _MOST_REPEATS
            if (inside and endless) or _is_nested(argument[2], inside=inside or endless):
                return True
        elif name == "BRANCH":
            if any(_is_nested(branch, inside=inside) for branch in argument[1]):
                return True
        elif name in ("SUBPATTERN", "ASSERT", "ASSERT_NOT", "ATOMIC_GROUP"):
            inner = argument[-1] if isinstance(argument, tuple) else argument
            if _is_nested(inner, inside=inside):
                return True
    return False


def _bounded(pattern: str) -> str:
    """The pattern with at most 3 repetitions where it does not have a bound, and with its small bounds kept."""
    return _REPEATS.sub(_with_bound, pattern)


def _with_bound(match: re.Match[str]) -> str:
    if match["other"] is not None:
        return match["other"]
    if match["sign"] is not None:
        return "{0,3}" if match["sign"] == "*" else "{1,3}"
    least = int(match["least"])
    most = int(match["most"] or least + 3)
    return f"{{{least},{max(least, min(most, least + 3))}}}"


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
    least, most = _count(schema, "minItems", 0), _count(schema, "maxItems", _LONGEST)
    if depth > _DEEPEST:
        return st.just([])
    if least > min(most, _LONGEST):
        return st.nothing()
    item = values(schema.get("items"), depth + 1)
    unique: Any = None
    if schema.get("x-kubernetes-list-type") == "set" or schema.get("uniqueItems"):
        unique = repr
    elif schema.get("x-kubernetes-list-type") == "map":
        keys = schema.get("x-kubernetes-list-map-keys") or ()
        unique = lambda found: repr([found.get(key) for key in keys]) if isinstance(found, dict) else repr(found)  # noqa: E731 - hypothesis wants a function
    upper = min(least + _MOST_ITEMS, most)
    few = st.lists(item, min_size=least, max_size=upper, unique_by=unique)
    if upper < most <= _MOST_AT_BOUND and unique is None:
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
        least, most = _count(schema, "minProperties", 0), _count(schema, "maxProperties", _LONGEST)
        if least > min(most, _LONGEST):
            return st.nothing()
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
