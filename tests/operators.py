"""Runs the operator as a process, as in production."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import SAFE, eventually_sync
from troth.dev import ControlPlane
from troth.dev.operator_process import OperatorProcess as Started


class OperatorProcess:
    """A process of `troth operator`.

    Attributes:
        pid: its process id, for measurements.
        port: the port of its probes and metrics on 127.0.0.1.
        log: the file with its output.
    """

    def __init__(
        self,
        kubeconfig: Path,
        arguments: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str],
        interpreter: Sequence[str | Path] = (),
    ) -> None:
        self.log = log
        self._expected_to_end = False
        self._process = Started(
            kubeconfig=kubeconfig, environment=environment, log=log, arguments=arguments, interpreter=interpreter
        )
        self.port = self._process.port
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    def get(self, path: str) -> tuple[int, str]:
        """Get a path from its server of probes and metrics. The status is 0 when there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def wait_ready(self, within: float = SAFE) -> None:
        """Wait until ``/readyz`` says 200."""

        def ready() -> bool:
            if not self.running:
                raise RuntimeError(f"the operator ended with code {self._process.code}:\n{self.text()[-4000:]}")
            return self.get("/readyz")[0] == http.client.OK

        eventually_sync(ready, f"the operator is ready; its log: {self.log}", within=within, every=0.05)

    def metrics(self) -> str:
        """The text of ``/metrics``."""
        return self.get("/metrics")[1]

    def kill(self) -> None:
        """Send SIGKILL, which is like a power failure of the node."""
        self._expected_to_end = True
        self._process.signal(signal.SIGKILL)
        self._process.wait(10)

    def terminate(self, within: float = SAFE) -> int:
        """Send SIGTERM, as a rolling update does. Returns the exit code."""
        self._expected_to_end = True
        self._process.signal(signal.SIGTERM)
        return self._process.wait(within)

    def wait_ended(self, within: float = SAFE) -> int:
        """Wait until it ends by itself, as is expected. Returns the exit code."""
        self._expected_to_end = True
        return self._process.wait(within)

    def end(self) -> None:
        """End it, whatever its state is."""
        if self.running:
            self._expected_to_end = True
            self._process.stop(grace=10)

    def text(self) -> str:
        """Everything it has logged."""
        return self.log.read_text(errors="replace")

    def check(self) -> None:
        """Check that it has neither ended by itself nor logged a traceback."""
        text = self.text()
        assert self._expected_to_end, f"the operator ended by itself, code {self._process.code}:\n{text[-4000:]}"
        assert "Traceback (most recent call last)" not in text, f"the operator logged a traceback:\n{text[-8000:]}"


@contextmanager
def running_operator(
    control_plane: ControlPlane, folder: Path, *arguments: str | Path
) -> Iterator[OperatorProcess]:
    """One operator for many tests. Raises an error at the end if it logged a traceback or ended by itself."""
    process = OperatorProcess(
        control_plane.kubeconfig,
        arguments,
        log=folder / "operator.log",
        environment=control_plane.environment(),
    )
    try:
        process.wait_ready()
        yield process
    finally:
        process.end()
    process.check()
