"""Decides which destinations each workload group goes to (kratix-compatibility.md#scheduling), as a pure function.

Where Kratix chooses at random, a rendezvous hash decides: every destination gets a score from the owner, the group and
its own name, and the highest wins. So a request that is restored from a backup without its placements goes to the same
destination as before, and a new destination only attracts the requests that it wins. Rejected: hashing modulo the
number of destinations (one more destination moves nearly everything) and the least loaded one (depends on the order in
which requests arrive, so a restore would shuffle them).

A destination that is Ready comes before one that is not, and the hash decides among equals: nobody wants to wait for a
store that is not reachable while another could take the files at once (Kratix does not consider this). A destination
that was not checked yet counts as Ready, so that a restore makes the same choice.

Files that are written stay where they are. Before that, a group may still go elsewhere: when its destination is not
Ready and another one is, or when its destination does not match (any more). A group that takes over objects goes where
these are, if that destination matches, whether it is Ready or not. Otherwise another cluster would get new objects of
the same names, and the old ones would be deleted with their data, only because somebody renamed a pipeline. If the
objects are *held* there (see below), the group is placed nowhere until they are released. In detail:

* A placement whose destination no longer matches is *misplaced*: kept and labelled. Once the destination matches again,
  the label is removed (Kratix leaves it).
* Its files are still updated when the destination has changed, or what the Promise asks for. They are *held*, and stay
  as they were written, when the request's pipelines now ask for other labels than before: files that were rendered for
  production must not be written to development because somebody edited one word.
* A destination that is being deleted gets nothing new. Its files stay as they are until its clean-up deletes the
  placements; only then is a request's group placed elsewhere.
* A placement whose Destination object is gone stays, too, and counts as misplaced. Moving it would remove its files
  from the store, and the cluster that still reads them would prune a database because somebody replaced a Destination
  by deleting and creating it. When the Destination is created again, its store still has its files. To give up a
  Destination that is gone for good, delete its placements; their groups are then placed anew.
* If a request's group has more than one placement (Troth never makes a second one, but people can), all of them stay.

Dry runs are separate: their Works go to destinations labelled ``kratix.io/dry-run=true`` and to no others, and these
destinations receive nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from troth.api import find_condition
from troth.api import labels as names
from troth.api.conditions import READY
from troth.api.objects import Destination, Selector, WorkloadGroup

_PRECEDENCE: Final = ("resource-workflow", "promise-workflow", "promise")
_DRY_RUN_SELECTOR: Final = {names.DRY_RUN: "true"}


@dataclass(frozen=True, slots=True)
class Target:
    """The properties of a Destination that matter for scheduling.

    Attributes:
        name: the name of the Destination.
        labels: its labels.
        strict: whether an empty selector does not match it, unless it has no labels itself.
        deleting: whether it is being deleted.
        ready: whether it can take files, as far as is known.
    """

    name: str
    labels: Mapping[str, str]
    strict: bool = False
    deleting: bool = False
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Existing:
    """An existing WorkPlacement that is not being deleted.

    Attributes:
        destination: the Destination's name.
        group_id: its group.
        written: whether something was written to its destination, so that it stays.
        asked: the labels that the pipelines asked for when they made its content, as `describe_labels` writes them;
            None when that is not known.
        misplaced: whether it is labelled as misplaced.
        current: whether it has the current content of its group.
    """

    destination: str
    group_id: str
    written: bool = True
    asked: str | None = None
    misplaced: bool = False
    current: bool = True


@dataclass(frozen=True, slots=True)
class Home:
    """Another placement of the same owner, which has written objects that are now in a group.

    Attributes:
        destination: its Destination.
        placement: the placement's name.
        held: whether its content is held, because the request now asks for another Destination.
    """

    destination: str
    placement: str
    held: bool = False


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """The destinations of one group.

    Attributes:
        group_id: the id of the group.
        destinations: the destinations that get or keep it, without the misplaced label.
        misplaced: the destinations that keep it although they do not match; its placements are labelled.
        held: those of ``misplaced`` that keep their former content, because the request now asks for other labels.
        unscheduled: whether no destination has it and none matches.
        wants: the labels that a destination must have; empty if none are asked for.
        asked: the part of ``wants`` that its pipelines ask for (`asked_by_pipelines`).
        kept_by: other placements that hold its objects, because of which it is placed nowhere.
    """

    group_id: str
    destinations: tuple[str, ...]
    misplaced: tuple[str, ...]
    held: tuple[str, ...]
    unscheduled: bool
    wants: Mapping[str, str]
    asked: Mapping[str, str]
    kept_by: tuple[Home, ...] = ()


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """The destinations of all groups, in the order of the Work, and the placements to delete."""

    groups: tuple[GroupPlan, ...]
    remove: tuple[Existing, ...]


def effective_selector(selectors: Iterable[Selector]) -> Mapping[str, str]:
    """Returns the labels that all selectors ask for; for the same key, the Promise overrides its own pipelines."""
    merged: dict[str, str] = {}
    for selector in sorted(selectors, key=_rank):
        merged.update(selector.match_labels)
    return merged


def describe_labels(labels: Mapping[str, str]) -> str:
    """Returns labels in one line, such as ``environment=prod, region=eu``."""
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def may_be_ready(destination: Destination | None) -> bool:
    """Whether a Destination can take files, as far as is known. True until a check has failed."""
    if destination is None:
        return False
    ready = find_condition(destination.status.get("conditions"), READY) or {}
    return ready.get("status") != "False"


def target_of(destination: Destination) -> Target:
    """Returns the properties of a Destination that matter for scheduling."""
    return Target(
        name=destination.name,
        labels=destination.metadata.labels,
        strict=destination.strict_match_labels,
        deleting=destination.metadata.deleting,
        ready=may_be_ready(destination),
    )


def asked_by_pipelines(selectors: Iterable[Selector]) -> Mapping[str, str]:
    """Returns the part of `effective_selector` that comes from pipelines, which an edit of the request may change."""
    found = list(selectors)
    fixed = effective_selector(selector for selector in found if selector.source == _PRECEDENCE[-1])
    return {key: value for key, value in effective_selector(found).items() if key not in fixed}


def schedule(
    *,
    owner: str,
    work_type: str,
    groups: Sequence[WorkloadGroup],
    targets: Sequence[Target],
    existing: Sequence[Existing],
    homes: Mapping[str, Sequence[Home]] | None = None,
    dry_run: bool = False,
) -> SchedulePlan:
    """Decides where the groups of one Work go.

    Args:
        owner: a text on which the choice depends besides the group, such as the Work's namespace and name.
        work_type: value of the label ``kratix.io/work-type``; groups of a ``resource`` go to one destination,
            all others to every one that matches.
        groups: the Work's groups.
        targets: all Destinations.
        existing: the Work's placements.
        homes: by group, the other placements that hold objects of it.
        dry_run: whether the Work belongs to a dry run.
    """
    plans = tuple(
        _place(
            owner=owner,
            single=work_type == names.WORK_TYPE_RESOURCE,
            group=group,
            wants=_DRY_RUN_SELECTOR if dry_run else effective_selector(group.selectors),
            targets=targets,
            existing=[placement for placement in existing if placement.group_id == group.id],
            homes=(homes or {}).get(group.id, ()),
            dry_run=dry_run,
        )
        for group in groups
    )
    kept = {(plan.group_id, name) for plan in plans for name in (*plan.destinations, *plan.misplaced)}
    gone = {placement for placement in existing if (placement.group_id, placement.destination) not in kept}
    return SchedulePlan(
        plans, tuple(sorted(gone, key=lambda placement: (placement.group_id, placement.destination)))
    )


def _place(
    *,
    owner: str,
    single: bool,
    group: WorkloadGroup,
    wants: Mapping[str, str],
    targets: Sequence[Target],
    existing: Sequence[Existing],
    homes: Sequence[Home],
    dry_run: bool,
) -> GroupPlan:
    matching = [target for target in targets if _matches(target, wants, dry_run=dry_run)]
    open_to_new = [target for target in matching if not target.deleting]
    asked = asked_by_pipelines(group.selectors)
    kept_by: tuple[Home, ...] = ()
    if single and not any(placement.written for placement in existing):
        there = {placement.destination for placement in existing}
        candidates = open_to_new or [target for target in matching if target.name in there]
        fitting = {target.name for target in candidates}
        kept_by = tuple(home for home in homes if home.held and home.destination not in fitting)
        at_home = {home.destination for home in homes}
        # A destination that is no better than the current one does not justify a move.
        best = max(
            candidates,
            key=lambda target: (
                target.name in at_home,
                target.ready,
                target.name in there,
                _score(owner, group.id, target.name),
            ),
            default=None,
        )
        chosen, misplaced, held = {best.name} if best and not kept_by else set(), set(), set()
    else:
        there = {placement.destination for placement in existing}
        chosen = there & {target.name for target in matching}
        if not single:
            chosen |= {target.name for target in open_to_new}
        misplaced = there - chosen
        held = {
            placement.destination
            for placement in existing
            if single and placement.destination in misplaced and _is_held(placement, asked)
        }
    return GroupPlan(
        group_id=group.id,
        destinations=tuple(sorted(chosen)),
        misplaced=tuple(sorted(misplaced)),
        held=tuple(sorted(held)),
        unscheduled=not chosen and not misplaced and not kept_by,
        wants=wants,
        asked=asked,
        kept_by=kept_by,
    )


def _is_held(placement: Existing, asked: Mapping[str, str]) -> bool:
    """Whether a placement on a destination that does not match keeps its former content.

    For a placement from before this was recorded, its label decides: after a change of the destination it is labelled
    already, while an edit of the request arrives together with the new content.
    """
    if placement.asked is None:
        return not placement.misplaced and not placement.current and bool(asked)
    return placement.asked != describe_labels(asked)


def _matches(target: Target, wants: Mapping[str, str], *, dry_run: bool) -> bool:
    if not dry_run and target.labels.get(names.DRY_RUN) == "true":
        return False
    if not wants:
        return not (target.strict and target.labels)
    return all(target.labels.get(key) == value for key, value in wants.items())


def _score(owner: str, group: str, destination: str) -> bytes:
    return hashlib.sha256(f"{owner}\0{group}\0{destination}".encode()).digest()


def _rank(selector: Selector) -> int:
    return _PRECEDENCE.index(selector.source) if selector.source in _PRECEDENCE else -1
