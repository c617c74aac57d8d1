"""Runs the pipelines of a workflow and records each one's output as a Work (kratix-api.md 3.2, 4.1).

The same for a request and for a Promise: render, build the workload groups, make the Works say so. Rendering is a
pure function, so its result is remembered by the hash of its inputs, as blob ids only; contents are rendered again in
the rare case that they are needed after they were forgotten. Pipelines stop at the first failure, as Kratix's do: what
the ones before it produced is kept up to date, the Work of the failed one stays as its last success left it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from troth.api import Key, TrothError
from troth.api import labels as names
from troth.api.objects import Work, Workload, WorkloadGroup
from troth.api.pipelines import JinjaPipeline, Move
from troth.api.resources import WORK
from troth.controllers.caches import BY_OWNER, BY_WORK
from troth.controllers.handover import has_arrived, is_retired, write_moves
from troth.controllers.platform import Platform
from troth.controllers.result import After, Result, Retry, Terminal
from troth.controllers.turn_waiting import Attendant, render_in_turn
from troth.engine import Control, Failure, RenderContext
from troth.engine.components import Component, Parent, find_components, may_hold_components
from troth.engine.failure import passes
from troth.engine.outputs import WorkflowOutput, is_suspended, judge_outcomes
from troth.engine.status import AuthorStatus, read_placement
from troth.engine.work import GroupContent, Packed, pack_content
from troth.engine.work import work_name as compute_work_name
from troth.kube import AlreadyExists, ApiError, Forbidden, NotFound, TooLarge

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkOwner:
    """Whom a Work belongs to.

    Attributes:
        promise: the Promise's name.
        name: the request's name; empty for a Promise's own Works.
        namespace: the request's namespace; empty for a Promise.
        work_namespace: where the Works live.
        index: the index value under which the Works are found.
    """

    promise: str
    name: str
    namespace: str
    work_namespace: str
    index: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels that all Works of this owner carry."""
        found = {names.PROMISE_NAME: self.promise}
        if self.name:
            found[names.RESOURCE_NAME] = self.name
            if self.work_namespace != self.namespace:
                found[names.RESOURCE_NAMESPACE] = self.namespace
        return found


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
_REFUSED_RETRY = 60.0
_NOTHING = Run((), (), None, AuthorStatus())


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why an owner cannot go yet: its delete pipeline failed (in a sentence) or is suspended; and what follows."""

    failure: str
    suspended: bool
    result: Result


class ContentsForgotten(TrothError):
    """A content that is needed is no longer remembered; run the workflow afresh."""


class Workflows:
    """Renders workflows, remembers their outcomes and keeps their Works."""

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
                Produced(output.pipeline, self.remember_contents(output.groups), output.control, output.moved)
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

    def remember_contents(self, groups: Sequence[GroupContent]) -> tuple[WorkloadGroup, ...]:
        """The groups with blob ids in the place of contents, which are remembered for as long as it lasts."""
        return tuple(
            WorkloadGroup(
                id=group.id,
                directory=group.directory,
                selectors=group.selectors,
                workloads=tuple(
                    self._remember_content(path, content) for path, content in sorted(group.files.items())
                ),
            )
            for group in groups
        )

    def _remember_content(self, path: str, content: bytes | Packed) -> Workload:
        packed = content if isinstance(content, Packed) else pack_content(content)
        self._platform.contents.put(packed.blob, packed.encoded)
        self._platform.caches.digests.learn(packed.encoded, packed.blob, packed.size, packed.may_hold_secrets)
        return Workload(path, packed.blob, packed.size, packed.may_hold_secrets)

    # ---- Works

    def works_of(self, owner: WorkOwner) -> list[Work]:
        """The Works of an owner, in the order of their names."""
        return sorted(
            self._platform.caches.works.by_index(BY_OWNER, owner.index),
            key=lambda work: (work.metadata.namespace, work.metadata.name),
        )

    async def keep_works(self, owner: WorkOwner, work_type: str, run: Run) -> None:
        """Makes the Works of an owner say what its pipelines produced; writes only what differs.

        Works of pipelines that no longer exist are retired, and go when everything that the pipelines produced now is
        written, for it may hold what was theirs. Those of a suspended pipeline and of the ones behind it stay as
        they are (kratix-api.md 3.7).
        """
        settling = self._platform.settling
        settling.unsettle(owner.index)
        existing = [work for work in self.works_of(owner) if work.type == work_type]
        outputs = [output for output in run.outputs if not is_suspended(output.control)]
        found = {
            output.pipeline: self._find_work(owner, work_type, output.pipeline, existing) for output in outputs
        }
        kept = {work.metadata.name for work in found.values() if work}
        for work in existing:
            pipeline = work.metadata.labels.get(names.PIPELINE_NAME)
            if pipeline not in run.pipelines and work.metadata.name not in kept:
                await self.retire_work(work)
        # New ones first: they go where their objects are, which is known while the others still have these.
        for output in sorted(outputs, key=lambda output: found[output.pipeline] is not None):
            labels = {names.WORK_TYPE: work_type, names.PIPELINE_NAME: output.pipeline}
            await self.keep_work(owner, found[output.pipeline], output.groups, labels, write_moves(output.moved))
        going = any(work and work.metadata.deleting for work in found.values())
        if run.failure is None and len(outputs) == len(run.pipelines) and not going:
            settling.settle(owner.index)
            await self._delete_retired(owner)

    def _find_work(self, owner: WorkOwner, work_type: str, pipeline: str, existing: Sequence[Work]) -> Work | None:
        """The Work of a pipeline.

        By its label, since the name of a Work that Kratix made is not computed; or by its name, since somebody may
        have changed the label, and another Work with the same files is no cure.
        """
        name = work_name(owner, {names.WORK_TYPE: work_type, names.PIPELINE_NAME: pipeline})
        labelled = (work for work in existing if work.metadata.labels.get(names.PIPELINE_NAME) == pipeline)
        named = (work for work in existing if work.metadata.name == name)
        return next(labelled, None) or next(named, None)

    async def retire_work(self, work: Work) -> None:
        """Notes on a Work that nothing renders what it holds any more; its files stay for now."""
        if work.metadata.deleting or is_retired(work):
            return
        try:
            answer = await self._platform.client.merge_patch(
                WORK,
                work.metadata.name,
                {"metadata": {"labels": {names.RETIRED: "true"}}},
                namespace=work.metadata.namespace,
            )
        except NotFound:
            return
        self._platform.caches.works.observe(answer)

    def former_pipelines(self, owner: WorkOwner) -> tuple[str, ...]:
        """The pipelines that are gone while what they wrote is still there."""
        retired = (work for work in self.works_of(owner) if is_retired(work) and not work.metadata.deleting)
        return tuple(work.metadata.labels.get(names.PIPELINE_NAME, "") for work in retired)

    async def _delete_retired(self, owner: WorkOwner) -> None:
        retired = [work for work in self.works_of(owner) if is_retired(work)]
        if retired and has_arrived(self._platform, owner.index):
            for work in retired:
                await self.delete_work(work)

    async def keep_work(
        self,
        owner: WorkOwner,
        work: Work | None,
        groups: Sequence[WorkloadGroup],
        labels: Mapping[str, str],
        moved: str = "",
    ) -> None:
        """Creates or updates one Work, unless it says all of it already.

        Raises:
            ContentsForgotten: it must be written, and a content is no longer remembered.
        """
        if work and work.metadata.deleting:
            return  # its end queues the owner again, which makes it anew
        labels = {**owner.labels, **labels}
        changes: dict[str, str | None] = {**labels, **({names.RETIRED: None} if work and is_retired(work) else {})}
        same_moves = work and work.metadata.annotations.get(names.MOVED, "") == moved
        if work and same_moves and _says(work, owner, labels) and _same_groups(work.groups, groups):
            return
        spec = self._spec(owner, groups)
        if work is None:
            await self._create_work(owner, spec, labels, moved)
            return
        try:
            answer = await self._platform.client.merge_patch(
                WORK,
                work.metadata.name,
                {"metadata": {"labels": changes, **_annotations(moved, work)}, "spec": spec},
                namespace=work.metadata.namespace,
            )
        except NotFound:
            return
        self._platform.caches.works.observe(answer)

    def _spec(self, owner: WorkOwner, groups: Sequence[WorkloadGroup]) -> dict[str, Any]:
        return {
            "promiseName": owner.promise,
            "resourceName": owner.name,
            "workloadGroups": [
                {
                    "id": group.id,
                    "directory": group.directory,
                    "destinationSelectors": [
                        {"matchLabels": dict(selector.match_labels), "source": selector.source}
                        for selector in group.selectors
                    ],
                    "workloads": [
                        {"filepath": workload.filepath, "content": self._content(workload.blob)}
                        for workload in group.workloads
                    ],
                }
                for group in groups
            ],
        }

    def _content(self, blob: str) -> str:
        encoded = self._platform.contents.get(blob)
        if encoded is None:
            raise ContentsForgotten(blob)
        return encoded

    async def _create_work(
        self, owner: WorkOwner, spec: Mapping[str, Any], labels: Mapping[str, str], moved: str
    ) -> None:
        name = work_name(owner, labels)
        body = {
            "apiVersion": WORK.api_version,
            "kind": WORK.kind,
            "metadata": {
                "name": name,
                "namespace": owner.work_namespace,
                "labels": dict(labels),
                **_annotations(moved),
                "finalizers": [names.WORK_CLEANUP],
            },
            "spec": dict(spec),
        }
        try:
            answer = await self._platform.client.create(WORK, body)
        except AlreadyExists:
            # The name is computed, so this is our own earlier write whose answer was lost, or somebody has
            # changed the labels by which it is found. It may be older than what we want now.
            answer = await self._platform.client.get(WORK, name, owner.work_namespace)
            if not answer["metadata"].get("deletionTimestamp"):
                answer = await self._platform.client.merge_patch(
                    WORK,
                    name,
                    {"metadata": {"labels": dict(labels)}, "spec": dict(spec)},
                    namespace=owner.work_namespace,
                )
        self._platform.caches.works.observe(answer)

    def obstacle(self, works: Sequence[Work]) -> str:
        """What keeps Works that are being deleted: a clause such as ``: the store is away``, or nothing."""
        placements = [
            placement
            for work in works
            for placement in self._platform.caches.placements.by_index(
                BY_WORK, f"{work.metadata.namespace}/{work.metadata.name}"
            )
        ]
        failures = sorted({failure for each in placements if (failure := read_placement(each).failure)})
        return f": {failures[0]}" if failures else ""

    async def delete_work(self, work: Work) -> None:
        """Starts the deletion of a Work; its placements and their files go first."""
        if work.metadata.deleting:
            return
        meta = work.metadata
        try:
            answer = await self._platform.client.delete(WORK, meta.name, meta.namespace, uid=meta.uid)
        except NotFound:
            return
        if answer.get("kind") == WORK.kind:
            self._platform.caches.works.observe(answer)


def _annotations(moved: str, work: Work | None = None) -> dict[str, Any]:
    """The annotation of a Work that says which of its objects had another name, as far as it differs."""
    if moved == (work.metadata.annotations.get(names.MOVED, "") if work else ""):
        return {}
    return {"annotations": {names.MOVED: moved or None}}


def work_name(owner: WorkOwner, labels: Mapping[str, str]) -> str:
    """The name of a Work: readable, unique for (owner, pipeline), and computed."""
    return compute_work_name(
        promise=owner.promise,
        resource=owner.name,
        resource_namespace=owner.namespace if owner.work_namespace != owner.namespace else "",
        pipeline=labels.get(names.PIPELINE_NAME, ""),
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


def why_refused(error: ApiError, namespace: str) -> tuple[str, str]:
    """The reason, and the same in a sentence, when the API server takes no Work in that namespace."""
    if isinstance(error, Forbidden) and error.namespace_terminating:
        return (
            "NamespaceTerminating",
            f"the namespace {namespace} is being deleted, and nothing new can be kept in it",
        )
    message = f"the API server refused what was rendered: {error.message}"
    if isinstance(error, TooLarge):
        message += "; render less, or divide it among several pipelines, of which each gets an object of its own"
    return "WorksRefused", message


def after_refusal(error: ApiError) -> Result:
    """What follows when the API server refuses something for a reason that may go away without a word to us."""
    if isinstance(error, TooLarge):
        return Terminal("TooLarge", error.message)
    if isinstance(error, Forbidden) and error.namespace_terminating:
        return After(_REFUSED_RETRY, error.message)
    return Retry(f"the API server refused it: {error.message}", longest=_REFUSED_RETRY, warn=True)


def retry_seconds(run: Run) -> float | None:
    """After how many seconds a suspended workflow wants to run again, or None."""
    controls = (output.control for output in run.outputs)
    return next((control.retry_after for control in controls if control and control.retry_after is not None), None)


def _says(work: Work, owner: WorkOwner, labels: Mapping[str, str]) -> bool:
    """Whether a Work says whose it is."""
    return (
        work.promise_name == owner.promise
        and work.resource_name == owner.name
        and labels.items() <= work.metadata.labels.items()
        and not is_retired(work)
    )


def _same_groups(have: Sequence[WorkloadGroup], want: Sequence[WorkloadGroup]) -> bool:
    return {group.id: _comparable(group) for group in have} == {group.id: _comparable(group) for group in want}


def _comparable(group: WorkloadGroup) -> object:
    return (
        group.directory,
        [(dict(selector.match_labels), selector.source) for selector in group.selectors],
        {workload.filepath: workload.blob for workload in group.workloads},
    )


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
