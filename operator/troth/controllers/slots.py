"""How many reconciles run at once, and how one steps aside while it waits for a store.

A pool of N workers that each wait for a push would stop everything when one repository hangs, and would never
gather a thousand placements into one commit. So a reconcile holds a slot while it computes and talks to the API
server, and lends it while it waits for somebody else's writer. Rejected: a second pool for each store (more
queues, and the order between them to reason about).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

_held: ContextVar[bool] = ContextVar("_held", default=False)


class Slots:
    """Counts the reconciles that are running; at most ``size`` hold a slot, at most ``bound`` exist."""

    def __init__(self, *, size: int, bound: int) -> None:
        self.size = size
        self._running = asyncio.Semaphore(size)
        self._existing = asyncio.Semaphore(bound)

    async def admit(self) -> None:
        """Waits until one more reconcile may exist; `dismiss` is its counterpart."""
        await self._existing.acquire()

    def dismiss(self) -> None:
        """One reconcile fewer exists."""
        self._existing.release()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Holds a slot inside the block, except where the code in it lends the slot."""
        await self._running.acquire()
        _held.set(True)
        try:
            yield
        finally:
            # A reconcile that was cancelled while its slot was lent has none to give back.
            if _held.get():
                _held.set(False)
                self._running.release()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Gives the slot to others inside the block and takes one back at its end."""
        _held.set(False)
        self._running.release()
        try:
            yield
        finally:
            await self._running.acquire()
            _held.set(True)
