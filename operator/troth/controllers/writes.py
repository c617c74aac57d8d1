"""What the stores said to the last writes: how soon to try again, and whether a store takes anything at all.

A store can be looked at and still refuse every write (a protected branch, a hook, a full disk), and only a write
tells. So what writes report is gathered here, and the store's condition repeats it: a store that has refused
somebody and has taken nothing from anybody since is not ready, whatever a look at it says. It is still written to,
since nothing else would notice that the rule has gone.

Of those that a store refuses, one tries again every few seconds, in turn; the others back off, and are called as
soon as one is let through. A thousand refused requests cost a refused push now and then, not a thousand.

Rejected: taking a refusal for the store's own problem at once (a rule may mean one request only, and all others
would wait for it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from troth.api import Key
from troth.api.store_kinds import StoreRef
from troth.controllers.result import After, Result, Retry
from troth.kube import PRIORITY_DEPENDENT, WorkQueue
from troth.stores import Reason, StoreError

_LOOK_AGAIN_SECONDS = 60.0
_ANYBODY: frozenset[str] = frozenset(
    {
        Reason.AUTHENTICATION_REFUSED,
        Reason.CONTENTION,
        Reason.LOCKED,
        Reason.PUSH_REFUSED,
        Reason.STORAGE_FAILED,
        Reason.STORAGE_FULL,
    }
)
_OUT_OF_REACH: frozenset[str] = frozenset(
    {
        Reason.BRANCH_MISSING,
        Reason.CERTIFICATE_REFUSED,
        Reason.DEADLINE_EXCEEDED,
        Reason.HOST_KEY_MISMATCH,
        Reason.REPOSITORY_MISSING,
        Reason.UNREACHABLE,
    }
)


@dataclass(slots=True)
class _Refusals:
    """Who is refused, the one that has waited longest first; ``accepts`` once somebody was let through since."""

    refused: dict[Key, StoreError] = field(default_factory=dict)
    accepts: bool = False


class Writes:
    """Remembers who is refused by which store.

    Args of the constructor: ``stores`` maps the kind of a store to the kind part of its key; ``longest_wait`` is how
    many seconds the one that tries a refusing store again waits at most.
    """

    def __init__(self, queue: WorkQueue, *, stores: Mapping[str, str], longest_wait: float) -> None:
        self._queue = queue
        self._stores = stores
        self._longest_wait = longest_wait
        self._refusals: dict[StoreRef, _Refusals] = {}

    def problem(self, store: StoreRef) -> StoreError | None:
        """What the store answers to everybody, if it has let nobody through since it began to refuse."""
        found = self._refusals.get(store)
        if found is None or found.accepts or not found.refused:
            return None
        return next(reversed(found.refused.values()))

    def failed(self, store: StoreRef, key: Key, error: StoreError) -> Result:
        """A write failed; answers when to try again. What a store answers to everybody, it says once itself."""
        quiet = error.reason in _OUT_OF_REACH
        if quiet:
            self._look_at(store)
        if error.reason in _ANYBODY:
            found = self._refusals.setdefault(store, _Refusals())
            if found.refused.pop(key, None) is None:
                found.accepts = False
            found.refused[key] = error
            quiet = not found.accepts  # else the store is well, and only this one is refused
            self._look_at(store)
            first = next(iter(found.refused))
            if first != key:
                self._queue.add(first, priority=PRIORITY_DEPENDENT, after=self._longest_wait / 2)
                return Retry(str(error), quiet=quiet)
        if not error.retryable:
            return After(_LOOK_AGAIN_SECONDS, str(error), failed=True)
        return Retry(str(error), longest=self._longest_wait, quiet=quiet)

    def passed(self, store: StoreRef, key: Key, *, changed: bool) -> None:
        """A write succeeded; ``changed`` when the store took something for it."""
        found = self._refusals.get(store)
        if found is None:
            return
        was_refused = found.refused.pop(key, None) is not None
        if not found.refused:
            del self._refusals[store]
        elif changed and not found.accepts:
            found.accepts = True
        elif not was_refused:
            return
        self._look_at(store)
        if was_refused:
            for other in found.refused:
                self._queue.add(other, priority=PRIORITY_DEPENDENT)

    def forget(self, key: Key) -> None:
        """Nobody will write for that key any more."""
        for store, found in list(self._refusals.items()):
            if found.refused.pop(key, None) is not None:
                self._look_at(store)
                if not found.refused:
                    del self._refusals[store]

    def forget_store(self, store: StoreRef) -> None:
        """The store is gone, or is another one now."""
        self._refusals.pop(store, None)

    def _look_at(self, store: StoreRef) -> None:
        kind = self._stores.get(store.kind)
        if kind:
            self._queue.add(Key(kind, "", store.name), priority=PRIORITY_DEPENDENT)
