"""The errors that lint finds in a Promise, as the operator gets them. They are few, since a status holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LintError:
    """One error.

    Attributes:
        code: a key of `linting.remarks.CODES`.
        place: ``pipeline/file:line``, in the same form as in a failure.
        message: what is wrong, without a full stop.
        fix: what to do, or "".
    """

    code: str
    place: str
    message: str
    fix: str

    def sentence(self) -> str:
        """Returns one line for people."""
        text = f"{self.place}: {self.code}: {self.message}"
        return f"{text}; {self.fix}" if self.fix else text


@dataclass(frozen=True, slots=True)
class LintReport:
    """The result of lint.

    Attributes:
        errors: the first ten errors.
        count: how many errors there are.
        unfinished: why not everything was checked, or "".
        unknown: what cannot be checked without running containers, in a sentence without a full stop, or "".
    """

    errors: tuple[LintError, ...] = ()
    count: int = 0
    unfinished: str = ""
    unknown: str = ""

    @classmethod
    def from_wire(cls, message: Mapping[str, Any]) -> LintReport:
        """Returns the report from the result of `dataclasses.asdict`."""
        errors = tuple(LintError(**error) for error in message["errors"])
        return cls(errors, message["count"], message["unfinished"], message["unknown"])
