"""What is to be done to the placements of a Work, and that a second look finds nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from troth.api import labels as names
from troth.api.objects import ObjectMeta, Work, Workload, WorkloadGroup, WorkPlacement
from troth.engine.placement.placements import (
    Apply,
    Hold,
    Remove,
    Slot,
    Withhold,
    destinations_of,
    marks_of,
    plan_placements,
)
from troth.engine.placement.scheduling import Existing, GroupPlan, SchedulePlan

OWNER = "uid-of-the-owner"
DESTINATIONS = ("east", "west")
GROUPS = ("a", "b")
Placements = dict[Slot, WorkPlacement]


def group(name: str, *, blob: str = "new") -> WorkloadGroup:
    return WorkloadGroup(name, "", (), (Workload(f"{name}.yaml", blob),))


def work(*groups: WorkloadGroup) -> Work:
    meta = ObjectMeta(name="orders", namespace="default", labels={names.PIPELINE_NAME: "make"}, annotations={})
    return Work(meta, "promise", "request", groups, {}, sealed_for=OWNER)


def placement(
    destination: str,
    group_id: str,
    *,
    blob: str = "new",
    asked: str | None = "",
    misplaced: bool = False,
    deleting: bool = False,
    sealed_for: str = OWNER,
    rules: str | None = None,
) -> WorkPlacement:
    marks = marks_of(work(), group_id, destination, misplaced=misplaced, asked=asked, rules=rules)
    meta = ObjectMeta(
        name=f"{destination}-{group_id}",
        namespace="default",
        labels={key: value for key, value in marks.labels.items() if value is not None},
        annotations={key: value for key, value in marks.annotations.items() if value is not None},
        deleting=deleting,
    )
    files = group(group_id, blob=blob).workloads
    return WorkPlacement(meta, destination, "promise", "request", group_id, files, {}, sealed_for=sealed_for)


def goes(
    group_id: str, *destinations: str, misplaced: tuple[str, ...] = (), held: tuple[str, ...] = ()
) -> GroupPlan:
    return GroupPlan(group_id, destinations, misplaced, held, unscheduled=False, wants={}, asked={})


def carried_out(
    found: Work,
    plan: SchedulePlan,
    existing: Placements,
    *,
    rules: Mapping[str, str],
    withheld: Mapping[Slot, str],
) -> Placements:
    """The placements after the steps of a plan."""
    after = dict(existing)
    for step in plan_placements(found, plan, existing, rules=rules, withheld=withheld):
        match step:
            case Apply(group=filled, destination=destination, marks=marks):
                meta = ObjectMeta(
                    name=f"{destination}-{filled.id}",
                    namespace="default",
                    labels={key: value for key, value in marks.labels.items() if value is not None},
                    annotations={key: value for key, value in marks.annotations.items() if value is not None},
                )
                after[destination, filled.id] = WorkPlacement(
                    meta, destination, "promise", "request", filled.id, filled.workloads, {}, sealed_for=OWNER
                )
            case Hold(placement=old):
                after[old.destination, old.group_id] = step.held
            case Remove(placement=old):
                del after[old.destination, old.group_id]
            case Withhold():
                pass
    return after


@st.composite
def schedules(draw: st.DrawFn) -> SchedulePlan:
    plans = []
    for name in draw(st.sets(st.sampled_from(GROUPS))):
        chosen = draw(st.sets(st.sampled_from(DESTINATIONS)))
        misplaced = draw(st.sets(st.sampled_from(DESTINATIONS))) - chosen
        held = draw(st.sets(st.sampled_from(sorted(misplaced)))) if misplaced else set[str]()
        plans.append(goes(name, *sorted(chosen), misplaced=tuple(sorted(misplaced)), held=tuple(sorted(held))))
    return SchedulePlan(tuple(plans), ())


def with_removals(plan: SchedulePlan, existing: Placements) -> SchedulePlan:
    """The plan as `schedule` answers it: what no group keeps is removed."""
    kept = {(destination, each.group_id) for each in plan.groups for destination, _ in destinations_of(each)}
    return replace(plan, remove=tuple(Existing(*slot) for slot in existing if slot not in kept))


@st.composite
def placements(draw: st.DrawFn) -> Placements:
    slots = draw(st.sets(st.sampled_from([(name, each) for name in DESTINATIONS for each in GROUPS])))
    return {
        slot: placement(
            *slot,
            blob=draw(st.sampled_from(["old", "new"])),
            asked=draw(st.sampled_from([None, "", "environment=prod"])),
            misplaced=draw(st.booleans()),
            deleting=draw(st.booleans()),
            sealed_for=draw(st.sampled_from([OWNER, ""])),
            rules=draw(st.sampled_from([None, "rules", "former rules"])),
        )
        for slot in slots
    }


@given(schedules(), placements(), st.booleans(), st.sets(st.sampled_from(DESTINATIONS)))
def test_a_second_look_at_what_was_done_finds_nothing_to_do(
    plan: SchedulePlan, existing: Placements, is_withheld: bool, strict: set[str]
) -> None:
    found = work(*(group(each.group_id) for each in plan.groups))
    rules = dict.fromkeys(strict, "rules")
    withheld = {(name, "east"): "a Secret in the clear" for name in GROUPS} if is_withheld else {}
    after = carried_out(found, with_removals(plan, existing), existing, rules=rules, withheld=withheld)
    again = plan_placements(found, with_removals(plan, after), after, rules=rules, withheld=withheld)
    assert (
        [step for step in again if not isinstance(step, Withhold)]
        == [
            # what is being deleted is not planned for, and goes by itself
        ]
    )


@given(schedules(), placements())
def test_what_is_being_deleted_is_left_alone_until_it_is_gone(plan: SchedulePlan, existing: Placements) -> None:
    going = {slot: replace(old, metadata=replace(old.metadata, deleting=True)) for slot, old in existing.items()}
    found = work(*(group(each.group_id) for each in plan.groups))
    for step in plan_placements(found, with_removals(plan, going), going, rules={}, withheld={}):
        assert isinstance(step, Apply)
        assert step.placement is None


@given(schedules(), placements())
def test_what_is_held_keeps_its_content(plan: SchedulePlan, existing: Placements) -> None:
    found = work(*(group(each.group_id) for each in plan.groups))
    after = carried_out(found, with_removals(plan, existing), existing, rules={}, withheld={})
    for each in plan.groups:
        for destination in each.held:
            if before := existing.get((destination, each.group_id)):
                assert after[destination, each.group_id].workloads == before.workloads


def test_new_content_is_withheld_where_what_is_written_stays() -> None:
    plan = SchedulePlan((goes("a", "east", "west"),), ())
    existing = {("east", "a"): placement("east", "a", blob="old"), ("west", "a"): placement("west", "a")}
    withheld = {("a", "east"): "a Secret in the clear", ("a", "west"): "a Secret in the clear"}
    steps = plan_placements(work(group("a")), plan, existing, rules={}, withheld=withheld)
    assert steps == (Withhold("a Secret in the clear"),)


def test_a_placement_learns_by_which_rules_it_was_judged() -> None:
    plan = SchedulePlan((goes("a", "east"),), ())
    existing = {("east", "a"): placement("east", "a", rules="former rules")}
    [step] = plan_placements(work(group("a")), plan, existing, rules={"east": "rules"}, withheld={})
    assert isinstance(step, Apply)
    assert step.marks.annotations[names.ALLOWED] == "rules"


def test_one_from_before_it_was_noted_what_was_asked_for_is_not_written_for_that() -> None:
    existing = {("east", "a"): placement("east", "a", asked=None)}
    plan = SchedulePlan((goes("a", "east"),), ())
    assert plan_placements(work(group("a")), plan, existing, rules={}, withheld={}) == ()


def test_what_was_not_sealed_is_written_anew_and_never_held() -> None:
    old = placement("east", "a", sealed_for="")
    [step] = plan_placements(
        work(group("a")), SchedulePlan((goes("a", "east"),), ()), {("east", "a"): old}, rules={}, withheld={}
    )
    assert isinstance(step, Apply)
    held = SchedulePlan((goes("a", misplaced=("east",), held=("east",)),), ())
    assert plan_placements(work(group("a")), held, {("east", "a"): old}, rules={}, withheld={}) == ()


def test_what_a_group_held_that_is_gone_may_have_to_arrive_elsewhere_first() -> None:
    existing = {("east", "a"): placement("east", "a"), ("east", "b"): placement("east", "b")}
    plan = with_removals(SchedulePlan((goes("a", "west"),), ()), existing)
    steps = plan_placements(work(group("a")), plan, existing, rules={}, withheld={})
    assert [(step.placement.group_id, step.outlives_group) for step in steps if isinstance(step, Remove)] == [
        ("a", False),
        ("b", True),
    ]
