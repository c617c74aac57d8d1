"""Runs commands of `troth` in processes that are forked from an interpreter which has imported everything already.

A command needs about a quarter of a second of processor time to import its modules, which is most of what a command
costs that refuses its input. A fork runs the same entry point (``python -m troth.cli``) with its own descriptors,
folder, memory, time and exit code. A thread would be quicker still, but it could not be killed, and its memory could
not be measured. `pytest` itself cannot be forked, since it has threads.

This file is also the program that is forked. It has one thread, so that forks of it may fork again.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

_LENGTH: Final = struct.Struct("!Q")
_STARTED: Final = struct.Struct("!q")
_ENDED: Final = struct.Struct("!qq")
_WARM: Final = ("troth.cli", "troth.authoring", "troth.engine")
_COLD: Final = ("troth.cli.__main__", "troth.authoring.testing.plugin")


class WarmCommands:
    """An interpreter that has imported everything. One command runs at a time."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-P", __file__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )

    def __enter__(self) -> WarmCommands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()
        self._server.wait()

    def start(self, arguments: Sequence[str], *, cwd: Path, output: int, errors: int) -> int:
        """Starts a command, and returns its process id.

        Args:
            arguments: those behind the word ``troth``.
            cwd: the folder that it runs in.
            output: the descriptor of its standard output.
            errors: the descriptor of its standard error.
        """
        payload = json.dumps([list(arguments), str(cwd)]).encode()
        socket.send_fds(self._line, [_LENGTH.pack(len(payload))], [output, errors])
        self._line.sendall(payload)
        (pid,) = _STARTED.unpack(_received(self._line, _STARTED.size))
        return int(pid)

    def wait(self) -> tuple[int, int]:
        """Waits for the end of the command. Returns its exit code and its peak of memory in bytes.

        The peak is the largest of the command's own and of those of the processes that it waited for.
        """
        status, peak = _ENDED.unpack(_received(self._line, _ENDED.size))
        return os.waitstatus_to_exitcode(status), int(peak)


def _received(line: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        part = line.recv(length - len(content))
        if not part:
            raise EOFError("the other process has ended")
        content += part
    return content


def _warm_up() -> None:
    for name in _WARM:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if module.name not in _COLD:
                importlib.import_module(module.name)


def _serve() -> None:
    _warm_up()
    gc.freeze()
    line = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    while True:
        header, descriptors, _, _ = socket.recv_fds(line, _LENGTH.size, 2)
        if len(header) < _LENGTH.size:
            return
        arguments, cwd = json.loads(_received(line, _LENGTH.unpack(header)[0]))
        pid = os.fork()
        if pid == 0:
            line.close()
            _become_command(arguments, cwd, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        line.sendall(_STARTED.pack(pid))
        _, status, usage = os.wait4(pid, 0)
        line.sendall(_ENDED.pack(status, usage.ru_maxrss * 1024))


def _become_command(arguments: list[str], cwd: str, descriptors: list[int]) -> None:
    """Never returns: the command ends the process."""
    for descriptor, standard in zip(descriptors, (1, 2), strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(cwd)
    sys.argv[1:] = arguments
    runpy.run_module("troth.cli", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    _serve()
