r"""A field of an API in one line: ``size:string:enum=small,medium,large:default=small``.

A name, a type, and options, separated by colons. Only the characters that it uses itself are escaped: ``\:`` is a
colon and ``\,`` is a comma. Any other backslash stays, so that patterns are written as they are. Rejected: a line of
JSON Schema, which nobody types without a mistake; and options without names (``string=small|medium``), which nobody
can read a year later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api.strict import close_match
from troth.authoring.starting.errors import CannotStart

SYNTAX: Final = "NAME:TYPE[:OPTION]..."
TYPES: Final = ("string", "integer", "number", "boolean", "quantity", "map")
QUANTITY: Final = r"^([+-]?[0-9]+(\.[0-9]+)?)([KMGTPE]i|[numkMGTPE])?$"

_OPTIONS: Final = ("enum", "default", "required", "min", "max", "pattern", "description")
_NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{0,62}")
_COLON: Final = re.compile(r"(?<!\\):")
_COMMA: Final = re.compile(r"(?<!\\),")
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request's spec.

    Attributes:
        name: its name.
        schema: what it may hold, as a CustomResourceDefinition says it.
        required: whether each request must have it.
    """

    name: str
    schema: Mapping[str, Any]
    required: bool = False


def parse_fields(texts: Sequence[str]) -> tuple[Field, ...]:
    """The fields that several lines describe.

    Raises:
        CannotStart: a line does not describe a field, or two lines have the same name.
    """
    fields = tuple(parse_field(text) for text in texts)
    for index, field in enumerate(fields):
        if any(other.name == field.name for other in fields[:index]):
            raise CannotStart(f"--field {field.name}: occurs twice; leave one out")
    return fields


def parse_field(text: str) -> Field:
    """The field that a line describes.

    Raises:
        CannotStart: it does not describe a field.
    """
    name, *parts = _COLON.split(text)
    if not _NAME.fullmatch(name):
        raise _wrong(text, f"{name!r} is not a name", "begin with a lower-case letter; letters and digits follow")
    if not parts:
        raise _wrong(text, "has no type", f"write {SYNTAX}, such as {name}:string")
    schema, options = _type(text, parts[0]), _options(text, parts[1:])
    kind = schema["type"]
    if "description" in options:
        schema = {"description": _plain(options["description"]), **schema}
    if "enum" in options:
        if kind not in ("string", "integer", "number"):
            raise _wrong(text, f"a {parts[0]} has no enum", "leave enum out")
        schema["enum"] = [_scalar(text, kind, part) for part in _COMMA.split(options["enum"])]
    for option, keyword in zip(("min", "max"), _BOUNDS.get(kind, ()), strict=False):
        if option in options:
            schema[keyword] = _bound(text, kind, option, options[option])
    low, high = _BOUNDS.get(kind, ("", ""))
    if low in schema and high in schema and schema[low] > schema[high]:
        raise _wrong(text, f"min {schema[low]} is above max {schema[high]}", "nobody could give such a value")
    if "pattern" in options:
        if kind != "string":
            raise _wrong(text, f"a {parts[0]} has no pattern", "leave pattern out")
        schema["pattern"] = _plain(options["pattern"])
        _matches(text, schema["pattern"], "")
    unfit = [option for option in ("min", "max") if option in options and kind not in _BOUNDS]
    if unfit:
        raise _wrong(text, f"a {parts[0]} has no {unfit[0]}", f"leave {unfit[0]} out")
    if "default" in options:
        schema["default"] = _value(text, schema, options["default"])
    required = "required" in options
    if required and "default" in options:
        raise _wrong(text, "is required and has a default", "leave one of them out")
    return Field(name, schema, required)


def _type(text: str, word: str) -> dict[str, Any]:
    word = word.strip()
    base = word.removesuffix("[]")
    if base not in TYPES or (word != base and base == "map"):
        known = (*TYPES, *(f"{kind}[]" for kind in TYPES if kind != "map"))
        meant = close_match(word, known)
        raise _wrong(
            text, f"{word!r} is not a type", f"did you mean {meant}?" if meant else f"use {', '.join(known)}"
        )
    schema: dict[str, Any] = {"type": base}
    if base == "quantity":
        schema = {"type": "string", "pattern": QUANTITY}
    elif base == "map":
        schema = {"type": "object", "additionalProperties": {"type": "string"}}
    return {"type": "array", "items": schema} if word != base else schema


def _options(text: str, parts: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip()
        if name not in _OPTIONS or bool(equals) == (name == "required"):
            meant = close_match(name, _OPTIONS)
            hint = f"did you mean {meant}?" if meant and meant != name else f"there is {_listed()}"
            raise _wrong(text, f"{part!r} is not an option", rf"{hint} (a colon inside of a value is written \:)")
        if name in options:
            raise _wrong(text, f"{name} occurs twice", "leave one out")
        options[name] = value
    return options


def _listed() -> str:
    return ", ".join(option if option == "required" else f"{option}=" for option in _OPTIONS)


def _bound(text: str, kind: str, option: str, word: str) -> int | float:
    value = _scalar(text, "number" if kind == "number" else "integer", word, f"{option} ")
    if kind not in ("integer", "number") and value < 0:
        raise _wrong(text, f"{option} is negative", "write how many there may be")
    return value  # type: ignore[no-any-return]


def _value(text: str, schema: Mapping[str, Any], word: str) -> Any:
    """The default of a field. Lists are written as ``a,b``, and maps as ``a=1,b=2``."""
    kind = schema["type"]
    if kind == "array":
        return [_value(text, schema["items"], part) for part in _COMMA.split(word)] if word else []
    if kind == "object":
        pairs = [part.partition("=") for part in _COMMA.split(word)] if word else []
        if not all(equals for _, equals, _ in pairs):
            raise _wrong(text, f"the default {word!r} is not a map", "write default=a=1,b=2")
        return {_plain(key): _plain(value) for key, _, value in pairs}
    value = _scalar(text, kind, word, "the default ")
    if value not in schema.get("enum", (value,)):
        raise _wrong(text, f"the default {value!r} is not in the enum", "add it there, or choose another one")
    size = len(value) if isinstance(value, str) else value
    low, high = _BOUNDS.get(kind, ("", ""))
    has = f"has {size} {'character' if size == 1 else 'characters'}," if isinstance(value, str) else "is"
    if size < schema.get(low, size):
        raise _wrong(text, f"the default {value!r} {has} below min {schema[low]}", "change min or the default")
    if size > schema.get(high, size):
        raise _wrong(text, f"the default {value!r} {has} above max {schema[high]}", "change max or the default")
    if isinstance(value, str) and not _matches(text, schema.get("pattern", ""), value):
        raise _wrong(text, f"the default {value!r} does not match the pattern", "change one of them")
    return value


def _matches(text: str, pattern: str, value: str) -> bool:
    from troth.engine.admission.validation import compile_pattern

    search, problem = compile_pattern(pattern)
    if problem:
        raise _wrong(text, f"the pattern cannot be used{problem}", "write a regular expression as Go reads it")
    return search is None or search(value)


def _scalar(text: str, kind: str, word: str, what: str = "") -> Any:
    word = _plain(word)
    if kind == "string":
        return word
    if kind == "boolean":
        if word in ("true", "false"):
            return word == "true"
        raise _wrong(text, f"{what}{word!r} is neither true nor false", "write one of them")
    try:
        number = json.loads(word)
    except ValueError:
        number = None
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not whole and not (kind == "number" and isinstance(number, float) and abs(number) < 1e300):
        wanted = "whole number" if kind == "integer" else "number"
        raise _wrong(text, f"{what}{word!r} is not a {wanted}", "write digits")
    if whole and abs(number) >= 1 << 53:
        raise _wrong(text, f"{what}{word} is too large", "JSON keeps whole numbers below 2 to the 53rd")
    return number


def _plain(word: str) -> str:
    return word.replace("\\:", ":").replace("\\,", ",")


def _wrong(text: str, problem: str, remedy: str) -> CannotStart:
    shown = text if len(text) <= 80 else text[:79] + "…"
    return CannotStart(" ".join(f"--field {shown}: {problem}; {remedy}".split()))
