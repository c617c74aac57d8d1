"""When a step that asked to be run again runs, and after how many attempts it does not.

Kratix's ``retryAfter`` is without a limit, and its ``attempts`` are for people to read. Here ``maxAttempts`` limits
them: a step that still asks after its last attempt has failed. An attempt is a run that ended with the wish for another
one. The count goes on while the step runs again, and begins anew when somebody asks for a run, or the specs change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from troth.api import labels as names
from troth.engine.failure import Failure
from troth.engine.status.request import format_time, parse_time
from troth.engine.workflow.progress import StepRecord


@dataclass(frozen=True, slots=True)
class NextRun:
    """The next run of a step that asked for it.

    Attributes:
        at: when it begins, in RFC 3339.
        attempts: how many runs have asked for another one so far.
    """

    at: str
    attempts: int


def judge_retry(
    pipeline: str,
    retry_after: float,
    *,
    message: str = "",
    max_attempts: int = 0,
    record: StepRecord | None = None,
    now: str,
) -> NextRun | Failure:
    """Returns when a step that asked for ``retryAfter`` runs again, or that it has failed because it asked too often.

    A retry that is still in the future stays as it is, so that looking again neither delays nor counts it.

    Args:
        pipeline: the name of its pipeline.
        retry_after: seconds from now.
        message: what the step said when it asked.
        max_attempts: after how many attempts it has failed; 0 for no limit.
        record: what is recorded of it for the same specs; None when nothing is.
        now: RFC 3339.
    """
    made = record.attempts if record is not None else 0
    if record is not None and record.phase == "Suspended" and _is_after(record.retry_at, now):
        found = NextRun(record.retry_at, made)
    elif record is not None and record.phase == "Failed" and 0 < max_attempts <= made:
        found = NextRun("", made)
    else:
        # A whole number of seconds and at least one, so that looking again at once does not count another attempt.
        found = NextRun(format_time(parse_time(now) + timedelta(seconds=max(1, ceil(retry_after)))), made + 1)
    if 0 < max_attempts <= found.attempts:
        return _exhausted(found.attempts, message).within(pipeline)
    return found


def _is_after(time: str, now: str) -> bool:
    return bool(time) and parse_time(time) > parse_time(now)


def _exhausted(attempts: int, message: str) -> Failure:
    each = "its only attempt" if attempts == 1 else f"each of its {attempts} attempts"
    said = f"; the last one said: {message}" if message else ""
    return Failure(
        "AttemptsExhausted",
        f"it asked to be run again after {each}, and maxAttempts does not allow more{said}",
        attempts=attempts,
        hint=f"the label {names.MANUAL_RECONCILIATION}=true runs it again, and so does an edit of its specs",
    )
