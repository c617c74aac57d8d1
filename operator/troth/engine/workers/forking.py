"""Workers as forks of a process that has one thread.

A fork has only the thread that forked. A lock that another thread held at that moment stays locked in the fork for
ever, so a process with several threads never forks: Python 3.12 and later warn about it, and every version can hang.
Such a process uses `fork_server`.
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
    """Returns the address space of this process in bytes; 0 where the system does not report it or limit it."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def fork_worker(jobs: int, replies: int, others: tuple[int, ...]) -> int:
    """Forks this process, which has one thread, into a worker. Returns the worker's process id.

    Args:
        jobs: the descriptor that it reads.
        replies: the descriptor that it writes.
        others: descriptors that it must not keep open.

    Raises:
        OSError: the system does not allow it to start.
    """
    # Python ignores what is raised by the functions that it runs at a fork, so Ctrl-C would be lost there. In the
    # child it stays blocked: it is meant for the command, which ends its workers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pid = os.fork()
        if pid == 0:
            _become_worker(jobs, replies, others)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def end_worker(pid: int) -> None:
    """Kills a fork of this process and reaps it."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _become_worker(jobs: int, replies: int, others: tuple[int, ...]) -> NoReturn:
    """Runs the worker in the child, and never returns into the code that forked it."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)  # the parent's event loop must not receive this process's signals
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
