"""What a reconciler answers: a closed union of values.

Expected outcomes are values, only bugs raise (design 5). The runner decides what follows: `Done` forgets the
key's back-off, `After` looks again later, `Terminal` waits for a change of the object because trying again
would find the same. An exception counts as a bug or a boundary's failure and is tried again with back-off.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to do until something changes."""


@dataclass(frozen=True, slots=True)
class After:
    """Look again after ``seconds``, because of ``reason`` (a clause for the log)."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Look again with the key's exponential back-off, because of ``reason`` (a clause for the log).

    The back-off grows to ``longest`` seconds; None leaves that to the queue. ``warn``: somebody has to do something
    about it, so the log warns.
    """

    reason: str
    longest: float | None = None
    warn: bool = False


@dataclass(frozen=True, slots=True)
class Terminal:
    """Somebody has to change the object first; ``message`` is what its condition says."""

    reason: str
    message: str


Result = Done | After | Retry | Terminal

DONE = Done()
