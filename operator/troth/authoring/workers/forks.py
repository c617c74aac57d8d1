"""The workers of a command: forks of itself while it has one thread, else of a server that has no other."""

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
        mapped: the address space that it began with, in bytes.
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
    """A new worker.

    Args:
        jobs: the descriptor it reads.
        replies: the descriptor it writes.
        others: the other ends of both, which are this process's alone.

    Raises:
        OSError: the system does not let it start.
    """
    if has_threads():
        from troth.authoring.workers.fork_server import server  # no command needs it

        forks = server()
        pid, mapped = forks.fork(jobs, replies)
        return Fork(pid, mapped, forks)
    return Fork(fork_worker(jobs, replies, others), mapped_bytes())
