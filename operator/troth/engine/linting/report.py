"""The part of a Promise that lint reads, and how the results of several checks become one report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from troth.api.objects import Promise
from troth.engine.lint_report import LintReport
from troth.engine.linting.remarks import CAUSES, CONSEQUENCE

MOST_ERRORS: Final = 10


def joined(reports: Sequence[LintReport]) -> LintReport:
    """Joins the results of several checks of one Promise. Consequences of an error that is reported are dropped."""
    found = [error for report in reports for error in report.errors]
    causes = {error.place for error in found if error.code in CAUSES}
    errors = [error for error in found if error.code != CONSEQUENCE or error.place not in causes]
    count = sum(report.count for report in reports) - (len(found) - len(errors))
    unfinished = next((report.unfinished for report in reports if report.unfinished), "")
    unknown = next((report.unknown for report in reports if report.unknown), "")
    return LintReport(tuple(errors[:MOST_ERRORS]), count, unfinished, unknown)


def lintable(promise: Promise) -> dict[str, Any]:
    """Returns what lint needs of a Promise: the fields that a person applied."""
    metadata = {key: value for key, value in promise.raw["metadata"].items() if key != "managedFields"}
    return {**{key: value for key, value in promise.raw.items() if key != "status"}, "metadata": metadata}
