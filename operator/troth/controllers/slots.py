"""Limits how many reconciles run at once and how many exist, and lets a reconcile give up its slot while it waits.

A pool of N workers that each wait for a push, or for templates to be rendered, would stop everything when one
repository or one template hangs, and would never gather a thousand placements into one commit. So a reconcile holds
a slot while it computes and talks to the API server, and lends it while it waits for a writer or a renderer.

A key is taken from the queue when there is a slot for it and not before: once it is taken, it does not wait in the
fair order of the queue any more. Reconciles that want their slot back take turns among themselves and with new ones.

The number of reconciles that exist is bounded, and nobody can use up the bound: a namespace, or the requests of one
Promise, may have as many reconciles as there is still room for, and a namespace's requests of one Promise half as
many. So one party that takes all it can get leaves a half, two leave a third, and there is always room for a newcomer.

The last slots are kept for namespaces that hold none. So a newcomer begins, and goes on after it has waited for
something, at once: it need not wait until each of the others has had a turn, which takes long where the API server is
slow. A namespace with many requests holds a slot as a rule, and so has to wait for the others.

Rejected: a second pool for each store (more queues, and the order between them to reason about); a fixed share for
each namespace (nobody knows how many there will be); a semaphore (it serves in the order of arrival).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from troth.turns import Turns

Party = tuple[str, str]
_KEPT = 8  # one slot in eight is kept for namespaces that hold none


@dataclass(eq=False, slots=True)
class Slot:
    """One reconcile that exists.

    Attributes:
        party: the party that it belongs to: the row and the column of its key.
        held: whether it holds a slot now.
        lends: how many parts of the reconcile lend the slot now, since several may run side by side.
        turn: done when it has its slot back; None while it does not wait for that.
        renew: called when it has its slot back, to begin its deadline again: the time it waited was not its own work.
    """

    party: Party
    held: bool = True
    lends: int = 0
    turn: asyncio.Future[None] | None = None
    renew: Callable[[], None] = lambda: None


_current: ContextVar[Slot | None] = ContextVar("_current", default=None)


class Slots:
    """Counts the reconciles: at most ``size`` of them hold a slot, and at most ``bound`` of them exist."""

    def __init__(self, *, size: int, bound: int) -> None:
        self.size = size
        self._bound = bound
        self._free = size
        self._kept = size // _KEPT
        self._holding: Counter[str] = Counter()
        self._existing = 0
        self._rows: Counter[str] = Counter()
        self._columns: Counter[str] = Counter()
        self._parties: Counter[Party] = Counter()
        self._returning: Turns[Slot, str, str] = Turns()
        self._begin: Callable[[], bool] = lambda: False
        self._newcomer_next = False
        self._offering = False

    def serve(self, begin: Callable[[], bool]) -> None:
        """Also offers free slots to ``begin``, which takes one for a new reconcile, or returns False."""
        self._begin = begin

    def admits(self, row: str, column: str) -> bool:
        """Whether one more reconcile of a party may begin now."""
        room = self._bound - self._existing
        return (
            self._has_slot_for(row)
            and self._rows[row] < room
            and self._columns[column] < room
            and 2 * self._parties[row, column] < room
        )

    def take(self, party: Party) -> Slot:
        """Takes a slot for a new reconcile, which `admits` has admitted. `end` gives it back."""
        slot = Slot(party, held=False)
        self._hold(slot)
        self._count(party, 1)
        return slot

    def end(self, slot: Slot) -> None:
        """Gives back the slot of a reconcile that has ended."""
        self._count(slot.party, -1)
        self._release(slot)
        self.offer()

    def use(self, slot: Slot) -> None:
        """Makes this the slot that `lent` lends in the current context from now on."""
        _current.set(slot)

    def offer(self) -> None:
        """Gives free slots in turns to reconciles that want theirs back and to new ones."""
        if self._offering:
            return
        self._offering = True
        try:
            while self._free > 0:
                first, second = (self._begin, self._resume) if self._newcomer_next else (self._resume, self._begin)
                if first():
                    self._newcomer_next = not self._newcomer_next
                elif not second():
                    return
        finally:
            self._offering = False

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Gives the slot to others inside the block and takes one back at its end.

        A reconcile that is cancelled inside the block does not take a slot back, since it has nothing left to do.
        """
        slot = _current.get()
        if slot is None:
            yield
            return
        slot.lends += 1
        if slot.held:
            self._release(slot)
            self.offer()
        try:
            yield
        except asyncio.CancelledError:
            slot.lends -= 1
            raise
        except BaseException:
            await self._take_back(slot)
            raise
        await self._take_back(slot)

    async def _take_back(self, slot: Slot) -> None:
        slot.lends -= 1
        if slot.lends or slot.held:
            return
        turn = slot.turn = asyncio.get_running_loop().create_future()
        self._returning.add(slot, *slot.party)
        self.offer()
        try:
            await turn
            slot.renew()
        finally:
            # If it was cancelled just when it was given a slot, it keeps it: `end` gives it back.
            slot.turn = None
            self._returning.remove(slot, *slot.party)

    def _resume(self) -> bool:
        slot = self._returning.take(lambda row, _: self._has_slot_for(row))
        if slot is None:
            return False
        self._hold(slot)
        if slot.turn is not None and not slot.turn.done():
            slot.turn.set_result(None)
        return True

    def _has_slot_for(self, row: str) -> bool:
        return self._free > (self._kept if self._holding[row] else 0)

    def _hold(self, slot: Slot) -> None:
        slot.held = True
        self._free -= 1
        self._holding[slot.party[0]] += 1

    def _release(self, slot: Slot) -> None:
        if not slot.held:
            return
        slot.held = False
        self._free += 1
        row = slot.party[0]
        self._holding[row] -= 1
        if not self._holding[row]:
            del self._holding[row]

    def _count(self, party: Party, change: int) -> None:
        self._existing += change
        for counter, name in ((self._rows, party[0]), (self._columns, party[1])):
            counter[name] += change
            if not counter[name]:
                del counter[name]
        self._parties[party] += change
        if not self._parties[party]:
            del self._parties[party]
