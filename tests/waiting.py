"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
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


def _message(condition: Callable[[], object], what: str, within: float, seen: object) -> str:
    name = what or inspect.getdoc(condition) or getattr(condition, "__name__", repr(condition))
    return f"not within {within:g} s: {name}; the last look saw: {seen!s:.2000}"
