"""Measures how late the event loop is, and remembers the worst lag of the last minute for the liveness probe."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

_INTERVAL = 0.25
_MEMORY = 60.0


class Heartbeat:
    """Wakes up four times a second. How late it wakes up is the lag of the event loop."""

    def __init__(self, *, clock: Callable[[], float], report: Callable[[float], None]) -> None:
        self._clock = clock
        self._report = report
        self._lags: deque[tuple[float, float]] = deque()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            before = self._clock()
            await asyncio.sleep(_INTERVAL)
            now = self._clock()
            lag = max(0.0, now - before - _INTERVAL)
            self._report(lag)
            self._lags.append((now, lag))
            while self._lags and self._lags[0][0] < now - _MEMORY:
                self._lags.popleft()

    def worst(self) -> float:
        """The worst lag of the last minute, in seconds."""
        return max((lag for _, lag in self._lags), default=0.0)
