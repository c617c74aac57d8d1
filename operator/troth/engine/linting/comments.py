"""Comments that silence one code on one line, with a reason: ``# troth:ignore T107 the portal shows it``.

In a template it is a comment of Jinja, ``{# troth:ignore T103 it is text in old requests #}``. A comment that stands
alone on its line speaks for the next one. A reason is required: whoever reads the line next asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_COMMENT: Final = re.compile(r"(\{#-?|(?<!\S)#)\s*troth:ignore\b[ \t]*(\S*)[ \t]*(.*?)\s*(-?#\}|$)")


@dataclass(slots=True)
class Comment:
    """One comment.

    Attributes:
        line: where it stands, from 1.
        column: from 1.
        code: what it silences.
        reason: why, or "".
        for_line: the line that it speaks for.
        used: it silenced something.
    """

    line: int
    column: int
    code: str
    reason: str
    for_line: int
    used: bool = False

    def silences(self, code: str, line: int) -> bool:
        """Whether it speaks of that code on that line."""
        return bool(self.reason) and self.code == code and self.for_line == line


def comments_in(lines: Sequence[str]) -> Iterator[Comment]:
    """The comments of a text, by their lines."""
    for number, line in enumerate(lines, start=1):
        if "troth:ignore" not in line:
            continue
        for match in _COMMENT.finditer(line):
            alone = not line[: match.start()].strip() and not line[match.end() :].strip()
            yield Comment(number, match.start() + 1, match[2], match[3], number + 1 if alone else number)
