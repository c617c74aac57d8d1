"""Moves, step by step in a model of the stores, while stores come and go and people change their minds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from troth.api.store_kinds import GIT, KUBERNETES, StoreRef
from troth.engine.placement.locations import Location, Whereabouts, read_locations
from troth.engine.placement.moves import (
    Abandon,
    Note,
    Record,
    Release,
    Remove,
    Step,
    StoreState,
    TakeOut,
    Wait,
    Write,
    plan_move,
    plan_removal,
)

FILES = [StoreRef(GIT.kind, name) for name in ("a", "b")]
CLUSTERS = [StoreRef(KUBERNETES.kind, name) for name in ("a", "b")]
STORES = [*FILES, *CLUSTERS]
ADDRESSES = ("here", "there")
A, B = FILES[:2]
FOLDER = Location(A, directory="x", address="here")


def ready(address: str = "here") -> StoreState:
    return StoreState(address, ready=True)


def states() -> st.SearchStrategy[StoreState]:
    """What a store may be like: not looked at yet, away, or ready."""
    unknown = st.just(StoreState())
    return st.one_of(
        unknown, st.builds(StoreState, st.sampled_from(ADDRESSES), st.booleans(), st.just("it is away"))
    )


def of_a_placement(store: StoreRef, address: str) -> st.SearchStrategy[Location]:
    folders = st.builds(Location, st.just(store), directory=st.sampled_from("xy"), address=st.just(address))
    if not store.holds_files:
        return folders
    records = st.builds(Location, st.just(store), state_file=st.sampled_from("xy"), address=st.just(address))
    shared = st.builds(Location, st.just(store), aggregate=st.sampled_from("xy"), address=st.just(address))
    return st.one_of(folders, records, shared)


def of_a_destination(store: StoreRef, address: str) -> st.SearchStrategy[Location]:
    paths = st.sets(st.sampled_from("xyz")) if store.holds_files else st.just(set[str]())
    return paths.map(lambda found: Location(store, files=tuple(sorted(found)), address=address))


def parts_of(location: Location) -> frozenset[tuple[str, str]]:
    """What lies in the store for a location."""
    if not location.store.holds_files:
        return frozenset() if location.files is not None else frozenset({("objects", "")})
    named = {"directory": location.directory, "record": location.state_file, "shared": location.aggregate}
    found = {(kind, name) for kind, name in named.items() if name}
    return frozenset(found | {("file", path) for path in location.files or ()})


Place = tuple[str, str]
"""The kind of a store and its address: where files lie, whatever the stores are called."""


class World:
    """Stores, what lies in them, and what the status records; carries out the steps as the reconcilers do."""

    def __init__(self) -> None:
        self.stores: dict[StoreRef, StoreState] = {}
        self.lying: dict[Place, set[tuple[str, str]]] = {}
        self.keepers: dict[Place, StoreRef] = {}
        """On a cluster: the store whose inventory has the objects."""
        self.claims: dict[tuple[StoreRef, bool], Location] = {}
        """What a store knows that the owner has, under its own name and under that of the shared file."""
        self.recorded = Whereabouts(None)
        self.abandoned: dict[Place, set[tuple[str, str]]] = {}

    def place(self, location: Location) -> Place:
        return location.store.kind, location.address or "here"  # which is where everything was long ago

    def holds(self, location: Location) -> bool:
        """Whether all of it is there; on a cluster, whoever is its keeper."""
        return parts_of(location) <= self.lying.get(self.place(location), set())

    def known(self, location: Location) -> bool:
        """Whether the record names the location, perhaps without its address or by the name of another store."""
        return any(
            place.store.kind == location.store.kind
            and (place.address or "here") == location.address
            and parts_of(location) <= parts_of(place)
            for place in self.recorded.places
        )

    def carry_out(self, step: Step) -> None:
        match step:
            case Note(also):
                assert set(self.recorded.also) < set(also), "what was noted before stays noted"
                self.recorded = replace(self.recorded, also=also)
            case Write(location):
                self.require_ready(location.store, location.address)
                self.lying.setdefault(self.place(location), set()).update(parts_of(location))
                self.claims.pop((location.store, location.is_shared), None)
                if parts_of(location):
                    self.claims[location.store, location.is_shared] = location
                if not location.store.holds_files:
                    self.keepers[self.place(location)] = location.store
            case Remove(location, through, apart):
                self.require_ready(through, location.address)
                assert self.known(location), "only what is on record is removed"
                self.remove(location, through, apart=apart)
            case TakeOut(location, through):
                self.require_ready(through, location.address)
                assert self.known(location), "only what is on record is removed"
                assert location.is_shared
                self.remove(location, through, apart=False)
            case Release(location, store):
                self.claims.pop((store, location.is_shared), None)
            case Abandon(location, loss):
                state = self.stores.get(location.store)
                assert (state is None) == (loss == "is gone"), "nobody can reach the files"
                assert state is None or state.address != location.address
                self.abandoned.setdefault(self.place(location), set()).update(parts_of(location))
            case Wait(_, store, _):
                raise AssertionError(f"nothing can be done now, so nobody does {store}")
            case Record(location):
                self.recorded = Whereabouts(location)

    def remove(self, location: Location, through: StoreRef, *, apart: bool) -> None:
        place = self.place(location)
        there = self.lying.get(place, set())
        held = None if apart else self.claims.pop((through, location.is_shared), None)
        if not location.store.holds_files:
            if self.keepers.get(place) == through:
                there.clear()
            return
        there -= parts_of(location)
        there -= (
            parts_of(held) if held else set()
        )  # under its own name, an owner that wants nothing loses all it has

    def require_ready(self, store: StoreRef, address: str) -> None:
        state = self.stores[store]
        assert state.ready
        assert state.address == address


class Moves(RuleBasedStateMachine):
    """Somebody points a Destination here and there, while stores come, go and mean other repositories."""

    of = staticmethod(of_a_placement)

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.world = World()
        self.nothing_was_wanted = False
        for ref in STORES:
            self.world.stores[ref] = ready(data.draw(st.sampled_from(ADDRESSES), label=str(ref)))
        store = data.draw(st.sampled_from(STORES), label="store")
        self.world.stores[store] = ready()
        self.wanted = data.draw(self.of(store, "here"), label="wanted")
        self.proceed(steps=10)
        if data.draw(st.booleans(), label="recorded long ago") and self.world.recorded.location:
            self.world.recorded = Whereabouts(replace(self.world.recorded.location, address=""))

    @rule(ref=st.sampled_from(STORES), state=st.none() | states())
    def a_store_changes(self, ref: StoreRef, state: StoreState | None) -> None:
        before = self.world.stores.pop(ref, StoreState())
        if state is None or state.address != before.address:
            self.world.claims = {key: held for key, held in self.world.claims.items() if key[0] != ref}
        if state is None:
            return
        if any(place.store == ref and not place.address for place in self.world.recorded.places):
            # Where it was long ago is not on record, so nobody could tell that it is another one now.
            state = replace(state, address=state.address and "here")
        self.world.stores[ref] = state

    @rule(data=st.data())
    def another_place_is_wanted(self, data: st.DataObject) -> None:
        able = {ref: state for ref, state in self.world.stores.items() if state.ready and state.address}
        assume(able)
        store = data.draw(st.sampled_from(sorted(able)), label="store")
        self.wanted = data.draw(self.of(store, able[store].address), label="wanted")

    @rule(steps=st.integers(1, 10))
    def proceed(self, steps: int) -> None:
        """Takes some steps of a plan, as if the operator was ended after them."""
        first = not self.world.recorded.places
        self.nothing_was_wanted |= self.wanted.is_empty
        plan = plan_move(self.world.recorded, self.wanted, self.world.stores)
        for step in plan if first else plan[:steps]:
            if isinstance(step, Wait):
                self.check_wait(step)
                return
            self.world.carry_out(step)
            self.nothing_was_wanted &= not isinstance(step, Record) or self.wanted.is_empty
            if not first:
                self.all_is_somewhere()
                self.all_is_on_record()

    def check_wait(self, step: Wait) -> None:
        state = self.world.stores.get(step.store)
        if step.location == self.wanted:
            assert state is None or not state.ready or state.address != self.wanted.address
        else:
            assert state is not None, "nobody waits for what is gone"
            assert not state.ready
            assert state.address in {"", step.location.address} or not step.location.address

    @precondition(lambda self: self.world.recorded.places)
    @invariant()
    def all_is_somewhere(self) -> None:
        """All that is wanted is at one of the places on record, unless nothing was wanted for a while."""
        if self.nothing_was_wanted:
            return
        world = self.world
        places = [self._addressed(place) for place in world.recorded.places]
        assert any(world.holds(place) for place in (*places, self.wanted)), "the only copy is lost"

    @invariant()
    def all_is_on_record(self) -> None:
        """What lies anywhere is on record, unless nobody could remove it."""
        world = self.world
        for place, parts in world.lying.items():
            known = set(world.abandoned.get(place, ()))
            for location in map(self._addressed, world.recorded.places):
                if world.place(location) == place:
                    known |= parts_of(location)
            if place[0] == KUBERNETES.kind and world.keepers.get(place) not in world.stores:
                continue  # whose inventory is gone
            assert parts <= known, f"{parts - known} in {place} is forgotten"

    @rule()
    def it_ends(self) -> None:
        """When every store that exists is ready, one more plan brings everything where it is wanted."""
        world = self.world
        for ref, state in world.stores.items():
            world.stores[ref] = ready(state.address or "here")
        assume(world.stores.get(self.wanted.store) == ready(self.wanted.address))
        for step in plan_move(world.recorded, self.wanted, world.stores):
            world.carry_out(step)
        self.nothing_was_wanted = self.wanted.is_empty
        assert world.recorded == Whereabouts(self.wanted)
        assert world.holds(self.wanted)
        assert {store for store, _ in world.claims} <= {self.wanted.store}, "a store that was left knows the owner"
        for place, parts in world.lying.items():
            there = parts_of(self.wanted) if place == world.place(self.wanted) else frozenset()
            assert there <= parts <= there | world.abandoned.get(place, set())
        again = plan_move(world.recorded, self.wanted, world.stores)
        assert again == (Write(self.wanted), Record(self.wanted)), "a second run changes nothing"

    def _addressed(self, location: Location) -> Location:
        return replace(location, address=location.address or "here")


class MovesOfADestination(Moves):
    of = staticmethod(of_a_destination)


TestPlacements = Moves.TestCase
TestDestinations = MovesOfADestination.TestCase
TestPlacements.settings = TestDestinations.settings = settings(
    max_examples=40, stateful_step_count=12, deadline=None
)


def test_a_place_is_noted_before_it_is_written_and_the_old_one_cleared_after() -> None:
    wanted = Location(B, directory="x", address="there")
    stores = {A: ready(), B: ready("there")}
    assert plan_move(Whereabouts(FOLDER), wanted, stores) == (
        Note((wanted,)),
        Write(wanted),
        Remove(FOLDER, A),
        Record(wanted),
    )


def test_another_folder_of_the_same_store_is_left_as_another_owner() -> None:
    wanted = replace(FOLDER, directory="y")
    assert plan_move(Whereabouts(FOLDER), wanted, {A: ready()})[2] == Remove(FOLDER, A, apart=True)


def test_two_stores_of_one_branch_hand_files_over_without_a_commit() -> None:
    wanted = replace(FOLDER, store=B)
    plan = plan_move(Whereabouts(FOLDER), wanted, {A: ready(), B: ready()})
    assert plan == (Note((wanted,)), Write(wanted), Release(FOLDER, A), Record(wanted))


def test_a_store_that_is_away_holds_up_nothing_but_its_own_files() -> None:
    wanted = replace(FOLDER, directory="y")
    away = Location(B, directory="x", address="there")
    stores = {A: ready(), B: StoreState("there", problem="it is away")}
    plan = plan_move(Whereabouts(away, (FOLDER,)), wanted, stores)
    assert plan[1:] == (Write(wanted), Remove(FOLDER, A, apart=True), Wait(away, B, "it is away"))


@pytest.mark.parametrize("store", [None, StoreState(), StoreState("here", problem="it is away"), ready("there")])
def test_nothing_is_left_while_the_wanted_place_cannot_be_written(store: StoreState | None) -> None:
    stores = {B: ready()} | ({A: store} if store else {})
    [step] = plan_move(Whereabouts(replace(FOLDER, store=B)), FOLDER, stores)
    assert isinstance(step, Wait)
    assert step.store == A


def test_what_a_store_that_is_gone_has_left_is_said_and_holds_up_nothing() -> None:
    wanted = Location(B, directory="x", address="there")
    plan = plan_move(Whereabouts(FOLDER), wanted, {B: ready("there")})
    assert plan[2:] == (Abandon(FOLDER, "is gone"), Record(wanted))
    plan = plan_move(Whereabouts(FOLDER), wanted, {A: ready("there"), B: ready("there")})
    assert plan[2:] == (Abandon(FOLDER, "is somewhere else now"), Record(wanted))


def test_a_shared_file_keeps_what_others_have_in_it_where_it_is_wanted_and_goes_where_it_was() -> None:
    shared = Location(A, aggregate="all.yaml", address="here")
    former = Location(B, aggregate="old.yaml", address="there")
    plan = plan_removal([shared, former], {A: ready(), B: ready("there")})
    assert plan == (TakeOut(shared, A), Remove(former, B))


def test_a_store_that_is_somewhere_else_by_now_does_not_keep_another_from_removing_its_files_there() -> None:
    shared = Location(A, aggregate="all.yaml", address="there")
    wanted = Location(B, directory="x", address="there")
    given_up = Abandon(wanted, "is somewhere else now")
    assert plan_removal([wanted, shared], {A: ready("there"), B: ready("here")}) == (given_up, Remove(shared, A))
    assert plan_removal([wanted, shared], {B: ready("here")}) == (given_up, Abandon(shared, "is gone"))
    away = StoreState("there", ready=False, problem="it is away")
    assert plan_removal([wanted, shared], {A: away, B: ready("here")}) == (given_up, Wait(shared, A, "it is away"))


@given(st.data())
def test_a_removal_leaves_nothing_that_could_be_removed(data: st.DataObject) -> None:
    world = World()
    of = data.draw(st.sampled_from([of_a_placement, of_a_destination]), label="of")
    where = data.draw(st.lists(st.tuples(st.sampled_from(STORES), st.sampled_from(ADDRESSES))), label="where")
    places = list(dict.fromkeys(data.draw(of(*each)) for each in where))
    world.recorded = Whereabouts(None, tuple(places))
    for place in places:
        world.lying.setdefault(world.place(place), set()).update(parts_of(place))
        world.keepers[world.place(place)] = place.store
    world.stores = data.draw(st.dictionaries(st.sampled_from(STORES), states()), label="stores")
    for step in plan_removal(places, world.stores):
        if isinstance(step, Wait):
            state = world.stores[step.store]
            assert not state.ready
            break
        world.carry_out(step)
    world.stores = {ref: ready(state.address or "here") for ref, state in world.stores.items()}
    for step in plan_removal(places, world.stores):
        world.carry_out(step)
    for lying, parts in world.lying.items():
        assert parts <= world.abandoned.get(lying, set())


@given(
    st.sampled_from(STORES).flatmap(lambda ref: st.tuples(of_a_placement(ref, "here"), of_a_destination(ref, "")))
)
def test_the_record_says_where_files_are_and_are_going(found: tuple[Location, Location]) -> None:
    location, also = found
    status = {"troth": {"location": location.as_status(), "alsoIn": [also.as_status()]}}
    assert read_locations(status) == Whereabouts(location, (also,))
