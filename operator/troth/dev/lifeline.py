"""Runs one program and ends it when the process that started it is gone, for whatever reason.

This file is run and not imported: `python -I -S lifeline.py [FOLDER…] -- PROGRAM ARGUMENT…`, with one end of a socket
pair as standard input. The starter keeps the other end. The kernel closes that end when the starter ends, even by
SIGKILL, so "end of file" is a signal that cannot be lost. Then the program and everything that it has started are
killed, and the folders are removed.

Rejected: PR_SET_PDEATHSIG alone, which only exists on Linux, is sent when the *thread* that started the program ends,
and is not inherited by the program's own children (it is set as a second line of defence, for the case that this
process itself is killed); and a pid file for a later run to clean up, since there may never be a later run.

The first line that comes back over the socket is the program's pid; each line that is sent is the number of a signal
to pass on. Only a small part of the standard library is used, so that it starts in 20 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _obey(line: socket.socket, child: subprocess.Popen[bytes]) -> None:
    """Pass signals on until the starter is gone, and kill the program then."""
    with contextlib.suppress(OSError), line.makefile("rb") as orders:
        for order in orders:
            child.send_signal(int(order))
    _kill_group(child.pid)


def _remove(folder: str) -> None:
    """Remove a folder in which another program that is just being killed may still create files."""
    deadline = time.monotonic() + 5
    while os.path.exists(folder) and time.monotonic() < deadline:  # noqa: PTH110 -- pathlib costs 10 ms at start
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


def main(arguments: list[str]) -> int:
    """Run the program. Returns its exit code, or 128 + n when signal n ended it."""
    separator = arguments.index("--")
    folders = arguments[:separator]
    # The starter, which is in another process group, decides what to do on Ctrl-C or a SIGTERM.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    line = socket.socket(fileno=os.dup(0))
    child = subprocess.Popen(
        arguments[separator + 1 :],
        stdin=subprocess.DEVNULL,
        process_group=0,
        restore_signals=True,
        preexec_fn=_prepare,  # there is only one thread at this point
    )
    with contextlib.suppress(OSError):
        line.sendall(b"%d\n" % child.pid)
    threading.Thread(target=_obey, args=(line, child), daemon=True).start()
    code = child.wait()
    _kill_group(child.pid)
    for folder in folders:
        _remove(folder)
    return code if code >= 0 else 128 - code


def _prepare() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    _die_with_parent()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
