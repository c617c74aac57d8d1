"""What is to be done to the WorkPlacements of a Work, so that they are as scheduling wants them: a pure function.

Scheduling (scheduling.py) says which Destinations each group goes to, from what little it needs to know of a placement.
Here that meets the placements themselves: which of them are as they should be, which get another content or other
labels, and which go. Whoever carries it out asks what only costs something when there is something to do: whether the
Destination allows the content, and the content itself.

A step says what is wanted and not what differs, so each may be repeated, and a second look at what was done answers
none.

Rejected: *to write every placement and leave the comparison to the API server* (an unchanged patch costs a request for
each, and ten thousand of them after every restart).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from troth.api import labels as names
from troth.api.objects import Work, WorkloadGroup, WorkPlacement
from troth.engine.placement.scheduling import GroupPlan, SchedulePlan, describe_labels

Slot = tuple[str, str]
"""A Destination's name and a group's id: each placement of a Work has another one."""

# No selector is written like this, so a placement that has it as its record stays held until its Destination matches.
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Marks:
    """Labels and annotations of a placement; None for those that it must not have."""

    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]

    def as_patch(self, seal: str) -> dict[str, Any]:
        """The merge patch of ``metadata``, with the seal among the annotations."""
        return {"labels": dict(self.labels), "annotations": {**self.annotations, names.SEAL: seal}}


@dataclass(frozen=True, slots=True)
class Apply:
    """Make a placement, or give one what its group has now, if its Destination allows that.

    Attributes:
        group: what it is to hold.
        destination: where.
        placement: the one that is there; None to make it.
        marks: its labels and annotations.
        misplaced: its Destination does not match.
    """

    group: WorkloadGroup
    destination: str
    placement: WorkPlacement | None
    marks: Marks
    misplaced: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """Label a placement as misplaced and note what was asked for, and leave its content as it is."""

    placement: WorkPlacement
    asked: str

    @property
    def held(self) -> WorkPlacement:
        """The placement as it is to be."""
        meta = self.placement.metadata
        labels = {**meta.labels, names.MISPLACED: "true"}
        annotations = {**meta.annotations, names.ASKED_FOR: self.asked}
        return replace(self.placement, metadata=replace(meta, labels=labels, annotations=annotations))


@dataclass(frozen=True, slots=True)
class Withhold:
    """Leave a placement as it is, or missing, because of what its content is."""

    problem: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete a placement.

    ``outlives_group``: its group is gone, so what it held may be on its way to another one, and has to arrive first.
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
    """What is to be done to the placements of a Work. One that is being deleted is left alone: its end comes first.

    Args:
        work: the Work.
        plan: where its groups go.
        existing: its placements, those that are being deleted among them.
        rules: by Destination, the note of what it allows (`fingerprint`); without those that allow everything.
        withheld: by group and Destination, why new content must not go there.
    """
    return (*_kept(work, plan, existing, rules, withheld), *_gone(work, plan, existing))


def destinations_of(group: GroupPlan) -> list[tuple[str, bool]]:
    """The Destinations that a group has or gets, and whether each counts as misplaced."""
    return [(name, False) for name in group.destinations] + [(name, True) for name in group.misplaced]


def marks_of(
    work: Work, group_id: str, destination: str, *, misplaced: bool, asked: str | None, rules: str | None
) -> Marks:
    """The labels and annotations of a placement.

    Args:
        work: its Work.
        group_id: its group.
        destination: where it is.
        misplaced: the Destination does not match.
        asked: what the pipelines asked for that made its content, as `describe_labels` writes it; None for no content.
        rules: the note of what its Destination allows; None for everything.
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
                continue  # its end queues the Work again, which makes it anew
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
    # What one without a seal holds is not known to be what was asked for, so it cannot be sealed; its files stay.
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
        # One from before this was recorded learns it with the next content: a restart writes nothing.
        and meta.annotations.get(names.ASKED_FOR) in (None, marks.annotations[names.ASKED_FOR])
        and marks.annotations[names.ALLOWED] in (None, meta.annotations.get(names.ALLOWED))
        and placement.sealed_for == work.sealed_for
    )
