"""Plans how files get to the place where they are wanted, and away from where they were.

All decisions are made in the plan, and its steps are carried out one after another. It can be interrupted anywhere,
also by a store that goes away or by a change of the wanted place: the next steps are then planned again from the record
in the status, and every step may be repeated. However often it is interrupted, these promises hold:

* The files are removed from a place only when all of them are at another.
* Files are removed only from places that are on record.
* Every place that may hold files is on record, so none is forgotten.
* A move waits only for a store that exists and is still at the address of the files.

The very first place is not recorded before it is written, which would cost every request a write of its status. If the
operator is interrupted between that write and its record, it finds the files again where the Destination wants them.

Two stores may be the same place: the same branch, the same folder, the same cluster. If they hold files, the files stay
where they are, and the old store forgets them (`Release`); files that are no longer wanted are removed by the new
store's writer, which alone knows what is wanted there. On a cluster, the new store has taken over the wanted objects,
and the objects that are still in the old store's inventory can be removed.

Rejected: *removing first* (a GitOps tool that reads in between deletes what is wanted, with its data); *a list of steps
in the status* (the record of places is enough, and cannot contradict what the Destination wants by now); *asking the
stores while the plan is carried out* (the next step would depend on the time of asking, and could not be tested without
stores).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from troth.api.store_kinds import StoreRef
from troth.engine.placement.locations import Location, Whereabouts

Loss = Literal["is gone", "is somewhere else now"]


@dataclass(frozen=True, slots=True)
class StoreState:
    """What is known about a state store that exists.

    Attributes:
        address: where it is (`StoreKind.address_of`); empty while that is not known.
        ready: whether it can be written to.
        problem: why it cannot be written to, if that is known.
    """

    address: str = ""
    ready: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Record that files may also be at these places, besides the location that is on record."""

    also: tuple[Location, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Write all wanted files at a location."""

    location: Location


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the files at a location.

    Attributes:
        location: the location of the files; its address is known.
        through: the store whose writer removes the files.
        apart: whether other files of the owner stay at the same address, so that these are treated as another owner's.
    """

    location: Location
    through: StoreRef
    apart: bool = False


@dataclass(frozen=True, slots=True)
class TakeOut:
    """Remove the owner's part from a file that is shared with others."""

    location: Location
    through: StoreRef


@dataclass(frozen=True, slots=True)
class Release:
    """Make a store forget the owner. The files stay, and belong to another store by now."""

    location: Location
    store: StoreRef


@dataclass(frozen=True, slots=True)
class Abandon:
    """Give up the files at a location, which nobody can remove. They stay, and others may use their paths."""

    location: Location
    loss: Loss


@dataclass(frozen=True, slots=True)
class Wait:
    """Plan again when a store is ready, which is needed for a step at a location."""

    location: Location
    store: StoreRef
    problem: str


@dataclass(frozen=True, slots=True)
class Record:
    """Record that the files are at a location and nowhere else."""

    location: Location


Leave = Remove | TakeOut | Release | Abandon
Step = Note | Write | Leave | Wait | Record
Stores = Mapping[StoreRef, StoreState]
"""The state stores that exist. Any other store is gone."""


def plan_move(recorded: Whereabouts, wanted: Location, stores: Stores) -> tuple[Step, ...]:
    """Plans the steps until the files are where they are wanted, and nowhere else.

    The steps must be taken in their order, up to one that fails. A plan ends with `Record`, or else with `Wait`. When
    everything is where it should be, the plan is `Write` and `Record`, neither of which changes anything.

    Args:
        recorded: the record in the status.
        wanted: the location at which the files must be.
        stores: the stores that exist.
    """
    store = stores.get(wanted.store)
    if store is None or not store.ready or store.address != wanted.address:
        return (Wait(wanted, wanted.store, store.problem if store else "it does not exist"),)
    before: list[Step] = []
    if recorded.places and wanted not in recorded.places and not wanted.is_empty:
        before.append(Note((*recorded.also, wanted)))
    others = (place for place in recorded.places if place != wanted)
    after = _waiting_last([step for place in others for step in _leave(place, wanted, stores)])
    waits = bool(after) and isinstance(after[-1], Wait)
    return (*before, Write(wanted), *after, *(() if waits else (Record(wanted),)))


def plan_removal(places: Sequence[Location], stores: Stores) -> tuple[Leave | Wait, ...]:
    """Plans the steps until an owner has no files anywhere, which is the case when all steps have succeeded.

    Args:
        places: every place that may hold files, without repetitions. The first is the wanted one, if that is known:
            others may share a file there, and keep their part of it.
        stores: the stores that exist.
    """
    steps: list[Leave | Wait] = []
    for number, place in enumerate(places):
        first = places[0]
        if number and (place.is_shared or (_is_of_files(place) and place.is_same_place(first))):
            steps += _leave(place, first, stores)
        else:
            steps += _clear(place, place.store, stores, keep_others=True)
    return _waiting_last(steps)


def _waiting_last(steps: Sequence[Leave | Wait]) -> tuple[Leave | Wait, ...]:
    """Moves the waits to the end, and keeps only the first, so that nothing that can be done now is delayed."""
    waits = [step for step in steps if isinstance(step, Wait)]
    return (*(step for step in steps if not isinstance(step, Wait)), *waits[:1])


def _leave(place: Location, wanted: Location, stores: Stores) -> Iterator[Leave | Wait]:
    """Yields the steps to leave a place, after everything is at another one."""
    old = _at_its_address(place, stores)
    if not old.is_at_address_of(wanted):
        yield from _clear(old, old.store, stores)
        return
    is_there = _is_at(stores.get(old.store), old.address)
    alike = old.is_shared == wanted.is_shared  # if so, the owner has the same name at both places
    if not _is_of_files(old):
        if is_there and not (alike and old.store == wanted.store):
            yield from _clear(old, old.store, stores)
        return
    through = wanted.store if _is_at(stores.get(wanted.store), old.address) else old.store
    if left := old.without(wanted):
        yield from _clear(left, through, stores, apart=alike and through == wanted.store)
    if is_there and old.store != through:
        yield Release(old, old.store)


def _clear(
    place: Location, through: StoreRef, stores: Stores, *, apart: bool = False, keep_others: bool = False
) -> Iterator[Leave | Wait]:
    """Yields the step by which a store's writer removes the files at a place, if that is possible."""
    if place.is_empty:
        return
    old, store = _at_its_address(place, stores), stores.get(through)
    if store is None:
        yield Abandon(old, "is gone")
    elif not _is_at(store, old.address):
        yield Abandon(old, "is somewhere else now")
    elif not store.ready:
        yield Wait(old, through, store.problem)
    elif keep_others and old.is_shared:
        yield TakeOut(old, through)
    else:
        yield Remove(old, through, apart=apart)


def _at_its_address(place: Location, stores: Stores) -> Location:
    """Returns the place with the current address of its store, if none was recorded."""
    store = stores.get(place.store)
    return replace(place, address=store.address) if store and not place.address else place


def _is_at(store: StoreState | None, address: str) -> bool:
    """Whether a store exists and is at an address, or may be there because its own is not known."""
    return store is not None and store.address in {"", address}


def _is_of_files(place: Location) -> bool:
    return place.store.holds_files
