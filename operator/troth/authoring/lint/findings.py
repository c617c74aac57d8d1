"""What lint finds, where an editor can open it."""

from __future__ import annotations

from dataclasses import dataclass

from troth.engine.linting.remarks import Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where it is written, and what to do about it.

    Attributes:
        code: a key of `CODES`.
        file: path of the file as it was given.
        line: from 1.
        column: from 1.
        message: what is wrong and why it matters, one sentence without a full stop.
        fix: what to do about it, or "".
        severity: that of the code, unless this one is worse.
        unbounded: a template asked for more time, memory or stack than there is, and nothing after it was looked at.
    """

    code: str
    file: str
    line: int
    column: int
    message: str
    fix: str = ""
    severity: Severity = "error"
    unbounded: bool = False

    @property
    def place(self) -> str:
        """``file:line:column``, as editors understand it."""
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        """By place, then by code."""
        return (self.file, self.line, self.column, self.code, self.message)
