"""Remembers since when something has been as it is, so that only what lasts is reported.

What is over within a moment is not worth a write, and nobody could read it.
"""

from __future__ import annotations

from typing import Final

from troth.api import Key

_MOST_REMEMBERED: Final = 20_000


class Patience:
    """Since when each object has been in a state that is only reported once it has lasted."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` is how long the state has to last."""
        self._seconds = seconds
        self._since: dict[Key, float] = {}

    def left(self, key: Key, now: float) -> float:
        """For how many more seconds the state of an object is not reported. ``now`` is the time in seconds."""
        if key not in self._since and len(self._since) >= _MOST_REMEMBERED:
            self._since.pop(next(iter(self._since)))
        return max(0.0, self._since.setdefault(key, now) + self._seconds - now)

    def forget(self, key: Key) -> None:
        """Forgets an object that is not in this state any more, or that is gone."""
        self._since.pop(key, None)
