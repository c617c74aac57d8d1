"""What did not end holds back whoever it belongs to, and nobody learns anything of anybody else's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.failure import Failure
from troth.engine.workers.lanes import Lane
from troth.engine.workers.quarantine import Held, Identity, Quarantine

NAMES = ("first", "second")
HUNG = Failure("TemplateTimeout", "a message with the words of tenant-a")


def job(number: int, namespace: str = "a", program: str = "p") -> Identity:
    return Identity(f"{program}/{namespace}/{number}".encode(), program.encode(), namespace)


def hang(quarantine: Quarantine, *jobs: Identity, now: float = 0.0) -> None:
    for each in jobs:
        quarantine.misbehaved(each, 1, HUNG, now)


def test_a_job_that_hung_fails_as_it_did_until_its_time_is_over() -> None:
    quarantine = Quarantine(60)
    hang(quarantine, job(1))

    assert quarantine.recall(job(1), NAMES, 59) == Held(1, HUNG)
    assert quarantine.recall(job(1), NAMES, 61) is None
    assert quarantine.recall(job(2), NAMES, 1) is None


def test_two_jobs_of_a_namespace_hold_back_that_namespace_and_no_other() -> None:
    quarantine = Quarantine(60)
    hang(quarantine, job(1), job(2))

    held = quarantine.recall(job(3), NAMES, 1)
    assert held is not None
    assert (held.index, held.failure.reason, held.failure.pipeline) == (1, "TemplateTimeout", "second")
    assert "tenant-a" not in held.failure.sentence()
    assert "in this namespace" in held.failure.message
    assert quarantine.recall(job(3, "b"), NAMES, 1) is None
    assert quarantine.recall(job(3, program="q"), NAMES, 1) is None
    assert quarantine.recall(job(3), NAMES, 61) is None


@pytest.mark.parametrize("jobs", [2, 200])
@pytest.mark.parametrize("namespaces", [1, 2, 3])
def test_only_three_namespaces_together_hold_back_all(namespaces: int, jobs: int) -> None:
    quarantine = Quarantine(60)
    for number in range(namespaces):
        hang(quarantine, *(job(each, f"hostile-{number}") for each in range(jobs)))

    held = quarantine.recall(job(1, "stranger"), NAMES, 1)
    assert (held is not None) == (namespaces == 3)
    if held is not None:
        assert "requests in several namespaces" in held.failure.message
        assert "tenant-a" not in held.failure.sentence()


def test_one_job_of_each_of_many_namespaces_holds_back_nobody_else() -> None:
    quarantine = Quarantine(60)
    hang(quarantine, *(job(1, f"n{number}") for number in range(50)))

    assert quarantine.recall(job(1, "stranger"), NAMES, 1) is None


def test_a_program_that_ended_once_is_never_held_back_for_all() -> None:
    quarantine = Quarantine(60)
    quarantine.succeeded(job(1, "honest"), quick=True)
    hang(quarantine, *(job(each, f"hostile-{number}") for number in range(9) for each in range(3)))

    assert quarantine.recall(job(2, "honest"), NAMES, 1) is None
    assert quarantine.recall(job(2, "stranger"), NAMES, 1) is None
    assert quarantine.recall(job(9, "hostile-1"), NAMES, 1) is not None


def test_a_namespace_whose_requests_worked_is_held_back_for_its_failing_inputs_only() -> None:
    quarantine = Quarantine(60)
    quarantine.succeeded(job(1), quick=True)
    hang(quarantine, job(2), job(3), job(4))

    assert quarantine.recall(job(5), NAMES, 1) is None
    assert quarantine.recall(job(3), NAMES, 1) == Held(1, HUNG)


def test_somebodys_slow_requests_move_nobody_elses_into_the_slow_lane() -> None:
    quarantine = Quarantine(60)
    quarantine.took_long(job(1), 0.15, 0)

    assert quarantine.is_slow(job(2), 0)
    assert not quarantine.is_slow(job(2, "b"), 0)
    quarantine.succeeded(job(2), quick=True)
    assert not quarantine.is_slow(job(3), 0)


def lose(quarantine: Quarantine, *jobs: Identity, seconds: float = 1.0) -> None:
    for each in jobs:
        quarantine.took_long(each, seconds, 0)


def test_who_costs_the_quick_lane_too_much_time_is_slow_until_that_is_forgotten() -> None:
    quarantine = Quarantine(60)
    quarantine.succeeded(job(1), quick=True)
    lose(quarantine, job(2), job(3))
    assert not quarantine.is_slow(job(4), 0), "two that were slow are no habit"
    lose(quarantine, job(4))
    assert quarantine.is_slow(job(5), 0)
    assert quarantine.is_slow(job(5), 15)
    assert not quarantine.is_slow(job(5), 25)


def test_a_namespace_with_many_slow_promises_does_not_pay_with_those_that_do_well() -> None:
    quarantine = Quarantine(60)
    for program in ("p", "q", "well"):
        quarantine.succeeded(job(1, program=program), quick=True)
    lose(quarantine, *(job(number, program=program) for number in range(3) for program in ("r", "s")))
    assert quarantine.is_slow(job(2, program="new"), 0)
    assert not quarantine.is_slow(job(2, program="well"), 0)
    assert not quarantine.is_slow(job(2, "b", "new"), 0)


def test_a_promise_that_is_slow_in_many_namespaces_is_slow_where_it_is_new_and_nowhere_else() -> None:
    quarantine = Quarantine(60)
    quarantine.succeeded(job(1, "well"), quick=True)
    lose(quarantine, *(job(1, f"n{number}") for number in range(6)))
    assert quarantine.is_slow(job(2, "new"), 0)
    assert not quarantine.is_slow(job(2, "well"), 0)
    assert not quarantine.is_slow(job(2, "new", "q"), 0)


def test_each_time_a_job_hangs_it_is_held_back_twice_as_long() -> None:
    quarantine = Quarantine(60)
    now, pauses = 0.0, []
    for _ in range(8):
        pauses.append(quarantine.misbehaved(job(1), 0, HUNG, now).again)
        now += pauses[-1]
    assert pauses == [60, 120, 240, 480, 960, 1920, 1920, 1920]
    quarantine.succeeded(job(1), quick=True)
    assert quarantine.misbehaved(job(1), 0, HUNG, now).again == 60


@pytest.mark.parametrize("spread", ["a namespace", "a promise"])
def test_what_many_requests_have_to_try_again_takes_an_eighth_of_a_worker(spread: str) -> None:
    quarantine = Quarantine(60)
    jobs = [job(n) if spread == "a namespace" else job(1, f"n{n}") for n in range(200)]
    cost, now, due = 2.5, 0.0, dict.fromkeys(jobs, 0.0)
    quarantine.succeeded(jobs[0], quick=True)
    spent: list[tuple[float, float]] = []
    while now < 6 * 3600:
        each = min(due, key=lambda one: due[one])
        now = max(now, due[each]) + cost
        due[each] = now + quarantine.misbehaved(each, 0, HUNG, now, seconds=cost).again
        spent.append((now, cost))
    later = sum(seconds for when, seconds in spent if when > 3600)
    assert later <= 5 * 3600 / 8 * 1.05
    assert all(pause - now < 2 * 3600 for pause in due.values()), "each is tried again within two hours"


def test_an_edit_is_tried_although_its_namespace_is_held_back() -> None:
    quarantine = Quarantine(60)
    first = Identity(b"1", b"p", "a", subject=b"orders")
    assert not quarantine.asks(first)
    assert not quarantine.asks(first)
    hang(quarantine, first, job(2))
    other = Identity(b"3", b"p", "a", subject=b"other")
    assert not quarantine.asks(other)
    assert quarantine.recall(other, NAMES, 1) is not None
    edit = Identity(b"4", b"p", "a", subject=b"orders")
    assert quarantine.asks(edit)
    assert quarantine.recall(edit, NAMES, 1, edited=True) is None
    hang(quarantine, edit)
    assert quarantine.recall(edit, NAMES, 1, edited=True) is not None, "for what it did itself"


def test_a_namespace_that_stays_broken_is_tried_less_and_less_often() -> None:
    quarantine = Quarantine(60)
    now, number, tried = 0.0, 0, 0
    while now < 3600:
        number += 1
        if quarantine.recall(job(number), NAMES, now) is None:
            hang(quarantine, job(number), now=now)
            tried += 1
        now += 1
    assert tried <= 16


# ---- turns


@dataclass(frozen=True, slots=True)
class Waiting:
    identity: Identity
    edited: bool = False


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("pq")), max_size=40))
def test_namespaces_take_turns_and_nothing_is_lost(parties: list[tuple[str, str]]) -> None:
    lane: Lane[Waiting] = Lane()
    jobs = [Waiting(job(number, namespace, program)) for number, (namespace, program) in enumerate(parties)]
    for each in jobs:
        lane.add(each)
    taken: list[Waiting] = []
    while lane:
        taken.append(lane.take())

    assert sorted(each.identity.key for each in taken) == sorted(each.identity.key for each in jobs)
    for namespace, program in set(parties):
        own = [each for each in taken if each.identity.party == (namespace, program.encode())]
        assert own == [each for each in jobs if each in own], "a party's jobs keep their order"


def test_a_stranger_stands_behind_one_or_two_of_each_crowd() -> None:
    lane: Lane[Waiting] = Lane()
    for number in range(100):
        lane.add(Waiting(job(number, "crowded")))
        lane.add(Waiting(job(1, f"n{number}", "slow")))
    stranger = Waiting(job(1, "quiet", "own"))
    lane.add(stranger)
    assert stranger in [lane.take() for _ in range(6)]


def test_who_mends_one_of_two_hundred_need_not_wait_for_the_others() -> None:
    lane: Lane[Waiting] = Lane()
    for number in range(200):
        lane.add(Waiting(job(number)))
    mended = Waiting(job(300), edited=True)
    lane.add(mended)
    assert lane.before(mended) == 1
    assert mended in [lane.take() for _ in range(3)]


def test_a_job_knows_about_how_many_are_served_before_it() -> None:
    lane: Lane[Waiting] = Lane()
    jobs = [Waiting(job(number)) for number in range(20)]
    for each in jobs:
        lane.add(each)
    assert [lane.before(each) for each in jobs] == list(range(20))
    lane.add(Waiting(job(1, "b")))
    assert lane.before(jobs[12]) == 13
    assert lane.remove(jobs[3])
    assert lane.before(jobs[12]) == 12
    assert lane.before(jobs[3]) is None


def test_a_party_leaves_its_lane_as_a_whole() -> None:
    lane: Lane[Waiting] = Lane()
    for number, namespace in enumerate("abab"):
        lane.add(Waiting(job(number, namespace)))

    assert [each.identity.namespace for each in lane.take_party(job(9, "a"))] == ["a", "a"]
    assert [each.identity.namespace for each in lane.clear()] == ["b", "b"]
    assert not lane
