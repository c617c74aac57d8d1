"""A process that forks workers for this one when this one has threads. It is started when it is first needed."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import threading
from typing import Final

from troth.engine.workers.fork_server import ANSWER, REQUEST
from troth.engine.workers.process import worker_environment
from troth.surroundings import python_command

_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 5.0


class ForkServer:
    """A process with one thread that forks workers for this one. Any thread may use it.

    Raises:
        OSError: the system does not let it start.
    """

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._line, theirs = socket.socketpair()
        self._line.settimeout(_START_SECONDS)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    python_command("troth.engine.workers.fork_server"),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=worker_environment(),
                    cwd="/",
                )
            except OSError:
                self._line.close()
                raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def fork(self, jobs: int, replies: int) -> tuple[int, int]:
        """Forks a worker that reads jobs from one descriptor and writes replies to the other.

        Returns its process id, and the size of its mapped address space in bytes.

        Raises:
            OSError: the system does not allow it to start, or the server is gone.
        """
        pid, mapped = self._ask(0, [jobs, replies])
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid, mapped

    def end(self, pid: int) -> None:
        """Ends a worker. If the server is gone, its workers are gone, too."""
        with contextlib.suppress(OSError):
            self._ask(pid, [])

    def close(self) -> None:
        """Ends the server and its workers."""
        self._line.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, worker: int, descriptors: list[int]) -> tuple[int, int]:
        with self._asking:
            answered = False
            try:
                socket.send_fds(self._line, [REQUEST.pack(worker)], descriptors)
                content = self._line.recv(ANSWER.size)  # so few bytes always come in one piece
                answered = len(content) == ANSWER.size
            finally:
                if not answered:  # a late answer would be taken for the answer to the next question
                    self.close()
        if not answered:
            raise ConnectionResetError("the process that starts others ended")
        pid, mapped = ANSWER.unpack(content)
        return pid, mapped


# One server for each process: a fork of this process must not use its socket.
_servers: Final[dict[int, ForkServer]] = {}
_starting: Final = threading.Lock()


def server() -> ForkServer:
    """The server of this process, which is started when it is first needed and ended with the process."""
    with _starting:
        found = _servers.get(os.getpid())
        if found is None or not found.is_running:
            if found is not None:
                found.close()
            found = _servers[os.getpid()] = ForkServer()
            atexit.register(found.close)
        return found
