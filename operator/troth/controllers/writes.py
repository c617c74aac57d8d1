"""What the stores answered to the last writes: how soon to try again, and whether a store accepts anything at all.

A store may be readable and still refuse every write (a protected branch, a hook, a full disk), and only a write shows
that. So the outcomes of writes are gathered here, and the store's condition repeats them: a store that has refused
somebody's write and has not accepted any write since is not ready, even if it can be read. It is still written to,
since nothing else would show that the cause is gone. A store that takes a part of one batch refuses nobody in general
(`StoreError.selective`).

Of the keys that a store refuses, one tries again every few seconds, in turn. The others back off, and are queued as
soon as one succeeds. So a thousand refused requests cost one refused push now and then, and not a thousand.

Rejected: to take every refusal for a problem of the store itself (a rule may concern one request only, and all others
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
    """The keys that a store refuses, the longest waiting first; ``accepts`` when it has accepted a write since."""

    refused: dict[Key, StoreError] = field(default_factory=dict)
    accepts: bool = False


class Writes:
    """Remembers which keys are refused by which store.

    Args of the constructor: ``stores`` maps the kind of a store to the kind in its key. ``longest_wait`` is for how
    many seconds at most the key waits that tries a refusing store again.
    """

    def __init__(self, queue: WorkQueue, *, stores: Mapping[str, str], longest_wait: float) -> None:
        self._queue = queue
        self._stores = stores
        self._longest_wait = longest_wait
        self._refusals: dict[StoreRef, _Refusals] = {}

    def problem(self, store: StoreRef) -> StoreError | None:
        """The error with which a store refuses all writes; None if it has accepted one since it began to refuse."""
        found = self._refusals.get(store)
        if found is None or found.accepts or not found.refused:
            return None
        return next(reversed(found.refused.values()))

    def failed(self, store: StoreRef, key: Key, error: StoreError) -> Result:
        """Notes that a write failed. Returns when to try again.

        An error that everybody gets is logged once, for the store itself.
        """
        quiet = error.reason in _OUT_OF_REACH
        if quiet:
            self._look_at(store)
        if error.reason in _ANYBODY:
            found = self._refusals.setdefault(store, _Refusals())
            if found.refused.pop(key, None) is None or error.selective:
                found.accepts = error.selective
            found.refused[key] = error
            quiet = not found.accepts  # otherwise the store is well, and only this key is refused
            self._look_at(store)
            first = next(iter(found.refused))
            if first != key:
                self._queue.add(first, priority=PRIORITY_DEPENDENT, after=self._longest_wait / 2)
                return Retry(str(error), quiet=quiet)
        if not error.retryable:
            return After(_LOOK_AGAIN_SECONDS, str(error), failed=True)
        return Retry(str(error), longest=self._longest_wait, quiet=quiet)

    def passed(self, store: StoreRef, key: Key, *, changed: bool) -> None:
        """Notes that a write succeeded. ``changed`` says that the store accepted something new for it."""
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
        """Forgets a key for which nothing will be written any more."""
        for store, found in list(self._refusals.items()):
            if found.refused.pop(key, None) is not None:
                self._look_at(store)
                if not found.refused:
                    del self._refusals[store]

    def forget_store(self, store: StoreRef) -> None:
        """Forgets a store that is gone, or that points somewhere else now."""
        self._refusals.pop(store, None)

    def _look_at(self, store: StoreRef) -> None:
        kind = self._stores.get(store.kind)
        if kind:
            self._queue.add(Key(kind, "", store.name), priority=PRIORITY_DEPENDENT)
