"""Comments that silence one code on one line, with a reason: ``# troth:ignore T107 the portal shows it``.

In a template it is a comment of Jinja, ``{# troth:ignore T103 it is text in old requests #}``. A comment that is alone
on its line is for the next line. A reason is required, since the next reader of the line will ask for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from troth.engine.linting.remarks import CODES

FIX: Final = "write # troth:ignore CODE reason"
"""What to do about a comment that is not complete."""

_BEGINNING: Final = re.compile(r"(\{#-?|(?<!\S)#)[ \t]{0,20}troth:ignore\b[ \t]{0,20}(\S{0,200})")
_END: Final = "#}"
_MOST_ON_ONE_LINE: Final = 20


@dataclass(slots=True)
class Comment:
    """One comment.

    Attributes:
        line: the line of the comment, from 1.
        column: its column, from 1.
        code: the code that it silences.
        reason: the reason, or "" when there is none.
        for_line: the line that it is for.
        used: whether it has silenced something.
    """

    line: int
    column: int
    code: str
    reason: str
    for_line: int
    used: bool = False

    def silences(self, code: str, line: int) -> bool:
        """Whether the comment is for that code on that line."""
        return bool(self.reason) and self.code == code and self.for_line == line

    @property
    def problem(self) -> str:
        """Why the comment cannot silence anything, or ""."""
        if self.code not in CODES:
            return f"{self.code!r} is not a lint code" if self.code else "the comment does not name a code"
        return "" if self.reason else f"the comment does not say why {self.code} is silenced"


def comments_in(lines: Sequence[str]) -> Iterator[Comment]:
    """Yields the comments of a text."""
    for number, line in enumerate(lines, start=1):
        if "troth:ignore" not in line:
            continue
        for match in islice(_BEGINNING.finditer(line), _MOST_ON_ONE_LINE):
            code, reason, behind = match[2], line[match.end() :], ""
            if match[1].startswith("{"):
                code = code.removesuffix(_END).removesuffix("-")
                reason, _, behind = reason.partition(_END) if match[2] == code else ("", "", reason)
                reason = reason.rstrip().removesuffix("-")
            alone = not line[: match.start()].strip() and not behind.strip()
            yield Comment(number, match.start() + 1, code, reason.strip(), number + 1 if alone else number)
