"""The types that filters, tests and methods of the template language accept and return, as far as lint knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from jinja2 import nodes

from troth.engine.linting.shapes import ANYTHING_LIST, NUMBER, SCALARS, TEXT, TRUTH, UNKNOWN, WHOLE, Shape

DEFAULTS: Final = frozenset(("default", "d"))
FORGIVING_TESTS: Final = frozenset(
    ("defined", "undefined", "none", "string", "mapping", "number", "integer", "float", "boolean", "sequence")
)
PRESENT_TESTS: Final = FORGIVING_TESTS - {"undefined", "none"}
"""Tests that only pass for something that exists."""

_NO_SCALAR: Final = SCALARS - {"text"}
_WANT_ITEMS: Final = frozenset(
    ("first", "last", "join", "length", "count", "sort", "unique", "map", "select", "reject", "selectattr")
) | {"rejectattr", "sum", "min", "max", "batch", "slice", "reverse", "flatten", "groupby", "zip", "list"}
_WANT_MAP: Final = frozenset(("items", "dictsort", "dict2items", "combine"))
_WANT_NUMBER: Final = frozenset(("abs", "round"))
_WANT_TEXT: Final = frozenset(("split", "from_json", "from_yaml", "from_yaml_all", "b64decode"))
_WANT_DURATION: Final = frozenset(("duration", "duration_text"))
_SAME: Final = frozenset(("sort", "unique", "select", "reject", "selectattr", "rejectattr", "list"))
_GIVE_LIST: Final = frozenset(
    ("map", "batch", "slice", "flatten", "zip", "union", "intersect", "difference", "dict2items", "items")
)
_GIVE_TEXT: Final = (
    frozenset(
        (
            "upper",
            "lower",
            "trim",
            "join",
            "replace",
            "string",
            "title",
            "capitalize",
            "truncate",
            "format",
            "slug",
        )
    )
    | {"b64encode", "sha256", "hash", "indent", "nindent", "tojson", "to_json", "to_nice_json", "dns_label"}
    | {"duration_text"}
)
WANT_NO_NULL: Final = frozenset(
    (
        "upper",
        "lower",
        "trim",
        "replace",
        "title",
        "capitalize",
        "truncate",
        "indent",
        "nindent",
        "string",
        "b64encode",
    )
) | {"dns_label", "slug", "sha256", "hash"}
"""Filters that would turn null into a word."""
_HAVING: Final = frozenset(
    (
        ("selectattr",),
        ("rejectattr", "undefined"),
        *(("selectattr", test) for test in (*PRESENT_TESTS, "==", "eq", "equalto", "in")),
    )
)
COUNTS: Final = frozenset(("length", "count"))
ATTRIBUTE_FIRST: Final = frozenset(("selectattr", "rejectattr", "groupby"))

TEXT_METHODS: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(
        ("split", "rsplit", "splitlines", "partition", "rpartition"), replace(ANYTHING_LIST, items=TEXT)
    ),
    **dict.fromkeys(
        ("lower", "upper", "strip", "lstrip", "rstrip", "replace", "removeprefix", "removesuffix", "title"), TEXT
    ),
    **dict.fromkeys(("capitalize", "zfill", "join", "ljust", "rjust", "center"), TEXT),
    **dict.fromkeys(("startswith", "endswith", "isdigit", "isalpha", "isalnum", "isascii", "islower"), TRUTH),
    **dict.fromkeys(("find", "rfind"), WHOLE),
}
MAP_METHODS: Final = frozenset(("items", "keys", "values", "get"))


def unfit(name: str, shape: Shape) -> str:
    """Returns what the filter needs instead of that shape, or "" when the shape is fine."""
    if name in _WANT_ITEMS and shape.never({"text", "list", "map"}):
        return "a list, a map or text"
    if name in _WANT_MAP and shape.never({"map", "list"} if name == "combine" else {"map"}):
        return "a map"
    if name in _WANT_NUMBER and shape.never({"number", "whole number", "true or false"}):
        return "a number"
    if name in _WANT_TEXT and shape.never({"text"}):
        return "text"
    if name in _WANT_DURATION and shape.never({"text", "number", "whole number"}):
        return "text such as 1h30m, or a number of seconds"
    return ""


def having(node: nodes.Filter, shape: Shape) -> Shape:
    """Returns the shape after selecting by an attribute, whose items all have that attribute."""
    words = [argument.value for argument in node.args[:2] if isinstance(argument, nodes.Const)]
    if len(words) != len(node.args[:2]) or not words or (node.name, *words[1:]) not in _HAVING:
        return shape
    name = str(words[0])
    items = shape.items
    if items is None or name not in items.fields:
        return shape
    return replace(
        shape, items=replace(items, fields={**items.fields, name: replace(items.fields[name], missing="")})
    )


def result(name: str, shape: Shape) -> Shape:
    """Returns the shape of the filter's result."""
    if name in _SAME and shape.only("list"):
        return shape
    if name in ("first", "last", "min", "max") and shape.only("list") and shape.items is not None:
        return shape.items
    if name in COUNTS or name == "int":
        return WHOLE
    if name in ("float", "round", "sum", "abs", "duration"):
        return NUMBER
    if name in _GIVE_TEXT:
        return TEXT
    if name == "bool":
        return TRUTH
    return ANYTHING_LIST if name in _GIVE_LIST else UNKNOWN
