"""What an operator is told of a Promise: small, because it travels, and is kept in a status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api.objects import Promise
from troth.engine.linting.remarks import CAUSES, CONSEQUENCE

MOST_ERRORS: Final = 10


@dataclass(frozen=True, slots=True)
class LintError:
    """One error.

    Attributes:
        code: a key of `CODES`.
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


def joined(reports: Sequence[LintReport]) -> LintReport:
    """What several looks at one Promise found; what fails because of a line that is told is not told."""
    found = [error for report in reports for error in report.errors]
    causes = {error.place for error in found if error.code in CAUSES}
    errors = [error for error in found if error.code != CONSEQUENCE or error.place not in causes]
    count = sum(report.count for report in reports) - (len(found) - len(errors))
    unfinished = next((report.unfinished for report in reports if report.unfinished), "")
    return LintReport(tuple(errors[:MOST_ERRORS]), count, unfinished)


def lintable(promise: Promise) -> dict[str, Any]:
    """What the check needs of a Promise: all that a person applied."""
    metadata = {key: value for key, value in promise.raw["metadata"].items() if key != "managedFields"}
    return {**{key: value for key, value in promise.raw.items() if key != "status"}, "metadata": metadata}
