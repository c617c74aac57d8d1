"""What an operator is told of a Promise by lint: small, because it travels, and is kept in a status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LintError:
    """One error.

    Attributes:
        code: a key of `linting.remarks.CODES`.
        place: ``pipeline/file:line``, as a failure names it.
        message: what is wrong, without a full stop.
        fix: what to do, or "".
    """

    code: str
    place: str
    message: str
    fix: str

    def sentence(self) -> str:
        """One line for people."""
        text = f"{self.place}: {self.code}: {self.message}"
        return f"{text}; {self.fix}" if self.fix else text


@dataclass(frozen=True, slots=True)
class LintReport:
    """What lint found.

    Attributes:
        errors: the first ten.
        count: how many there are.
        unfinished: why not everything was looked at, or "".
    """

    errors: tuple[LintError, ...] = ()
    count: int = 0
    unfinished: str = ""

    @classmethod
    def from_wire(cls, message: Mapping[str, Any]) -> LintReport:
        """The report as `dataclasses.asdict` gave it."""
        errors = tuple(LintError(**error) for error in message["errors"])
        return cls(errors, message["count"], message["unfinished"])
