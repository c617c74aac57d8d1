"""Runs the pipelines of a workflow, for a request and for a Promise alike (kratix-compatibility.md#requests).

Rendering is a pure function, so its result is remembered by the hash of its inputs, as blob ids only; contents are
rendered again in the rare case that they are needed after they were forgotten. Pipelines stop at the first failure, as
Kratix's do: what the ones before it produced is kept up to date, the Work of the failed one stays as its last success
left it. What becomes of the output is `troth.controllers.workflow_works`'.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from troth.api import Key
from troth.api.objects import Workload, WorkloadGroup
from troth.api.pipelines import JinjaPipeline, Move
from troth.controllers.platform import Platform
from troth.controllers.result import After, Result, Retry, Terminal
from troth.controllers.turn_waiting import Attendant, render_in_turn
from troth.engine.failure import Failure, passes
from troth.engine.placement.work import GroupContent, Packed, pack_content
from troth.engine.rendering.components import Component, Parent, find_components, may_hold_components
from troth.engine.rendering.outputs import WorkflowOutput, judge_outcomes
from troth.engine.rendering.render import Control, RenderContext
from troth.engine.status import AuthorStatus

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Produced:
    """What one pipeline produced; its groups hold blob ids, the contents are in `Contents` for a while."""

    pipeline: str
    groups: tuple[WorkloadGroup, ...]
    control: Control | None
    moved: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """The outcome of a workflow: what its pipelines produced, up to the first failure.

    ``components`` are the requests of other Promises among it.
    """

    pipelines: tuple[str, ...]
    outputs: tuple[Produced, ...]
    failure: Failure | None
    author: AuthorStatus
    components: tuple[Component, ...] = ()


_HELD_OVER = 0.5
_SUSPENDED_RETRY = 60.0
_NOTHING = Run((), (), None, AuthorStatus())


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why an owner cannot go yet: its delete pipeline failed (in a sentence) or is suspended; and what follows."""

    failure: str
    suspended: bool
    result: Result


class Workflows:
    """Runs workflows and remembers their outcomes."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._remembered: dict[Key, tuple[str, Run]] = {}

    def forget(self, key: Key) -> None:
        """Drops what is remembered of an owner."""
        self._remembered.pop(key, None)

    async def run(
        self,
        key: Key,
        pipelines: Sequence[JinjaPipeline],
        context: RenderContext,
        *,
        revision: str,
        selectors: Mapping[str, str],
        source: str,
        declared_status: Mapping[str, Any] | None = None,
        fresh: bool = False,
        attendant: Attendant | None = None,
    ) -> Run:
        """Renders the pipelines, or answers from memory when nothing that they read has changed.

        Args:
            key: the owner.
            pipelines: in their order.
            context: what they may read.
            revision: changes whenever the pipelines or the selectors do.
            selectors: the Promise's destination selectors.
            source: ``resource-workflow`` or ``promise-workflow``.
            declared_status: what the API says of the status of its requests.
            fresh: render in any case, because the contents are needed.
            attendant: who is told when it has to wait long for its turn.

        Raises:
            Overtaken: the owner has changed while it waited for its turn.
        """
        if not pipelines:
            return _NOTHING
        inputs = _hash_inputs(context, revision)
        remembered = self._remembered.get(key)
        if remembered and remembered[0] == inputs and not fresh:
            return remembered[1]
        outcomes = await render_in_turn(self._platform, key, pipelines, context, attendant)
        found = judge_outcomes(outcomes, selectors=selectors, source=source, declared_status=declared_status)
        run = Run(
            pipelines=tuple(pipeline.name for pipeline in pipelines),
            outputs=tuple(
                Produced(
                    output.pipeline, remember_contents(self._platform, output.groups), output.control, output.moved
                )
                for output in found.outputs
            ),
            failure=found.failure,
            author=found.author,
            components=await _components(found, context),
        )
        if run.failure is None or not is_passing(run.failure):
            self._remembered[key] = (inputs, run)
        return run

    async def finish(
        self,
        key: Key,
        pipelines: Sequence[JinjaPipeline],
        context: RenderContext,
        *,
        source: str,
        attendant: Attendant | None = None,
    ) -> Blocked | None:
        """Runs the delete pipelines of an owner, all of them in order; None when they let it go.

        Raises:
            Overtaken: the owner has changed while it waited for its turn.
        """
        if not pipelines:
            return None
        outcomes = await render_in_turn(self._platform, key, pipelines, context, attendant)
        found = judge_outcomes(outcomes, selectors={}, source=source)
        if found.failure is not None:
            sentence = found.failure.sentence()
            logger.warning("%s: its delete pipeline failed: %s", key, sentence)
            again = after_failure(found.failure)
            result = Terminal("DeleteWorkflowFailed", sentence) if isinstance(again, Terminal) else again
            return Blocked(sentence, suspended=False, result=result)
        if found.outputs and found.outputs[-1].suspended:
            control = found.outputs[-1].control
            seconds = control.retry_after if control and control.retry_after is not None else _SUSPENDED_RETRY
            return Blocked("", suspended=True, result=After(seconds, "its delete pipeline is suspended"))
        return None


def remember_contents(platform: Platform, groups: Sequence[GroupContent]) -> tuple[WorkloadGroup, ...]:
    """The groups with blob ids in the place of contents, which are remembered for as long as it lasts."""

    def remember(path: str, content: bytes | Packed) -> Workload:
        packed = content if isinstance(content, Packed) else pack_content(content)
        platform.contents.put(packed.blob, packed.encoded)
        platform.caches.digests.learn(packed.encoded, packed.blob, packed.size, packed.may_hold_secrets)
        return Workload(path, packed.blob, packed.size, packed.may_hold_secrets)

    return tuple(
        WorkloadGroup(
            id=group.id,
            directory=group.directory,
            selectors=group.selectors,
            workloads=tuple(remember(path, content) for path, content in sorted(group.files.items())),
        )
        for group in groups
    )


def is_passing(failure: Failure) -> bool:
    """Whether the same render may go well another time: what failed was the process or the time that it had."""
    return passes(failure.reason)


def after_failure(failure: Failure) -> Result:
    """What follows from a workflow that failed."""
    sentence = failure.sentence()
    if failure.again:
        return After(failure.again + _HELD_OVER, sentence, failed=True)
    if is_passing(failure):
        return Retry(sentence)
    return Terminal(failure.reason, sentence)


def retry_seconds(run: Run) -> float | None:
    """After how many seconds a suspended workflow wants to run again, or None."""
    controls = (output.control for output in run.outputs)
    return next((control.retry_after for control in controls if control and control.retry_after is not None), None)


async def _components(found: WorkflowOutput, context: RenderContext) -> tuple[Component, ...]:
    """The components that were rendered; reading them is left to a thread, as a file may be large."""
    request = context.request
    if request is None:
        return ()
    files = [
        (path, content)
        for output in found.outputs
        if not output.suspended
        for group in output.groups
        for path, content in group.files.items()
        if (content.component if isinstance(content, Packed) else may_hold_components(content))
    ]
    if not files:
        return ()
    metadata = request["metadata"]
    parent = Parent(context.promise["name"], metadata["namespace"], metadata["name"])
    return await asyncio.to_thread(_find_components, files, parent)


def _find_components(files: Sequence[tuple[str, bytes | Packed]], parent: Parent) -> tuple[Component, ...]:
    """One file after the other is unpacked."""
    unpacked = ((path, file.content if isinstance(file, Packed) else file) for path, file in files)
    return find_components(unpacked, parent)


def _hash_inputs(context: RenderContext, revision: str) -> str:
    packed = orjson.dumps([revision, context.promise, context.request], option=orjson.OPT_SORT_KEYS, default=dict)
    return hashlib.sha256(packed).hexdigest()
