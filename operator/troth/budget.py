"""How many bytes may be in flight at once: loads, unpacking and submissions wait here for room.

A count of tasks bounds no memory when one of them holds a kilobyte and the next thirty megabytes. So who is about to
hold bytes says how many, and waits until there is room for them. Within each of two parts it is first come, first
served: a quarter is kept for small needs, so that they never stand behind large ones, and large ones never starve for
a stream of small ones. Whoever holds room must not ask for more of it: that could wait for itself.

Rejected: one queue for all (a stranger's kilobyte would wait for all megabytes before it), priorities by size (the
largest would wait for ever).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

IN_FLIGHT: Final = 96 * 1024 * 1024
"""Bytes that are in flight at once unless something else is said."""

_SMALL: Final = 256 * 1024


class Budget:
    """Room for so many bytes."""

    def __init__(self, total: int = IN_FLIGHT, *, small: int = _SMALL) -> None:
        """All of it is free.

        Args:
            total: bytes.
            small: the largest need, in bytes, that counts as small.
        """
        self._small_size = small
        self._small = _Room(max(1, total // 4))
        self._large = _Room(max(1, total - total // 4))

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Waits for room for ``size`` bytes, and has it inside the block.

        Who needs more than there is gets all of it, alone.
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
            if turn.done() and not turn.cancelled():  # it got the room in the same moment
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
