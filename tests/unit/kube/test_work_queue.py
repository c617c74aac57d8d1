"""The queue against a model of it, and what only a running loop shows."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.waiting import SAFE
from troth.api import Key
from troth.kube import QueueClosed, WorkQueue

FIRST, LONGEST = 0.005, 300.0
IN_A_ROW = 4


class Latest(Random):
    """Draws the end of every range: the back-off is its ceiling."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def key(namespace: str, name: str) -> Key:
    return Key("things.example.com", namespace, name)


KEYS = st.sampled_from([key(namespace, name) for namespace in ("", "a", "b") for name in ("1", "2", "3")])
PRIORITIES = st.sampled_from([0, -10, -100])
DELAYS = st.sampled_from([0.0, 0.0, 0.5, 1.0, 60.0])


class QueueAgainstModel(RuleBasedStateMachine):
    """The model: what waits (priority, when due, in which order it came), and what is worked on."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = WorkQueue(clock=self.clock, random=Latest())
        self.waiting: dict[Key, tuple[int, float, int]] = {}
        self.processing: dict[Key, int] = {}
        self.failures: dict[Key, int] = {}
        self.order = 0
        # For each place that has something ready: how often each other one was served since it was served itself.
        self.passed: dict[tuple[int, str], Counter[str]] = {}
        # For each priority: how many of higher ones were taken in a row while it waited.
        self.overtaken: Counter[int] = Counter()
        # For each priority: how many of it were taken in a row while lower ones waited.
        self.in_a_row: Counter[int] = Counter()

    def ready(self) -> list[tuple[int, int, Key]]:
        return sorted(
            (-priority, order, each)
            for each, (priority, due, order) in self.waiting.items()
            if due <= self.clock.now and each not in self.processing
        )

    def model_add(self, each: Key, priority: int, after: float) -> None:
        due = self.clock.now + after
        old = self.waiting.get(each)
        self.order += 1
        if old is None:
            self.waiting[each] = (priority, due, self.order)
            return
        was_ready = old[1] <= self.clock.now and each not in self.processing
        new_priority, new_due = max(priority, old[0]), min(due, old[1])
        moved = new_priority != old[0] if was_ready else new_due != old[1]
        self.waiting[each] = (new_priority, new_due, self.order if moved else old[2])

    @rule(each=KEYS, priority=PRIORITIES, after=DELAYS)
    def add(self, each: Key, priority: int, after: float) -> None:
        self.queue.add(each, priority=priority, after=after)
        self.model_add(each, priority, after)

    @rule(each=KEYS)
    def fail(self, each: Key) -> None:
        failures = self.failures.get(each, 0)
        self.failures[each] = failures + 1
        self.queue.add_rate_limited(each)
        self.model_add(each, self.processing.get(each, 0), min(LONGEST, FIRST * 2**failures))

    @rule(each=KEYS)
    def forget(self, each: Key) -> None:
        self.failures.pop(each, None)
        self.queue.forget(each)

    @rule(seconds=st.sampled_from([0.005, 0.3, 0.5, 61.0]))
    def pass_time(self, seconds: float) -> None:
        before = self.clock.now
        self.clock.now += seconds
        due = sorted(
            (when, order, each)
            for each, (_, when, order) in self.waiting.items()
            if before < when <= self.clock.now and each not in self.processing
        )
        for when, _, each in due:
            self.order += 1
            self.waiting[each] = (self.waiting[each][0], when, self.order)

    @rule()
    def get(self) -> None:
        got = self.queue.get_nowait()
        ready = self.ready()
        if got is None:
            assert not ready
            return
        assert got not in self.processing, "two workers would have the same key"
        assert got in self.waiting, "nobody asked for it"
        priority = self.waiting[got][0]
        for higher in {-negative for negative, _, _ in ready if -negative > priority}:
            assert self.in_a_row[higher] >= IN_A_ROW, f"a key of priority {higher} waits"
            self.in_a_row[higher] = 0
        lowest = min(-negative for negative, _, _ in ready)
        self.in_a_row[priority] = self.in_a_row[priority] + 1 if lowest < priority else 0
        for lower in {-negative for negative, _, _ in ready if -negative < priority}:
            self.overtaken[lower] += 1
            assert self.overtaken[lower] <= IN_A_ROW + IN_A_ROW * (IN_A_ROW + 1)
        self.overtaken[priority] = 0
        same = [each for negative, _, each in ready if -negative == priority]
        assert got == next(each for each in same if each.namespace == got.namespace), "first come, first served"
        present = {each.namespace for each in same}
        for namespace in present - {got.namespace}:
            passed = self.passed.setdefault((priority, namespace), Counter())
            passed[got.namespace] += 1
            assert passed[got.namespace] <= 2, f"{got.namespace!r} was served thrice while {namespace!r} waited"
        self.passed[priority, got.namespace] = Counter()
        del self.waiting[got]
        self.processing[got] = priority

    @precondition(lambda self: self.processing)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(sorted(self.processing)))
        self.queue.done(each)
        del self.processing[each]
        if each in self.waiting:
            priority, due, _ = self.waiting[each]
            self.order += 1
            self.waiting[each] = (priority, due, self.order)

    @invariant()
    def forget_who_was_passed_by_those_without_work(self) -> None:
        present = {(-negative, each.namespace) for negative, _, each in self.ready()}
        self.passed = {place: passed for place, passed in self.passed.items() if place in present}
        for priority in set(self.overtaken) - {priority for priority, _ in present}:
            del self.overtaken[priority]

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.queue) == len(self.ready())
        assert self.queue.processing == len(self.processing)
        assert self.queue.delayed == len(self.waiting) - len(self.ready())

    def teardown(self) -> None:
        for each in list(self.processing):
            self.queue.done(each)
        self.clock.now += 10_000
        left = set()
        while (got := self.queue.get_nowait()) is not None:
            left.add(got)
            self.queue.done(got)
        assert left == set(self.waiting), "an update was lost or invented"


TestQueueAgainstModel = QueueAgainstModel.TestCase
TestQueueAgainstModel.settings = settings(max_examples=150, stateful_step_count=60)


def test_a_namespace_with_a_thousand_keys_does_not_delay_one_with_a_single_key() -> None:
    queue = WorkQueue(clock=Clock())
    for number in range(1000):
        queue.add(key("crowded", str(number)))
    queue.add(key("quiet", "only"))
    assert key("quiet", "only") in [queue.get_nowait() for _ in range(3)]


def test_many_promises_delay_neither_a_state_store_nor_a_tenant() -> None:
    queue = WorkQueue(clock=Clock())
    for number in range(1000):
        queue.add(Key("promises.platform.kratix.io", "", str(number)))
    store, request = Key("gitstatestores.platform.kratix.io", "", "git"), key("quiet", "only")
    queue.add(store)
    queue.add(request)
    assert {store, request} <= {queue.get_nowait() for _ in range(6)}


def test_a_slow_promise_with_requests_in_many_namespaces_delays_no_other() -> None:
    queue = WorkQueue(clock=Clock())
    for number in range(1000):
        queue.add(key(f"n{number}", "1"))
    stranger = Key("others.example.com", "quiet", "only")
    queue.add(stranger)
    assert stranger in [queue.get_nowait() for _ in range(4)]


def test_edits_without_end_stop_neither_what_others_edits_lead_to_nor_a_resync() -> None:
    queue = WorkQueue(clock=Clock())
    dependent, resync = key("quiet", "work"), key("quiet", "old")
    queue.add(dependent, priority=-10)
    queue.add(resync, priority=-100)
    taken: list[Key] = []
    for number in range(40):
        queue.add(key("busy", str(number)))
        queue.add(key("busy", f"work {number}"), priority=-10)
        got = queue.get_nowait()
        assert got is not None
        taken.append(got)
    assert taken.index(dependent) <= 15
    assert taken.index(resync) <= 25


def test_a_change_by_a_person_overtakes_a_resync() -> None:
    queue = WorkQueue(clock=Clock())
    for number in range(1000):
        queue.add(key("a", str(number)), priority=-100)
    queue.add(key("a", "700"))
    assert queue.get_nowait() == key("a", "700")
    assert len(queue) == 999


def test_a_retry_keeps_the_priority_that_its_key_had() -> None:
    clock = Clock()
    queue = WorkQueue(clock=clock, random=Latest())
    queue.add(key("a", "resync"), priority=-100)
    taken = queue.get_nowait()
    assert taken is not None
    queue.add_rate_limited(taken)
    queue.done(taken)
    queue.add(key("a", "person"))
    clock.now += 1
    assert queue.get_nowait() == key("a", "person")


def test_the_back_off_doubles_to_five_minutes_and_begins_anew_after_forget() -> None:
    clock = Clock()
    queue = WorkQueue(clock=clock, random=Latest())
    each = key("a", "1")
    delays = []
    for _ in range(20):
        queue.add_rate_limited(each)
        began = clock.now
        while queue.get_nowait() is None:
            clock.now += 0.0025 if clock.now - began < 1 else 0.5
        delays.append(clock.now - began)
        queue.done(each)
    assert delays[0] == pytest.approx(0.005, abs=0.003)
    assert delays[4] == pytest.approx(0.080, abs=0.003)
    assert delays[-1] == pytest.approx(300, abs=1)
    assert queue.failures(each) == 20
    queue.forget(each)
    queue.add_rate_limited(each)
    clock.now += 0.006
    assert queue.get_nowait() == each


def test_delayed_places_that_were_left_do_not_pile_up() -> None:
    clock = Clock()
    queue = WorkQueue(clock=clock)
    for _ in range(10_000):
        queue.add(key("a", "1"), after=600)
        queue.add(key("a", "1"))
        taken = queue.get_nowait()
        assert taken is not None
        queue.done(taken)
    assert len(queue._delayed) < 200


def test_the_oldest_wait_is_that_of_the_key_that_is_ready_the_longest() -> None:
    clock = Clock()
    waits: list[float] = []
    queue = WorkQueue(clock=clock, on_wait=waits.append)
    assert queue.oldest_wait() == 0
    queue.add(key("a", "1"))
    queue.add(key("a", "2"), after=4)
    clock.now += 10
    assert queue.oldest_wait() == 10
    queue.get_nowait()
    queue.get_nowait()
    assert waits == [10, 6]


async def test_a_key_that_is_added_while_it_is_worked_on_is_told_to_whoever_works_on_it() -> None:
    queue = WorkQueue()
    each = key("a", "1")
    queue.add(each)
    assert queue.get_nowait() == each
    for _ in range(2):
        renewed = queue.renewed(each)
        queue.add(each, after=60)
        queue.add(key("a", "2"))
        assert not renewed.done()
        queue.add(each)
        assert renewed.done()
    last = queue.renewed(each)
    queue.done(each)
    queue.add(each)
    assert not last.done(), "it is worked on no more"
    queue.close()


async def test_get_wakes_when_a_delay_is_over() -> None:
    queue = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(key("a", "1"), after=0.02)
    async with asyncio.timeout(SAFE):
        assert await waiting == key("a", "1")


async def test_an_earlier_delay_moves_the_timer_forward() -> None:
    queue = WorkQueue()
    queue.add(key("a", "late"), after=3600)
    queue.add(key("a", "soon"), after=0.02)
    async with asyncio.timeout(SAFE):
        assert await queue.get() == key("a", "soon")
    queue.close()


async def test_a_worker_that_is_cancelled_as_it_is_woken_passes_the_key_on() -> None:
    queue = WorkQueue()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(key("a", "1"))
    first.cancel()
    async with asyncio.timeout(SAFE):
        assert await second == key("a", "1")
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    queue = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    waiting.cancel()
    queue.add(key("a", "1"))
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(SAFE):
        assert await queue.get() == key("a", "1")


async def test_many_workers_never_have_the_same_key_at_once_and_lose_no_update() -> None:
    queue = WorkQueue()
    random = Random(7)
    working: set[Key] = set()
    wanted: dict[Key, int] = {}
    done: dict[Key, int] = {}

    async def work() -> None:
        while True:
            each = await queue.get()
            assert each not in working
            working.add(each)
            seen = wanted[each]
            await asyncio.sleep(0)
            working.discard(each)
            done[each] = seen
            queue.done(each)

    workers = [asyncio.create_task(work()) for _ in range(8)]
    for number in range(2000):
        each = key(random.choice("abc"), str(random.randrange(20)))
        wanted[each] = number
        queue.add(each, priority=random.choice((0, -10)))
        if number % 7 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(SAFE):
        await queue.idle()
    assert done == wanted
    queue.close()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, QueueClosed) for result in results)


async def test_idle_waits_for_what_is_worked_on_and_for_what_comes_due_within_the_horizon() -> None:
    queue = WorkQueue()
    queue.add(key("a", "1"), after=0.05)
    queue.add(key("a", "2"), after=3600)
    await queue.idle()
    idle = asyncio.create_task(queue.idle(horizon=1))
    async with asyncio.timeout(SAFE):
        each = await queue.get()
    await asyncio.sleep(0)
    assert not idle.done()
    queue.done(each)
    async with asyncio.timeout(SAFE):
        await idle
    queue.close()


async def test_closing_ends_all_who_wait_and_takes_nothing_more() -> None:
    queue = WorkQueue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, QueueClosed) for result in results)
    queue.add(key("a", "1"))
    assert len(queue) == 0
    with pytest.raises(QueueClosed):
        await queue.get()
