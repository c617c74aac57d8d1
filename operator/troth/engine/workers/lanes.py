"""Decides which job is next: callers take turns, in a quick lane and in a slow one.

Turns alternate between namespaces and Promises (`troth.turns`): however many requests somebody has waiting, and however
many namespaces use a slow Promise, another user's request of another Promise waits for two turns of each namespace or
of each Promise, whichever is less. An edited request takes turns with the other requests of its Promise, so somebody
who fixes one of two hundred need not wait for the rest. Rejected: one queue for all (two hundred requests that hang
were before all others), edits before all others (somebody who edits without end would stop the rest).
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from troth.engine.workers.quarantine import Identity
from troth.turns import Turns


class Job(Protocol):
    """A job that can wait in a lane."""

    def __hash__(self) -> int:
        """The hash of the object itself."""

    @property
    def identity(self) -> Identity:
        """The identity of the job."""

    @property
    def edited(self) -> bool:
        """Whether its request was rendered with other inputs before."""


J = TypeVar("J", bound=Job)


class Lane(Generic[J]):
    """Jobs that wait, in turns. Jobs are hashed as objects, so that equal jobs are still different."""

    def __init__(self) -> None:
        self._turns: Turns[J, str, tuple[bytes, bool]] = Turns()

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, job: J) -> None:
        """Adds a job after the others of its party."""
        self._turns.add(job, *_place(job))

    def take(self) -> J:
        """Removes and returns the next job. The lane must not be empty."""
        job = self._turns.take()
        if job is None:
            raise LookupError("the lane is empty")
        return job

    def remove(self, job: J) -> bool:
        """Removes a job that nobody waits for any more. Returns whether it was in the lane."""
        return self._turns.remove(job, *_place(job))

    def take_party(self, identity: Identity) -> list[J]:
        """Removes and returns all jobs of a party."""
        return [
            job
            for edited in (True, False)
            for job in self._turns.take_place(identity.namespace, (identity.program, edited))
        ]

    def before(self, job: J) -> int | None:
        """Returns about how many jobs are served before this one; None if it is not in the lane."""
        own = self._turns.position(job, *_place(job))
        if own is None:
            return None
        others = sum(
            min(size, own + 1) for row, column, size in self._turns.sizes() if (row, column) != _place(job)
        )
        return own + others

    def clear(self) -> list[J]:
        """Removes and returns all jobs."""
        found = list(self._turns)
        self._turns = Turns()
        return found


def _place(job: Job) -> tuple[str, tuple[bytes, bool]]:
    return job.identity.namespace, (job.identity.program, job.edited)
