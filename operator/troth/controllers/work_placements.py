"""Finds the WorkPlacements of a Work, writes them with the operator's seal, and deletes them.

What has to be done to them is planned in `troth.engine.placement.placements`, and done here. Placements are created
with their finalizers, so that adding them does not need another write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from troth.api import labels as names
from troth.api.naming import short_group_id
from troth.api.objects import Destination, ObjectMeta, Work, Workload, WorkPlacement
from troth.api.resources import WORK, WORK_PLACEMENT
from troth.controllers.caches import BY_CLAIM, BY_WORK
from troth.controllers.object_writes import create_or_patch, delete_object, object_reference, patch_object
from troth.controllers.owners import claim_of_work, is_named_for, slot_of
from troth.controllers.placement_claims import contents_of_work, find_contents
from troth.controllers.platform import Platform
from troth.engine.placement.placements import Apply, Hold, Marks, Slot, marks_of
from troth.engine.placement.work import placement_name

Contents = Mapping[str, Sequence[Mapping[str, str]]]
"""The files of each group, by its id; a file has a ``filepath`` and its encoded ``content``."""


class WorkPlacements:
    """Reads and writes the placements of Works."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    # ---- reading

    def of(self, namespace: str, work: str) -> list[WorkPlacement]:
        """The sealed placements of the Work with this name. The Work itself may be gone."""
        found = self._platform.caches.placements.by_index(BY_WORK, f"{namespace}/{work}")
        return sorted(found, key=lambda placement: placement.metadata.name)

    def former(self, work: Work) -> list[WorkPlacement]:
        """The placements without a valid seal that nevertheless hold files of a Work (`is_of_old`).

        Their names say on which Destinations they are, and names cannot be changed.
        """
        meta = work.metadata
        found = self._platform.caches.placements.by_index(BY_CLAIM, claim_of_work(meta.namespace, meta.name))
        return [placement for placement in found if is_named_for(meta.name, placement)]

    def existing(self, work: Work) -> dict[Slot, WorkPlacement]:
        """The placements of a Work by destination and group: the sealed ones, and those that it takes over."""
        meta = work.metadata
        former = {slot_of(meta.name, placement): placement for placement in self.former(work)}
        return former | {(each.destination, each.group_id): each for each in self.of(meta.namespace, meta.name)}

    async def contents(self, work: Work) -> Contents:
        """The files of a Work with their contents, from memory or from the API server.

        Raises:
            ContentsChanged: the Work on the API server does not hold what was sealed any more.
        """
        found: dict[str, list[Mapping[str, str]]] = {}
        for group in work.groups:
            workloads: list[Mapping[str, str]] = []
            for workload in group.workloads:
                encoded = self._platform.contents.get(workload.blob)
                if encoded is None:
                    return await self._fetch(work)
                workloads.append({"filepath": workload.filepath, "content": encoded})
            found[group.id] = workloads
        return found

    async def _fetch(self, work: Work) -> Contents:
        obj = await self._platform.client.get(WORK, work.metadata.name, work.metadata.namespace)
        files = [workload for group in work.groups for workload in group.workloads]
        found = iter(await find_contents(files, contents_of_work(obj)))
        return {group.id: [dict(next(found)) for _ in group.workloads] for group in work.groups}

    # ---- writing

    async def apply(
        self, work: Work, step: Apply, files: Sequence[Mapping[str, str]], target: Destination | None
    ) -> None:
        """Creates a placement, or gives it the files that its group has now.

        Args:
            work: the Work.
            step: which placement, and with which labels and annotations.
            files: the files of its group, with their contents.
            target: its Destination.
        """
        spec = _spec(work, step.group.id, step.destination, files)
        placement = step.placement
        if placement is None:
            await self._create(work, step, spec, target)
            return
        name = placement.metadata.name
        seal = self._seal(work, name, step.destination, step.group.id, step.group.workloads, step.marks)
        patch = step.marks.as_patch(seal)
        if not placement.sealed_for and placement.metadata.owner_uids != (work.metadata.uid,):
            patch["ownerReferences"] = _owner_references(work)
        await self._patch(placement, {"metadata": patch, "spec": spec})
        if step.misplaced:
            self._announce_misplaced(placement, "no longer match the expected labels")

    async def hold(self, step: Hold) -> None:
        """Labels a placement as misplaced, and leaves its content as it is."""
        seal = self._platform.caches.seals.seal_placement(step.held, step.placement.sealed_for)
        marks = {
            "labels": {names.MISPLACED: "true"},
            "annotations": {names.ASKED_FOR: step.asked, names.SEAL: seal},
        }
        if await self._patch(step.placement, {"metadata": marks}):
            self._announce_misplaced(step.placement, "are not those that the request asks for now")

    async def claim_leaving(self, work: Work, placement: WorkPlacement) -> None:
        """Seals a former placement of a Work as empty, so that its files can be removed or handed over."""
        destination, group_id = slot_of(work.metadata.name, placement)
        marks = marks_of(work, group_id, destination, misplaced=False, asked=None, rules=None)
        spec = _spec(work, group_id, destination, [])
        seal = self._seal(work, placement.metadata.name, destination, group_id, (), marks)
        await self._patch(placement, {"metadata": marks.as_patch(seal), "spec": spec})

    async def remove(self, work: Work, placement: WorkPlacement) -> None:
        """Starts the deletion of a placement that its Work does not want any more."""
        if not placement.sealed_for:
            await self.claim_leaving(work, placement)
        await self.delete(placement)

    async def delete(self, placement: WorkPlacement) -> None:
        """Starts the deletion of a placement without changing it first."""
        placements = self._platform.caches.placements
        await delete_object(self._platform, placements, WORK_PLACEMENT, placement.metadata)

    async def _create(self, work: Work, step: Apply, spec: Mapping[str, Any], target: Destination | None) -> None:
        group, marks = step.group, step.marks
        finalizers = [names.REPO_CLEANUP]
        if target and target.mode == "none":
            finalizers.append(names.DOT_FILES_CLEANUP)
        name = placement_name(work.metadata.name, step.destination, short_group_id(group.id))
        seal = self._seal(work, name, step.destination, group.id, group.workloads, marks)
        body = {
            "apiVersion": WORK_PLACEMENT.api_version,
            "kind": WORK_PLACEMENT.kind,
            "metadata": {
                "name": name,
                "namespace": work.metadata.namespace,
                "labels": _present(marks.labels),
                "annotations": {**_present(marks.annotations), names.SEAL: seal},
                "finalizers": finalizers,
                "ownerReferences": _owner_references(work),
            },
            "spec": dict(spec),
        }

        def patch_existing(live: Mapping[str, Any]) -> Mapping[str, Any] | None:
            if "deletionTimestamp" in live["metadata"]:
                return None
            metadata = {**marks.as_patch(seal), "ownerReferences": _owner_references(work)}
            return {"metadata": metadata, "spec": spec}

        await create_or_patch(
            self._platform, self._platform.caches.placements, WORK_PLACEMENT, body, patch_existing
        )

    def _seal(
        self,
        work: Work,
        name: str,
        destination: str,
        group_id: str,
        workloads: tuple[Workload, ...],
        marks: Marks,
    ) -> str:
        wanted = WorkPlacement(
            metadata=ObjectMeta(
                name=name,
                namespace=work.metadata.namespace,
                labels=_present(marks.labels),
                annotations=_present(marks.annotations),
            ),
            destination=destination,
            promise_name=work.promise_name,
            resource_name=work.resource_name,
            group_id=group_id,
            workloads=workloads,
            status={},
        )
        return self._platform.caches.seals.seal_placement(wanted, work.sealed_for)

    async def _patch(self, placement: WorkPlacement, patch: Mapping[str, Any]) -> bool:
        """Patches a placement. Returns False when it is gone; its deletion queues its Work again."""
        placements = self._platform.caches.placements
        answer = await patch_object(self._platform, placements, WORK_PLACEMENT, placement.metadata, patch)
        return answer is not None

    def _announce_misplaced(self, placement: WorkPlacement, how: str) -> None:
        if names.MISPLACED not in placement.metadata.labels:
            self._platform.events.record(
                object_reference(WORK_PLACEMENT, placement.metadata),
                type="Warning",
                reason="DestinationSelectorMismatch",
                message=f"labels for destination: {placement.destination} {how}, "
                "marking this workplacement as misplaced",
                action="Schedule",
            )


def _spec(work: Work, group_id: str, destination: str, files: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {
        "targetDestinationName": destination,
        "workloads": list(files),
        "promiseName": work.promise_name,
        "resourceName": work.resource_name,
        "id": group_id,
        "generation": work.metadata.generation,
    }


def _present(marks: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in marks.items() if value is not None}


def _owner_references(work: Work) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": WORK.api_version,
            "kind": WORK.kind,
            "name": work.metadata.name,
            "uid": work.metadata.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
