"""Who has asked that a workflow run again from its first pipeline, and whether that run is recorded already.

People and Kratix's tools ask with labels, which the operator removes. It must neither lose such a wish nor fulfil it
twice, even if it is killed between any two writes. A label carries no identity, so the record needs one: the status
gets a number that counts up, and the names of the labels whose wish that run fulfils. The labels are removed in one
write of the metadata, which also writes the same number into an annotation. So a label whose number is not in the
annotation yet has only to be removed, and any label that is found later is a new wish.

A Promise asks all its requests to run again, with ``kratix.io/reconcile-resources`` or after a pause. It writes the
time of that into its own status, and each request notes the time of the wish that it has fulfilled. Kratix labels every
request instead, which costs a write for each, and after a crash it labels those again that have already run.

That an object was paused is noted in its status with the pause, because everything else that says so is overwritten as
soon as something else is to be said about the object.

Rejected: *removing a label before its run is recorded* (a crash in between loses the wish), *removing it afterwards
without a number* (a crash in between runs everything twice), *the memory of the operator* (it is lost with it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from troth.api import find_condition, reasons
from troth.api import labels as names
from troth.api.conditions import RECONCILED
from troth.api.objects import ObjectMeta
from troth.api.statuses import read_own
from troth.api.typed import read_list, read_map, read_maps, read_text, read_whole
from troth.engine.workflow.repeats import Schedule, next_repeat

RUN_LABELS: Final = (names.MANUAL_RECONCILIATION, names.RUN_FROM_START)
"""The labels that ask for a new run of the object's own workflow."""

PROMISE_LABELS: Final = (*RUN_LABELS, names.RECONCILE_RESOURCES)
"""The labels that ask a Promise for something."""

_REMOVED: Final = frozenset((*PROMISE_LABELS, names.WORKFLOW_SUSPENDED))

_SET: Final = "true"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What labels ask for.

    Attributes:
        fresh: the labels whose wish is not recorded.
        answered: the labels whose wish is recorded, and which are to be removed.
        number: the number of the last recorded wish; 0 for none.
        settled: whether the metadata has that number, so that no label is left of it.
    """

    fresh: frozenset[str] = frozenset()
    answered: frozenset[str] = frozenset()
    number: int = 0
    settled: bool = True

    def removals(self) -> tuple[dict[str, str | None], dict[str, str]]:
        """Returns the labels to remove (with None) and the annotation to write with them, in one write."""
        note = {} if self.settled else {names.WISHES: str(self.number)}
        return dict.fromkeys(sorted(self.answered)), note


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether a workflow is to run from its first pipeline, and who asks for it.

    Attributes:
        wishes: what labels ask for.
        by_label: a label asks for it.
        by_interval: its reconciliation interval has passed.
        unpaused: it was paused, and is not any more.
        round: the wish of its Promise that it is about to fulfil; empty when there is none.
        resumes: the run that begins ends the suspension of the workflow, so that its label is to be removed.
    """

    wishes: Wishes = Wishes()
    by_label: bool = False
    by_interval: bool = False
    unpaused: bool = False
    round: str = ""
    resumes: bool = False

    @property
    def from_start(self) -> bool:
        """Whether the workflow is to run from its first pipeline."""
        return self.by_label or self.by_interval or self.unpaused or bool(self.round)

    def notes(self) -> dict[str, Any]:
        """Returns what ``status.troth`` notes with the record of that run; None for what it no longer notes."""
        notes: dict[str, Any] = {}
        labels = self.wishes.fresh | ({names.WORKFLOW_SUSPENDED} if self.resumes else set())
        if labels:
            notes["wishes"] = {"number": self.wishes.number + 1, "labels": sorted(labels)}
        if self.unpaused:
            notes["paused"] = None
        if self.round:
            notes["round"] = self.round
        return notes


def read_wishes(metadata: ObjectMeta, status: Mapping[str, Any], asking: tuple[str, ...] = RUN_LABELS) -> Wishes:
    """Reads what the labels of an object ask for.

    Args:
        metadata: the object's metadata.
        status: its status.
        asking: the labels that may ask for something.
    """
    record = read_map(read_own(status).fields.get("wishes"))
    number = read_whole(record.get("number"))
    settled = not number or metadata.annotations.get(names.WISHES) == str(number)
    recorded = frozenset() if settled else _REMOVED.intersection(filter(_is_text, read_list(record.get("labels"))))
    present = frozenset(name for name in asking if metadata.labels.get(name) == _SET)
    return Wishes(present - recorded, recorded & metadata.labels.keys(), number, settled)


def judge_run(
    metadata: ObjectMeta,
    status: Mapping[str, Any],
    schedule: Schedule,
    *,
    now: float,
    promise_round: str = "",
    asking: tuple[str, ...] = RUN_LABELS,
) -> Asked:
    """Decides whether the workflow of an object that is not paused is to run from its first pipeline.

    Args:
        metadata: the object's metadata.
        status: its status.
        schedule: how often workflows are repeated.
        now: the time in seconds since the epoch.
        promise_round: the last wish of its Promise (`read_round`); empty for a Promise itself.
        asking: the labels that may ask for something.
    """
    wishes = read_wishes(metadata, status, asking)
    due = next_repeat(status, schedule, uid=metadata.uid)
    return Asked(
        wishes,
        by_label=bool(wishes.fresh & set(RUN_LABELS)),
        by_interval=due is not None and due <= now,
        unpaused=was_paused(status),
        round=promise_round if promise_round != read_round(status) else "",
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def was_paused(status: Mapping[str, Any]) -> bool:
    """Whether the status says that the object is paused, or that it was and has not run since."""
    reconciled = find_condition(read_maps(status.get("conditions")), RECONCILED) or {}
    return read_own(status).fields.get("paused") is True or reconciled.get("reason") == reasons.PAUSED


def read_round(status: Mapping[str, Any]) -> str:
    """Returns the last wish of a Promise that all its requests run again; of a request, the last that it fulfilled."""
    return read_text(read_own(status).fields.get("round"))


def next_round(status: Mapping[str, Any], now: str) -> str:
    """Returns a new wish of a Promise that all its requests run again: the time, and later than its last one.

    Args:
        status: the status of the Promise.
        now: the time in RFC 3339, in UTC.
    """
    last = read_round(status)
    if last < now:
        return now
    try:
        later = datetime.fromisoformat(last) + timedelta(seconds=1)
    except (ValueError, OverflowError):
        return now
    return later.isoformat().replace("+00:00", "Z")
