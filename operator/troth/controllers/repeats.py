"""Queues objects for the time at which their reconciliation interval has passed.

The queue holds at most one entry for each object, and the time is calculated from the status again at each reconcile,
so this keeps nothing in memory that a restart would lose (`troth.engine.workflow.repeats`).
"""

from __future__ import annotations

from typing import Final

from troth.api import Key
from troth.api.objects import Promise, Request
from troth.controllers.platform import Platform
from troth.engine.workflow.repeats import Schedule, next_repeat, read_interval
from troth.kube import PRIORITY_RESYNC

_SOONEST: Final = 1.0


class Repeats:
    """Knows how often workflows are repeated, and queues their objects for that."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._started = platform.clock()

    def schedule_of(self, promise: Promise) -> Schedule:
        """How often the workflows of a Promise and of its requests are repeated."""
        settings = self._platform.settings
        return Schedule(
            read_interval(promise, settings.reconciliation_interval).seconds,
            after_failure=settings.reconcile_after_failure,
            started=self._started,
        )

    def plan(self, key: Key, obj: Promise | Request, schedule: Schedule) -> None:
        """Queues an object for its next run, behind everything that people change; does nothing without an interval."""
        if obj.metadata.deleting:
            return
        due = next_repeat(obj.status, schedule, uid=obj.metadata.uid)
        if due is not None:
            after = max(due - self._platform.clock(), _SOONEST)
            self._platform.queue.add(key, priority=PRIORITY_RESYNC, after=after)
