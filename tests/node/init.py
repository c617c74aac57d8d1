"""The first process inside a node: it does the steps of a plan, then reaps, and ends when a program of the node does.

This file is run, not imported, in new namespaces: `python -I -S init.py PLAN`. It is process 1 there, so when
it is gone the kernel kills every process of the node, containers included, and with the last of them go the mounts, the
network devices and the rules of iptables. Nothing has to be cleaned up, whoever was killed and when.

Each program's output goes to a file beside the plan. Only the standard library, for it starts before all else.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_DEADLINE = 90.0
_INTERVAL = 0.02
_LOG_TAIL = 3000


@dataclass(frozen=True)
class Run:
    """Run a command to its end, which must be a good one."""

    command: Sequence[str]


@dataclass(frozen=True)
class Start:
    """Start a program of the node, which runs until the node ends."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class AwaitLink:
    """Wait until a network device of this name is here."""

    name: str


@dataclass(frozen=True)
class AwaitSocket:
    """Wait until somebody listens on a Unix socket."""

    path: str


@dataclass(frozen=True)
class AwaitApiServer:
    """Wait until the API server on the loopback says that it is ready; the paths are those of PEM files."""

    port: int
    authority: str
    certificate: str
    key: str


Step = Run | Start | AwaitLink | AwaitSocket | AwaitApiServer
_STEPS: Mapping[str, type[Step]] = {
    kind.__name__: kind for kind in (Run, Start, AwaitLink, AwaitSocket, AwaitApiServer)
}


class Failed(Exception):
    """The node cannot go on; the message says why."""


def write_plan(path: Path, steps: Sequence[Step]) -> Path:
    """Write what `main` reads."""
    plan = [[type(step).__name__, dataclasses.asdict(step)] for step in steps]
    path.write_text(json.dumps(plan, default=str))
    return path


def read_plan(path: Path) -> list[Step]:
    """Read what `write_plan` has written."""
    return [_STEPS[name](**fields) for name, fields in json.loads(path.read_text())]


class Init:
    """Does the steps; knows which programs run.

    Args:
        logs: the folder of the programs' output.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._programs: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}

    def do(self, step: Step) -> None:
        """Do one step.

        Raises:
            Failed: it did not work, or a program that was started before has ended.
        """
        if isinstance(step, Run):
            done = subprocess.run(step.command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if done.returncode != 0:
                said = (done.stderr or done.stdout).decode(errors="replace").strip()
                raise Failed(f"{' '.join(step.command)} ended with code {done.returncode}: {said}")
        elif isinstance(step, Start):
            with self._log(step.name).open("ab") as log:
                process = subprocess.Popen(
                    step.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
            self._programs[process.pid] = (step.name, process)
        elif isinstance(step, AwaitLink):
            self._wait(lambda: step.name in (name for _, name in socket.if_nameindex()), f"device {step.name}")
        elif isinstance(step, AwaitSocket):
            self._wait(lambda: _listens(step.path), f"a listener on {step.path}")
        else:
            self._wait(_readiness(step), "the API server")

    def reap(self) -> None:
        """Reap every process that ends, as process 1 has to.

        Raises:
            Failed: one of the node's programs has ended.
        """
        while True:
            pid, status = os.wait()
            if pid in self._programs:
                raise self._ended(self._programs[pid][0], os.waitstatus_to_exitcode(status))

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not condition():
            for name, process in self._programs.values():
                if (code := process.poll()) is not None:
                    raise self._ended(name, code)
            if time.monotonic() > deadline:
                tails = "\n".join(self._tail(name) for name, _ in self._programs.values())
                raise Failed(f"waited {_DEADLINE:.0f} s for {what}\n{tails}")
            time.sleep(_INTERVAL)

    def _ended(self, name: str, code: int) -> Failed:
        return Failed(f"{name} ended with code {code}; {self._tail(name)}")

    def _tail(self, name: str) -> str:
        return f"{name} said last:\n{self._log(name).read_text(errors='replace')[-_LOG_TAIL:]}"

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
        return True


def _readiness(server: AwaitApiServer) -> Callable[[], bool]:
    context = ssl.create_default_context(cafile=server.authority)
    context.load_cert_chain(server.certificate, server.key)

    def ready() -> bool:
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready


def main(arguments: Sequence[str]) -> int:
    """Do the plan; returns only when the node has failed."""
    plan = Path(arguments[0])
    init = Init(plan.parent)
    try:
        for step in read_plan(plan):
            init.do(step)
        init.reap()
    except Failed as failure:
        print(failure, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
