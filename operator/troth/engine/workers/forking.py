"""Workers as forks, of a process that has one thread.

A fork has the one thread that forked. What another thread had locked in that moment stays locked in it for ever, so a
process with threads never forks: Python 3.12 and later warn of it, and every Python can hang. `fork_server` is for
such a process.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import NoReturn

from troth.engine.workers import worker


def has_threads() -> bool:
    """Whether this process has more than one thread, Python's or not."""
    try:
        return len(os.listdir("/proc/self/task")) > 1  # noqa: PTH208 - a folder of the kernel
    except OSError:
        return threading.active_count() > 1


def mapped_bytes() -> int:
    """The address space of this process; 0 where the system does not tell, and does not limit it either."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def fork_worker(jobs: int, replies: int, others: tuple[int, ...]) -> int:
    """Forks this process, which has one thread, to a worker; its process id.

    Args:
        jobs: the descriptor it reads.
        replies: the descriptor it writes.
        others: descriptors that it must not keep open.

    Raises:
        OSError: the system does not let it start.
    """
    pid = os.fork()
    if pid == 0:
        _become_worker(jobs, replies, others)
    return pid


def end_worker(pid: int) -> None:
    """Kills a fork of this process, and reaps it."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _become_worker(jobs: int, replies: int, others: tuple[int, ...]) -> NoReturn:
    """What the child does, and nothing else: it never returns into the code that forked it."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)  # a loop of the parent must not hear of this process's signals
        for descriptor in others:
            os.close(descriptor)
        os.dup2(jobs, 0)
        os.dup2(replies, 1)
        os.close(jobs)
        os.close(replies)
        worker.main()
        code = 0
    finally:
        os._exit(code)
