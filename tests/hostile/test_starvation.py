"""Whatever one namespace asks for, and however much of it: others get their turn, and those who wait are told so."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.hostile.attackers import flood
from tests.hostile.attackers.requesters import CANNOT_BE_INTERRUPTED, TIMES_OUT
from tests.operators import OperatorProcess, running_operator
from tests.platforms import Object, Platform, Repository, api_of, condition, failure, is_ready, promise, request
from tests.waiting import eventually, stretched
from troth.dev import ControlPlane
from troth.kube import Client

SOON = 2.0
STRANGERS = 4
EDITORS = 8
ATTACKS = {
    "that time out": (200, TIMES_OUT),
    "that cannot be interrupted": (40, CANNOT_BE_INTERRUPTED),
}


@pytest.fixture(scope="module")
def process(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[OperatorProcess, Path]]:
    folder = tmp_path_factory.mktemp("stores")
    with running_operator(control_plane, folder, "--local-stores", folder) as process:
        yield process, folder


@pytest.fixture(scope="module")
def stores(process: tuple[OperatorProcess, Path]) -> Path:
    """The folder of the local stores of one operator, which runs for all tests of this file."""
    return process[1]


@pytest.fixture
def stranger(control_plane: ControlPlane, unique: str) -> Iterator[str]:
    """The namespace of somebody else."""
    name = f"{unique}-stranger"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.finish_namespace(name, strip_finalizers=True)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_strangers_are_ready_at_once_beside_requests(
    platform: Platform,
    repository: Repository,
    client: Client,
    process: tuple[OperatorProcess, Path],
    unique: str,
    namespace: str,
    stranger: str,
    attack: str,
) -> None:
    count, template = ATTACKS[attack]
    others = f"{unique}others"
    await platform.publish(promise(unique, template=template))
    await platform.publish(promise(others, selectors={"for": unique}))
    await platform.ask(unique, "well", namespace, n=0)
    await platform.ready(unique, "well", namespace)
    async with healthy(process[0]):
        await flood(client, unique, namespace, [{"n": 10**9 + number} for number in range(count)])
        for number in range(STRANGERS):
            assert await seconds_to_ready(platform, others, f"s{number}", stranger, size="small") < stretched(SOON)
            assert await seconds_to_ready(platform, unique, f"s{number}", stranger, n=0) < stretched(SOON)
        neighbour = await seconds_to_ready(platform, others, "n", namespace, size="small")
        assert neighbour < stretched(SOON), "another Promise in the same namespace"

        waiting = await eventually(lambda: those_that_wait(client, unique, namespace), "it is told", within=30)
        for live in waiting:
            assert condition(live, "Ready")["reason"] == "WorkflowPending"
            assert live["status"]["message"] == condition(live, "Ready")["message"]
        mended = waiting[-1]["metadata"]["name"]
        assert await seconds_to_ready(platform, unique, mended, namespace, n=0) < stretched(2 * SOON)


async def test_edits_without_end_of_one_namespace_hold_up_no_stranger(
    platform: Platform,
    repository: Repository,
    client: Client,
    process: tuple[OperatorProcess, Path],
    unique: str,
    namespace: str,
    stranger: str,
) -> None:
    others = f"{unique}others"
    await platform.publish(promise(unique))
    await platform.publish(promise(others, selectors={"for": unique}))
    ended = asyncio.Event()

    async def edit(number: int) -> None:
        size = 0
        while not ended.is_set():
            size += 1
            await client.apply(
                api_of(unique), request(unique, f"r{number}", namespace, size=str(size)), field_manager="tests"
            )

    editors = [asyncio.create_task(edit(number)) for number in range(EDITORS)]
    try:
        async with healthy(process[0]):
            for number in range(STRANGERS):
                seconds = await seconds_to_ready(platform, others, f"s{number}", stranger, size="small")
                assert seconds < stretched(SOON)
    finally:
        ended.set()
        await asyncio.gather(*editors)


async def seconds_to_ready(
    platform: Platform, promise_name: str, name: str, namespace: str, **spec: object
) -> float:
    """How long a request takes from its last edit to Ready."""
    begun = time.monotonic()
    await platform.ask(promise_name, name, namespace, **spec)
    await platform.ready(promise_name, name, namespace, within=60)
    seconds = time.monotonic() - begun
    print(f"{promise_name} {namespace}/{name} was Ready after {seconds:.2f} s; load {os.getloadavg()[0]:.1f}")
    return seconds


async def those_that_wait(client: Client, promise_name: str, namespace: str) -> list[Object]:
    """The requests that say so."""
    listing = await client.list(api_of(promise_name), namespace)
    assert not [item for item in listing.items if is_ready(item) and item["spec"]["n"]]
    return [
        item
        for item in listing.items
        if " before it" in condition(item, "Ready").get("message", "") and not failure(item)
    ]


@asynccontextmanager
async def healthy(process: OperatorProcess) -> AsyncIterator[None]:
    """Whatever happens inside the block, ``/healthz`` answers within a second."""
    slowest = 0.0

    async def look() -> None:
        nonlocal slowest
        while True:
            begun = time.monotonic()
            status, text = await asyncio.to_thread(process.get, "/healthz")
            assert status == 200, text
            slowest = max(slowest, time.monotonic() - begun)
            await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        results = await asyncio.gather(looking, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError), results
    assert slowest < stretched(1.0)
