"""The queue of keys to reconcile, with client-go's promises and controller-runtime's priorities.

* A key waits at most once, and at most one worker has it. A key that is added while a worker has it is given out once
  more afterwards: no update is lost, and no key is worked on twice at the same time.
* The highest priority comes first, but after four keys of it in a row comes one of a lower priority. So somebody who
  edits without end can delay lower priorities and never stop them.
* Within a priority the namespaces take turns, and the kinds do (`troth.turns`), so neither a tenant with a thousand
  requests nor a Promise with a thousand requesters holds up others. At cluster scope each kind counts as a namespace of
  its own, so that many Promises delay neither a state store nor the tenants.
* A key that is added again while it waits keeps the higher priority and the earlier time.

The queue is bounded by the number of objects: there is one entry for each. It holds keys, never objects, so closing it
loses nothing that the next start would not find again.

Rejected: `asyncio.PriorityQueue`, which cannot raise what already waits, nor tell what is being worked on; a heap of
all keys, in which taking turns between namespaces costs a search; priorities that grow with the time waited (under a
load that never ends, all keys have waited equally long in the end, and a person's change waits like a resync).
"""

from __future__ import annotations

import asyncio
import heapq
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from troth.api import Key, TrothError
from troth.turns import Turns

PRIORITY_CHANGE: Final = 0
PRIORITY_DEPENDENT: Final = -10
PRIORITY_RESYNC: Final = -100

_FIRST_DELAY = 0.005
_LONGEST_DELAY = 300.0
_MOST_DOUBLINGS = 16
_SPARE_PLACES = 64
_PATIENCE = 4


class QueueClosed(TrothError):
    """The queue was closed; the worker that waited should end."""


@dataclass(slots=True)
class _Entry:
    """A key that waits. ``token`` tells its current place in the heap of delayed keys from its former places."""

    priority: int
    due: float
    token: int = 0
    ready: bool = False


def party_of(key: Key) -> tuple[str, str]:
    """Returns the row and the column in which a key takes turns with others (`Turns`).

    The name of a namespace is never that of a kind, which has a dot.
    """
    return (key.namespace or key.kind, key.kind)


class WorkQueue:
    """Keys to reconcile. To be used from one event loop; only `get`, `news` and `idle` wait."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        random: Random | None = None,
        first_delay: float = _FIRST_DELAY,
        longest_delay: float = _LONGEST_DELAY,
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        """Begins empty.

        Args:
            clock: monotonic seconds; the running loop's when None.
            random: draws the jitter of the back-off.
            first_delay: ceiling of the first back-off, in seconds; it doubles with each failure in a row.
            longest_delay: the most that the ceiling becomes, in seconds.
            on_wait: told how many seconds a key stood ready before a worker took it.
        """
        self._clock = clock or _loop_time
        self._random = random or Random()  # noqa: S311 - spreads delays, guards nothing
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._on_wait = on_wait
        self._waiting: dict[Key, _Entry] = {}
        self._processing: dict[Key, int] = {}
        self._lanes: dict[int, Turns[Key, str, str]] = {}
        self._priorities: list[int] = []  # ascending, those that have a lane
        self._in_a_row: dict[int, int] = {}  # keys taken in a row while lower priorities waited
        self._delayed: list[tuple[float, int, Key]] = []
        self._ready = 0
        self._failures: dict[Key, int] = {}
        self._token = 0
        self._news: list[asyncio.Future[None]] = []
        self._renewals: dict[Key, asyncio.Future[None]] = {}
        self._watchers: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._closed = False

    def add(self, key: Key, *, priority: int = PRIORITY_CHANGE, after: float = 0.0) -> None:
        """Adds a key to be reconciled, ``after`` seconds from now at the earliest.

        A key that already waits keeps the higher of the priorities and the earlier of the times.
        """
        if self._closed:
            return
        now = self._clock()
        self._promote(now)
        due = now + after if after > 0 else now
        entry = self._waiting.get(key)
        if entry is None:
            entry = self._waiting[key] = _Entry(priority, due)
            if key not in self._processing:
                self._place(key, entry, now)
        else:
            self._improve(key, entry, max(priority, entry.priority), min(due, entry.due), now)
        if due <= now and (renewal := self._renewals.get(key)) and not renewal.done():
            renewal.set_result(None)
        self._schedule()
        self._tell()

    def add_rate_limited(self, key: Key, *, priority: int | None = None, longest: float | None = None) -> None:
        """Adds a key to be reconciled after a back-off that grows with each call until `forget`.

        Without a priority it keeps the one with which it was last taken. ``longest`` is the upper limit of the back-off
        in seconds; the default is the queue's ``longest_delay``.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        most = self._longest_delay if longest is None else min(longest, self._longest_delay)
        ceiling = min(most, self._first_delay * 2 ** min(failures, _MOST_DOUBLINGS))
        if priority is None:
            priority = self._processing.get(key, PRIORITY_CHANGE)
        self.add(key, priority=priority, after=self._random.uniform(0.0, ceiling))

    def forget(self, key: Key) -> None:
        """Resets the back-off of a key, which succeeded or is gone. Does not take it out of the queue."""
        self._failures.pop(key, None)

    def failures(self, key: Key) -> int:
        """Returns how many back-offs in a row the key has had."""
        return self._failures.get(key, 0)

    async def get(self) -> Key:
        """Waits for the next key, which belongs to the caller until `done`. Raises QueueClosed."""
        while (key := self.get_nowait()) is None:
            await self.news()
        return key

    async def news(self) -> None:
        """Waits until a key becomes ready. Raises QueueClosed."""
        if self._closed:
            raise QueueClosed("the queue is closed")
        self._schedule()
        turn = asyncio.get_running_loop().create_future()
        self._news.append(turn)
        try:
            await turn
        finally:
            if turn in self._news:
                self._news.remove(turn)

    def renewed(self, key: Key) -> asyncio.Future[None]:
        """Returns a future that is done once a key that is being processed is added again without a delay."""
        renewal = self._renewals[key] = asyncio.get_running_loop().create_future()
        return renewal

    def get_nowait(self, admits: Callable[[str, str], bool] | None = None) -> Key | None:
        """Returns the next key that is ready, or None. Raises QueueClosed.

        Args:
            admits: whether a key of that row and column (`party_of`) may be taken now; None admits all.
        """
        if self._closed:
            raise QueueClosed("the queue is closed")
        now = self._clock()
        self._promote(now)
        while self._priorities and not self._lanes[self._priorities[-1]]:
            del self._lanes[self._priorities.pop()]
        waiting = [priority for priority in reversed(self._priorities) if self._lanes[priority]]
        for priority in self._preferred(waiting):
            key = self._lanes[priority].take(admits)
            if key is not None:
                self._count(priority, waiting)
                entry = self._waiting.pop(key)
                self._ready -= 1
                self._processing[key] = entry.priority
                if self._on_wait is not None:
                    self._on_wait(now - entry.due)
                return key
        return None

    def _preferred(self, waiting: list[int]) -> list[int]:
        """Returns the waiting priorities, the highest first; those that had enough turns in a row come last."""
        served = [each for each in waiting[:-1] if self._in_a_row.get(each, 0) >= _PATIENCE]
        return [*(each for each in waiting if each not in served), *served]

    def _count(self, taken: int, waiting: list[int]) -> None:
        for priority in waiting:
            if priority > taken:
                self._in_a_row[priority] = 0
        self._in_a_row[taken] = self._in_a_row.get(taken, 0) + 1 if waiting[-1] != taken else 0

    def done(self, key: Key) -> None:
        """Gives a key back after it was worked on. If it was added meanwhile, it is now ready (or delayed)."""
        self._renewals.pop(key, None)
        if self._processing.pop(key, None) is None:
            return
        entry = self._waiting.get(key)
        if entry is not None:
            now = self._clock()
            self._promote(now)
            entry.due = max(entry.due, now)  # until now it could not have been taken
            self._place(key, entry, now)
        self._schedule()
        self._tell()

    def __len__(self) -> int:
        """Returns how many keys are ready for a worker."""
        self._promote(self._clock())
        return self._ready

    @property
    def processing(self) -> int:
        """How many keys workers have now."""
        return len(self._processing)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time, or for the worker that has them."""
        self._promote(self._clock())
        return len(self._waiting) - self._ready

    def oldest_wait(self) -> float:
        """Returns for how many seconds the oldest of the ready keys has been ready; 0 if none is. Meant for metrics."""
        now = self._clock()
        self._promote(now)
        return max((now - entry.due for entry in self._waiting.values() if entry.ready), default=0.0)

    async def idle(self, *, horizon: float = 0.0) -> None:
        """Waits until no key is ready or worked on, and none becomes due within ``horizon`` seconds."""
        while not self._closed and not self._is_idle(horizon):
            self._schedule()
            watcher = asyncio.get_running_loop().create_future()
            self._watchers.append(watcher)
            try:
                await watcher
            finally:
                if watcher in self._watchers:
                    self._watchers.remove(watcher)

    def close(self) -> None:
        """Drops all waiting keys, and raises QueueClosed in every `get` that waits. Keys added later are ignored."""
        self._closed = True
        self._waiting.clear()
        self._delayed.clear()
        self._lanes.clear()
        self._priorities.clear()
        self._failures.clear()
        self._ready = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()
        self._tell()

    def _improve(self, key: Key, entry: _Entry, priority: int, due: float, now: float) -> None:
        if entry.ready:
            if priority != entry.priority:
                self._lanes[entry.priority].remove(key, *party_of(key))
                self._ready -= 1
                entry.priority = priority
                self._place(key, entry, now)
            return
        moved = due < entry.due
        entry.priority, entry.due = priority, due
        if moved and key not in self._processing:
            self._place(key, entry, now)

    def _place(self, key: Key, entry: _Entry, now: float) -> None:
        self._token += 1
        entry.token = self._token
        entry.ready = entry.due <= now
        if not entry.ready:
            heapq.heappush(self._delayed, (entry.due, entry.token, key))
            if len(self._delayed) > 2 * len(self._waiting) + _SPARE_PLACES:
                self._drop_left_places()
            return
        lane = self._lanes.get(entry.priority)
        if lane is None:
            lane = self._lanes[entry.priority] = Turns()
            insort(self._priorities, entry.priority)
        lane.add(key, *party_of(key))
        self._ready += 1
        self._wake()

    def _drop_left_places(self) -> None:
        self._delayed = [
            place for place in self._delayed if (entry := self._waiting.get(place[2])) and entry.token == place[1]
        ]
        heapq.heapify(self._delayed)

    def _promote(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            _, token, key = heapq.heappop(self._delayed)
            entry = self._waiting.get(key)
            if entry is not None and entry.token == token:
                self._place(key, entry, now)

    def _wake(self) -> None:
        """Makes the callers that wait for a key look again."""
        waiting, self._news = self._news, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)

    def _tell(self) -> None:
        """Makes the callers of `idle` look again."""
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    def _schedule(self) -> None:
        """Sets the timer for the next delayed key."""
        if not self._delayed or (self._timer is not None and self._timer_due <= self._delayed[0][0]):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # without a running loop nobody waits; `get` and `idle` call this again
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._delayed[0][0]
        self._timer = loop.call_later(max(0.0, self._timer_due - self._clock()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._promote(self._clock())
        self._schedule()
        self._tell()

    def _is_idle(self, horizon: float) -> bool:
        now = self._clock()
        self._promote(now)
        if self._ready or self._processing:
            return False
        return not any(entry.due <= now + horizon for entry in self._waiting.values())


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
