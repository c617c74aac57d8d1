"""Plans the changes to the WorkPlacements of a Work that scheduling asks for, as a pure function.

Scheduling (scheduling.py) decides which Destinations each group goes to, from the little that it needs to know about
placements. Here its result is compared with the placements themselves: which of them are as they should be, which get
another content or other labels, and which are deleted. What costs time is left to the code that carries out a step:
whether the Destination allows the content, and reading the content.

A step says what is wanted and not what differs. So each may be repeated, and once all are done the next plan is empty.

Rejected: *writing every placement and leaving the comparison to the API server* (even an unchanged placement costs a
request, which makes ten thousand requests after every restart).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from troth.api import labels as names
from troth.api.objects import Work, WorkloadGroup, WorkPlacement
from troth.engine.placement.scheduling import GroupPlan, SchedulePlan, describe_labels

Slot = tuple[str, str]
"""A Destination's name and a group's id, which identify a placement within a Work."""

# No selector looks like this, so a placement with it on record stays held until its Destination matches.
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Marks:
    """Labels and annotations of a placement. The value is None for those that it must not have."""

    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]

    def as_patch(self, seal: str) -> dict[str, Any]:
        """Returns the merge patch of ``metadata``, with the seal among the annotations."""
        return {"labels": dict(self.labels), "annotations": {**self.annotations, names.SEAL: seal}}


@dataclass(frozen=True, slots=True)
class Apply:
    """Create a placement, or give it the current content of its group, if its Destination allows that.

    Attributes:
        group: the group whose files it holds.
        destination: the name of its Destination.
        placement: the existing placement; None to create one.
        marks: its labels and annotations.
        misplaced: whether the labels of its Destination do not match.
    """

    group: WorkloadGroup
    destination: str
    placement: WorkPlacement | None
    marks: Marks
    misplaced: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """Label a placement as misplaced, note the labels that were asked for, and leave its content as it is."""

    placement: WorkPlacement
    asked: str

    @property
    def held(self) -> WorkPlacement:
        """The placement after this step."""
        meta = self.placement.metadata
        labels = {**meta.labels, names.MISPLACED: "true"}
        annotations = {**meta.annotations, names.ASKED_FOR: self.asked}
        return replace(self.placement, metadata=replace(meta, labels=labels, annotations=annotations))


@dataclass(frozen=True, slots=True)
class Withhold:
    """Leave a placement as it is, or do not create it, because its new content is not acceptable."""

    problem: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete a placement.

    ``outlives_group``: whether its group is gone, so that its files may be moving to another group and must arrive
    first.
    """

    placement: WorkPlacement
    outlives_group: bool


Step = Apply | Hold | Withhold | Remove


def plan_placements(
    work: Work,
    plan: SchedulePlan,
    existing: Mapping[Slot, WorkPlacement],
    *,
    rules: Mapping[str, str],
    withheld: Mapping[tuple[str, str], str],
) -> tuple[Step, ...]:
    """Plans the steps for the placements of a Work. A placement that is being deleted is left alone until it is gone.

    Args:
        work: the Work.
        plan: the Destinations of its groups.
        existing: its placements, including those that are being deleted.
        rules: the `fingerprint` of the rules by Destination, without Destinations that allow everything.
        withheld: by group and Destination, why new content must not be placed there.
    """
    return (*_kept(work, plan, existing, rules, withheld), *_gone(work, plan, existing))


def destinations_of(group: GroupPlan) -> list[tuple[str, bool]]:
    """Returns the Destinations that a group has or gets, and whether each counts as misplaced."""
    return [(name, False) for name in group.destinations] + [(name, True) for name in group.misplaced]


def marks_of(
    work: Work, group_id: str, destination: str, *, misplaced: bool, asked: str | None, rules: str | None
) -> Marks:
    """Returns the labels and annotations of a placement.

    Args:
        work: its Work.
        group_id: its group.
        destination: its Destination.
        misplaced: whether the labels of the Destination do not match.
        asked: the labels that the pipelines asked for when they made its content, as `describe_labels` writes them;
            None for no content.
        rules: the `fingerprint` of its Destination's rules; None if everything is allowed.
    """
    return Marks(
        labels={
            names.WORK: work.metadata.name,
            names.WORKLOAD_GROUP_ID: group_id,
            names.TARGET_DESTINATION: destination,
            names.PIPELINE_NAME: work.metadata.labels.get(names.PIPELINE_NAME),
            names.RESOURCE_NAMESPACE: work.metadata.labels.get(names.RESOURCE_NAMESPACE),
            names.MISPLACED: "true" if misplaced else None,
        },
        annotations={names.ASKED_FOR: asked, names.ALLOWED: rules},
    )


def _kept(
    work: Work,
    plan: SchedulePlan,
    existing: Mapping[Slot, WorkPlacement],
    rules: Mapping[str, str],
    withheld: Mapping[tuple[str, str], str],
) -> Iterator[Step]:
    groups = {group.id: group for group in work.groups}
    for group_plan in plan.groups:
        group = groups[group_plan.group_id]
        for destination, misplaced in destinations_of(group_plan):
            placement = existing.get((destination, group.id))
            if placement and placement.metadata.deleting:
                continue  # once it is gone the Work is queued again, and then it is created anew
            if placement and destination in group_plan.held:
                yield from _hold(placement)
                continue
            has_content = placement is not None and placement.workloads == group.workloads
            if not has_content and (problem := withheld.get((group.id, destination))):
                yield Withhold(problem)
                continue
            marks = marks_of(
                work,
                group.id,
                destination,
                misplaced=misplaced,
                asked=describe_labels(group_plan.asked),
                rules=rules.get(destination),
            )
            if not (placement and _is_as_wanted(work, placement, group, destination, marks)):
                yield Apply(group, destination, placement, marks, misplaced)


def _hold(placement: WorkPlacement) -> Iterator[Step]:
    meta = placement.metadata
    asked = meta.annotations.get(names.ASKED_FOR, _UNKNOWN)
    is_held = (meta.labels.get(names.MISPLACED), meta.annotations.get(names.ASKED_FOR)) == ("true", asked)
    # The content of a placement without a seal may not be what was asked for, so it cannot be sealed; its files stay.
    if placement.sealed_for and not is_held:
        yield Hold(placement, asked)


def _gone(work: Work, plan: SchedulePlan, existing: Mapping[Slot, WorkPlacement]) -> Iterator[Step]:
    groups = {group.id for group in work.groups}
    for gone in plan.remove:
        placement = existing.get((gone.destination, gone.group_id))
        if placement is not None and not placement.metadata.deleting:
            yield Remove(placement, outlives_group=gone.group_id not in groups)


def _is_as_wanted(
    work: Work, placement: WorkPlacement, group: WorkloadGroup, destination: str, marks: Marks
) -> bool:
    meta = placement.metadata
    return (
        placement.workloads == group.workloads
        and (placement.destination, placement.group_id) == (destination, group.id)
        and (placement.promise_name, placement.resource_name) == (work.promise_name, work.resource_name)
        and all(meta.labels.get(name) == value for name, value in marks.labels.items())
        # A placement from before this was recorded gets it with its next content, so that a restart writes nothing.
        and meta.annotations.get(names.ASKED_FOR) in (None, marks.annotations[names.ASKED_FOR])
        and marks.annotations[names.ALLOWED] in (None, meta.annotations.get(names.ALLOWED))
        and placement.sealed_for == work.sealed_for
    )
