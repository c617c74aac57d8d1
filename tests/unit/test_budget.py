"""Room for bytes: never more than there is, first come first served, and small needs never behind large ones."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.waiting import SAFE
from troth.budget import Budget


async def test_there_is_never_more_in_flight_than_there_is_room_and_everybody_gets_a_turn() -> None:
    budget = Budget(1000, small=10)
    held = peak = done = 0
    draw = random.Random(7)

    async def need(size: int) -> None:
        nonlocal held, peak, done
        async with budget.hold(size):
            held += min(size, 750)
            peak = max(peak, held)
            await asyncio.sleep(0)
            held -= min(size, 750)
        done += 1

    needs = [draw.choice([1, 5, 10, 11, 300, 740, 5000]) for _ in range(300)]
    tasks = [asyncio.create_task(need(size)) for size in needs]
    for task in draw.sample(tasks, 50):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SAFE)

    assert peak <= 1000
    assert held <= sum(needs)
    assert done >= 250
    async with asyncio.timeout(SAFE), budget.hold(750):
        pass


async def test_a_small_need_does_not_wait_for_large_ones() -> None:
    budget = Budget(1000, small=10)
    async with budget.hold(5000):
        waits = asyncio.create_task(_hold(budget, 700))
        await asyncio.sleep(0)
        async with asyncio.timeout(SAFE), budget.hold(10):
            pass
        assert not waits.done()
    await asyncio.wait_for(waits, SAFE)


async def test_large_needs_have_their_turn_in_the_order_in_which_they_came() -> None:
    budget = Budget(1000, small=10)
    order: list[int] = []

    async def need(size: int) -> None:
        async with budget.hold(size):
            order.append(size)
            await asyncio.sleep(0)

    async with budget.hold(700):
        tasks = [asyncio.create_task(need(size)) for size in (600, 40, 30)]
        await asyncio.sleep(0)
        assert order == [], "nobody passes the one that needs much"
    await asyncio.gather(*tasks)
    assert order == [600, 40, 30]


async def test_who_gives_up_does_not_keep_the_room() -> None:
    budget = Budget(1000, small=10)
    async with budget.hold(750):
        waits = asyncio.create_task(_hold(budget, 750))
        behind = asyncio.create_task(_hold(budget, 20))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
    await asyncio.wait_for(behind, SAFE)


async def _hold(budget: Budget, size: int) -> None:
    async with budget.hold(size):
        pass
