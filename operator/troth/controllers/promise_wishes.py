"""Who asks a Promise for a new run of its own workflow or of those of its requests, and the record of that.

See `troth.engine.workflow.wishes`. The requests learn of the wish from the Promise's status, whose change queues them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from troth.api import Key
from troth.api import labels as names
from troth.api.objects import Promise
from troth.api.resources import PROMISE
from troth.controllers.platform import Platform
from troth.controllers.repeats import Repeats
from troth.controllers.wishes import run_notes, suspension_label
from troth.controllers.workflow import Run
from troth.engine.status.facts import WorkflowFacts
from troth.engine.status.unattended import unpaused_status
from troth.engine.workflow.wishes import PROMISE_LABELS, Asked, judge_run, next_round, read_wishes


class PromiseWishes:
    """Reads, records and settles what Promises are asked for."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._repeats = Repeats(platform)

    def judge(self, promise: Promise) -> Asked:
        """Whether the Promise's own workflow is to run from its first pipeline, and who asks for it."""
        schedule = self._repeats.schedule_of(promise)
        now = self._platform.clock()
        return judge_run(promise.metadata, promise.status, schedule, now=now, asking=PROMISE_LABELS)

    async def report_unpaused(self, key: Key, promise: Promise) -> Promise:
        """Reports that a Promise is no longer paused and is about to run, unless that has been reported."""
        status = unpaused_status(promise.status, now=self._platform.now())
        await self._platform.write_status(self._platform.caches.promises, PROMISE, key, promise.status, status)
        return self._platform.caches.reread(promise)

    def note(self, promise: Promise, workflow: WorkflowFacts, run: Run, asked: Asked) -> WorkflowFacts:
        """The facts about a run with the record of who asked for it, and of what the requests are asked for."""
        notes = run_notes(promise.metadata.labels, run, asked)
        if asked.unpaused or names.RECONCILE_RESOURCES in asked.wishes.fresh:
            notes["round"] = next_round(promise.status, self._platform.now())
        return replace(workflow, rerun=workflow.rerun or asked.from_start, notes=notes)

    async def settle(
        self,
        key: Key,
        promise: Promise,
        finalizers: Sequence[str],
        others: Mapping[str, str | None] | None = None,
    ) -> Promise:
        """Takes the labels off whose wish the status has recorded, and writes the finalizers and ``others`` of labels.

        Raises:
            Conflict: the Promise has changed meanwhile.
        """
        meta = promise.metadata
        labels, annotations = read_wishes(meta, promise.status, PROMISE_LABELS).removals()
        labels |= others or {}
        if tuple(finalizers) == meta.finalizers and not labels and not annotations:
            return promise
        await self._platform.set_finalizers(
            self._platform.caches.promises,
            PROMISE,
            key,
            finalizers=finalizers,
            resource_version=meta.resource_version,
            labels=labels,
            annotations=annotations,
        )
        return self._platform.caches.reread(promise)

    async def finish(self, key: Key, promise: Promise, run: Run) -> None:
        """Ends a reconcile whose status was written: settles the labels, and queues the Promise for its next run.

        Raises:
            Conflict: the Promise has changed meanwhile.
        """
        others = suspension_label(promise.metadata.labels, run)
        now = self._platform.caches.reread(promise)
        now = await self.settle(key, now, now.metadata.finalizers, others)
        self._repeats.plan(key, now, self._repeats.schedule_of(now))
