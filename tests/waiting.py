"""Waits for conditions with a deadline instead of sleeping, and makes deadlines longer on a busy machine."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar, overload

T = TypeVar("T")

SAFE: Final = 60.0
"""Seconds after which a test gives up where nothing is promised about the time; a busy machine needs many of them."""


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]], what: str = "", *, within: float = SAFE, every: float = 0.02
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T | None], what: str = "", *, within: float = SAFE, every: float = 0.02
) -> T: ...


async def eventually(
    condition: Callable[[], object],
    what: str = "",
    *,
    within: float = SAFE,
    every: float = 0.02,
) -> object:
    """Call ``condition`` until it returns something true, and return that.

    Args:
        condition: a function, which may be asynchronous. An AssertionError means "not yet", and the last one is shown
            at the deadline; any other exception is raised at once. A synchronous function runs on the event loop, so
            it must be short.
        what: what is waited for, for the message.
        within: the deadline in seconds.
        every: the seconds between two calls.
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
    condition: Callable[[], T | None], what: str = "", *, within: float = SAFE, every: float = 0.02
) -> T:
    """Like `eventually`, for tests without an event loop."""
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
    """A time that is promised for an idle machine, multiplied by the number of threads per processor that want to run.

    This number is the average of the last minute or, if it is greater, the number at this moment, because the average
    only rises slowly when others have just begun. At this moment only threads of others count: those of this process
    and its children are what the promise is about, so they do not make the time longer.
    """
    processors = os.cpu_count() or 1
    everybody, ours = _runnable_now()
    now = everybody / max(ours, processors) if everybody > ours else 0.0
    return seconds * max(1.0, os.getloadavg()[0] / processors, now)


def _runnable_now() -> tuple[int, int]:
    """How many threads run or want to run, without the caller: of all processes, and of this one's family."""
    try:
        everybody = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1
    except OSError:  # /proc does not exist
        return 0, 0
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
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
    """The fields after the name in a line of /proc for a process or a thread. The name may contain anything."""
    return stat.read_text().rpartition(")")[2].split()


def _message(condition: Callable[[], object], what: str, within: float, seen: object) -> str:
    name = what or inspect.getdoc(condition) or getattr(condition, "__name__", repr(condition))
    return f"not within {within:g} s: {name}; the last look saw: {seen!s:.2000}"
