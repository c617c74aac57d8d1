"""Runs `troth operator` as a child process, as a cluster runs it.

The command and the interfaces are those of production, so debuggers, crashes and memory limits work in the same way,
and this package need not know anything about the operator's code.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from troth.dev.processes import Supervised, wait_until
from troth.dev.progress import Progress
from troth.surroundings import python, python_environment

_START = 30.0
_GRACE = 10.0


class OperatorProcess(Supervised):
    """A running operator. Stop it with `end`."""

    def __init__(
        self,
        *,
        kubeconfig: Path,
        environment: Mapping[str, str],
        log: Path | None,
        arguments: Sequence[str | Path] = (),
        interpreter: Sequence[str | Path] = (),
    ) -> None:
        """Start the operator.

        Args:
            kubeconfig: the kubeconfig with its identity and its cluster.
            environment: its whole environment, except for the variables of Python.
            log: the file to which its log is appended; this process's standard error when absent.
            arguments: more flags of `troth operator`.
            interpreter: the command of another Python than this one, with its options; a profiler may come first.

        Raises:
            ProcessFailed: it could not be started.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = [
            *(*(interpreter or python()), "-m", "troth.cli", "operator"),
            *("--kubeconfig", kubeconfig),
            *("--probes-host", "127.0.0.1", "--probes-port", str(self.port)),
            *("--metrics-port", str(self.port)),
            *arguments,
        ]
        super().__init__("troth operator", command, log=log, environment=python_environment(environment))

    def wait_ready(self, progress: Progress, timeout: float = _START) -> None:
        """Wait until the operator reconciles, and kill it if that does not happen in time.

        Raises:
            ProcessFailed: it ended, or ``timeout`` seconds have passed; the message contains the end of its log.
        """
        try:
            with progress.step("starting the operator"):
                wait_until(self._is_ready, processes=[self], what="ready", timeout=timeout)
        except BaseException:
            self.kill()
            raise

    def end(self) -> None:
        """End the operator gracefully: it finishes what it is writing."""
        self.stop(_GRACE)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
