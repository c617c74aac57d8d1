"""Runs reconcilers for the keys of the one queue.

One pool for all kinds, like kro: a burst of one kind cannot starve another, because the queue is fair, and a key is
taken from it only when there is a slot to work on it. A reconciler that raises is a bug or a boundary that failed;
both are logged, with a traceback or a sentence, once and not at each attempt (`Complaints`), and tried again with the
key's own back-off. Nothing that a reconciler does can end the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from troth.api import Key, TrothError
from troth.controllers.complaints import Complaints
from troth.controllers.result import After, Done, Result, Retry, Terminal, Waits
from troth.controllers.slots import Slot, Slots
from troth.kube import ConnectionFailed, DeadlineExceeded, KubeError, QueueClosed, party_of

logger = logging.getLogger(__name__)

_SERVER = Key("", "", "the API server")

Reconcile = Callable[[Key], Awaitable[Result]]


class Queue(Protocol):
    """What the runner needs of the work queue (troth.kube.WorkQueue)."""

    def add(self, key: Key, *, priority: int = 0, after: float = 0.0) -> None:
        """Queues a key."""

    def add_rate_limited(self, key: Key, *, longest: float | None = None) -> None:
        """Queues a key after its back-off, of ``longest`` seconds at most."""

    def forget(self, key: Key) -> None:
        """Resets the back-off of a key."""

    def get_nowait(self, admits: Callable[[str, str], bool] | None = None) -> Key | None:
        """Takes the next key that is admitted, or None. The key counts as being processed until `done`."""

    async def news(self) -> None:
        """Waits until a key becomes ready."""

    def done(self, key: Key) -> None:
        """Ends the processing of a key."""


class Observer(Protocol):
    """Counts reconciles (for the metrics)."""

    def reconciled(self, kind: str, outcome: str, seconds: float) -> None:
        """One reconcile of ``kind`` ended as ``outcome`` (done, after, retry, terminal, waits, error)."""


class Runner:
    """Takes keys from the queue and reconciles them, never one key twice at once (the queue makes sure of that).

    A reconcile that runs for ``deadline`` seconds, or waits that long for one thing, is cancelled and tried again.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        slots: Slots,
        reconcilers: Mapping[str, Reconcile],
        default: Reconcile,
        observer: Observer,
        clock: Callable[[], float],
        deadline: float = 600.0,
    ) -> None:
        self._queue = queue
        self._slots = slots
        self._reconcilers = reconcilers
        self._default = default
        self._observer = observer
        self._clock = clock
        self._deadline = deadline
        self._tasks: set[asyncio.Task[None]] = set()
        self._complaints = Complaints(clock)
        self._unanswered: set[Key] = set()

    @property
    def active(self) -> int:
        """How many reconciles exist now."""
        return len(self._tasks)

    async def run(self) -> None:
        """Runs until it is cancelled. Then the reconciles that are under way are cancelled and awaited."""
        self._slots.serve(self._begin)
        try:
            while True:
                self._slots.offer()
                await self._queue.news()
        finally:
            self._slots.serve(lambda: False)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self) -> bool:
        """Begins to work on the next key for which there is a slot. Returns whether there was one."""
        try:
            key = self._queue.get_nowait(self._slots.admits)
        except QueueClosed:
            return False
        if key is None:
            return False
        slot = self._slots.take(party_of(key))
        task = asyncio.create_task(self._process(key, slot), name=f"reconcile {key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _process(self, key: Key, slot: Slot) -> None:
        self._slots.use(slot)
        reconcile = self._reconcilers.get(key.kind, self._default)
        outcome = "error"
        started = self._clock()
        try:
            async with asyncio.timeout(self._deadline) as deadline:
                slot.renew = lambda: deadline.reschedule(asyncio.get_running_loop().time() + self._deadline)
                result = await reconcile(key)
            outcome = type(result).__name__.lower()
            self._follow(key, result)
        except TimeoutError:
            self._complain(logging.ERROR, key, f"gave up after {self._deadline:.0f} s; trying again")
            self._queue.add_rate_limited(key)
        except (ConnectionFailed, DeadlineExceeded) as error:
            self._miss_server(key, error)
            self._queue.add_rate_limited(key)
        except TrothError as error:
            self._complain(logging.WARNING, key, f"{error}; trying again")
            self._queue.add_rate_limited(key)
        except Exception as error:  # noqa: BLE001 - logged with its traceback
            said = f"a bug in its reconciler: {type(error).__name__}: {error}; trying again"
            self._complain(logging.ERROR, key, said, bug=error)
            self._queue.add_rate_limited(key)
        finally:
            self._observer.reconciled(key.kind, outcome, self._clock() - started)
            self._queue.done(key)
            self._slots.end(slot)

    def _follow(self, key: Key, result: Result) -> None:
        match result:
            case Done():
                self._settle(key)
                self._queue.forget(key)
            case After(seconds, reason, failed):
                logger.debug("%s: again in %.1f s: %s", key, seconds, reason)
                if failed:
                    self._complain(logging.INFO, key, f"trying again: {reason}")
                else:
                    self._settle(key)
                self._queue.forget(key)
                self._queue.add(key, after=seconds)
            case Waits(reason):
                logger.debug("%s: waits: %s", key, reason)
                self._queue.forget(key)
            case Retry(reason, longest, warn, quiet):
                if not quiet:
                    self._complain(logging.WARNING if warn else logging.INFO, key, f"trying again: {reason}")
                self._queue.add_rate_limited(key, longest=longest)
            case Terminal(reason, message):
                self._complain(logging.INFO, key, f"{reason}: {message}")
                self._queue.forget(key)

    def _complain(self, level: int, key: Key, message: str, *, bug: Exception | None = None) -> None:
        line = self._complaints.note(key, message)
        if line is not None:
            logger.log(level, "%s: %s", key, line, exc_info=bug, extra=_fields(key))

    def _miss_server(self, key: Key, error: KubeError) -> None:
        """Logs once, for all keys that wait for it, that the API server does not answer."""
        self._unanswered.add(key)
        line = self._complaints.note(_SERVER, "the API server gives no answer")
        if line is not None:
            logger.warning("%s: %s; everything is tried again", line, error)

    def _settle(self, key: Key) -> None:
        if key in self._unanswered:
            self._unanswered.clear()
            missed = self._complaints.settle(_SERVER)
            if missed:
                logger.info("the API server answers again; %d reconciles had to wait for it", missed)
        failed = self._complaints.settle(key)
        if failed > 1:
            logger.info("%s: succeeded again after %d failed attempts", key, failed, extra=_fields(key))


def _fields(key: Key) -> dict[str, str]:
    return {"kind": key.kind, "namespace": key.namespace, "object": key.name}
