"""A store that refuses everybody is told from one that refuses somebody, and neither is asked without end."""

from __future__ import annotations

from random import Random

import pytest

from troth.api import Key
from troth.api.store_kinds import StoreRef
from troth.controllers.result import After, Retry
from troth.controllers.writes import Writes
from troth.kube import WorkQueue
from troth.stores import Reason, StoreError

STORE = StoreRef("GitStateStore", "gitops")
STORE_KEY = Key("gitstatestores.platform.kratix.io", "", "gitops")
FROZEN = StoreError(Reason.PUSH_REFUSED, "frozen until Monday")


def key(name: str) -> Key:
    return Key("workplacements.platform.kratix.io", "default", name)


@pytest.fixture
async def queue() -> WorkQueue:
    return WorkQueue(clock=lambda: 0.0, random=Random(1))


@pytest.fixture
async def writes(queue: WorkQueue) -> Writes:
    return Writes(queue, stores={STORE.kind: STORE_KEY.kind}, longest_wait=15.0)


def queued(queue: WorkQueue) -> set[Key]:
    """What is ready in the queue; takes it out."""
    found: set[Key] = set()
    while (taken := queue.get_nowait()) is not None:
        found.add(taken)
        queue.done(taken)
    return found


async def test_a_store_that_refuses_everybody_has_a_problem_until_it_lets_somebody_through(
    writes: Writes, queue: WorkQueue
) -> None:
    writes.failed(STORE, key("a"), FROZEN)
    assert writes.problem(STORE) is FROZEN
    assert queued(queue) == {STORE_KEY}
    writes.passed(STORE, key("a"), changed=True)
    assert writes.problem(STORE) is None
    assert queued(queue) == {STORE_KEY}


async def test_a_rule_against_one_is_no_problem_of_the_store(writes: Writes) -> None:
    writes.failed(STORE, key("bad"), FROZEN)
    writes.passed(STORE, key("good"), changed=True)
    assert writes.problem(STORE) is None
    writes.failed(STORE, key("bad"), FROZEN)
    assert writes.problem(STORE) is None
    writes.failed(STORE, key("new"), FROZEN)
    assert writes.problem(STORE) is FROZEN


async def test_a_refusal_beside_others_that_are_let_through_is_no_problem_of_the_store(writes: Writes) -> None:
    selective = StoreError(Reason.PUSH_REFUSED, "no secrets in here", selective=True)
    writes.failed(STORE, key("bad"), selective)
    assert writes.problem(STORE) is None
    writes.failed(STORE, key("bad"), FROZEN)
    assert writes.problem(STORE) is None
    writes.failed(STORE, key("new"), FROZEN)
    assert writes.problem(STORE) is FROZEN
    writes.failed(STORE, key("bad"), selective)
    assert writes.problem(STORE) is None


async def test_what_was_there_already_proves_nothing(writes: Writes) -> None:
    writes.failed(STORE, key("a"), FROZEN)
    writes.passed(STORE, key("b"), changed=False)
    assert writes.problem(STORE) is FROZEN


async def test_the_first_that_is_let_through_calls_the_others(writes: Writes, queue: WorkQueue) -> None:
    for name in "abc":
        writes.failed(STORE, key(name), FROZEN)
    queued(queue)
    writes.passed(STORE, key("b"), changed=True)
    assert queued(queue) == {STORE_KEY, key("a"), key("c")}


async def test_of_many_one_tries_again_soon_and_the_others_take_turns(writes: Writes) -> None:
    assert writes.failed(STORE, key("a"), FROZEN) == Retry(str(FROZEN), longest=15.0, quiet=True)
    assert writes.failed(STORE, key("b"), FROZEN) == Retry(str(FROZEN), quiet=True)
    assert writes.failed(STORE, key("a"), FROZEN) == Retry(str(FROZEN), quiet=True)
    assert writes.failed(STORE, key("a"), FROZEN) == Retry(str(FROZEN), quiet=True)


async def test_a_store_out_of_reach_is_looked_at_at_once_and_is_not_taken_for_one_that_refuses(
    writes: Writes, queue: WorkQueue
) -> None:
    away = StoreError(Reason.UNREACHABLE, "gone")
    assert writes.failed(STORE, key("a"), away) == Retry("gone", longest=15.0, quiet=True)
    assert writes.problem(STORE) is None
    assert queued(queue) == {STORE_KEY}


async def test_what_a_store_answers_to_one_only_is_logged_of_that_one(writes: Writes) -> None:
    writes.failed(STORE, key("bad"), FROZEN)
    writes.passed(STORE, key("good"), changed=True)
    assert writes.failed(STORE, key("bad"), FROZEN) == Retry(str(FROZEN), longest=15.0)


async def test_what_a_person_has_to_change_is_tried_again_slowly(writes: Writes) -> None:
    final = StoreError(Reason.INVALID_PATH, "no", retryable=False)
    assert writes.failed(STORE, key("a"), final) == After(60.0, "no", failed=True)


async def test_whoever_is_gone_or_whose_store_is_gone_is_forgotten(writes: Writes) -> None:
    writes.failed(STORE, key("a"), FROZEN)
    writes.forget(key("a"))
    assert writes.problem(STORE) is None
    writes.failed(STORE, key("b"), FROZEN)
    writes.forget_store(STORE)
    assert writes.problem(STORE) is None


async def test_the_queue_keeps_a_back_off_within_the_longest_that_it_is_told() -> None:
    now = 0.0
    queue = WorkQueue(clock=lambda: now, random=Random(1))
    for _ in range(30):
        now = 0.0
        queue.add_rate_limited(key("a"), longest=15.0)
        now = 15.0
        assert queue.get_nowait() == key("a")
        queue.done(key("a"))
