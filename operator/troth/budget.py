"""Limits how many bytes are in flight at once: loading, unpacking and submitting wait here for room.

A limit of tasks does not limit memory when one task holds a kilobyte and the next one thirty megabytes. So a task that
is about to hold bytes says how many, and waits until there is room for them. There are two parts, each of which is
first come, first served: a quarter is kept for small needs, so that they never wait behind large ones, and large ones
do not starve because of many small ones. A task that holds room must not ask for more, since it could wait for itself.

Rejected: one queue for all (a kilobyte would wait for all the megabytes of others before it), and priorities by size
(the largest would wait for ever).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

IN_FLIGHT: Final = 96 * 1024 * 1024
"""The default for the number of bytes that may be in flight at once."""

_SMALL: Final = 256 * 1024


class Budget:
    """Room for a number of bytes."""

    def __init__(self, total: int = IN_FLIGHT, *, small: int = _SMALL) -> None:
        """Makes the budget; all of it is free.

        Args:
            total: the size of the budget in bytes.
            small: the largest need, in bytes, that counts as small.
        """
        self._small_size = small
        self._small = _Room(max(1, total // 4))
        self._large = _Room(max(1, total - total // 4))

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Waits for room for ``size`` bytes, and keeps it until the end of the block.

        A task that needs more than the total gets all of it, alone.
        """
        room = self._small if size <= self._small_size else self._large
        size = min(max(1, size), room.total)
        await room.take(size)
        try:
            yield
        finally:
            room.give(size)


class _Room:
    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    async def take(self, size: int) -> None:
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, size))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it got the room at the same moment
                self.give(size)
            else:
                self._waiting.remove((turn, size))
                self._call()
            raise

    def give(self, size: int) -> None:
        self._free += size
        self._call()

    def _call(self) -> None:
        while self._waiting and self._waiting[0][1] <= self._free:
            turn, size = self._waiting.popleft()
            self._free -= size
            turn.set_result(None)
