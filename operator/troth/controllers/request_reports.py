"""Writes the status of requests, and the Events that go with a change of it.

Each method gathers the facts of one situation, has the status computed from them (`troth.engine.status`), and writes
it only when it differs. An Event is only recorded after such a write, so a second reconcile does not repeat it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from troth.api import labels as names
from troth.api import reasons
from troth.api.conditions import READY, find_condition
from troth.api.statuses import read_own
from troth.controllers.components import Components
from troth.controllers.live_request import LiveRequest
from troth.controllers.platform import Platform
from troth.controllers.relaxing import remedy
from troth.controllers.wishes import run_notes
from troth.controllers.workflow import Run
from troth.controllers.workflow_events import record_workflow
from troth.controllers.workflow_works import WorkOwner, Works
from troth.engine.status.deletion import deletion_status
from troth.engine.status.facts import Obstacle, RequestFacts, WorkFacts, WorkflowFacts, WorkflowState
from troth.engine.status.request import parse_time, refusal_status, request_status, waiting_status
from troth.engine.status.unattended import unpaused_status
from troth.engine.workflow.announcements import TOLD, announce
from troth.engine.workflow.outputs import workflow_facts
from troth.engine.workflow.wishes import Asked
from troth.kube import Forbidden, Invalid

logger = logging.getLogger(__name__)

_NOTHING = WorkflowFacts()
_SKEW = 10.0
_WORTH_A_WRITE = 2.0  # seconds after which a deletion is worth a write of the status


class RequestReports:
    """Writes the statuses of requests and records their Events."""

    def __init__(self, platform: Platform, works: Works, components: Components) -> None:
        self._platform = platform
        self._works = works
        self._components = components

    async def paused(self, live: LiveRequest, obstacle: Obstacle) -> None:
        """Reports that a request or its Promise is paused."""
        facts = RequestFacts(
            generation=live.metadata.generation,
            promise_version="",
            workflow=_NOTHING,
            paused=True,
            obstacle=obstacle,
        )
        if await self._write(live, request_status(live.status, facts, now=self._platform.now())):
            self._record(live, "Warning", reasons.PAUSED, obstacle.message, "Reconcile")

    async def unpaused(self, live: LiveRequest) -> LiveRequest:
        """Reports that a request is no longer paused and is about to run, unless that has been reported."""
        await self._write(live, unpaused_status(live.status, now=self._platform.now()))
        return live.reread()

    async def unavailable(self, live: LiveRequest, obstacle: Obstacle, owner: WorkOwner) -> bool:
        """Reports that its Promise is not available. What was carried out stays; what was asked for since then waits.

        Returns False when nothing was reported, because the state of its components is not known yet.
        """
        components = self._components.facts(live.key, live.parent, (), live.status, complete=False)
        if components is None:
            return False
        facts = RequestFacts(
            generation=live.metadata.generation,
            promise_version="",
            workflow=_NOTHING,
            works=self._works.facts(owner),
            promise_available=False,
            components=components,
            obstacle=obstacle,
        )
        await self._write_outcome(live, request_status(live.status, facts, now=self._platform.now()))
        return True

    async def refused(self, live: LiveRequest, reason: str, message: str, *, stalled: bool = False) -> None:
        """Reports that the API server refuses a Work, or a finalizer, without which nothing may be made."""
        status = refusal_status(
            live.status,
            generation=live.metadata.generation,
            reason=reason,
            message=message,
            now=self._platform.now(),
            stalled=stalled,
        )
        if await self._write(live, status):
            self._record(live, "Warning", reason, message, "Reconcile")

    def status_refused(self, live: LiveRequest, error: Invalid) -> None:
        """Records an Event when the API server refuses the status, so that it cannot be reported in another way."""
        message = f"the API server does not take its status: {error.message}. {remedy(live.api, error)}"
        self._record(live, "Warning", "StatusRefused", message, "Reconcile")

    async def waiting(self, live: LiveRequest, before: int) -> None:
        """Reports that the request, or its deletion, waits for its turn; ``before`` others are rendered first."""
        if live.metadata.deleting:
            await self.deleting(live, f"its delete pipeline, which waits for its turn, {before} before it")
        elif not live.request.is_observed:
            await self._write(live, waiting_status(live.status, before=before, now=self._platform.now()))

    async def announce_components(self, live: LiveRequest, run: Run) -> LiveRequest:
        """Names new components in the status before they are written, so that a deletion always knows of them."""
        entries = self._components.announce(run.components, live.status)
        if entries is None:
            return live
        await self._write(live, {"troth": {**read_own(live.status).fields, "components": entries}})
        return live.reread()

    async def carried_out(
        self, live: LiveRequest, version: str, binding_version: str, owner: WorkOwner, run: Run, asked: Asked
    ) -> WorkflowState | None:
        """Reports the outcome of a request that was rendered with this version of its Promise.

        ``asked`` is recorded with it, so it must be who asked for this run. ``binding_version`` is what its binding
        asks for; empty without a binding.

        Returns the state of its workflow; None when nothing was reported, because the state of its components is not
        known yet.
        """
        now = self._platform.now()
        workflow = workflow_facts(run, live.status, generation=live.metadata.generation, progress=run.progress)
        workflow = replace(
            workflow, rerun=workflow.rerun or asked.from_start, notes=run_notes(live.metadata.labels, run, asked)
        )
        components = self._components.facts(
            live.key, live.parent, run.components, live.status, complete=workflow.state == "Succeeded"
        )
        if components is None:
            return None
        facts = RequestFacts(
            generation=live.metadata.generation,
            promise_version=version,
            binding_version=binding_version,
            workflow=workflow,
            works=(*self._works.facts(owner), *self.obstacles(owner, run), *self._lost(owner, run)),
            components=components,
            former=self._works.former_pipelines(owner),
        )
        flat = self._platform.settings.flat_workflow_status
        await self._write_outcome(live, request_status(live.status, facts, now=now, flat=flat))
        return workflow.state

    def obstacles(self, owner: WorkOwner, run: Run) -> tuple[WorkFacts, ...]:
        """The Works of a request that cannot be made yet."""
        return self._works.obstacles(owner, names.WORK_TYPE_RESOURCE, run.pipelines)

    def _lost(self, owner: WorkOwner, run: Run) -> tuple[WorkFacts, ...]:
        kept = [output.pipeline for output in run.outputs if output.kept]
        return self._works.lost(owner, names.WORK_TYPE_RESOURCE, kept)

    async def deleting(
        self,
        live: LiveRequest,
        waiting_for: str,
        *,
        run: Run | None = None,
        failure: str = "",
        stalled: bool = False,
    ) -> bool:
        """Reports what its deletion waits for. Returns False when it began too recently to be worth a write.

        Args:
            live: the request.
            waiting_for: what the deletion waits for, if not for its delete workflow.
            run: how far its delete workflow is; None when nothing is known of it, or it does not run any more.
            failure: why its delete pipelines cannot be run at all.
            stalled: whether that is so until the request is edited.
        """
        now = self._platform.now()
        workflow = _NOTHING
        if run is not None:
            workflow = workflow_facts(
                run,
                live.status,
                generation=live.metadata.generation,
                progress=run.progress,
                action="delete",
            )
        failed = failure or workflow.failure_message
        # Most deletions take less time than a commit: only one that lasts, or has failed, is worth a write. The record
        # of a workflow with containers is not a report but its memory.
        lasts = failed or workflow.state == "Suspended" or any(pipeline.run for pipeline in workflow.pipelines)
        if not lasts and _is_younger(live, _WORTH_A_WRITE, self._platform.clock()):
            return False
        status = deletion_status(
            live.status,
            waiting_for=waiting_for,
            now=now,
            workflow=workflow,
            generation=live.metadata.generation,
            failure=failure,
            stalled=stalled,
        )
        await self._write(live, status)
        return True

    async def held(self, live: LiveRequest, error: Forbidden | Invalid) -> None:
        """Reports that the API server refuses to remove the finalizers, although everything else of it is gone."""
        message = (
            f"the API server does not let the operator remove its finalizers: {error.message}. "
            f"{remedy(live.api, error)}"
        )
        self._record(live, "Warning", "DeletionRefused", message, "Delete")
        await self._write(
            live, deletion_status(live.status, waiting_for="", now=self._platform.now(), refusal=message)
        )

    # ---- writing and recording

    async def _write(self, live: LiveRequest, status: Mapping[str, Any]) -> bool:
        wrote = await self._platform.write_status(
            live.api.informer, live.api.resource, live.key, live.status, status
        )
        if wrote:
            record_workflow(self._platform, live.reference, announce(live.status, status, "resource"))
        return wrote

    async def _write_outcome(self, live: LiveRequest, status: Mapping[str, Any]) -> None:
        if await self._write(live, status):
            self._record_outcome(live, status)

    def _record_outcome(self, live: LiveRequest, status: Mapping[str, Any]) -> None:
        ready, was = _ready(status), _ready(live.status)
        same = all(ready.get(name) == was.get(name) for name in ("status", "reason", "message"))
        if same and _versions(live.status) == _versions(status):
            return
        key, reason = live.key, str(ready.get("reason") or "")
        if ready.get("status") == "True":
            versions = ", ".join(sorted(_versions(status)))
            message = f"{ready.get('message')}" + (f" ({versions})" if versions else "")
            logger.info(
                "%s: %s", key, message, extra={"kind": key.kind, "namespace": key.namespace, "object": key.name}
            )
            self._record(live, "Normal", "ReconcileSucceeded", message, "Reconcile")
        elif reason not in reasons.IN_PROGRESS and reason not in TOLD:
            self._record(live, "Warning", reason, str(ready.get("message")), "Reconcile")

    def _record(self, live: LiveRequest, event_type: str, reason: str, message: str, action: str) -> None:
        self._platform.events.record(
            live.reference, type=event_type, reason=reason, message=message, action=action
        )


def _ready(status: Mapping[str, Any]) -> Mapping[str, Any]:
    return find_condition(status.get("conditions"), READY) or {}


def _versions(status: Mapping[str, Any]) -> set[str]:
    return {str(place["version"])[:12] for place in read_own(status).placements if place.get("version")}


def _is_younger(live: LiveRequest, seconds: float, now: float) -> bool:
    """Whether its deletion began less than this many seconds ago."""
    started = live.metadata.deletion_timestamp
    # The start is from the API server's clock, and of no use when that is well ahead of ours.
    return bool(started) and -_SKEW < now - parse_time(started).timestamp() < seconds
