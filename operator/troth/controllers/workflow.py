"""Runs the workflow of a request or a Promise and remembers its outcome (kratix-compatibility.md#requests).

Rendering is a pure function, so the outcome of a workflow of templates is remembered by the hash of its inputs. Only
blob ids are kept; contents are rendered again in the rare case that they are needed after they were forgotten. This
memory saves work and does not decide anything: the object's status records how far a workflow is. Pipelines stop at
the first failure, as in Kratix: what the earlier ones produced is kept up to date, and the Work of the failed one
stays as its last success left it. `troth.controllers.workflow_works` writes the output into Works.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from troth.api import Key, reasons
from troth.api.objects import Promise, Workload, WorkloadGroup
from troth.api.pipelines import JinjaPipeline, Move
from troth.api.resources import PROMISE
from troth.controllers.platform import Platform
from troth.controllers.result import After, Result, Retry, Terminal, Waits
from troth.controllers.steps import Runners, Workflow, leave_former_kinds, run_steps
from troth.engine.failure import Failure
from troth.engine.placement.work import GroupContent, Packed, pack_content
from troth.engine.rendering.components import Component, Parent, find_components, may_hold_components
from troth.engine.rendering.render import Control, RenderContext
from troth.engine.status.author import AuthorStatus
from troth.engine.status.request import parse_time
from troth.engine.workflow.outcomes import Running
from troth.engine.workflow.outputs import WorkflowOutput, is_suspended
from troth.engine.workflow.progress import Progress, spec_hash
from troth.engine.workflow.retries import NextRun

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Produced:
    """What one pipeline produced. Its groups hold blob ids; the contents are in `Contents` for a while.

    ``kept`` says that the pipeline did not run and that what it produced before stays, and ``rendered`` that it is one
    of templates. ``next_run`` says when it runs again, if it asked for that.
    """

    pipeline: str
    groups: tuple[WorkloadGroup, ...]
    control: Control | None
    moved: tuple[Move, ...] = ()
    kept: bool = False
    rendered: bool = False
    next_run: NextRun | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The outcome of a workflow: what its pipelines produced, up to the first one that did not end.

    ``components`` are the requests of other Promises among the output, and ``progress`` is how far the pipelines are.
    """

    pipelines: tuple[str, ...]
    outputs: tuple[Produced, ...]
    failure: Failure | None
    author: AuthorStatus
    components: tuple[Component, ...] = ()
    progress: Progress = field(default_factory=Progress)


_HELD_OVER = 0.5
_MOST_HASHES = 50  # of one Promise and its revisions
_SUSPENDED_RETRY = 60.0
_SHORTEST_RETRY = 0.5  # what asks to be run again at once is written once for each attempt
_NOTHING = Run((), (), None, AuthorStatus())


@dataclass(frozen=True, slots=True)
class Ending:
    """How far a delete workflow is.

    Attributes:
        run: its outcome, without any files.
        result: of the reconcile while the workflow has not succeeded; None when its owner may be deleted.
    """

    run: Run
    result: Result | None


class Workflows:
    """Runs workflows and remembers their outcomes."""

    def __init__(self, platform: Platform, runners: Runners) -> None:
        self._platform = platform
        self._runners = runners
        self._remembered: dict[Key, tuple[str, Run]] = {}
        self._hashes: dict[Key, dict[tuple[str, int], str]] = {}

    def forget(self, key: Key) -> None:
        """Forgets the outcome for an owner."""
        self._remembered.pop(key, None)
        self._hashes.pop(key, None)

    async def hash_of(self, promise: Promise) -> str:
        """The hash of a Promise's spec (`spec_hash`), which is computed once for each generation and each revision.

        It is computed in a thread, because a spec with the manifests of an operator's release would block the event
        loop.
        """
        key = Key(PROMISE.name, "", promise.name)
        generation = (promise.metadata.uid, promise.metadata.generation)
        known = self._hashes.setdefault(key, {})
        if generation not in known:
            made = await asyncio.to_thread(spec_hash, promise.raw.get("spec"))
            if len(known) >= _MOST_HASHES:
                known.clear()
            known[generation] = made
        return known[generation]

    async def run(self, workflow: Workflow, *, fresh: bool = False) -> Run:
        """Runs the steps, or returns the remembered outcome when nothing that they read has changed.

        Args:
            workflow: a configure workflow.
            fresh: whether to render in any case, because the contents are needed.

        Raises:
            Overtaken: the owner has changed while it waited for its turn.
        """
        await leave_former_kinds(workflow, self._runners)
        if not workflow.pipelines:
            return _NOTHING
        inputs = _hash_inputs(workflow)
        remembered = self._remembered.get(workflow.key)
        if remembered and remembered[0] == inputs and not fresh and not workflow.from_start:
            return remembered[1]
        found, progress = await run_steps(workflow, self._runners, now=self._platform.now())
        templates = {pipeline.name for pipeline in workflow.pipelines if isinstance(pipeline, JinjaPipeline)}
        run = Run(
            pipelines=workflow.names,
            outputs=tuple(
                Produced(
                    output.pipeline,
                    remember_contents(self._platform, output.groups),
                    output.control,
                    output.moved,
                    output.kept,
                    output.pipeline in templates,
                    output.next_run,
                )
                for output in found.outputs
            ),
            failure=found.failure,
            author=found.author,
            components=await _components(found, workflow.context),
            progress=progress,
        )
        repeatable = all(self._runners[type(pipeline)].repeatable for pipeline in workflow.pipelines)
        if repeatable and not progress.halted and not _depends_on_time(run):
            self._remembered[workflow.key] = (inputs, run)
        return run

    async def finish(self, workflow: Workflow) -> Ending:
        """Runs all steps of an owner's delete workflow in order, as far as they can be run now.

        Raises:
            Overtaken: the owner has changed while it waited for its turn.
        """
        if not workflow.pipelines:
            return Ending(_NOTHING, None)
        found, progress = await run_steps(workflow, self._runners, now=self._platform.now())
        outputs = tuple(
            Produced(output.pipeline, (), output.control, kept=output.kept, next_run=output.next_run)
            for output in found.outputs
        )
        run = Run(workflow.names, outputs, found.failure, found.author, progress=progress)
        if run.failure is not None:
            sentence = run.failure.sentence()
            logger.warning("%s: its delete pipeline failed: %s", workflow.key, sentence)
            again = after_failure(run.failure)
            return Ending(
                run, Terminal(reasons.DELETE_WORKFLOW_FAILED, sentence) if isinstance(again, Terminal) else again
            )
        if progress.running is not None:
            return Ending(run, _wait_for(progress.running))
        if outputs and is_suspended(outputs[-1].control):
            planned = outputs[-1].next_run
            seconds = _SUSPENDED_RETRY if planned is None else _seconds_until(planned, self._platform.clock())
            return Ending(run, After(seconds, "its delete pipeline is suspended"))
        return Ending(run, None)


def _depends_on_time(run: Run) -> bool:
    """Whether the same pipelines may give something else later, so that their outcome must not be remembered."""
    if run.failure is not None:
        return run.failure.passes or run.failure.attempts > 0
    return any(output.next_run is not None for output in run.outputs)


def remember_contents(platform: Platform, groups: Sequence[GroupContent]) -> tuple[WorkloadGroup, ...]:
    """The groups with blob ids instead of contents. The contents are put into `Contents`, which keeps the newest."""

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


def after_failure(failure: Failure) -> Result:
    """The result of a reconcile whose workflow failed."""
    sentence = failure.sentence()
    if failure.again:
        return After(failure.again + _HELD_OVER, sentence, failed=True)
    if failure.passes:
        return Retry(sentence)
    return Terminal(failure.reason, sentence)


def after_run(run: Run, *, now: float) -> Result | None:
    """The result for a workflow that has not ended, or that is to run again later; None for any other.

    ``now``: seconds since the epoch.
    """
    if run.failure is not None:
        return after_failure(run.failure)
    if run.progress.running is not None:
        return _wait_for(run.progress.running)
    planned = next((output.next_run for output in run.outputs if output.next_run is not None), None)
    return None if planned is None else After(_seconds_until(planned, now), "its pipeline asked for it")


def _seconds_until(planned: NextRun, now: float) -> float:
    """How long to wait for a retry: as its record says, so that a restart of the operator does not put it off."""
    return max(_SHORTEST_RETRY, parse_time(planned.at).timestamp() - now)


def _wait_for(step: Running) -> Result:
    """The result while a step is running. A change of its Job queues the owner."""
    if step.begins:
        return After(0.0, f"its pipeline {step.pipeline} begins")
    if step.again is not None:
        return After(step.again, f"its pipeline {step.pipeline} is running")
    return Waits(f"its pipeline {step.pipeline} is running")


async def _components(found: WorkflowOutput, context: RenderContext) -> tuple[Component, ...]:
    """The components that were rendered. They are read in a thread, as a file may be large."""
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
    """Finds the components in files, unpacking one file at a time."""
    unpacked = ((path, file.content if isinstance(file, Packed) else file) for path, file in files)
    return find_components(unpacked, parent)


def _hash_inputs(workflow: Workflow) -> str:
    context = workflow.context
    packed = orjson.dumps(
        [workflow.revision, context.promise, context.request], option=orjson.OPT_SORT_KEYS, default=dict
    )
    return hashlib.sha256(packed).hexdigest()
