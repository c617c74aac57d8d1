"""Parts of texts in a manifest that become fields: an image's tag, the host in a URL, a number in an argument.

``=1.27`` after a parameter's path is the part itself. If that occurs more than once, more of the text is written, with
the part in braces: ``=nginx:{1.27}``. What is written must occur exactly once. Rejected: regular expressions (people
would have to quote them for the shell, and the dots in a version), and positions (nobody counts characters).

The text around the part stays, so the API must allow only values that leave room for it: if a name may have 63
characters and 4 of them are there already, the part may have 59.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.authoring.starting.shapes import LABEL_NAME, LABEL_START, Path, number_schema

Span = tuple[int, int]
"""The index of the first character in a text, and the index after the last one."""

_TOKEN: Final = re.compile(r"\\[{}\\]|.", re.DOTALL)
_TAG: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
_LONGEST_TAG: Final = 128
_REPOSITORY: Final = r"^[a-z0-9]([-a-z0-9._/:]*[a-z0-9])?$"
_WORD: Final = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_DIGITS: Final = r"^(0|[1-9][0-9]*)$"
_LARGEST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Part:
    """A part, and the text before and after it.

    Attributes:
        before: the text that must be in front of it.
        text: the part.
        behind: the text that must follow it.
    """

    before: str
    text: str
    behind: str

    @property
    def context(self) -> str:
        """The text that must occur exactly once."""
        return self.before + self.text + self.behind

    def spans(self, value: str) -> Iterator[Span]:
        """The places of the part in a text."""
        at = value.find(self.context)
        while at >= 0:
            start = at + len(self.before)
            yield start, start + len(self.text)
            at = value.find(self.context, at + 1)


def parse_part(text: str) -> Part | None:
    """The part that is written after a path; None when it does not name a part. A backslash escapes a brace."""
    pieces: list[str] = [""]
    for token in _TOKEN.findall(text):
        if token in ("{", "}"):
            if token != ("{", "}", "")[min(len(pieces) - 1, 2)]:
                return None
            pieces.append("")
        else:
            pieces[-1] += token[1:] if len(token) == 2 else token
    if len(pieces) == 1:
        pieces = ["", pieces[0], ""]
    return Part(*pieces) if len(pieces) == 3 and pieces[1] else None


def text_schema(whole: Mapping[str, Any], path: Path, value: str, span: Span) -> dict[str, Any]:
    """The schema of a part as a text.

    Args:
        whole: the schema of the text that it is a part of.
        path: the path of the text in its object.
        value: the text.
        span: where the part is in the text.
    """
    before, part, behind = value[: span[0]], value[slice(*span)], value[span[1] :]
    rest = len(before) + len(behind)
    members = whole.get("enum")
    if isinstance(members, list):
        fitting = [one for one in members if len(one) > rest and one.startswith(before) and one.endswith(behind)]
        return {"type": "string", "enum": [one[len(before) : len(one) - len(behind)] for one in fitting]}
    longest = whole.get("maxLength")
    room = {} if longest is None else {"maxLength": max(longest - rest, len(part))}
    if path[-1] == "image":
        if before.endswith(":") and not behind:
            room, patterns = {"maxLength": _LONGEST_TAG}, [_TAG]
        else:
            patterns = [_REPOSITORY]
    elif "pattern" in whole:
        patterns = [LABEL_NAME, _WORD] if before else [LABEL_START, LABEL_NAME, _WORD]
    else:
        patterns = []
    for pattern in patterns:
        if re.search(pattern, part):
            return {"type": "string", **room, "pattern": pattern}
    return {"type": "string", "minLength": 1, **room} if patterns else {"type": "string", **room}


def number_of(path: Path, value: str, span: Span) -> dict[str, Any] | None:
    """The schema of a part as a number; None for a part that should be a text."""
    part = value[slice(*span)]
    if path[-1] == "image" or not re.fullmatch(_DIGITS, part) or int(part) > _LARGEST:
        return None
    is_port = value[: span[0]].endswith(":")
    return number_schema(("port",) if is_port else ("",), int(part))


def narrowed(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that allows what both allow, as far as this can be said without ``allOf``."""
    found = dict(one)
    if one.get("type") != other.get("type") or "enum" in one:
        return found
    if "enum" in other:
        return dict(other)
    for bound, choose in (("minimum", max), ("minLength", max), ("maximum", min), ("maxLength", min)):
        bounds = [schema[bound] for schema in (one, other) if bound in schema]
        if bounds:
            found[bound] = choose(bounds)
    if "pattern" in other and ("pattern" not in one or _width(other) < _width(one)):
        found["pattern"] = other["pattern"]
    if any("pattern" in schema and not re.search(schema["pattern"], "") for schema in (one, other)):
        found["minLength"] = max(1, found.get("minLength", 1))
    return found


def digits() -> dict[str, Any]:
    """The schema of a text that consists of digits."""
    return {"type": "string", "pattern": _DIGITS}


def _width(schema: Mapping[str, Any]) -> int:
    return int(schema.get("maxLength", _LARGEST))
