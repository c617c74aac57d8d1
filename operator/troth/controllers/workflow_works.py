"""Writes what the pipelines of a request or a Promise produced into its Works.

Works are created, patched, retired and deleted here, with their seals (kratix-compatibility.md#works);
`troth.controllers.workflow` runs the pipelines. A Work is compared by its seal, so neither a write nor a content is
needed for what exists already. The contents of files are remembered for a while only (`Contents`). When a content is
needed that was forgotten, `ContentsForgotten` asks for the workflow to be run again, and `keep_or_make_again` does
that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from troth.api import TrothError
from troth.api import labels as names
from troth.api.naming import group_id
from troth.api.objects import ObjectMeta, Work, WorkloadGroup, read_metadata
from troth.api.resources import WORK
from troth.controllers.caches import BY_CLAIM, BY_OWNER, BY_WORK
from troth.controllers.handover import has_arrived, is_leaving, is_retired, write_moves
from troth.controllers.object_writes import create_or_patch, delete_object, patch_object
from troth.controllers.obstacles import is_kept_by_others, why_kept
from troth.controllers.owners import claim_to, work_owner
from troth.controllers.placement_state import placement_facts
from troth.controllers.platform import Platform
from troth.controllers.workflow import Run
from troth.engine.placement.file_paths import path_problem
from troth.engine.placement.seals import WORK_LABELS
from troth.engine.placement.work import work_group
from troth.engine.placement.work import work_name as compute_work_name
from troth.engine.status.facts import WorkFacts
from troth.engine.status.placement import read_placement, read_work
from troth.engine.workflow.outputs import is_suspended
from troth.engine.workflow.progress import has_run
from troth.kube import NotFound

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class WorkOwner:
    """The owner of Works: a request or a Promise.

    Attributes:
        promise: the Promise's name.
        name: the request's name; empty for a Promise's own Works.
        namespace: the request's namespace; empty for a Promise.
        work_namespace: the namespace of the Works.
        index: the index value under which the Works are found.
        uid: the uid of the request or the Promise; empty when it is gone.
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


class NameTaken(TrothError):
    """A Work cannot be created, because a Work of another owner has its name."""


class ContentsForgotten(TrothError):
    """A content that is needed has been forgotten; the workflow has to be run again."""


class Works:
    """Keeps the Works of owners."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def of(self, owner: WorkOwner) -> list[Work]:
        """The Works of an owner, in the order of their names."""
        return sorted(
            self._platform.caches.works.by_index(BY_OWNER, owner.index),
            key=lambda work: (work.metadata.namespace, work.metadata.name),
        )

    def to_take_over(self, owner: WorkOwner) -> list[Work]:
        """The Works without a valid seal that may nevertheless belong to an owner.

        They claim to belong to it, are in the namespace of its Works, and are older than the seals or have the name
        that is computed for such a Work. Somebody has edited the latter, or created them; it does not matter which,
        since nothing of what they hold is kept.
        """
        homes = {owner.work_namespace, owner.namespace, self._platform.settings.system_namespace} - {""}
        works = self._platform.caches.works
        return [
            work
            for home in sorted(homes)
            for work in works.by_index(BY_CLAIM, claim_to(owner.index, home))
            if work.former or work.metadata.name == work_name(owner, _labels(work))
        ]

    async def keep_all(self, owner: WorkOwner, work_type: str, run: Run) -> None:
        """Makes the Works of an owner hold what its pipelines produced, and writes only those that differ.

        Works of pipelines that no longer exist are retired. They are deleted when everything that the pipelines
        produce now has been written, since that may include objects of theirs. The Works of a suspended pipeline, and
        of those after it, stay as they are (kratix-compatibility.md#suspending).
        """
        settling = self._platform.settling
        settling.unsettle(owner.index)
        candidates = [*self.of(owner), *self.to_take_over(owner)]
        existing = [work for work in candidates if work.type == work_type and not is_kept_by_others(work.metadata)]
        ended = [output for output in run.outputs if not is_suspended(output.control)]
        outputs = [output for output in ended if not output.kept]
        found = {output.pipeline: self._find(owner, work_type, output.pipeline, existing) for output in outputs}
        kept = {work.metadata.name for work in found.values() if work}
        for work in existing:
            pipeline = work.metadata.labels.get(names.PIPELINE_NAME)
            if pipeline not in run.pipelines and work.metadata.name not in kept:
                await self.retire(owner, work)
        # New ones first: they go where their objects are, which is only known while the other Works still have these.
        for output in sorted(outputs, key=lambda output: found[output.pipeline] is not None):
            labels = {names.WORK_TYPE: work_type, names.PIPELINE_NAME: output.pipeline}
            await self.keep(owner, found[output.pipeline], output.groups, labels, write_moves(output.moved))
        going = any(work and work.metadata.deleting for work in found.values())
        lost = self.lost(owner, work_type, [output.pipeline for output in ended if output.kept])
        if run.failure is None and len(ended) == len(run.pipelines) and not going and not lost:
            settling.settle(owner.index)
            await self._delete_retired(owner)

    def _find(self, owner: WorkOwner, work_type: str, pipeline: str, existing: Sequence[Work]) -> Work | None:
        """The Work of a pipeline.

        It is found by its label, since the name of a Work that Kratix made is not computed; or else by its name, since
        somebody may have changed the label, and a second Work with the same files would not help.
        """
        labelled = (work for work in existing if work.metadata.labels.get(names.PIPELINE_NAME) == pipeline)
        return next(labelled, None) or self._find_named(
            owner, {names.WORK_TYPE: work_type, names.PIPELINE_NAME: pipeline}
        )

    def _find_named(self, owner: WorkOwner, labels: Mapping[str, str]) -> Work | None:
        """The Work with the computed name, unless it is sealed as another owner's."""
        named = self._platform.caches.works.get(owner.work_namespace, work_name(owner, labels))
        return named if named and (not named.sealed_for or work_owner(named) == owner.index) else None

    def facts(self, owner: WorkOwner) -> tuple[WorkFacts, ...]:
        """What is reported about an owner's Works, from the caches, without those that are being deleted."""
        return tuple(
            self._facts_of(work) for work in self.of(owner) if not work.metadata.deleting and not is_retired(work)
        )

    def _facts_of(self, work: Work) -> WorkFacts:
        placements = self._platform.caches.placements.by_index(
            BY_WORK, f"{work.metadata.namespace}/{work.metadata.name}"
        )
        return read_work(
            work,
            (placement_facts(self._platform, each) for each in placements if not is_leaving(work, each)),
        )

    def lost(self, owner: WorkOwner, work_type: str, pipelines: Sequence[str]) -> tuple[WorkFacts, ...]:
        """The Works of steps that were kept, and whose output is not there any more as the operator sealed it."""
        sealed = {work.metadata.labels.get(names.PIPELINE_NAME) for work in self.of(owner) if not is_retired(work)}
        return tuple(
            WorkFacts(
                work_name(owner, {names.WORK_TYPE: work_type, names.PIPELINE_NAME: pipeline}),
                namespace=owner.work_namespace,
                scheduled=False,
                obstacle=_LOST.format(pipeline, "request" if owner.name else "Promise"),
            )
            for pipeline in pipelines
            if pipeline not in sealed
        )

    async def take_over(self, owner: WorkOwner, work_type: str, pipeline: str) -> str:
        """Seals the Work that the Pod of a pipeline wrote, as it is. Returns what is wrong with it, or nothing.

        The Pod does not have the key, so its Work is not acted on until then. It is read from the API server, and only
        the version that was read is sealed. Nothing in it is believed but its files and its groups: its name, its
        namespace and its labels have to be those that are computed, and the paths of its files such as a pipeline may
        write. The container of an author has the rights of the Pod, and may have written anything.

        Raises:
            Conflict: somebody has changed it since it was read.
        """
        labels = {**owner.labels, names.WORK_TYPE: work_type, names.PIPELINE_NAME: pipeline}
        candidates = [work for work in (*self.of(owner), *self.to_take_over(owner)) if work.type == work_type]
        here = [work for work in candidates if work.metadata.namespace == owner.work_namespace]
        known = self._find(owner, work_type, pipeline, here)
        name = known.metadata.name if known else work_name(owner, labels)
        caches = self._platform.caches
        try:
            answer = await self._platform.client.get(WORK, name, owner.work_namespace)
        except NotFound:
            return f"its containers ended well, but the Work {owner.work_namespace}/{name} does not exist"
        work = await asyncio.to_thread(caches.seals.read_work, answer, caches.digests)
        if problem := _why_not_the_pods(work, owner, labels):
            return f"the Work {owner.work_namespace}/{name} {problem}"
        for other in candidates:  # the pipelines had another namespace before
            elsewhere = other.metadata.namespace != owner.work_namespace
            if elsewhere and other.metadata.labels.get(names.PIPELINE_NAME) == pipeline:
                await self.retire(owner, other)
        if work.sealed_for == owner.uid and names.RETIRED not in work.metadata.labels:
            caches.works.observe(answer)
            return ""
        wanted = replace(work, metadata=replace(work.metadata, labels=labels, annotations={}))
        patch = {"metadata": self._marks(owner, wanted, work)}
        answer = await self._platform.client.merge_patch(
            WORK,
            name,
            patch,
            namespace=owner.work_namespace,
            resource_version=work.metadata.resource_version,
        )
        caches.works.observe(answer)
        return ""

    def obstacles(self, owner: WorkOwner, work_type: str, pipelines: Sequence[str]) -> tuple[WorkFacts, ...]:
        """The Works that cannot be created yet, since Works of the same names are still being deleted."""
        found = []
        for pipeline in pipelines:
            work = self._find_named(owner, {names.WORK_TYPE: work_type, names.PIPELINE_NAME: pipeline})
            if work and work.metadata.deleting:
                meta = work.metadata
                why = why_kept("Work", meta) if is_kept_by_others(meta) else ""
                found.append(WorkFacts(meta.name, namespace=meta.namespace, scheduled=False, obstacle=why))
        return tuple(found)

    async def retire(self, owner: WorkOwner, work: Work) -> None:
        """Marks a Work as retired, since nothing renders what it holds any more. Its files stay for now.

        What a Work without a valid seal holds may not be its owner's, and is removed from it.
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
        await patch_object(self._platform, self._platform.caches.works, WORK, meta, patch)

    def former_pipelines(self, owner: WorkOwner) -> tuple[str, ...]:
        """The pipelines that no longer exist, although what they wrote is still there."""
        retired = (work for work in self.of(owner) if is_retired(work) and not work.metadata.deleting)
        return tuple(work.metadata.labels.get(names.PIPELINE_NAME, "") for work in retired)

    async def _delete_retired(self, owner: WorkOwner) -> None:
        retired = [work for work in self.of(owner) if is_retired(work)]
        if retired and has_arrived(self._platform, owner.index):
            for work in retired:
                await self.delete(work)

    async def keep(
        self,
        owner: WorkOwner,
        work: Work | None,
        groups: Sequence[WorkloadGroup],
        labels: Mapping[str, str],
        moved: str = "",
    ) -> None:
        """Creates or updates one Work, unless it is already as wanted.

        Raises:
            ContentsForgotten: it must be written, and one of the contents has been forgotten.
        """
        work = work or self._find_named(owner, labels)
        if work and work.metadata.deleting:
            return  # its deletion queues the owner again, which creates it anew
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
            await self._create(owner, spec, wanted)
        else:
            patch = {"metadata": self._marks(owner, wanted, work), "spec": spec}
            await patch_object(self._platform, self._platform.caches.works, WORK, work.metadata, patch)

    def _marks(self, owner: WorkOwner, wanted: Work, have: Work | None = None) -> dict[str, Any]:
        """Labels, annotations and the seal of a Work.

        Given the Work as it is now, they are a patch that also removes everything that is not wanted.
        """
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
            marks["ownerReferences"] = None  # it must not be deleted together with another object
        return marks

    def _spec(self, owner: WorkOwner, groups: Sequence[WorkloadGroup]) -> dict[str, Any]:
        return {
            "promiseName": owner.promise,
            "resourceName": owner.name,
            "workloadGroups": [
                work_group(group, ((each.filepath, self._content(each.blob)) for each in group.workloads))
                for group in groups
            ],
        }

    def _content(self, blob: str) -> str:
        encoded = self._platform.contents.get(blob)
        if encoded is None:
            raise ContentsForgotten(blob)
        return encoded

    async def _create(self, owner: WorkOwner, spec: Mapping[str, Any], wanted: Work) -> None:
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

        def patch_existing(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
            found = self._platform.caches.seals.read_work(answer)
            if found.sealed_for and work_owner(found) != owner.index:
                raise NameTaken(f"the Work {meta.namespace}/{meta.name} is that of {work_owner(found)}")
            if found.metadata.deleting:
                return None
            return {"metadata": self._marks(owner, wanted, found), "spec": dict(spec)}

        await create_or_patch(self._platform, self._platform.caches.works, WORK, body, patch_existing)

    async def remove_all(self, owner: WorkOwner, status: Mapping[str, Any]) -> list[Work]:
        """Starts the deletion of an owner's Works. Returns those with files that may still exist somewhere.

        Where Pods have run for the owner, the API server is asked for Works before the answer is that none is left: the
        Work of a Pod that has just ended may not be in the cache yet, and nobody would remove it afterwards.

        Args:
            owner: the owner, which is being deleted.
            status: of the owner; it says whether Pods have run.
        """
        left = await self._remove_known(owner)
        if left or not has_run(status):
            return left
        await self._learn(owner)
        return await self._remove_known(owner)

    async def _remove_known(self, owner: WorkOwner) -> list[Work]:
        for work in self.to_take_over(owner):
            await self.retire(owner, work)
        for work in self.of(owner):
            await self.delete(work)
        return [work for work in self.of(owner) if names.WORK_CLEANUP in work.metadata.finalizers]

    async def _learn(self, owner: WorkOwner) -> None:
        """Puts the Works that Pods have written for an owner into the cache, as far as it does not have them."""
        caches = self._platform.caches
        listed = await self._platform.client.list(WORK, owner.work_namespace, label_selector=_pods_works(owner))
        for obj in listed.items:
            meta = read_metadata(obj)
            if caches.works.get(meta.namespace, meta.name) is None:
                await caches.learn_work(obj)

    def obstacle(self, works: Sequence[Work]) -> str:
        """What keeps Works that are being deleted: a clause such as ``: the store is away``, or an empty text."""
        placements = [
            placement
            for work in works
            for placement in self._platform.caches.placements.by_index(
                BY_WORK, f"{work.metadata.namespace}/{work.metadata.name}"
            )
        ]
        failures = sorted({failure for each in placements if (failure := read_placement(each).failure)})
        return f": {failures[0]}" if failures else ""

    async def delete(self, work: Work) -> None:
        """Starts the deletion of a Work. Its placements and their files are removed first."""
        await delete_object(self._platform, self._platform.caches.works, WORK, work.metadata)


async def keep_or_make_again(
    made: Made, keep: Callable[[Made], Awaitable[None]], make_again: Callable[[], Awaitable[Made]]
) -> Made:
    """Keeps what was made. When a content that has to be written was forgotten, everything is made again first.

    Args:
        made: what is to be kept.
        keep: keeps it, or raises ContentsForgotten.
        make_again: makes the same once more, with its contents.

    Returns:
        What was kept.
    """
    try:
        await keep(made)
    except ContentsForgotten:
        made = await make_again()
        await keep(made)
    return made


_LOST = (
    "what the pipeline {0} wrote was removed or edited by somebody else; set the label "
    f"{names.MANUAL_RECONCILIATION}=true on the {{1}} to run its pipelines again"
)


def _why_not_the_pods(work: Work, owner: WorkOwner, labels: Mapping[str, str]) -> str:
    """Why a Work cannot be what the Pod of a pipeline wrote for an owner, as the end of a sentence; or nothing."""
    have = {name: value for name, value in _labels(work).items() if name != names.RETIRED}
    if have != labels or (work.promise_name, work.resource_name) != (owner.promise, owner.name):
        return "has the labels or the owner of something else"
    if work.metadata.deleting:
        return "is being deleted"
    if len({group.id for group in work.groups}) < len(work.groups):
        return "has two groups for one directory"
    for group in work.groups:
        if group.id != group_id(group.directory):
            return f"has the group {group.id!r}, which is not that of the directory {group.directory!r}"
        for file in group.workloads:
            if problem := path_problem(file.filepath):
                return f"has the file {file.filepath!r}, whose path {problem}"
            if not file.blob:
                return f"has the file {file.filepath!r}, whose content cannot be read"
    return ""


def _pods_works(owner: WorkOwner) -> str:
    """The label selector of the Works that Pods write for an owner."""
    work_type = names.WORK_TYPE_RESOURCE if owner.name else names.WORK_TYPE_PROMISE
    labels = {**owner.labels, names.WORK_TYPE: work_type}
    absent = (f"!{name}" for name in (names.RESOURCE_NAME, names.RESOURCE_NAMESPACE) if name not in labels)
    return ",".join([*(f"{name}={value}" for name, value in labels.items()), *absent])


def _labels(work: Work) -> dict[str, str]:
    """The labels of a Work that the operator acts on."""
    return {name: value for name, value in work.metadata.labels.items() if name in WORK_LABELS}


def work_name(owner: WorkOwner, labels: Mapping[str, str]) -> str:
    """The name of a Work, computed so that it is readable, and unique for each owner and pipeline."""
    return compute_work_name(
        promise=owner.promise,
        resource=owner.name,
        resource_namespace=owner.namespace if owner.work_namespace != owner.namespace else "",
        pipeline=labels.get(names.PIPELINE_NAME, ""),
    )
