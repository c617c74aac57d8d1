"""Promises whose own pipelines do not end wait for one another, and whoever takes them back waits for none of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.bench.counting import gauge
from tests.hostile.attackers.requesters import slow_promise
from tests.operators import OperatorProcess
from tests.platforms import Platform
from tests.waiting import eventually, stretched
from troth.api.resources import PROMISE
from troth.kube import Client

COUNT = 5
SECONDS = "300"  # that a template may take: far more than the test waits
SOON = 5.0


async def test_a_promise_that_waits_for_its_turn_goes_at_once_when_it_is_deleted(
    operator: Callable[..., OperatorProcess], client: Client, unique: str
) -> None:
    process = await asyncio.to_thread(operator, "--render-timeout", SECONDS)
    platform = Platform(client)
    names = [f"{unique}{number}" for number in range(COUNT)]
    for name in names:
        await platform.make(PROMISE, slow_promise(name))
        await platform.wait(PROMISE, name, lambda live: live["metadata"].get("finalizers"), within=60)

    async def waiting() -> bool:
        return gauge(await asyncio.to_thread(process.metrics), "troth_queue_processing") >= COUNT

    await eventually(waiting, "all of them wait to be rendered", within=60)
    for name in names:
        await platform.delete(PROMISE, name)
    for name in names:
        await platform.gone(PROMISE, name, within=stretched(SOON))
    await platform.clean()
