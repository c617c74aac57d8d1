"""The findings of lint, each with a place that an editor can open."""

from __future__ import annotations

from dataclasses import dataclass

from troth.engine.linting.remarks import Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: where it is, and what to do about it.

    Attributes:
        code: a key of `CODES`.
        file: the path of the file, as it was given.
        line: the line, counted from 1.
        column: the column, counted from 1.
        message: what is wrong and why it matters, in one sentence without a full stop.
        fix: what to do about it; may be empty.
        severity: the severity of the code, unless this finding is worse.
        unbounded: whether a template exceeded its limit of time, memory or stack, so that nothing after it was
            checked.
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
        """The key for sorting findings by place and then by code."""
        return (self.file, self.line, self.column, self.code, self.message)
