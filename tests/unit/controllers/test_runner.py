"""The runner and its slots: what runs at once, and what follows from each result."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from tests.waiting import eventually
from troth.api import Key
from troth.controllers.result import DONE, After, Result, Retry, Terminal, Waits
from troth.controllers.runner import Runner
from troth.controllers.slots import Slots
from troth.kube import ConnectionFailed, Forbidden, WorkQueue

KEY = Key("widgets.example.com", "default", "a")


class Counting:
    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def reconciled(self, kind: str, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)


async def run_with(
    reconcile: Callable[[Key], Awaitable[Result]],
    keys: list[Key],
    *,
    size: int = 4,
    until: Callable[[], bool],
    again: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Runs the keys ``until`` it is so; once it is so ``again``, somebody else queues them."""
    loop = asyncio.get_running_loop()
    queue = WorkQueue()
    counting = Counting()
    runner = Runner(
        queue=queue,
        slots=Slots(size=size, bound=100),
        reconcilers={},
        default=reconcile,
        observer=counting,
        clock=loop.time,
    )
    task = asyncio.create_task(runner.run())
    for key in keys:
        queue.add(key)
    try:
        await eventually(lambda: until() or again(), "the runner did what was asked")
        if not until():
            for key in keys:
                queue.add(key)
        await eventually(until, "the runner did what was asked")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        queue.close()
    return counting.outcomes


async def test_a_reconcile_that_waits_for_a_store_lets_others_run() -> None:
    slots_seen: list[str] = []
    release = asyncio.Event()
    holder: dict[str, Slots] = {}
    queue = WorkQueue()

    async def reconcile(key: Key) -> Result:
        if key.name == "slow":
            async with holder["slots"].lent():
                await release.wait()
        slots_seen.append(key.name)
        return DONE

    holder["slots"] = Slots(size=1, bound=10)
    runner = Runner(
        queue=queue,
        slots=holder["slots"],
        reconcilers={},
        default=reconcile,
        observer=Counting(),
        clock=asyncio.get_running_loop().time,
    )
    task = asyncio.create_task(runner.run())
    queue.add(KEY._replace(name="slow"))
    for name in ("one", "two"):
        queue.add(KEY._replace(name=name))
    try:
        await eventually(lambda: slots_seen == ["one", "two"], "the others ran")
        release.set()
        await eventually(lambda: slots_seen == ["one", "two", "slow"], "the slow one ended")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        queue.close()


async def test_never_more_reconciles_than_slots_run_at_once() -> None:
    running, most, ended = 0, 0, 0

    async def reconcile(_: Key) -> Result:
        nonlocal running, most, ended
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        ended += 1
        return DONE

    keys = [KEY._replace(name=str(number)) for number in range(50)]
    await run_with(reconcile, keys, size=3, until=lambda: ended == 50)
    assert most <= 3


async def test_a_bug_in_a_reconciler_ends_nothing_and_is_tried_again() -> None:
    calls = 0

    async def reconcile(_: Key) -> Result:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ZeroDivisionError
        return DONE

    outcomes = await run_with(reconcile, [KEY], until=lambda: calls == 3)
    assert outcomes[:2] == ["error", "error"]


async def test_after_and_retry_come_again_and_terminal_does_not() -> None:
    calls: dict[str, int] = {}
    answers: dict[str, Result] = {
        "after": After(0.01, "because"),
        "retry": Retry("because"),
        "terminal": Terminal("Reason", "message"),
    }

    async def reconcile(key: Key) -> Result:
        calls[key.name] = calls.get(key.name, 0) + 1
        return answers[key.name]

    keys = [KEY._replace(name=name) for name in answers]
    await run_with(reconcile, keys, until=lambda: calls.get("after", 0) > 2 and calls.get("retry", 0) > 2)
    assert calls["terminal"] == 1


async def test_what_fails_again_and_again_is_logged_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    calls = 0

    async def reconcile(_: Key) -> Result:
        nonlocal calls
        calls += 1
        if calls <= 5:
            raise Forbidden(403, "Forbidden", "works is forbidden: no right to create it")
        return DONE

    with caplog.at_level(logging.INFO, logger="troth.controllers.runner"):
        await run_with(reconcile, [KEY], until=lambda: "succeeded again" in caplog.text)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"{KEY}: works is forbidden: no right to create it; trying again"),
        ("INFO", f"{KEY}: succeeded again after 5 failed attempts"),
    ]


async def test_what_waits_is_not_called_well_until_it_is(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Result] = [
        Retry("the push was refused"),
        Retry("the push was refused"),
        After(0.01, "the templates ran out of time", failed=True),
        Waits("the store is away"),
    ]
    done: list[int] = []

    async def reconcile(_: Key) -> Result:
        if answers:
            return answers.pop(0)
        done.append(len([record for record in caplog.records if "succeeded again" in record.getMessage()]))
        return DONE

    with caplog.at_level(logging.INFO, logger="troth.controllers.runner"):
        await run_with(
            reconcile,
            [KEY],
            until=lambda: bool(done) and "succeeded again" in caplog.text,
            again=lambda: not answers,
        )
    assert done[0] == 0, "nothing was said while it waited"
    assert caplog.messages[-1] == f"{KEY}: succeeded again after 3 failed attempts"


async def test_what_a_store_says_for_itself_is_not_repeated_by_each_that_waits_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: dict[Key, int] = {}

    async def reconcile(key: Key) -> Result:
        calls[key] = calls.get(key, 0) + 1
        return Retry("the store is away", quiet=True) if calls[key] < 3 else DONE

    keys = [KEY._replace(name=str(number)) for number in range(20)]
    with caplog.at_level(logging.INFO, logger="troth.controllers.runner"):
        await run_with(reconcile, keys, until=lambda: len(calls) == 20 and min(calls.values()) == 3)
    assert not caplog.messages


async def test_a_server_that_gives_no_answer_is_told_once_for_all_that_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: dict[str, int] = {}

    async def reconcile(key: Key) -> Result:
        calls[key.name] = calls.get(key.name, 0) + 1
        if calls[key.name] <= 3:
            raise ConnectionFailed("connection refused", ambiguous=False)
        return DONE

    keys = [KEY._replace(name=str(number)) for number in range(20)]
    with caplog.at_level(logging.INFO, logger="troth.controllers.runner"):
        await run_with(reconcile, keys, until=lambda: list(calls.values()) == [4] * 20)
    first, *others = [record.getMessage() for record in caplog.records]
    assert first == "the API server gives no answer: connection refused; everything is tried again"
    assert others[0].startswith("the API server answers again; ")
    assert len(others) <= 2 * len(keys)
    assert not [line for line in others if str(KEY.kind) in line]
