"""Which destinations each workload group goes to (kratix-api.md 4.2), as a pure function.

Where Kratix draws lots, a rendezvous hash decides: every destination gets a score from the owner, the group and
its own name, and the highest wins. So a request that is restored from a backup without its placements lands
where it was, and a new destination draws only the requests that it wins. Rejected: hashing modulo the number of
destinations (one more destination moves nearly everything) and the least loaded one (depends on the order in
which requests arrive, so a restore would shuffle them).

What is placed stays. In detail:

* A placement whose destination no longer matches is *misplaced*: kept, labelled, still updated. Once the
  destination matches again, the label goes (Kratix leaves it).
* A destination that is being deleted gets nothing new. What it holds stays as it is until its clean-up deletes
  the placements; only then is a request's group placed anew, elsewhere.
* A placement whose Destination object is gone stays, too, and counts as misplaced. Moving it would remove its
  files from the store, and the cluster that still reads them would prune a database because somebody replaced a
  Destination by deleting and creating it. When the Destination comes back, its store holds what it held. A
  destination that is gone for good is given up by deleting its placements; their groups are then placed anew.
* More than one placement of a request's group (nobody makes a second one, but people can) all stay.

A dry run is a world of its own: its Works go to destinations labelled ``kratix.io/dry-run=true`` and to no
others, and these receive nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from troth.api import labels as names
from troth.api.objects import Selector, WorkloadGroup

_PRECEDENCE: Final = ("resource-workflow", "promise-workflow", "promise")
_DRY_RUN_SELECTOR: Final = {names.DRY_RUN: "true"}


@dataclass(frozen=True, slots=True)
class Target:
    """A Destination, as scheduling sees it.

    Attributes:
        name: its name.
        labels: its labels.
        strict: an empty selector does not match it, unless it has no labels itself.
        deleting: it is being deleted.
    """

    name: str
    labels: Mapping[str, str]
    strict: bool = False
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Existing:
    """A WorkPlacement that is there and is not being deleted."""

    destination: str
    group_id: str
    misplaced: bool = False


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Where one group goes.

    Attributes:
        group_id: the group.
        destinations: destinations that get or keep it, without the misplaced label.
        misplaced: destinations that keep it although they do not match; labelled.
        unscheduled: nobody has it, and no destination matches.
        wants: the labels that a destination must have; empty means "asks for none".
    """

    group_id: str
    destinations: tuple[str, ...]
    misplaced: tuple[str, ...]
    unscheduled: bool
    wants: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """Where everything goes, in the order of the Work's groups, and the placements to delete."""

    groups: tuple[GroupPlan, ...]
    remove: tuple[Existing, ...]


def effective_selector(selectors: Iterable[Selector]) -> Mapping[str, str]:
    """The labels that all selectors together ask for; on one key the Promise outranks its own pipelines."""
    merged: dict[str, str] = {}
    for selector in sorted(selectors, key=_rank):
        merged.update(selector.match_labels)
    return merged


def schedule(
    *,
    owner: str,
    work_type: str,
    groups: Sequence[WorkloadGroup],
    targets: Sequence[Target],
    existing: Sequence[Existing],
    dry_run: bool = False,
) -> SchedulePlan:
    """Decide where the groups of one Work go.

    Args:
        owner: what the choice depends on besides the group, such as the Work's namespace and name.
        work_type: value of the label ``kratix.io/work-type``; groups of a ``resource`` go to one destination,
            all others to every one that matches.
        groups: the Work's groups.
        targets: all Destinations.
        existing: the Work's placements.
        dry_run: the Work is a dry run's.
    """
    plans = tuple(
        _place(
            owner=owner,
            single=work_type == names.WORK_TYPE_RESOURCE,
            group=group.id,
            wants=_DRY_RUN_SELECTOR if dry_run else effective_selector(group.selectors),
            targets=targets,
            held={placement.destination for placement in existing if placement.group_id == group.id},
            dry_run=dry_run,
        )
        for group in groups
    )
    known = {group.id for group in groups}
    gone = {placement for placement in existing if placement.group_id not in known}
    return SchedulePlan(
        plans, tuple(sorted(gone, key=lambda placement: (placement.group_id, placement.destination)))
    )


def _place(
    *,
    owner: str,
    single: bool,
    group: str,
    wants: Mapping[str, str],
    targets: Sequence[Target],
    held: set[str],
    dry_run: bool,
) -> GroupPlan:
    matching = [target for target in targets if _matches(target, wants, dry_run=dry_run)]
    kept = held & {target.name for target in matching}
    open_to_new = [target.name for target in matching if not target.deleting]
    if not single:
        chosen = kept | set(open_to_new)
    elif held or not open_to_new:
        chosen = kept
    else:
        chosen = {max(open_to_new, key=lambda name: _score(owner, group, name))}
    return GroupPlan(
        group_id=group,
        destinations=tuple(sorted(chosen)),
        misplaced=tuple(sorted(held - kept)),
        unscheduled=not chosen and not held,
        wants=wants,
    )


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
