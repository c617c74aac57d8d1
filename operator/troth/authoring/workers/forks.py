"""Forks the workers of a command: from the command itself while it has one thread, otherwise from a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from troth.engine.workers.forking import end_worker, fork_worker, has_threads, mapped_bytes

if TYPE_CHECKING:
    from troth.authoring.workers.fork_server import ForkServer


@dataclass(frozen=True, slots=True)
class Fork:
    """A worker that was forked.

    Attributes:
        mapped: the size of the address space with which it began, in bytes.
    """

    pid: int
    mapped: int
    server: ForkServer | None = None

    def end(self) -> None:
        """Ends the worker."""
        if self.server is None:
            end_worker(self.pid)
        else:
            self.server.end(self.pid)


def fork(jobs: int, replies: int, others: tuple[int, int]) -> Fork:
    """Forks a new worker.

    Args:
        jobs: the descriptor from which it reads.
        replies: the descriptor to which it writes.
        others: the other ends of both, which the worker must not keep open.

    Raises:
        OSError: the system does not allow it to start.
    """
    if has_threads():
        from troth.authoring.workers.fork_server import server  # commands without threads do not need it

        forks = server()
        pid, mapped = forks.fork(jobs, replies)
        return Fork(pid, mapped, forks)
    return Fork(fork_worker(jobs, replies, others), mapped_bytes())
