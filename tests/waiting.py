"""Waiting for a condition with a deadline, instead of sleeping and hoping; and how long that is on a busy machine."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]], what: str = "", *, within: float = 10.0, every: float = 0.02
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T | None], what: str = "", *, within: float = 10.0, every: float = 0.02
) -> T: ...


async def eventually(
    condition: Callable[[], object],
    what: str = "",
    *,
    within: float = 10.0,
    every: float = 0.02,
) -> object:
    """Call ``condition`` until it answers with something true, and return that.

    Args:
        condition: may be asynchronous. An AssertionError means "not yet", and the last one is shown when time is
            up; any other exception is a failure at once. A synchronous one runs on the loop: keep it short.
        what: what is waited for, for the message.
        within: seconds.
        every: seconds between two looks.
    """
    deadline = time.monotonic() + within
    while True:
        seen: object
        cause: AssertionError | None = None
        try:
            answer = condition()
            value = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
            seen = value
        except AssertionError as error:
            cause, seen = error, error
        if time.monotonic() >= deadline:
            raise AssertionError(_message(condition, what, within, seen)) from cause
        await asyncio.sleep(every)


def eventually_sync(
    condition: Callable[[], T | None], what: str = "", *, within: float = 10.0, every: float = 0.02
) -> T:
    """As `eventually`, for tests without an event loop."""
    deadline = time.monotonic() + within
    while True:
        seen: object
        cause: AssertionError | None = None
        try:
            value = condition()
            if value:
                return value
            seen = value
        except AssertionError as error:
            cause, seen = error, error
        if time.monotonic() >= deadline:
            raise AssertionError(_message(condition, what, within, seen)) from cause
        time.sleep(every)


def stretched(seconds: float) -> float:
    """The seconds of a promise on a machine of its own, times how many want each of its processors just now.

    That is the average of the last minute or, where it is more, what wants them in this moment: the average learns
    only slowly of others that have just begun. Of the moment, only what others run counts. What this process and all
    that it started run is what the promise is about, and stretches nothing.
    """
    processors = os.cpu_count() or 1
    everybody, ours = _runnable_now()
    now = everybody / max(ours, processors) if everybody > ours else 0.0
    return seconds * max(1.0, os.getloadavg()[0] / processors, now)


def _runnable_now() -> tuple[int, int]:
    """How many threads run or want to, besides the one that asks: of all, and of this process and its descendants."""
    try:
        everybody = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1
    except OSError:  # there is no /proc
        return 0, 0
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            children.setdefault(int(_fields(stat)[1]), []).append(int(stat.parent.name))
    ours, waiting = -1, [os.getpid()]
    while waiting:
        process = waiting.pop()
        waiting += children.get(process, ())
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                ours += _fields(thread / "stat")[0] == "R"
    return everybody, ours


def _fields(stat: Path) -> list[str]:
    """Of a line of /proc that shows a process or a thread: what stands behind its name, which may hold anything."""
    return stat.read_text().rpartition(")")[2].split()


def _message(condition: Callable[[], object], what: str, within: float, seen: object) -> str:
    name = what or inspect.getdoc(condition) or getattr(condition, "__name__", repr(condition))
    return f"not within {within:g} s: {name}; the last look saw: {seen!s:.2000}"
