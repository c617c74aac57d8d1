"""Which job is next: parties take turns, in a quick lane and in a slow one.

A party is the requests of one namespace that the same templates render. Within a lane each namespace gets its turn,
and within a namespace each of its parties. So however many requests somebody has waiting, a stranger's waits for one
turn of each namespace at most. Rejected: one queue for all (two hundred requests that hang stood before all others).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, Protocol, TypeVar

from troth.engine.quarantine import Identity


class Job(Protocol):
    """What stands in a lane."""

    @property
    def identity(self) -> Identity:
        """Whose it is."""


J = TypeVar("J", bound=Job)


class Lane(Generic[J]):
    """Jobs that wait, in turns."""

    def __init__(self) -> None:
        self._namespaces: OrderedDict[str, OrderedDict[bytes, deque[J]]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._namespaces)

    def add(self, job: J) -> None:
        """Puts a job at the end of its party's."""
        parties = self._namespaces.setdefault(job.identity.namespace, OrderedDict())
        parties.setdefault(job.identity.program, deque()).append(job)

    def take(self) -> J:
        """The next job; the lane is not empty."""
        namespace, parties = next(iter(self._namespaces.items()))
        program, jobs = next(iter(parties.items()))
        job = jobs.popleft()
        parties.move_to_end(program)
        if not jobs:
            del parties[program]
        self._namespaces.move_to_end(namespace)
        if not parties:
            del self._namespaces[namespace]
        return job

    def take_party(self, identity: Identity) -> list[J]:
        """All jobs of a party, which leave the lane."""
        parties = self._namespaces.get(identity.namespace, OrderedDict())
        jobs = parties.pop(identity.program, deque())
        if not parties:
            self._namespaces.pop(identity.namespace, None)
        return list(jobs)

    def clear(self) -> list[J]:
        """All jobs, which leave the lane."""
        found = [job for parties in self._namespaces.values() for jobs in parties.values() for job in jobs]
        self._namespaces.clear()
        return found
