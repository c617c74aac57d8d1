"""Whoever starts a program ends it with its pipes: nothing is left for the garbage collector, nor for the machine."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine.workers.test_pool import is_running
from tests.waiting import eventually, eventually_sync
from troth.engine.rendering.limits import Limits
from troth.engine.workers.pool import RenderPool
from troth.engine.workers.process import RenderProcess
from troth.kube.errors import CredentialsError
from troth.kube.exec_plugin import run_exec_plugin
from troth.stores.errors import StoreError
from troth.stores.git_command import GitCommand, Scrubber

ENDS_AND_LEAVES_A_CHILD = "#!/bin/sh\nsleep 600 &\necho $! > {folder}/child\n"
RUNS_WITH_A_CHILD = ENDS_AND_LEAVES_A_CHILD + "wait\n"
RUNS = "#!/bin/sh\necho $$ > {folder}/child\nexec sleep 600\n"

Use = Callable[[Path, float], Awaitable[object]]


async def run_git(program: Path, timeout: float) -> object:
    command = GitCommand(
        folder=program.parent, environment=dict(os.environ), scrub=Scrubber(()), program=str(program)
    )
    return await command.run("fetch", stdin=b"x" * 1_000_000, timeout=timeout)


async def ask_plugin(program: Path, timeout: float) -> object:
    section = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}
    return await run_exec_plugin(
        section, folder=program.parent, cluster={}, environ=dict(os.environ), deadline=timeout
    )


def left_by(scenario: Callable[[], Awaitable[object]]) -> list[str]:
    """What the garbage collector finds when a loop is closed at once after a scenario."""
    found: list[str] = []
    before = sys.unraisablehook
    gc.collect()
    sys.unraisablehook = lambda unraisable: found.append(f"{unraisable.object}: {unraisable.exc_value}")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(scenario())
            finally:
                loop.close()
            gc.collect()
    finally:
        sys.unraisablehook = before
    return found + [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)]


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("script", [RUNS, RUNS_WITH_A_CHILD, ENDS_AND_LEAVES_A_CHILD])
@pytest.mark.parametrize("use", [run_git, ask_plugin])
def test_a_program_that_is_late_or_given_up_is_gone_with_its_children_and_its_pipes(
    tmp_path: Path, use: Use, script: str, *, cancelled: bool
) -> None:
    program = tmp_path / "program"
    program.write_text(script.format(folder=tmp_path))
    program.chmod(0o755)
    child = tmp_path / "child"

    async def scenario() -> None:
        running = asyncio.ensure_future(use(program, 60.0 if cancelled else 1.0))
        await eventually(lambda: child.exists() and child.read_text().endswith("\n"), "it runs")
        if cancelled:
            running.cancel()
        with contextlib.suppress(asyncio.CancelledError, StoreError, CredentialsError):
            await running

    assert left_by(scenario) == []
    eventually_sync(lambda: not is_running(int(child.read_text())), "its child is gone")


@pytest.mark.parametrize("moment", ["started", "asked", "ended"])
def test_a_worker_that_is_ended_leaves_nothing(moment: str) -> None:
    async def scenario() -> None:
        worker = await RenderProcess.start(Limits())
        if moment == "asked":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    await worker.send(b" " * 4_000_000)
        if moment == "ended":
            os.kill(worker.process.pid, 9)
            await eventually(worker.process.stdout.at_eof, "it ended")
        await asyncio.gather(worker.end(), worker.end())

    assert left_by(scenario) == []


def test_a_start_that_is_given_up_leaves_nothing() -> None:
    async def scenario() -> None:
        for turns in range(12):
            starting = asyncio.ensure_future(RenderProcess.start(Limits()))
            for _ in range(turns):
                await asyncio.sleep(0)
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting

    assert left_by(scenario) == []


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_pool_that_is_closed_at_once_leaves_nothing(turns: int) -> None:
    async def scenario() -> None:
        pool = RenderPool(size=2)
        await pool.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await pool.close()

    assert left_by(scenario) == []


def test_a_pool_whose_start_is_given_up_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    start = RenderProcess.start
    begun: list[Limits] = []
    ready: list[RenderProcess] = []

    async def scenario() -> None:
        never = asyncio.Event()

        async def one_is_ready(limits: Limits) -> RenderProcess:
            begun.append(limits)
            if len(begun) > 1:
                await never.wait()
            ready.append(await start(limits))
            return ready[-1]

        monkeypatch.setattr(RenderProcess, "start", one_is_ready)
        starting = asyncio.ensure_future(RenderPool(size=2).start())
        await eventually(lambda: ready, "one is ready")
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting

    assert left_by(scenario) == []
    assert not is_running(ready[0].process.pid)


def test_a_cancellation_while_a_program_is_ended_is_passed_on_when_it_is_gone() -> None:
    async def scenario() -> Any:
        worker = await RenderProcess.start(Limits())
        ending = asyncio.ensure_future(worker.end())
        await asyncio.sleep(0)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert not is_running(worker.process.pid)

    assert left_by(scenario) == []
