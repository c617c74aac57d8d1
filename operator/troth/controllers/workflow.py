"""Runs the pipelines of a workflow and records each one's output as a Work (kratix-compatibility.md#requests, #works).

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
from dataclasses import dataclass, replace
from typing import Any

import orjson

from troth.api import Key, TrothError
from troth.api import labels as names
from troth.api.objects import ObjectMeta, Work, Workload, WorkloadGroup
from troth.api.pipelines import JinjaPipeline, Move
from troth.api.resources import WORK
from troth.controllers.caches import BY_CLAIM, BY_OWNER, BY_WORK
from troth.controllers.handover import has_arrived, is_retired, write_moves
from troth.controllers.owners import claim_to, work_owner
from troth.controllers.platform import Platform
from troth.controllers.result import After, Result, Retry, Terminal
from troth.controllers.turn_waiting import Attendant, render_in_turn
from troth.engine import Control, Failure, RenderContext
from troth.engine.components import Component, Parent, find_components, may_hold_components
from troth.engine.failure import passes
from troth.engine.outputs import WorkflowOutput, is_suspended, judge_outcomes
from troth.engine.seals import WORK_LABELS
from troth.engine.status import AuthorStatus, WorkFacts, read_placement
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
        uid: of the request or the Promise; empty when it is gone.
    """

    promise: str
    name: str
    namespace: str
    work_namespace: str
    index: str
    uid: str

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


class NameTaken(TrothError):
    """A Work cannot be made, because another owner's has its name."""


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

    def works_to_take_over(self, owner: WorkOwner) -> list[Work]:
        """The Works without a valid seal that may be an owner's all the same.

        They claim to be, are where its Works are, and are from before there were seals or have the name that is
        computed for them. Somebody has edited the latter, or made them: that makes no difference, since nothing of what
        they hold is kept.
        """
        homes = {owner.work_namespace, owner.namespace, self._platform.settings.system_namespace} - {""}
        works = self._platform.caches.works
        return [
            work
            for home in sorted(homes)
            for work in works.by_index(BY_CLAIM, claim_to(owner.index, home))
            if work.former or work.metadata.name == work_name(owner, _labels(work))
        ]

    async def keep_works(self, owner: WorkOwner, work_type: str, run: Run) -> None:
        """Makes the Works of an owner say what its pipelines produced; writes only what differs.

        Works of pipelines that no longer exist are retired, and go when everything that the pipelines produced now is
        written, for it may hold what was theirs. Those of a suspended pipeline and of the ones behind it stay as
        they are (kratix-compatibility.md#suspending).
        """
        settling = self._platform.settling
        settling.unsettle(owner.index)
        candidates = [*self.works_of(owner), *self.works_to_take_over(owner)]
        existing = [work for work in candidates if work.type == work_type and not is_kept_by_others(work.metadata)]
        outputs = [output for output in run.outputs if not is_suspended(output.control)]
        found = {
            output.pipeline: self._find_work(owner, work_type, output.pipeline, existing) for output in outputs
        }
        kept = {work.metadata.name for work in found.values() if work}
        for work in existing:
            pipeline = work.metadata.labels.get(names.PIPELINE_NAME)
            if pipeline not in run.pipelines and work.metadata.name not in kept:
                await self.retire_work(owner, work)
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
        labelled = (work for work in existing if work.metadata.labels.get(names.PIPELINE_NAME) == pipeline)
        return next(labelled, None) or self._find_named(
            owner, {names.WORK_TYPE: work_type, names.PIPELINE_NAME: pipeline}
        )

    def _find_named(self, owner: WorkOwner, labels: Mapping[str, str]) -> Work | None:
        """What has the name of an owner's Work, unless it is sealed as another's."""
        named = self._platform.caches.works.get(owner.work_namespace, work_name(owner, labels))
        return named if named and (not named.sealed_for or work_owner(named) == owner.index) else None

    def obstacles(self, owner: WorkOwner, work_type: str, pipelines: Sequence[str]) -> tuple[WorkFacts, ...]:
        """The Works that cannot be made yet, since what has their names is going, or is kept from it by others."""
        found = []
        for pipeline in pipelines:
            work = self._find_named(owner, {names.WORK_TYPE: work_type, names.PIPELINE_NAME: pipeline})
            if work and work.metadata.deleting:
                meta = work.metadata
                why = why_kept("Work", meta) if is_kept_by_others(meta) else ""
                found.append(WorkFacts(meta.name, namespace=meta.namespace, scheduled=False, obstacle=why))
        return tuple(found)

    async def retire_work(self, owner: WorkOwner, work: Work) -> None:
        """Notes on a Work that nothing renders what it holds any more; its files stay for now.

        What is in one without a valid seal is not known to be its owner's, and is taken out of it.
        """
        meta = work.metadata
        if work.sealed_for and (meta.deleting or (is_retired(work) and work.sealed_for == owner.uid)):
            return
        labels = {**_labels(work), names.RETIRED: "true"}
        if not work.sealed_for:
            labels |= {**owner.labels, names.WORK_TYPE: work.type}
        retired = replace(
            work,
            metadata=replace(meta, labels=labels),
            promise_name=owner.promise,
            resource_name=owner.name,
            groups=work.groups if work.sealed_for else (),
        )
        patch: dict[str, Any] = {"metadata": self._marks(owner, retired, work)}
        if not work.sealed_for:
            patch["spec"] = {"promiseName": owner.promise, "resourceName": owner.name, "workloadGroups": []}
        await self._patch_work(work, patch)

    async def _patch_work(self, work: Work, patch: Mapping[str, Any]) -> None:
        meta = work.metadata
        try:
            answer = await self._platform.client.merge_patch(WORK, meta.name, patch, namespace=meta.namespace)
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
        work = work or self._find_named(owner, labels)
        if work and work.metadata.deleting:
            return  # its end queues the owner again, which makes it anew
        name, namespace = work_name(owner, labels), owner.work_namespace
        if work:
            name, namespace = work.metadata.name, work.metadata.namespace
        wanted = Work(
            metadata=ObjectMeta(
                name=name,
                namespace=namespace,
                labels={**owner.labels, **labels},
                annotations={names.MOVED: moved} if moved else {},
            ),
            promise_name=owner.promise,
            resource_name=owner.name,
            groups=tuple(groups),
            status={},
        )
        seal = self._platform.caches.seals.seal_work(wanted, owner.uid)
        if work and work.sealed_for and work.metadata.annotations.get(names.SEAL) == seal:
            return
        spec = self._spec(owner, groups)
        if work is None:
            await self._create_work(owner, spec, wanted)
        else:
            await self._patch_work(work, {"metadata": self._marks(owner, wanted, work), "spec": spec})

    def _marks(self, owner: WorkOwner, wanted: Work, have: Work | None = None) -> dict[str, Any]:
        """Labels, annotations and the seal of a Work; with what it has now, as a patch that leaves nothing else."""
        labels: dict[str, str | None] = dict(wanted.metadata.labels)
        moved = wanted.metadata.annotations.get(names.MOVED)
        annotations: dict[str, str | None] = {names.SEAL: self._platform.caches.seals.seal_work(wanted, owner.uid)}
        if moved or (have and names.MOVED in have.metadata.annotations):
            annotations[names.MOVED] = moved
        if have is None:
            return {"labels": labels, "annotations": annotations}
        labels = {**{name: None for name in WORK_LABELS if name in have.metadata.labels}, **labels}
        marks: dict[str, Any] = {"labels": labels, "annotations": annotations}
        if have.metadata.owner_uids:
            marks["ownerReferences"] = None  # nobody else's end is to take it along
        return marks

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

    async def _create_work(self, owner: WorkOwner, spec: Mapping[str, Any], wanted: Work) -> None:
        meta = wanted.metadata
        body = {
            "apiVersion": WORK.api_version,
            "kind": WORK.kind,
            "metadata": {
                "name": meta.name,
                "namespace": meta.namespace,
                **self._marks(owner, wanted),
                "finalizers": [names.WORK_CLEANUP],
            },
            "spec": dict(spec),
        }
        try:
            answer = await self._platform.client.create(WORK, body)
        except AlreadyExists:
            # The name is computed, so this is our own earlier write whose answer was lost, or somebody has made it
            # in our stead; in either case it may hold something else than we want now.
            answer = await self._platform.client.get(WORK, meta.name, meta.namespace)
            found = self._platform.caches.seals.read_work(answer)
            if found.sealed_for and work_owner(found) != owner.index:
                raise NameTaken(f"the Work {meta.namespace}/{meta.name} is that of {work_owner(found)}") from None
            if not found.metadata.deleting:
                patch = {"metadata": self._marks(owner, wanted, found), "spec": dict(spec)}
                answer = await self._platform.client.merge_patch(WORK, meta.name, patch, namespace=meta.namespace)
        self._platform.caches.works.observe(answer)

    async def remove_works(self, owner: WorkOwner) -> list[Work]:
        """Starts the deletion of an owner's Works; answers those of which files may still be anywhere."""
        for work in self.works_to_take_over(owner):
            await self.retire_work(owner, work)
        for work in self.works_of(owner):
            await self.delete_work(work)
        return [work for work in self.works_of(owner) if names.WORK_CLEANUP in work.metadata.finalizers]

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


def is_kept_by_others(meta: ObjectMeta) -> bool:
    """Whether an object is being deleted, and the operator has no part in it any more."""
    ours = {names.WORK_CLEANUP, names.REPO_CLEANUP, names.DOT_FILES_CLEANUP}
    return meta.deleting and bool(meta.finalizers) and not ours & set(meta.finalizers)


def why_kept(kind: str, meta: ObjectMeta) -> str:
    """Why an object that is being deleted does not go, and what to do."""
    return (
        f"The {kind} {meta.namespace}/{meta.name} is being deleted, and nothing can be written until it is gone: "
        f"it waits for whoever has the finalizers {', '.join(meta.finalizers)}"
    )


def _labels(work: Work) -> dict[str, str]:
    """Those of a Work's labels that the operator acts on."""
    return {name: value for name, value in work.metadata.labels.items() if name in WORK_LABELS}


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
