"""The line of each field in a YAML text, for messages that name a file and a line.

It is separate from reading: the operator does not need it, and keeping a line for each value would slow down all
reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from troth.engine.yaml.nodes import InvalidManifest, compose

_BLOCKS = ("|", ">")
_PARTS: Final = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_FIRST_WORD: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*")
_UNUSUAL: Final = re.compile(r"^(?:%|\.\.\.)|^---[ \t]*[^\s#]|\r|\u0085|\u2028|\u2029", re.MULTILINE)


def field_lines(text: str) -> list[dict[str, int]]:
    """Returns for each document the line of each field, from 1, by path (``spec.files[0].template``; "" is the whole).

    It is the line of the field's key, and for a block of text the line where the text begins. A text that is not YAML
    has no lines.
    """
    found: list[dict[str, int]] = []
    try:
        found.extend(dict(_places(node, "", None)) for node in compose(text))
    except (yaml.YAMLError, InvalidManifest):
        return found
    return found


def document_lines(text: str, count: int) -> list[int]:
    """Returns the line, from 1, where each of ``count`` documents of a text begins; 1 for each when it is not clear.

    ``---`` at the start of a line always ends a document, so large texts need not be parsed for this.
    """
    if not _UNUSUAL.search(text):
        found: list[int] = []
        line = 1
        begins = [0, *(match.end() for match in _PARTS.finditer(text))]
        for begin, end in zip(begins, [*begins[1:], len(text)], strict=True):
            part = text[begin:end].removesuffix("---")
            first = _FIRST_WORD.match(part)
            skipped = first.end() if first else 0
            if part[skipped:].strip():
                found.append(line + part.count("\n", 0, skipped))
            line += text.count("\n", begin, end)
        if len(found) == count:
            return found
    starts = [places[""] for places in field_lines(text)]
    return starts if len(starts) == count else [1] * count


def _places(node: Any, path: str, key: Any) -> Iterator[tuple[str, int]]:
    pending: list[tuple[Any, str, Any]] = [(node, path, key)]
    met: set[int] = set()
    while pending:
        node, path, key = pending.pop()
        yield path, _line(node, key)
        if type(node) is yaml.ScalarNode or id(node) in met:
            continue
        met.add(id(node))
        if type(node) is yaml.SequenceNode:
            pending.extend((child, f"{path}[{index}]", None) for index, child in enumerate(node.value))
        else:
            dot = "." if path else ""
            pending.extend(
                (child, f"{path}{dot}{name.value}", name)
                for name, child in node.value
                if type(name) is yaml.ScalarNode
            )


def _line(node: Any, key: Any) -> int:
    line: int = node.start_mark.line + 1
    if type(node) is yaml.ScalarNode:
        return line + 1 if node.style in _BLOCKS else line
    return key.start_mark.line + 1 if key is not None else line
