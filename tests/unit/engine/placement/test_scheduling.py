"""Which destinations a Work goes to, and that it stays there."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.api.objects import Selector, WorkloadGroup
from troth.engine.placement.scheduling import (
    Existing,
    Home,
    SchedulePlan,
    Target,
    describe_labels,
    effective_selector,
    schedule,
)

RESOURCE = "resource"
PROMISE = "promise"


def group(labels: dict[str, str] | None = None, identity: str = "g", source: str = "promise") -> WorkloadGroup:
    selectors = (Selector(labels, source),) if labels else ()
    return WorkloadGroup(identity, ".", selectors, ())


def plan(
    targets: list[Target],
    *groups: WorkloadGroup,
    existing: list[Existing] | None = None,
    work_type: str = RESOURCE,
    owner: str = "default/work",
    homes: Mapping[str, Sequence[Home]] | None = None,
    dry_run: bool = False,
) -> SchedulePlan:
    return schedule(
        owner=owner,
        work_type=work_type,
        groups=groups,
        targets=targets,
        existing=existing or [],
        homes=homes,
        dry_run=dry_run,
    )


def carried_out(made: SchedulePlan) -> list[Existing]:
    """The placements that are there once a plan was carried out."""
    placements = [Existing(name, entry.group_id) for entry in made.groups for name in entry.destinations]
    return placements + [
        Existing(name, entry.group_id, misplaced=True) for entry in made.groups for name in entry.misplaced
    ]


DEV = {"environment": "dev"}
WORKERS = [Target(f"worker-{n}", DEV) for n in range(5)]


# ---- the selector


def test_the_promise_outranks_its_pipelines() -> None:
    selectors = [
        Selector({"a": "promise", "b": "promise"}, "promise"),
        Selector({"a": "pw", "c": "pw", "d": "pw"}, "promise-workflow"),
        Selector({"a": "rw", "d": "rw", "e": "rw"}, "resource-workflow"),
    ]
    expected = {"a": "promise", "b": "promise", "c": "pw", "d": "pw", "e": "rw"}

    assert effective_selector(selectors) == expected
    assert effective_selector(reversed(selectors)) == expected


# ---- candidates


def test_only_destinations_with_all_labels_are_chosen() -> None:
    targets = [Target("a", {"x": "1"}), Target("b", {"x": "1", "y": "2", "z": "3"}), Target("c", {"y": "2"})]

    assert plan(targets, group({"x": "1", "y": "2"})).groups[0].destinations == ("b",)


def test_an_empty_selector_goes_anywhere_but_not_to_a_strict_destination_with_labels() -> None:
    targets = [
        Target("labelled", DEV),
        Target("strict", DEV, strict=True),
        Target("bare", {}),
        Target("strict-bare", {}, strict=True),
    ]
    chosen = plan(targets, group(), work_type=PROMISE).groups[0].destinations

    assert chosen == ("bare", "labelled", "strict-bare")
    assert plan([Target("strict", DEV, strict=True)], group(DEV)).groups[0].destinations == ("strict",)


def test_dry_runs_and_real_works_never_meet() -> None:
    targets = [Target("worker", DEV), Target("preview", {"kratix.io/dry-run": "true", **DEV})]

    assert plan(targets, group(DEV), work_type=PROMISE).groups[0].destinations == ("worker",)
    assert plan(targets, group(), work_type=PROMISE).groups[0].destinations == ("worker",)
    assert plan(targets, group({"none": "has"}), dry_run=True).groups[0].destinations == ("preview",)
    waiting = plan(targets[:1], group(DEV), dry_run=True).groups[0]
    assert waiting.unscheduled
    assert waiting.wants == {"kratix.io/dry-run": "true"}


def test_a_destination_that_is_being_deleted_gets_nothing_new_and_keeps_what_it_has() -> None:
    targets = [Target("old", DEV, deleting=True), Target("new", DEV)]

    for work_type in (RESOURCE, PROMISE):
        assert plan(targets, group(DEV), work_type=work_type).groups[0].destinations == ("new",)
    held = [Existing("old", "g")]
    assert plan(targets, group(DEV), existing=held).groups[0].destinations == ("old",)
    assert plan(targets, group(DEV), existing=held, work_type=PROMISE).groups[0].destinations == ("new", "old")
    assert plan(targets[:1], group(DEV)).groups[0].unscheduled


# ---- one destination, for good


def test_a_request_goes_to_one_destination_and_a_dependency_to_all() -> None:
    assert len(plan(WORKERS, group(DEV)).groups[0].destinations) == 1
    for work_type in (PROMISE, "static-dependency"):
        assert len(plan(WORKERS, group(DEV), work_type=work_type).groups[0].destinations) == 5


def test_requests_spread_over_destinations_and_come_back_to_theirs() -> None:
    chosen = [plan(WORKERS, group(DEV), owner=f"default/{n}").groups[0].destinations[0] for n in range(1000)]
    again = [plan(WORKERS[::-1], group(DEV), owner=f"default/{n}").groups[0].destinations[0] for n in range(1000)]

    assert chosen == again
    assert all(150 < chosen.count(target.name) < 250 for target in WORKERS)


def test_a_new_destination_draws_only_what_it_wins_when_everything_is_placed_anew() -> None:
    more = [*WORKERS, Target("worker-5", DEV)]
    moved = 0
    for n in range(1000):
        before = plan(WORKERS, group(DEV), owner=str(n)).groups[0].destinations
        after = plan(more, group(DEV), owner=str(n)).groups[0].destinations
        if before != after:
            assert after == ("worker-5",)
            moved += 1
    assert 100 < moved < 250


def test_a_placed_request_stays_although_another_destination_would_win() -> None:
    for target in WORKERS:
        made = plan(WORKERS, group(DEV), existing=[Existing(target.name, "g")])
        assert made.groups[0].destinations == (target.name,)
        assert made.groups[0].misplaced == ()


# ---- misplaced


def test_a_destination_that_no_longer_matches_keeps_the_files_under_a_label_until_it_matches_again() -> None:
    moved = [Target("worker-1", {"environment": "prod"}), Target("worker-2", DEV)]
    held = [Existing("worker-1", "g")]

    made = plan(moved, group(DEV), existing=held).groups[0]
    assert (made.destinations, made.misplaced, made.unscheduled) == ((), ("worker-1",), False)
    made = plan(moved, group(DEV), existing=held, work_type=PROMISE).groups[0]
    assert (made.destinations, made.misplaced) == (("worker-2",), ("worker-1",))

    back = [Target("worker-1", DEV), Target("worker-2", DEV)]
    held = [Existing("worker-1", "g", misplaced=True)]
    made = plan(back, group(DEV), existing=held).groups[0]
    assert (made.destinations, made.misplaced) == (("worker-1",), ())


def test_a_destination_that_goes_and_comes_back_finds_everything_as_it_was() -> None:
    for work_type in (RESOURCE, PROMISE):
        first = plan(WORKERS, group(DEV), work_type=work_type)
        lost = first.groups[0].destinations[0]
        without = [target for target in WORKERS if target.name != lost]

        gone = plan(without, group(DEV), existing=carried_out(first), work_type=work_type)
        assert gone.remove == ()
        assert gone.groups[0].misplaced == (lost,)
        back = plan(WORKERS, group(DEV), existing=carried_out(gone), work_type=work_type)
        assert carried_out(back) == carried_out(first)


# ---- held


def from_pipeline(labels: dict[str, str]) -> WorkloadGroup:
    return group(labels, source="resource-workflow")


PROD = {"environment": "prod"}
BOTH = [Target("dev-1", DEV), Target("prod-1", PROD)]


def asked(placement: str, labels: dict[str, str] | None, **state: bool) -> Existing:
    return Existing(placement, "g", asked=None if labels is None else describe_labels(labels), **state)


def test_what_a_request_asked_for_is_not_replaced_by_what_it_asks_for_elsewhere() -> None:
    made = plan(BOTH, from_pipeline(PROD), existing=[asked("dev-1", DEV, current=False)]).groups[0]

    assert (made.destinations, made.misplaced, made.held, made.unscheduled) == ((), ("dev-1",), ("dev-1",), False)
    assert plan(BOTH, from_pipeline(DEV), existing=[asked("dev-1", DEV, misplaced=True)]).groups[0].held == ()


@pytest.mark.parametrize("before", [{}, {"zone": "a"}, {"environment": "dev", "zone": "a"}])
def test_any_change_of_what_the_pipelines_ask_for_holds_the_files_on_a_destination_without_the_labels(
    before: dict[str, str],
) -> None:
    assert plan(BOTH, from_pipeline(PROD), existing=[asked("dev-1", before)]).groups[0].held == ("dev-1",)


def test_a_change_of_what_the_pipelines_ask_for_is_written_where_the_labels_are() -> None:
    world = [Target("dev-1", {**DEV, "zone": "a"})]
    made = plan(world, from_pipeline({"zone": "a"}), existing=[asked("dev-1", DEV)]).groups[0]

    assert (made.destinations, made.held) == (("dev-1",), ())


def test_a_destination_that_lost_its_labels_is_kept_up_to_date() -> None:
    moved = [Target("dev-1", PROD)]
    for known in (DEV, None):
        placement = asked("dev-1", known, misplaced=True, current=False)
        made = plan(moved, from_pipeline(DEV), existing=[placement]).groups[0]
        assert (made.misplaced, made.held) == (("dev-1",), ())


def test_another_selector_of_the_promise_holds_nothing_back() -> None:
    selectors = (Selector(PROD, "promise"), Selector(DEV, "resource-workflow"))
    made = plan(BOTH, WorkloadGroup("g", ".", selectors, ()), existing=[asked("dev-1", {})]).groups[0]

    assert (made.misplaced, made.held) == (("dev-1",), ())


def test_without_a_record_new_content_for_elsewhere_is_held_and_the_same_content_is_not() -> None:
    for current in (True, False):
        made = plan(BOTH, from_pipeline(PROD), existing=[asked("dev-1", None, current=current)]).groups[0]
        assert made.held == (() if current else ("dev-1",))


# ---- which destinations are ready, and what has been written


def test_a_ready_destination_comes_before_one_that_is_not_and_the_hash_decides_among_equals() -> None:
    for chosen in range(5):
        world = [replace(target, ready=number == chosen) for number, target in enumerate(WORKERS)]
        assert plan(world, group(DEV)).groups[0].destinations == (f"worker-{chosen}",)
    away = [replace(target, ready=False) for target in WORKERS]
    assert plan(away, group(DEV)).groups == plan(WORKERS, group(DEV)).groups


def test_what_was_never_written_goes_to_a_ready_destination_and_what_was_written_stays() -> None:
    world = [Target("away", DEV, ready=False), Target("here", DEV)]
    unwritten, written = (Existing("away", "g", written=flag) for flag in (False, True))

    made = plan(world, group(DEV), existing=[unwritten])
    assert (made.groups[0].destinations, made.remove) == (("here",), (unwritten,))
    made = plan(world, group(DEV), existing=[written])
    assert (made.groups[0].destinations, made.remove) == (("away",), ())


def test_what_is_being_written_does_not_move_to_a_destination_that_is_as_good() -> None:
    for ready in (True, False):
        for target in WORKERS:
            world = [replace(each, ready=ready) for each in WORKERS]
            made = plan(world, group(DEV), existing=[Existing(target.name, "g", written=False)])
            assert (made.groups[0].destinations, made.remove) == ((target.name,), ())


def test_what_was_never_written_leaves_a_destination_that_does_not_match() -> None:
    unwritten = Existing("dev-1", "g", written=False)

    made = plan(BOTH, group(PROD), existing=[unwritten])
    assert (made.groups[0].destinations, made.groups[0].misplaced, made.remove) == (("prod-1",), (), (unwritten,))
    made = plan(BOTH[:1], group(PROD), existing=[unwritten])
    assert (made.groups[0].unscheduled, made.remove) == (True, (unwritten,))


def test_what_takes_over_objects_goes_where_they_are_ready_or_not_unless_that_does_not_match() -> None:
    for home in WORKERS:
        for ready in (True, False):
            world = [replace(target, ready=ready or target != home) for target in WORKERS]
            made = plan(world, group(DEV), homes={"g": [Home(home.name, "p")]})
            assert made.groups[0].destinations == (home.name,)
        assert plan(WORKERS, group(DEV), homes={"other": [Home(home.name, "p", held=True)]}) == plan(
            WORKERS, group(DEV)
        )
    assert plan(WORKERS, group(DEV), homes={"g": [Home("prod-1", "p")]}) == plan(WORKERS, group(DEV))


def test_what_takes_over_objects_that_are_held_is_placed_nowhere_until_the_edit_is_taken_back() -> None:
    held = Home("dev-1", "p", held=True)
    [waits] = plan(BOTH, group(PROD), homes={"g": [held]}).groups
    assert (waits.destinations, waits.unscheduled, waits.kept_by) == ((), False, (held,))
    [back] = plan(BOTH, group(DEV), homes={"g": [held]}).groups
    assert (back.destinations, back.kept_by) == (("dev-1",), ())


# ---- groups


def test_placements_of_a_group_that_vanished_are_removed() -> None:
    made = plan(WORKERS, group(DEV), existing=[Existing("worker-1", "g"), Existing("worker-1", "gone")])

    assert made.remove == (Existing("worker-1", "gone"),)
    assert plan(WORKERS, existing=[Existing("worker-1", "g")]).remove == (Existing("worker-1", "g"),)


def test_a_group_that_finds_nobody_waits_and_does_not_hold_up_the_others() -> None:
    made = plan(WORKERS, group({"role": "backup"}, "waits"), group(DEV, "goes"))

    assert made.groups[0].unscheduled
    assert made.groups[0].wants == {"role": "backup"}
    assert len(made.groups[1].destinations) == 1


# ---- ten thousand worlds

_LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"))
_TARGETS = st.lists(
    st.builds(Target, st.sampled_from("pqrst"), _LABELS, st.booleans(), st.booleans(), st.booleans()),
    unique_by=lambda target: target.name,
)
_EXISTING = st.lists(
    st.builds(Existing, st.sampled_from("pqrstu"), st.sampled_from("gh"), st.booleans()),
    unique_by=lambda placement: (placement.destination, placement.group_id),
)


@pytest.mark.slow
@given(
    targets=_TARGETS,
    labels=_LABELS,
    existing=_EXISTING,
    work_type=st.sampled_from([RESOURCE, PROMISE]),
    dry=st.booleans(),
)
@settings(max_examples=500)
def test_a_plan_is_settled_once_it_is_carried_out(
    targets: list[Target], labels: dict[str, str], existing: list[Existing], work_type: str, dry: bool
) -> None:
    made = plan(targets, group(labels), existing=existing, work_type=work_type, dry_run=dry)
    again = plan(targets[::-1], group(labels), existing=carried_out(made), work_type=work_type, dry_run=dry)

    assert again.groups == made.groups
    assert again.remove == ()
    held = {placement.destination for placement in existing if placement.group_id == "g" and placement.written}
    entry = made.groups[0]
    assert held <= {*entry.destinations, *entry.misplaced}, "nothing that is written is ever taken away"
    assert set(entry.held) <= set(entry.misplaced) & held
    assert not set(entry.destinations) & set(entry.misplaced)
    assert entry.unscheduled == (not entry.destinations and not entry.misplaced)
    if work_type == RESOURCE and not held:
        assert len(entry.destinations) <= 1


@pytest.mark.slow
def test_placements_do_not_move_while_other_destinations_come_and_go() -> None:
    chance = random.Random(20260301)

    def a_target(name: str) -> Target:
        labels = {key: chance.choice("12") for key in "ab" if chance.random() < 0.7}
        return Target(name, labels, strict=chance.random() < 0.3, deleting=chance.random() < 0.1)

    for case in range(10_000):
        targets = [a_target(f"d{n}") for n in range(chance.randrange(1, 6))]
        wanted = {key: chance.choice("12") for key in "ab" if chance.random() < 0.4}
        work_type = chance.choice([RESOURCE, PROMISE])
        owner = f"default/{case}"
        first = plan(targets, group(wanted), work_type=work_type, owner=owner)
        used = set(first.groups[0].destinations)

        others = [target for target in targets if target.name not in used and chance.random() < 0.5]
        newcomers = [a_target(f"n{n}") for n in range(chance.randrange(3))]
        mine = [replace(target, deleting=chance.random() < 0.2) for target in targets if target.name in used]
        world = [*others, *newcomers, *mine]
        chance.shuffle(world)
        second = plan(world, group(wanted), existing=carried_out(first), work_type=work_type, owner=owner)

        assert second.remove == ()
        assert second.groups[0].misplaced == ()
        after = set(second.groups[0].destinations)
        if work_type == RESOURCE and used:
            assert after == used, f"case {case}: a request moved"
        assert used <= after, f"case {case}: a destination lost its files"
