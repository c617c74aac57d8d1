"""The results that a reconciler can return: a closed union of values.

Expected outcomes are values; only bugs raise exceptions. The runner decides what follows: `Done` forgets the key's
back-off, `After` looks again later, `Terminal` waits for a change of the object because trying again would find the
same, and `Waits` waits for a change of something else. An exception counts as a bug or as the failure of a boundary,
and the key is tried again with back-off. Only `Done`, and an `After` that has not failed, say that all is well.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing more to do until something changes."""


@dataclass(frozen=True, slots=True)
class After:
    """Look again after ``seconds``, because of ``reason`` (a clause for the log).

    ``failed`` says that the reconcile did not succeed.
    """

    seconds: float
    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """Look again with the key's exponential back-off, because of ``reason`` (a clause for the log).

    The back-off grows to ``longest`` seconds; None leaves that to the queue. ``warn`` says that somebody has to do
    something about it, so it is logged as a warning. ``quiet`` says that it is not logged for this key, since its
    cause is logged once for all keys that wait for it.
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
    """There is nothing to do until something else changes, which queues the key. Until then not all is well."""

    reason: str


Result = Done | After | Retry | Terminal | Waits

DONE = Done()
