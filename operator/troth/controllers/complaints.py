"""Limits what is logged about a key that fails: once, when it fails in another way, and now and then as a reminder.

A key that fails is tried again every few minutes at least, and a thousand of them fail together when their store or a
right is missing. Somebody reads that at three in the morning: one line for each thing that is wrong, and one when it
is over, tell more than ten thousand.

Rejected: a filter of the logging package (it sees lines, and cannot tell the end of a failure).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from troth.api import Key

REMIND_SECONDS = 600.0
_MOST = 20_000


@dataclass(slots=True)
class _Complaint:
    message: str
    said_at: float
    attempts: int = 1


class Complaints:
    """Remembers, for each key that fails, what was logged about it. A key that succeeds is forgotten."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` returns the time in seconds; only differences matter."""
        self._clock = clock
        self._known: dict[Key, _Complaint] = {}

    def __len__(self) -> int:
        return len(self._known)

    def note(self, key: Key, message: str) -> str | None:
        """Notes that a key failed. Returns the line to log, or None when it was logged before."""
        now = self._clock()
        known = self._known.get(key)
        if known is None:
            self._known[key] = _Complaint(message, now)
            if len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
            return message
        known.attempts += 1
        if known.message == message and now - known.said_at < REMIND_SECONDS:
            return None
        times = f" (attempt {known.attempts})" if known.message == message else ""
        known.message, known.said_at = message, now
        return message + times

    def settle(self, key: Key) -> int:
        """Notes that a key succeeded. Returns how many attempts have failed since it last succeeded."""
        known = self._known.pop(key, None)
        return known.attempts if known else 0
