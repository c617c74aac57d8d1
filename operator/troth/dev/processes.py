"""Runs programs as child processes that never outlive this process.

Each runs under `lifeline.py`, which ends it when this process is gone. Everything here is synchronous and does not
need an event loop, so that it can be used by a pytest session, by a thread, and by asyncio (through a thread).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from troth.dev.errors import ProcessFailed

_LIFELINE = Path(__file__).with_name("lifeline.py")
_LOG_TAIL = 4000


class Supervised:
    """One running program.

    Attributes:
        name: what it is called in messages.
        pid: its own process id (not the supervisor's), for measuring.
        log: the file that holds its standard output and standard error, if it is one.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path | None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        remove: Sequence[Path] = (),
    ) -> None:
        """Start the program.

        Args:
            name: what it is called in messages.
            command: the program and its arguments.
            log: the file to which its output is appended; this process's standard error when absent.
            environment: its whole environment; this process's own when absent.
            folder: its working folder.
            remove: folders to remove when it has ended, even if it ends because this process was killed.

        Raises:
            ProcessFailed: it could not be started.
        """
        self.name = name
        self.log = log
        ours, theirs = socket.socketpair()
        self._line = ours
        try:
            with theirs, _output(log) as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_LIFELINE), *map(str, remove), "--", *map(str, command)],
                    stdin=theirs.fileno(),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(environment) if environment is not None else None,
                    cwd=folder,
                    start_new_session=True,
                )
            ours.settimeout(30)
            with ours.makefile("rb") as answers:
                pid = answers.readline().strip()
        except BaseException:
            ours.close()
            raise
        if not pid:
            self.kill()
            raise ProcessFailed(name, "could not be started", self.tail())
        self.pid = int(pid)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit code (128 + n after signal n), or None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send the program a signal. Nothing happens when it has ended."""
        with contextlib.suppress(OSError):
            self._line.sendall(b"%d\n" % number)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after ``timeout`` seconds.
        """
        code = self._process.wait(timeout)
        self._line.close()
        return code

    def stop(self, grace: float) -> int:
        """Ask it to end, kill it after ``grace`` seconds, and return its exit code."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(grace)
        return self.kill()

    def kill(self) -> int:
        """End the program and everything that it has started at once. Returns its exit code."""
        self._line.close()
        return self.wait()

    def check(self) -> None:
        """Raises ProcessFailed, with the end of its log, when it has ended."""
        if not self.running:
            raise ProcessFailed(self.name, f"ended with code {self.code}", self.tail())

    def tail(self) -> str:
        """The last lines that it wrote."""
        if self.log is None:
            return ""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""


def _output(log: Path | None) -> BinaryIO:
    return log.open("ab") if log is not None else os.fdopen(os.dup(sys.stderr.fileno()), "ab", buffering=0)


def wait_until(
    ready: Callable[[], bool],
    *,
    processes: Sequence[Supervised],
    what: str,
    timeout: float,
    interval: float = 0.05,
) -> None:
    """Wait until ``ready`` returns True.

    Raises:
        ProcessFailed: a process ended meanwhile, or ``timeout`` seconds have passed.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        for process in processes:
            process.check()
        if time.monotonic() > deadline:
            process = processes[-1]
            raise ProcessFailed(process.name, f"was not {what} within {timeout:.0f} s", process.tail())
        time.sleep(interval)
