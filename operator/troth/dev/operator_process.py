"""`troth operator` as a child process, as a cluster runs it.

The same command and the same interfaces as in production: a debugger, a crash or a memory limit meets it there as
here, and this package needs to know nothing of what is inside.
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
    """One operator; stop it with `end`."""

    def __init__(
        self,
        *,
        kubeconfig: Path,
        environment: Mapping[str, str],
        log: Path | None,
        arguments: Sequence[str | Path] = (),
        interpreter: Sequence[str | Path] = (),
    ) -> None:
        """Start it.

        Args:
            kubeconfig: who it is, and in which cluster.
            environment: its whole environment, but for the variables of Python.
            log: its log is appended here; to this process's standard error when absent.
            arguments: more flags of `troth operator`.
            interpreter: another Python than this one, with its options; a profiler may come first.

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
        """Wait until it reconciles; kill it when that does not happen.

        Raises:
            ProcessFailed: it ended, or ``timeout`` seconds have passed; the message holds the end of its log.
        """
        try:
            with progress.step("starting the operator"):
                wait_until(self._is_ready, processes=[self], what="ready", timeout=timeout)
        except BaseException:
            self.kill()
            raise

    def end(self) -> None:
        """End it politely; what it is writing is finished first."""
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
