"""Decides when to write: at once when nothing else goes on, and in batches when much does (group commit).

A commit costs the same for one file and for a thousand, and nobody knows whether more claims follow. So how long a
claim waits depends on what happened lately:

* Idle: a claim is written as soon as nothing else has come for a few milliseconds.
* Busy, which means that claims came while the last batch was being written: the next batch waits as long as
  claims keep coming, and longer with every busy batch in a row: up to 0.2 s, then up to 1 s. A pause in the
  arrivals ends the wait, so the last claims of a burst do not wait because of the ones before.
* After a batch of many, a short silence does not mean that everything is done: perhaps the API server has stalled, and
  the rest of the burst follows. If this counted as idle, there would be a commit for each handful of claims.
* Large claims are written a few at a time, so a small claim that comes meanwhile is in the next commit and does not
  wait for a gigabyte.

Rejected: a fixed window (every claim would wait for it, even alone), and a limit of commits per second (the second of
two quick edits would wait although nothing else is going on).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from troth.stores.edits import Wish
from troth.stores.errors import Reason, StoreError
from troth.stores.protocol import Written

_SMALL: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a batch waits for more claims.

    Times are in seconds. In tuples, the entry at index n is for a batch after n busy batches in a row.

    Attributes:
        longest: the longest time that the first claim of a batch waits. The last entry is used for all later batches.
        pause: after this time without a new claim, the batch is written. The last entry is used for all later batches.
        cooling: a claim that comes within this time after a batch counts as if it had come while it was written.
        crowd: a batch with at least this number of claims is a batch of many.
        crowd_cooling: the `cooling` after a batch of many.
        most: the largest number of claims in one batch.
        most_bytes: the largest size of all large claims in one batch. Small claims do not wait behind them.
    """

    longest: tuple[float, ...] = (0.05, 0.2, 1.0)
    pause: tuple[float, ...] = (0.004, 0.1, 0.25)
    cooling: float = 0.03
    crowd: int = 8
    crowd_cooling: float = 0.3
    most: int = 2000
    most_bytes: int = 64 * 1024 * 1024


@dataclass(eq=False, slots=True)
class Waiting:
    """A wish with the callers that wait for it. A newer claim of the same owner takes over the waiters of the older."""

    wish: Wish
    waiters: list[asyncio.Future[Written]] = field(default_factory=list)

    def succeed(self, written: Written) -> None:
        """Give the result to all callers that still wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(written)

    def fail(self, error: BaseException) -> None:
        """Raise the error in all callers that still wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)

    @property
    def abandoned(self) -> bool:
        """Whether no caller waits any more."""
        return all(waiter.done() for waiter in self.waiters)


Flush = Callable[[Sequence[Waiting]], Awaitable[None]]


class Gatherer:
    """Takes wishes one by one and passes them on in batches, one batch at a time.

    The number of wishes that wait is limited by the number of owners: a newer wish replaces an older one of the same
    owner. ``flush`` must settle every entry; the entries that it does not settle fail, so that nobody waits for ever.
    """

    def __init__(self, flush: Flush, *, pace: Pace, name: str) -> None:
        self._flush = flush
        self._pace = pace
        self._name = name
        self._waiting: dict[str, Waiting] = {}
        self._arrived = asyncio.Event()
        self._closing = False
        self._flushing: frozenset[str] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, owner: str) -> bool:
        return owner in self._waiting or owner in self._flushing

    def __len__(self) -> int:
        return len(self._waiting)

    async def submit(self, wish: Wish) -> Written:
        """Wait until a batch has carried the wish out. Raises the error with which `flush` failed it."""
        if self._closing:
            raise _closed(self._name)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"{self._name} writer")
        waiter: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        entry = self._waiting.get(wish.owner)
        if entry is None:
            self._waiting[wish.owner] = Waiting(wish, [waiter])
        else:
            entry.wish = wish
            entry.waiters.append(waiter)
        self._arrived.set()
        return await waiter

    async def close(self, *, grace: float) -> None:
        """Let the batch that is being written end within ``grace`` seconds, and fail all that wait. Idempotent."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=grace)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for entry in self._waiting.values():
            entry.fail(_closed(self._name))
        self._waiting.clear()

    async def _run(self) -> None:
        busy = 0
        crowded = False
        while not self._closing:
            if not self._waiting:
                self._arrived.clear()
                if not await self._arrival(self._pace.crowd_cooling if crowded else self._pace.cooling):
                    busy = 0
                    await self._arrived.wait()
                continue
            await self._gather(busy)
            batch = self._take()
            if not batch or self._closing:
                self._put_back(batch)
                continue
            self._flushing = frozenset(entry.wish.owner for entry in batch)
            try:
                await self._flush(batch)
            except Exception as error:  # noqa: BLE001 - whoever waits is told, and the next batch is not harmed
                for entry in batch:
                    entry.fail(error)
            finally:
                self._flushing = frozenset()
                for entry in batch:
                    entry.fail(_closed(self._name))
            crowded = len(batch) >= self._pace.crowd
            if self._waiting:
                busy += 1
            else:
                busy = max(busy, 1) if crowded else min(busy, 1)

    async def _gather(self, busy: int) -> None:
        loop = asyncio.get_running_loop()
        pace = self._pace
        longest = pace.longest[min(busy, len(pace.longest) - 1)]
        pause = pace.pause[min(busy, len(pace.pause) - 1)]
        deadline = loop.time() + longest
        while not self._closing and len(self._waiting) < pace.most:
            left = deadline - loop.time()
            if left <= 0:
                return
            self._arrived.clear()
            if not await self._arrival(min(pause, left)):
                return

    async def _arrival(self, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                return await self._arrived.wait()
        except TimeoutError:
            return False

    def _take(self) -> list[Waiting]:
        small = [owner for owner, entry in self._waiting.items() if entry.wish.claim.size <= _SMALL]
        large = [owner for owner, entry in self._waiting.items() if entry.wish.claim.size > _SMALL]
        owners: list[str] = []
        size = 0
        for owner in large:
            size += self._waiting[owner].wish.claim.size
            if owners and size > self._pace.most_bytes:
                break
            owners.append(owner)
        chosen = {*owners[: self._pace.most], *small[: max(0, self._pace.most - len(owners))]}
        # The order of arrival is kept, since the first claim to a path gets it.
        taken = [self._waiting.pop(owner) for owner in list(self._waiting) if owner in chosen]
        return [entry for entry in taken if not entry.abandoned]

    def _put_back(self, batch: Sequence[Waiting]) -> None:
        for entry in batch:
            self._waiting.setdefault(entry.wish.owner, entry)


def _closed(name: str) -> StoreError:
    return StoreError(Reason.CLOSED, f"the writer of {name} is closing")
