"""Splits a text into documents as kubectl does, and reads texts that are JSON.

kubectl cuts a text at the lines that begin with ``---`` before it parses anything, and reads one document from each
part. It refuses some things that YAML allows (``--- text``, ``%YAML``) and silently drops others (what follows
``...``). Here both are refused, with the line. kubectl first tries to read a text that begins with ``{`` as JSON, whose
strings differ from YAML's.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Final

from troth.api.nesting import DEEPEST
from troth.engine.yaml.nodes import InvalidManifest
from troth.engine.yaml.words import as_json_has_it

_REST: Final = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)")
_NO_CONTENT: Final = re.compile(r"(?:[ \t\r]*(?:#[^\n]*)?\n)*(%|\.\.\.(?=\s|\Z))")
_MOST_DIGITS: Final = 400
_SPACE: Final = re.compile(r"[ \t\r\n]+")


def document_starts(text: str) -> list[int]:
    """Returns the offsets at which the parts of a text begin, as kubectl cuts it.

    Raises:
        InvalidManifest: a part begins in a way that kubectl cannot read.
    """
    starts = [0]
    for at in _separators(text):
        rest = _REST.match(text, at + 3)
        if rest is None:
            raise InvalidManifest("text after '---': write it on the next line", _line(text, at))
        starts.append(rest.end())
    if "%" in text or "..." in text:
        for start in starts:
            if found := _NO_CONTENT.match(text, start):
                raise InvalidManifest(
                    f"a document that begins with '{found[1]}', which kubectl does not read: take the line out",
                    _line(text, found.start(1)),
                )
    return starts


def _separators(text: str) -> Iterator[int]:
    if text.startswith("---"):
        yield 0
    at = text.find("\n---")
    while at >= 0:
        yield at + 1
        at = text.find("\n---", at + 1)


class OneOfEach:
    """Checks that each part of a text has one document, since kubectl drops any others."""

    def __init__(self, starts: list[int]) -> None:
        self._starts = starts
        self._last = 0

    def next(self, node: Any) -> None:
        """Takes note of the next document that is not empty.

        Raises:
            InvalidManifest: kubectl would drop this document.
        """
        part = bisect_right(self._starts, node.start_mark.index)
        if part == self._last:
            raise InvalidManifest(
                "text after the end of a document, which kubectl drops: begin the next one with '---'",
                node.start_mark.line + 1,
            )
        self._last = part


def json_documents(text: str) -> tuple[list[Any], str]:
    """Returns the JSON objects that a text begins with, and the rest of the text, with the same line numbers.

    The list is empty when there is a fault, so that the reader of YAML reports it with its place.

    Raises:
        InvalidManifest: there is a number that kubectl refuses in JSON, though not in YAML.
    """
    documents: list[Any] = []
    at = _after_space(text, 0)
    try:
        while text.startswith("{", at):
            document, at = _DECODER.raw_decode(text, at)
            documents.append(document)
            at = _after_space(text, at)
        if "\\u" in text[:at]:
            json.dumps(documents, ensure_ascii=False).encode()
    except _TooLarge as error:
        number = str(error)
        raise InvalidManifest(f"{number} is too large for a number", _line(text, text.find(number))) from None
    except (ValueError, RecursionError):
        return [], text
    is_whole = at == len(text) or (len(documents) == 1 and text.startswith("\n---", at - 1))
    if not documents or not is_whole or _nests_too_deep(documents, text):
        return [], text
    return documents, "\n" * text.count("\n", 0, at) + text[at:]


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


class _TooLarge(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _whole(text: str) -> int | float:
    return as_json_has_it(int(text) if len(text) < _MOST_DIGITS else float(text))


def _fraction(text: str) -> int | float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _TooLarge(text)
    return as_json_has_it(value)


def _no_number(text: str) -> Any:
    raise ValueError(text)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_fraction, parse_constant=_no_number
)


def _nests_too_deep(documents: list[Any], text: str) -> bool:
    if text.count("{") + text.count("[") <= DEEPEST:
        return False
    level: list[Any] = documents
    for _ in range(DEEPEST + 1):
        level = [
            child
            for value in level
            if isinstance(value, (dict, list))
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
