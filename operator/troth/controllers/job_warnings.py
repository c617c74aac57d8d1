"""Reads the Events about Jobs that make no progress, where nothing else says why.

A quota that lets no Pod be created, or a Secret that a volume needs and nobody has made, stands in no status. It is
only said in an Event, so Events are looked at while a Job waits in silence (`find_silent`): those of the one object
that is waited for, after one second, and then less and less often. Most Pods start before the first look.

Rejected: *watching Events* (a cluster has more of them than of anything else, and nearly none is about our Jobs);
*watching those of the type Warning* (a watch cannot choose the objects, and one failing workload of somebody else
writes thousands); *reading them once* (what a Pod waits for may change).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from troth.api import Resource
from troth.api.resources import EVENT
from troth.controllers.job_views import Job
from troth.engine.jobs.observation import PodState, WarningEvent, read_warning
from troth.engine.jobs.outcome import find_silent
from troth.kube import Forbidden, Listing

logger = logging.getLogger(__name__)

_PAUSES: Final = (1.0, 2.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 60.0)
_INTERVAL: Final = 0.1
"""Seconds between two looks, over time: for each look the API server reads all Events of a namespace."""
_BURST: Final = 2.0
"""For how many seconds looks that were not needed are saved up; they may then be taken all at once."""
_MOST: Final = 5_000


class EventReader(Protocol):
    """What is needed of a client."""

    async def list(self, resource: Resource, namespace: str = "", *, field_selector: str = "") -> Listing:
        """Lists objects."""


@dataclass(slots=True)
class _Wait:
    """An object that is waited for in silence."""

    uid: str
    due: float
    has_turn: bool = False
    looks: int = 0
    warnings: tuple[WarningEvent, ...] = ()


class JobWarnings:
    """Remembers for each Job that waits what its Events said, and when to look at them again."""

    def __init__(self, client: EventReader, clock: Callable[[], float]) -> None:
        """``clock`` returns the time in seconds; only differences matter."""
        self._client = client
        self._clock = clock
        self._waits: dict[str, _Wait] = {}
        self._booked = float("-inf")
        self._complained = False

    async def look(
        self, job: Job, pods: Sequence[PodState], *, known: bool
    ) -> tuple[Sequence[WarningEvent], float | None]:
        """Returns the warnings about a Job or its Pod, and after how many seconds to come again; None for not at all.

        Args:
            job: a Job.
            pods: its Pods.
            known: whether something that it waits for has been reported, perhaps by an operator that was here before.
                It would be taken back if nobody looked at once.
        """
        silent = find_silent(job.state, pods)
        if silent is None:
            self.forget(job.metadata.uid)
            return (), None
        kind, uid = ("Job", job.metadata.uid) if silent == "Job" else ("Pod", silent.uid)
        now = self._clock()
        wait = self._waits.get(job.metadata.uid)
        if wait is None or wait.uid != uid:
            due = now if known and wait is None else now + _PAUSES[0]
            wait = self._remember(job.metadata.uid, _Wait(uid, due))
        if wait.due <= now and not wait.has_turn:
            wait.due, wait.has_turn = self._book_turn(now), True
        if wait.due <= now:
            wait.has_turn = False
            wait.warnings = await self._read(job.metadata.namespace, kind, uid)
            wait.looks += 1
            wait.due = self._clock() + _PAUSES[min(wait.looks, len(_PAUSES) - 1)]
        return wait.warnings, wait.due - now

    def forget(self, job: str) -> None:
        """Forgets a Job, of which the uid is given."""
        self._waits.pop(job, None)

    async def _read(self, namespace: str, kind: str, uid: str) -> tuple[WarningEvent, ...]:
        selector = f"type=Warning,regarding.kind={kind},regarding.uid={uid}"
        try:
            found = (await self._client.list(EVENT, namespace, field_selector=selector)).items
        except Forbidden as error:
            if not self._complained:
                self._complained = True
                logger.warning("Events cannot be read, so requests do not say why their Pods wait: %s", error)
            return ()
        return tuple(_warnings(found))

    def _book_turn(self, now: float) -> float:
        """Returns the time at which one look may be taken, which is not later than now unless there are too many."""
        self._booked = max(self._booked + _INTERVAL, now - _BURST)
        return self._booked

    def _remember(self, job: str, wait: _Wait) -> _Wait:
        if job not in self._waits and len(self._waits) >= _MOST:
            self._waits.pop(next(iter(self._waits)))
        self._waits[job] = wait
        return wait


def _warnings(found: Iterable[dict[str, Any]]) -> Iterable[WarningEvent]:
    for each in found:
        warning = read_warning(each)
        if warning is not None:
            yield warning
