"""A slot is given in turns, lent and taken back, and nobody fills what may exist."""

from __future__ import annotations

import asyncio
import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiting import SAFE, eventually
from troth.api import Key
from troth.controllers.result import DONE, Result
from troth.controllers.runner import Runner
from troth.controllers.slots import Slot, Slots
from troth.kube import WorkQueue, party_of

CROWD = "crowd"


class Nobody:
    def reconciled(self, kind: str, outcome: str, seconds: float) -> None:
        pass


def key(namespace: str, name: str = "1", kind: str = "things.example.com") -> Key:
    return Key(kind, namespace, name)


class Work:
    """Reconciles without a loop: they begin when they are offered a slot, and run until they are ended."""

    def __init__(self, slots: Slots, queue: WorkQueue) -> None:
        self.slots = slots
        self.queue = queue
        self.begun: list[Key] = []
        self.running: list[tuple[Key, Slot]] = []
        slots.serve(self.begin)

    def begin(self) -> bool:
        found = self.queue.get_nowait(self.slots.admits)
        if found is None:
            return False
        self.begun.append(found)
        self.running.append((found, self.slots.take(party_of(found))))
        return True

    def end(self, number: int) -> None:
        found, slot = self.running.pop(number)
        self.queue.done(found)
        self.slots.end(slot)

    def lend_all(self) -> None:
        """All that run wait for templates, for ever."""
        for _, slot in self.running:
            self.slots._release(slot)
        self.slots.offer()


@settings(max_examples=50)
@given(
    size=st.integers(1, 8),
    namespaces=st.integers(1, 5),
    kinds=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_a_stranger_begins_within_a_few_turns_whatever_the_others_add(
    size: int, namespaces: int, kinds: int, seed: int
) -> None:
    random = Random(seed)
    queue = WorkQueue(clock=itertools.count(100.0).__next__)
    work = Work(Slots(size=size, bound=100), queue)
    numbers = itertools.count()

    def crowd() -> None:
        for namespace, kind in itertools.product(range(namespaces), range(kinds)):
            queue.add(key(f"n{namespace}", str(next(numbers)), f"k{kind}.example.com"))

    for _ in range(50):
        crowd()
    work.slots.offer()
    stranger = key("stranger", kind="others.example.com")
    queue.add(stranger)
    before = len(work.begun)
    while stranger not in work.begun:
        crowd()
        work.end(random.randrange(len(work.running)))
    assert len(work.begun) - before <= 2 * min(namespaces, kinds) + 2


@settings(max_examples=50)
@given(size=st.integers(8, 40), namespaces=st.integers(1, 30))
def test_a_stranger_begins_at_once_beside_namespaces_that_hold_slots(size: int, namespaces: int) -> None:
    queue = WorkQueue(clock=itertools.count(100.0).__next__)
    work = Work(Slots(size=size, bound=10_000), queue)
    kept = size // 8
    for number in range(100):
        for namespace in range(min(namespaces, size - kept)):
            queue.add(key(f"{CROWD}{namespace}", str(number)))
        work.slots.offer()
    assert len(work.begun) == size - kept
    stranger = key("stranger", kind="others.example.com")
    queue.add(stranger)
    work.slots.offer()
    assert work.begun[-1] == stranger


async def test_a_stranger_goes_on_at_once_beside_namespaces_that_hold_slots() -> None:
    slots = Slots(size=16, bound=1000)
    release, gone_on = asyncio.Event(), asyncio.Event()

    async def reconcile(slot: Slot) -> None:
        slots.use(slot)
        async with slots.lent():
            await release.wait()
        gone_on.set()

    stranger = asyncio.create_task(reconcile(slots.take(("stranger", "others.example.com"))))
    await asyncio.sleep(0)
    crowd = []
    while slots.admits(CROWD, "things.example.com"):
        crowd.append(slots.take((CROWD, "things.example.com")))
    assert len(crowd) == 14
    release.set()
    await asyncio.wait_for(gone_on.wait(), SAFE)
    await stranger


@pytest.mark.parametrize("crowds", [1, 2, 5])
@pytest.mark.parametrize("spread", ["namespaces", "promises"])
def test_those_that_wait_for_templates_leave_room_for_a_stranger(crowds: int, spread: str) -> None:
    queue = WorkQueue(clock=itertools.count(100.0).__next__)
    work = Work(Slots(size=4, bound=60), queue)
    for number, crowd in itertools.product(range(200), range(crowds)):
        if spread == "namespaces":
            queue.add(key(f"{CROWD}{crowd}", str(number)))
        else:
            queue.add(key(f"n{number}", "1", f"slow{crowd}.example.com"))
    while True:
        before = len(work.begun)
        work.slots.offer()
        work.lend_all()
        if len(work.begun) == before:
            break
    assert 20 <= len(work.begun) < 60, "as many wait as there is room for"
    strangers = {key("stranger", str(number), "others.example.com") for number in range(2)}
    for stranger in strangers:
        queue.add(stranger)
    work.slots.offer()
    assert strangers <= set(work.begun)


def test_a_namespaces_slow_promise_leaves_room_for_its_others() -> None:
    queue = WorkQueue(clock=itertools.count(100.0).__next__)
    work = Work(Slots(size=100, bound=60), queue)
    for number in range(200):
        queue.add(key("n", str(number)))
    work.slots.offer()
    assert len(work.begun) == 20
    for number in range(200):
        queue.add(key("n", str(number), "others.example.com"))
    work.slots.offer()
    assert len(work.begun) >= 30


async def test_those_that_come_back_take_turns_with_those_that_begin() -> None:
    slots = Slots(size=1, bound=100)
    queue = WorkQueue()
    release = asyncio.Event()
    seen: list[str] = []

    async def reconcile(each: Key) -> Result:
        if each.namespace == CROWD:
            async with slots.lent():
                await release.wait()
        seen.append(each.namespace)
        await asyncio.sleep(0)
        return DONE

    runner = Runner(
        queue=queue,
        slots=slots,
        reconcilers={},
        default=reconcile,
        observer=Nobody(),
        clock=asyncio.get_running_loop().time,
    )
    task = asyncio.create_task(runner.run())
    try:
        for number in range(30):
            queue.add(key(CROWD, str(number)))
        await eventually(lambda: runner.active == 30, "all wait")
        release.set()
        await asyncio.sleep(0)
        for number in range(3):
            queue.add(key(f"stranger{number}"))
        await eventually(lambda: len(seen) == 33, "all are done")
        assert sum(namespace != CROWD for namespace in seen[:10]) == 3
        await eventually(lambda: runner.active == 0, "all have ended")
        assert slots._free == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        queue.close()


@pytest.mark.parametrize("when", ["lent", "waiting", "given"])
async def test_a_cancelled_reconcile_gives_its_slot_back_once(when: str) -> None:
    slots = Slots(size=1, bound=10)
    entered, left = asyncio.Event(), asyncio.Event()

    async def work(slot: Slot) -> None:
        try:
            slots.use(slot)
            async with slots.lent():
                entered.set()
                await left.wait()
        finally:
            slots.end(slot)

    task = asyncio.create_task(work(slots.take(("a", "k"))))
    await entered.wait()
    other = slots.take(("b", "k"))
    if when != "lent":
        left.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(slots._returning) == 1
    if when == "given":
        slots.end(other)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    if when != "given":
        slots.end(other)
    assert (slots._free, slots._existing, len(slots._returning)) == (1, 0, 0)


async def test_a_slot_is_lent_once_however_many_lend_it_side_by_side() -> None:
    slots = Slots(size=1, bound=10)
    slot = slots.take(("a", "k"))
    slots.use(slot)
    release = asyncio.Event()

    async def lend() -> None:
        async with slots.lent(), slots.lent():
            await release.wait()

    together = asyncio.gather(lend(), lend())
    await asyncio.sleep(0)
    assert slots._free == 1
    release.set()
    await together
    assert (slots._free, slot.held, slot.lends) == (0, True, 0)
    slots.end(slot)
    assert slots._free == 1


async def test_who_has_no_slot_lends_none() -> None:
    slots = Slots(size=1, bound=10)
    async with slots.lent():
        assert slots._free == 1
    assert slots._free == 1


async def test_a_failure_inside_takes_the_slot_back() -> None:
    slots = Slots(size=1, bound=10)
    slot = slots.take(("a", "k"))
    slots.use(slot)
    with pytest.raises(ValueError, match="no"):
        async with slots.lent():
            raise ValueError("no")
    assert slot.held
    slots.end(slot)
    assert slots._free == 1
