"""Canonical YAML: each value has exactly one text, which all readers understand in the same way.

Readers disagree about words without quotes: for YAML 1.1 ``yes``, ``1:30`` and ``2024-01-01`` are not text, for YAML
1.2 they are, and Kubernetes is between the two. A string is written without quotes only when it is text for all of
them. Otherwise it is written on one line in double quotes with JSON's escapes, which all readers share; texts of
several lines without unusual characters become literal blocks, since people read scripts and certificates in pull
requests.

Rejected: PyYAML's emitter. It is five times slower, and its style cannot be changed (it folds long lines, and quotes by
the rules of YAML 1.1 alone).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from troth.api.nesting import DEEPEST

_LONGEST_SIMPLE_KEY: Final = 120

_WORD: Final = r"[A-Za-z0-9_./@+=%()^~$;?!<>*&|-]"
_PLAIN: Final = re.compile(rf"(?:[A-Za-z0-9_/]|\./|--?(?=[A-Za-z]))(?:{_WORD}|[: ](?={_WORD}))*")
_NUMBER_LIKE: Final = re.compile(r"[0-9._:eExXoObBa-fA-FtTzZ+ -]*")
_NUMERIC: Final = frozenset("0123456789.+-")
_RESERVED: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_ESCAPED: Final = re.compile(
    '["\\\\\\x00-\\x1f\\x7f-\\xa0\\u00ad\\u0600-\\u0605\\u061c\\u2000-\\u200f\\u2028-\\u202f'
    "\\u205f-\\u206f\\u3000\\ud800-\\uf8ff\\ufeff\\ufff0-\\uffff\\U000e0000-\\U0010ffff]"
)
_SHORT_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_UNFIT_FOR_BLOCK: Final = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\xa0\\u00ad\\u0600-\\u0605\\u061c\\u2000-\\u200f"
    "\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ud800-\\uf8ff\\ufeff\\ufff0-\\uffff"
    "\\U000e0000-\\U0010ffff]|(?:^|\\n)\\t|[ \\t](?:\\n|$)"
)

Scalar = Callable[[Any], str]


class TooDeep(ValueError):
    """A value nests deeper than `DEEPEST`."""


def dump_documents(values: Iterable[Any]) -> str:
    """Returns the documents as one text, with ``---`` between them.

    Raises:
        TooDeep: a value nests too deep.
        ValueError: a number cannot be written in JSON.
    """
    return "---\n".join(dump_document(value) for value in values)


def dump_document(value: Any) -> str:
    """Returns one JSON value as YAML, with its keys in the given order and a line break at the end.

    Raises:
        TooDeep: the value nests too deep.
        ValueError: a number cannot be written in JSON.
    """
    lines: list[str] = []
    if isinstance(value, Mapping) and value:
        _mapping(value, "", "", lines, 1)
    elif isinstance(value, (list, tuple)) and value:
        _sequence(value, "", "", lines, 1)
    else:
        lines.append(dump_scalar(value))
    lines.append("")
    return "\n".join(lines)


def dump_scalar(value: Any) -> str:
    """Returns a scalar, or an empty map or list, on one line."""
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _real(value)
    if isinstance(value, Mapping) and not value:
        return "{}"
    if isinstance(value, (list, tuple)) and not value:
        return "[]"
    raise ValueError(f"{type(value).__name__} is not a JSON value")


def quote(text: str) -> str:
    """Returns a string as a scalar on one line that every reader takes for exactly this string."""
    if _PLAIN.fullmatch(text) and not _ambiguous(text):
        return text
    return double_quoted(text)


def double_quoted(text: str) -> str:
    """Returns a string in double quotes."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def text_of(value: Any) -> str:
    """Returns a value as part of a longer text: a string as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _mapping(value: Mapping[str, Any], first: str, indent: str, lines: list[str], depth: int) -> None:
    """Appends the lines of a map; ``first`` is put before its first line, ``indent`` before all others."""
    if depth > DEEPEST:
        raise TooDeep(f"nested more than {DEEPEST} levels deep")
    lead = first
    for key, child in value.items():
        name = quote(key)
        # Without the indicator ``?``, a longer key would not be read as a key.
        prefix = f"{lead}{name}:" if len(name) <= _LONGEST_SIMPLE_KEY else f"{lead}? {name}\n{indent}:"
        kind = type(child)
        if kind is str:
            lines.append(f"{prefix} {_text(child, indent)}")
        elif kind is dict and child:
            lines.append(prefix)
            _mapping(child, indent + "  ", indent + "  ", lines, depth + 1)
        elif kind is list and child:
            lines.append(prefix)
            _sequence(child, indent, indent, lines, depth + 1)
        else:
            lines.append(f"{prefix} {dump_scalar(child)}")
        lead = indent


def _sequence(value: Iterable[Any], first: str, indent: str, lines: list[str], depth: int) -> None:
    if depth > DEEPEST:
        raise TooDeep(f"nested more than {DEEPEST} levels deep")
    lead = first
    deeper = indent + "  "
    for child in value:
        kind = type(child)
        if kind is dict and child:
            _mapping(child, f"{lead}- ", deeper, lines, depth + 1)
        elif kind is list and child:
            _sequence(child, f"{lead}- ", deeper, lines, depth + 1)
        elif kind is str:
            lines.append(f"{lead}- {_text(child, indent)}")
        else:
            lines.append(f"{lead}- {dump_scalar(child)}")
        lead = indent


def _text(text: str, indent: str) -> str:
    if "\n" not in text:
        return quote(text)
    body = text.removesuffix("\n")
    if not body or body[0] in " \n" or body.endswith("\n") or _UNFIT_FOR_BLOCK.search(body):
        return double_quoted(text)
    lines = [f"{indent}  {line}" if line else "" for line in body.split("\n")]
    return "\n".join(("|" if text.endswith("\n") else "|-", *lines))


def _ambiguous(text: str) -> bool:
    if text.casefold() in _RESERVED:
        return True
    return text[0] in _NUMERIC and _NUMBER_LIKE.fullmatch(text) is not None


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    short = _SHORT_ESCAPES.get(character)
    if short is not None:
        return short
    code = ord(character)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _real(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a number that JSON can hold")
    text = repr(value)
    # For YAML 1.1, 1e+16 is only a number when it has a dot.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
