"""A process with one thread that forks workers for a process that has several.

It is started as a program and gets its requests over a socket. Each request comes with the descriptors that the worker
reads and writes, and the answer is the worker's process id. A worker is reaped only on request, so its id cannot be
reused while somebody may still want to end it. The server ends when the other end of its socket is closed, also by the
end of the process that held it, and its workers end with it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import struct
from typing import Final

from troth.engine.workers.forking import end_worker, fork_worker, mapped_bytes

REQUEST: Final = struct.Struct("!q")  # the id of a worker to end, or 0 for a new one, which comes with descriptors
ANSWER: Final = struct.Struct(
    "!qq"
)  # the id, or the number of an error as a negative one; what the server has mapped


def main() -> None:
    """Serves the process at the other end of standard input, until that is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the command, which ends its workers
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as line:
        while True:
            request, descriptors, _, _ = socket.recv_fds(line, REQUEST.size, 2)
            if len(request) < REQUEST.size:
                return
            (pid,) = REQUEST.unpack(request)
            if pid:
                end_worker(pid)
            else:
                pid = _forked(descriptors, line)
            line.sendall(ANSWER.pack(pid, mapped_bytes()))


def _forked(descriptors: list[int], line: socket.socket) -> int:
    jobs, replies = descriptors
    try:
        return fork_worker(jobs, replies, (line.fileno(),))
    except OSError as error:
        return -(error.errno or 1)
    finally:
        os.close(jobs)
        os.close(replies)


if __name__ == "__main__":
    main()
