"""How files come to where they are wanted, and away from where they were: a plan, made from what is known.

The plan decides and nobody else does; whoever carries it out takes one step after the other. It can be interrupted
anywhere, also by a store that goes away or by somebody who wants another place by now: what is done next is planned
anew from the record in the status, and every step may be repeated. Whatever is interrupted how often:

* The files are removed from one place only when all of them are at another.
* Files are removed only from places that are on record.
* Every place that may hold files is on record, so none is forgotten.
* A move waits only for a store that exists and still is where the files are.

The first place of all is not noted before it is written, which would cost every request a write of its status. Whoever
is interrupted between that write and its record finds the files again where its Destination wants them.

Two stores may be one place: the same branch, the same folder, the same cluster. In a place of files the files then stay
where they are, and the store that was left forgets them (`Release`); what is not wanted any more is removed by the new
store's writer, which alone knows what is wanted there. On a cluster, what is wanted has been taken over by the new
store, and what the old one still has on its inventory can go.

Rejected: *removing first* (a GitOps tool that reads in between deletes what is wanted, with its data); *a list of steps
in the status* (the record of places says as much, and cannot contradict what the Destination wants by now); *asking
the stores while the plan is carried out* (the answer to what comes next would depend on when it is asked, and could
not be tested without stores).
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
    """What is known of a state store that exists.

    Attributes:
        address: where it is (`StoreKind.address_of`); empty while nobody has looked.
        ready: it can be written to.
        problem: why not, as far as that is known.
    """

    address: str = ""
    ready: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Record that files may be at these places, too, besides the location that is on record."""

    also: tuple[Location, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Write everything that is wanted at a location."""

    location: Location


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the files at a location.

    Attributes:
        location: where they are; its address is known.
        through: the store whose writer removes them.
        apart: their owner has others there, that stay; so these count as another owner's.
    """

    location: Location
    through: StoreRef
    apart: bool = False


@dataclass(frozen=True, slots=True)
class TakeOut:
    """Take out of a file that is shared with others what the owner has in it."""

    location: Location
    through: StoreRef


@dataclass(frozen=True, slots=True)
class Release:
    """Have a store forget the owner: the files stay, and are another store's by now."""

    location: Location
    store: StoreRef


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody can remove the files at a location: they stay there, and keep nobody from their paths."""

    location: Location
    loss: Loss


@dataclass(frozen=True, slots=True)
class Wait:
    """Plan again when a store is ready: without it, there is something at a location that cannot be done."""

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
"""The state stores that exist. One that is not among them is gone."""


def plan_move(recorded: Whereabouts, wanted: Location, stores: Stores) -> tuple[Step, ...]:
    """What is to be done until the files are where they are wanted, and nowhere else.

    The steps are to be taken in their order; one that fails ends it. A plan that does not end with `Record` ends with
    `Wait`. Where everything is where it should be, it is `Write` and `Record`, neither of which changes anything.

    Args:
        recorded: the record in the status.
        wanted: where the files are to be now.
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
    """What is to be done until an owner has no files anywhere. When no step is left that fails, it has none.

    Args:
        places: every place that may hold files, without a repetition. The first is the one that is wanted, if that is
            known: others may share a file there, and keep what they have in it.
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
    """What has to be waited for holds up the end, and nothing that can be done now."""
    waits = [step for step in steps if isinstance(step, Wait)]
    return (*(step for step in steps if not isinstance(step, Wait)), *waits[:1])


def _leave(place: Location, wanted: Location, stores: Stores) -> Iterator[Leave | Wait]:
    """Away from a place, after everything is at another one."""
    old = _at_its_address(place, stores)
    if not old.is_at_address_of(wanted):
        yield from _clear(old, old.store, stores)
        return
    before = stores.get(old.store)
    is_there = before is not None and before.address in {"", old.address}
    alike = old.is_shared == wanted.is_shared  # then the owner has one name at both places
    if not _is_of_files(old):
        if is_there and not (alike and old.store == wanted.store):
            yield from _clear(old, old.store, stores)
        return
    through = wanted.store if wanted.store in stores else old.store
    if left := old.without(wanted):
        yield from _clear(left, through, stores, apart=alike and through == wanted.store)
    if is_there and old.store != through:
        yield Release(old, old.store)


def _clear(
    place: Location, through: StoreRef, stores: Stores, *, apart: bool = False, keep_others: bool = False
) -> Iterator[Leave | Wait]:
    """The removal of the files at a place by a store's writer, as far as that can be done."""
    if place.is_empty:
        return
    old, store = _at_its_address(place, stores), stores.get(through)
    if store is None:
        yield Abandon(old, "is gone")
    elif store.address and old.address != store.address:
        yield Abandon(old, "is somewhere else now")
    elif not store.ready:
        yield Wait(old, through, store.problem)
    elif keep_others and old.is_shared:
        yield TakeOut(old, through)
    else:
        yield Remove(old, through, apart=apart)


def _at_its_address(place: Location, stores: Stores) -> Location:
    """The place with an address, if anything tells it: where its store is now, when none was recorded."""
    store = stores.get(place.store)
    return replace(place, address=store.address) if store and not place.address else place


def _is_of_files(place: Location) -> bool:
    return place.store.holds_files
