"""Waits until an operator has nothing more to do, according to its own metrics.

A store is checked from time to time for as long as an operator runs, so "idle" does not mean that it does nothing: it
means that full rounds of these checks pass in which nothing else is reconciled.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from tests.bench.counting import POLLING, gauge, reconciles
from tests.waiting import SAFE, eventually


class Measured(Protocol):
    """An operator whose metrics can be read, wherever it runs."""

    def metrics(self) -> str:
        """The text of ``/metrics``; empty while there is no answer."""


async def idle(operator: Measured, *, rounds: int = 3, within: float = SAFE) -> None:
    """Waits until stores were checked ``rounds`` more times while nothing else was reconciled.

    Args:
        operator: a running operator with at least one Git store.
        rounds: the number of checks, of all stores together.
        within: the deadline in seconds.
    """
    since: dict[str, int] = {}

    async def look() -> bool:
        metrics = await asyncio.to_thread(operator.metrics)
        assert metrics, "the operator does not answer"
        counts = reconciles(metrics)
        polls = sum(counts.get(kind, 0) for kind in POLLING)
        others = {kind: count for kind, count in counts.items() if kind not in POLLING}
        busy = gauge(metrics, "troth_queue_depth") > 0 or gauge(metrics, "troth_queue_processing") > 1
        done = {kind: count - since.get(kind, 0) for kind, count in others.items() if count != since.get(kind, 0)}
        if busy or not since or done:
            since.clear()
            since.update(others, polls=polls)
        assert not busy, "it is busy"
        assert not done, f"it has just reconciled {done}"
        return polls - since["polls"] >= rounds

    await eventually(look, f"{rounds} looks at the stores while nothing else is done", within=within, every=0.1)
