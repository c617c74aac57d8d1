"""Which job is next: those who ask take turns, in a quick lane and in a slow one.

Turns alternate between namespaces and Promises (`troth.turns`): however many requests somebody has waiting, and from
however many namespaces a slow Promise is used, a stranger's request of another Promise waits for two turns of each
namespace or of each Promise, whichever are fewer. A request that was edited takes turns with those of its Promise that
were not, so whoever mends one of two hundred need not wait for the others. Rejected: one queue for all (two hundred
requests that hang stood before all others), edits before all others (who edits without end would stop them).
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from troth.engine.workers.quarantine import Identity
from troth.turns import Turns


class Job(Protocol):
    """What stands in a lane."""

    def __hash__(self) -> int:
        """Of the object itself."""

    @property
    def identity(self) -> Identity:
        """Whose it is."""

    @property
    def edited(self) -> bool:
        """Whether its request was asked for with other inputs before."""


J = TypeVar("J", bound=Job)


class Lane(Generic[J]):
    """Jobs that wait, in turns. A job is told from others by its own identity, so it is hashed as an object."""

    def __init__(self) -> None:
        self._turns: Turns[J, str, tuple[bytes, bool]] = Turns()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, job: J) -> None:
        """Puts a job at the end of its party's."""
        self._turns.add(job, *_place(job))

    def take(self) -> J:
        """The next job; the lane is not empty."""
        job = self._turns.take()
        if job is None:
            raise LookupError("the lane is empty")
        return job

    def remove(self, job: J) -> bool:
        """Takes a job out that nobody waits for any more; whether it was there."""
        return self._turns.remove(job, *_place(job))

    def take_party(self, identity: Identity) -> list[J]:
        """All jobs of a party, which leave the lane."""
        return [
            job
            for edited in (True, False)
            for job in self._turns.take_place(identity.namespace, (identity.program, edited))
        ]

    def before(self, job: J) -> int | None:
        """About how many jobs are served before this one; None if it does not stand here."""
        own = self._turns.position(job, *_place(job))
        if own is None:
            return None
        others = sum(
            min(size, own + 1) for row, column, size in self._turns.sizes() if (row, column) != _place(job)
        )
        return own + others

    def clear(self) -> list[J]:
        """All jobs, which leave the lane."""
        found = list(self._turns)
        self._turns = Turns()
        return found


def _place(job: Job) -> tuple[str, tuple[bytes, bool]]:
    return job.identity.namespace, (job.identity.program, job.edited)
