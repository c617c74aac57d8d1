"""What did not end holds back whoever it belongs to, and nobody learns anything of anybody else's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.failure import Failure
from troth.engine.lanes import Lane
from troth.engine.quarantine import Held, Identity, Quarantine

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
    quarantine.took_long(job(1))

    assert quarantine.is_slow(job(2))
    assert not quarantine.is_slow(job(2, "b"))
    quarantine.succeeded(job(2), quick=True)
    assert not quarantine.is_slow(job(3))


# ---- turns


@dataclass(frozen=True, slots=True)
class Waiting:
    identity: Identity


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
    namespaces = {namespace for namespace, _ in parties}
    assert {each.identity.namespace for each in taken[: len(namespaces)]} == namespaces


def test_a_party_leaves_its_lane_as_a_whole() -> None:
    lane: Lane[Waiting] = Lane()
    for number, namespace in enumerate("abab"):
        lane.add(Waiting(job(number, namespace)))

    assert [each.identity.namespace for each in lane.take_party(job(9, "a"))] == ["a", "a"]
    assert [each.identity.namespace for each in lane.clear()] == ["b", "b"]
    assert not lane
