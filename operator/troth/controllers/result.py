"""What a reconciler answers: a closed union of values.

Expected outcomes are values, only bugs raise. The runner decides what follows: `Done` forgets the
key's back-off, `After` looks again later, `Terminal` waits for a change of the object because trying again
would find the same, and `Waits` for a change of something else. An exception counts as a bug or a boundary's
failure and is tried again with back-off. Only `Done` and an `After` that has not failed say that all is well.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to do until something changes."""


@dataclass(frozen=True, slots=True)
class After:
    """Look again after ``seconds``, because of ``reason`` (a clause for the log). ``failed``: nothing went well."""

    seconds: float
    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """Look again with the key's exponential back-off, because of ``reason`` (a clause for the log).

    The back-off grows to ``longest`` seconds; None leaves that to the queue. ``warn``: somebody has to do something
    about it, so the log warns. ``quiet``: whoever is at fault is logged for itself, once for all that wait for it.
    """

    reason: str
    longest: float | None = None
    warn: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Terminal:
    """Somebody has to change the object first; ``message`` is what its condition says."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Waits:
    """Nothing more to do until something else changes, which queues this; all is not well until then."""

    reason: str


Result = Done | After | Retry | Terminal | Waits

DONE = Done()
