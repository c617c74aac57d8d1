"""Which destinations each workload group goes to (kratix-compatibility.md#scheduling), as a pure function.

Where Kratix draws lots, a rendezvous hash decides: every destination gets a score from the owner, the group and
its own name, and the highest wins. So a request that is restored from a backup without its placements lands
where it was, and a new destination draws only the requests that it wins. Rejected: hashing modulo the number of
destinations (one more destination moves nearly everything) and the least loaded one (depends on the order in
which requests arrive, so a restore would shuffle them).

A destination that is Ready comes before one that is not, and the hash decides among equals: nobody wants to wait
for a store that is away while another would take the files at once (Kratix does not look). A destination that
nobody has looked at yet counts as Ready, so a restore chooses as before.

What is written stays. Until then a group may still go elsewhere: when its destination is not Ready and another
one is, or when its destination does not match (any more). A group that takes over objects goes where these are,
if that destination matches, be it Ready or not: another cluster would get new objects of the same names, and
the old ones would go with what is in them, because somebody gave a pipeline another name. If they are *held*
there (see below), the group is placed nowhere until they are let go. In detail:

* A placement whose destination no longer matches is *misplaced*: kept and labelled. Once the destination matches
  again, the label goes (Kratix leaves it).
* Its files are still updated when it is the destination that has changed, or what the Promise asks for. They are
  *held*, and stay as they were written, when the pipelines of the request ask for something else than they did then:
  what was rendered for production must not be written to development because somebody edited one word.
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

from troth.api import find_condition
from troth.api import labels as names
from troth.api.conditions import READY
from troth.api.objects import Destination, Selector, WorkloadGroup

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
        ready: it is not known to be unable to take files.
    """

    name: str
    labels: Mapping[str, str]
    strict: bool = False
    deleting: bool = False
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Existing:
    """A WorkPlacement that is there and is not being deleted.

    Attributes:
        destination: the Destination's name.
        group_id: its group.
        written: something has been written to its destination, so it stays.
        asked: what the pipelines asked for that made the content that it has, as `describe_labels` writes it; None
            when that is not known.
        misplaced: it is labelled as misplaced.
        current: it has the content that its group has now.
    """

    destination: str
    group_id: str
    written: bool = True
    asked: str | None = None
    misplaced: bool = False
    current: bool = True


@dataclass(frozen=True, slots=True)
class Home:
    """Another placement of the same owner that wrote objects of a group.

    Attributes:
        destination: its Destination.
        placement: its name.
        held: its content is held, because the request asks for another Destination than it did.
    """

    destination: str
    placement: str
    held: bool = False


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Where one group goes.

    Attributes:
        group_id: the group.
        destinations: destinations that get or keep it, without the misplaced label.
        misplaced: destinations that keep it although they do not match; labelled.
        held: those of ``misplaced`` that keep the content they have, because the request asks for others now.
        unscheduled: nobody has it, and no destination matches.
        wants: the labels that a destination must have; empty means "asks for none".
        asked: the part of ``wants`` that its pipelines ask for: see `asked_by_pipelines`.
        kept_by: others that hold its objects, and because of whom it is placed nowhere.
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
    """Where everything goes, in the order of the Work's groups, and the placements to delete."""

    groups: tuple[GroupPlan, ...]
    remove: tuple[Existing, ...]


def effective_selector(selectors: Iterable[Selector]) -> Mapping[str, str]:
    """The labels that all selectors together ask for; on one key the Promise outranks its own pipelines."""
    merged: dict[str, str] = {}
    for selector in sorted(selectors, key=_rank):
        merged.update(selector.match_labels)
    return merged


def describe_labels(labels: Mapping[str, str]) -> str:
    """Labels in one line: ``environment=prod, region=eu``."""
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def may_be_ready(destination: Destination | None) -> bool:
    """Whether a Destination can take files, as far as is known: nobody has found that it cannot."""
    if destination is None:
        return False
    ready = find_condition(destination.status.get("conditions"), READY) or {}
    return ready.get("status") != "False"


def target_of(destination: Destination) -> Target:
    """A Destination as scheduling sees it."""
    return Target(
        name=destination.name,
        labels=destination.metadata.labels,
        strict=destination.strict_match_labels,
        deleting=destination.metadata.deleting,
        ready=may_be_ready(destination),
    )


def asked_by_pipelines(selectors: Iterable[Selector]) -> Mapping[str, str]:
    """The part of `effective_selector` that comes from pipelines, and so may change with an edit of the request."""
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
    """Decide where the groups of one Work go.

    Args:
        owner: what the choice depends on besides the group, such as the Work's namespace and name.
        work_type: value of the label ``kratix.io/work-type``; groups of a ``resource`` go to one destination,
            all others to every one that matches.
        groups: the Work's groups.
        targets: all Destinations.
        existing: the Work's placements.
        homes: by group, who else holds objects of it.
        dry_run: the Work is a dry run's.
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
        # A destination that is only as good as the one that is about to get it does not justify a new beginning.
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
    """Whether a placement on a destination that does not match keeps its content.

    One from before this was recorded tells by its label: a change of the destination has labelled it already, while
    an edit of the request arrives with the new content.
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
