"""When a workflow runs again although nobody has changed anything: its reconciliation interval has passed.

The decision is a function of the recorded times and of the clock, so a restart neither loses a run nor adds one. The
interval counts from the last change of ``ConfigureWorkflowCompleted`` or of a pipeline's phase, whichever is later:
that condition stays False from the beginning of a run to its failure, and a failed workflow must not run again at once.

After an outage the intervals of many objects have passed at the same time. So each object has its own second in a
window that repeats for ever, and its workflow runs at the first of these seconds after its interval has passed and the
operator has started. The window is a tenth of the interval, and an hour at most. Thus the runs are spread evenly, and
an operator that is restarted often still reaches the second of every object. Rejected: *a random delay* (each restart
would draw again, and put some objects off for ever), *a limit on how many run at once* (the operator would need to
remember who was first).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from troth.api import Promise, find_condition
from troth.api import labels as names
from troth.api.conditions import CONFIGURE_WORKFLOW_COMPLETED
from troth.api.intervals import DEFAULT_INTERVAL, SHORTEST_INTERVAL
from troth.api.typed import read_map, read_maps, read_text
from troth.engine.rendering.durations import parse_duration
from troth.engine.workflow.progress import StepRecord, read_progress

_PART: Final = 10
_LONGEST_WINDOW: Final = 3600.0


@dataclass(frozen=True, slots=True)
class IntervalProblem:
    """Why an interval that somebody has written does not count.

    Attributes:
        field: the path of the field in the Promise.
        needle: the key below which it is written.
        message: what is wrong, in one sentence without a full stop.
    """

    field: str
    needle: str
    message: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A reconciliation interval.

    Attributes:
        seconds: its length.
        problems: what is wrong with the ones that would have come first.
    """

    seconds: float
    problems: tuple[IntervalProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the workflows of the objects that belong to one Promise are repeated.

    Attributes:
        interval: seconds between two runs.
        after_failure: whether a workflow that failed runs again as well.
        started: when the operator started, in seconds since the epoch.
    """

    interval: float
    after_failure: bool = True
    started: float = 0.0


def read_interval(promise: Promise, default: float = DEFAULT_INTERVAL) -> Interval:
    """Returns the interval of a Promise's own workflow and of those of its requests.

    The annotation counts before the field of the spec, and the field before the operator's setting
    (kratix-compatibility.md#reconciliation-interval). Kratix reads the annotation from the PromiseRevision, to which it
    copies that of the Promise.

    Args:
        promise: the Promise.
        default: the operator's setting, in seconds.
    """
    problems: list[IntervalProblem] = []
    config = read_map(read_map(read_map(promise.raw.get("spec")).get("workflows")).get("config"))
    name, key = names.RECONCILIATION_INTERVAL, "reconciliationInterval"
    written = (
        ("metadata.annotations", name, f"the annotation {name}", promise.metadata.annotations.get(name)),
        (f"spec.workflows.config.{key}", key, key, config.get(key)),
    )
    for field, needle, what, value in written:
        if value is None:
            continue
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            problems.append(IntervalProblem(field, needle, f"{what} does not count, because {error}"))
            continue
        if seconds >= SHORTEST_INTERVAL:
            return Interval(seconds, tuple(problems))
        problems.append(
            IntervalProblem(field, needle, f"{what} does not count, because {value!r} is shorter than one minute")
        )
    return Interval(default, tuple(problems))


def own_interval(promise: Promise) -> str:
    """Returns the annotation with a Promise's reconciliation interval, if it counts; an empty text otherwise."""
    text = promise.metadata.annotations.get(names.RECONCILIATION_INTERVAL, "")
    try:
        return text if parse_duration(text) >= SHORTEST_INTERVAL else ""
    except ValueError:
        return ""


def next_repeat(status: Mapping[str, Any], schedule: Schedule, *, uid: str) -> float | None:
    """Returns when a workflow is to run again by its interval, in seconds since the epoch.

    None says that no interval counts for it now, because it has not run yet, has not ended, or has failed and such
    workflows are not to run again. Never raises, whatever the status holds.

    Args:
        status: the status of the request or the Promise.
        schedule: how often.
        uid: of that object; it decides which second of the window is its own.
    """
    completed = find_condition(read_maps(status.get("conditions")), CONFIGURE_WORKFLOW_COMPLETED)
    recorded = read_progress(status)
    if completed is None or not recorded or not _has_ended(recorded, after_failure=schedule.after_failure):
        return None
    changes = [read_text(completed.get("lastTransitionTime")), *(record.since for record in recorded)]
    earliest = max(max(map(_seconds, changes)) + schedule.interval, schedule.started)
    return _own_second(earliest, min(schedule.interval / _PART, _LONGEST_WINDOW), uid)


def _has_ended(recorded: Sequence[StepRecord], *, after_failure: bool) -> bool:
    """Whether nothing of a workflow goes on by itself: all its pipelines succeeded, or one failed or is suspended."""
    phases = {record.phase for record in recorded}
    if "Running" in phases:
        return False
    if "Failed" in phases:
        return after_failure
    return "Suspended" in phases or phases == {"Succeeded"}


def _own_second(earliest: float, window: float, uid: str) -> float:
    """Returns the first of an object's own seconds that is not before ``earliest``."""
    digest = hashlib.sha256(uid.encode()).digest()
    own = int.from_bytes(digest[:4]) / 2**32 * window
    return earliest + (own - earliest) % window


def _seconds(text: str) -> float:
    """Reads a time of a status in seconds since the epoch; 0 for one that cannot be read."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
