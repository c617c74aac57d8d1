"""A reconciliation interval that does not count, because it is not a duration or is shorter than a minute.

The definition of a Promise refuses such a field of its spec, but an annotation may hold anything.
"""

from __future__ import annotations

from typing import Final

from troth.api.objects import Promise
from troth.engine.lint_report import LintError, LintReport
from troth.engine.linting.remarks import Remark
from troth.engine.linting.report import joined
from troth.engine.workflow.repeats import read_interval

_CODE: Final = "T007"
_FIX: Final = "write a duration such as 10h or 1h30m, of one minute (1m) or more, or leave it out"


def check_interval(promise: Promise) -> list[Remark]:
    """Returns what is wrong with the reconciliation intervals that a Promise asks for."""
    return [
        Remark(_CODE, problem.field, problem.message, _FIX, needle=problem.needle, below=True)
        for problem in read_interval(promise).problems
    ]


def add_interval(report: LintReport | None, promise: Promise) -> LintReport | None:
    """Returns the report about a Promise with what is wrong with its intervals; None while the report is not known.

    An annotation may change without a new generation, for which lint is run, so it is looked at each time.
    """
    if report is None:
        return None
    errors = tuple(
        LintError(remark.code, remark.field, remark.message, remark.fix) for remark in check_interval(promise)
    )
    return joined([LintReport(errors, len(errors)), report]) if errors else report
