"""Starts what `troth dev` runs: a control plane, a Git repository as a destination, and the operator.

The operator runs as a child process, by the same command as in a cluster. So debuggers, crashes and memory limits
work as in production, and this package need not know anything about the operator's code.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from troth.api.resources import DESTINATION, GIT_STATE_STORE
from troth.dev.binaries import Binaries, find_binaries
from troth.dev.controlplane import ControlPlane
from troth.dev.errors import DevError
from troth.dev.kubeconfig import write_private
from troth.dev.operator_process import OperatorProcess
from troth.dev.progress import Progress
from troth.dev.repository import make_repository

_CONTROL_PLANE = "control-plane"


class DevEnvironment:
    """Everything that `troth dev` starts, as a context manager.

    Args:
        data: the folder for its data; when absent, a temporary folder that is removed at the end.
        operator: whether to run the operator, too.
        keep: whether to leave the control plane's data at the end, so that the next one in this folder continues with
            them.
        verbose: whether the operator logs to this process's standard error instead of to a file.
        progress: shows the progress.

    Attributes:
        data: the folder.
        kubeconfig: a kubeconfig of an administrator.
        repository: the bare repository of the Destination ``local``.
        plane: the control plane.
    """

    def __init__(
        self,
        data: Path | None,
        *,
        operator: bool = True,
        keep: bool = False,
        verbose: bool = False,
        binaries: Binaries | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._temporary = data is None and not keep
        self.data = Path(tempfile.mkdtemp(prefix="troth-dev-")) if data is None else data.absolute()
        self.kubeconfig = self.data / "kubeconfig"
        self.repository = self.data / "gitops.git"
        self._with_operator = operator
        self._keep = keep
        self._verbose = verbose
        self._binaries = binaries
        self._progress = progress or Progress()
        self._lock: int | None = None
        self._operator: OperatorProcess | None = None

    def start(self) -> None:
        """Start everything and wait until it is ready.

        Raises:
            DevError: something did not start, or another `troth dev` uses the folder; the message says which.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raises ProcessFailed when one of the programs has ended."""
        self.plane.check()
        if self._operator is not None:
            self._operator.check()

    def stop(self) -> None:
        """End everything: the operator gracefully, the rest at once. The repository and the log stay."""
        if self._operator is not None:
            self._operator.end()
            self._operator = None
        if hasattr(self, "plane"):
            self.plane.stop()
            if not self._keep:
                self.kubeconfig.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._temporary:
            shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        binaries = self._binaries or find_binaries(progress=self._progress)
        folder = self.data / _CONTROL_PLANE
        fresh = not (folder / "etcd").exists()
        self.plane = ControlPlane(binaries=binaries, folder=folder, keep=self._keep)
        with self._progress.step("starting etcd and kube-apiserver"):
            self.plane.start()
        write_private(self.kubeconfig, self.plane.kubeconfig.read_bytes())
        with self._progress.step("applying the CustomResourceDefinitions"):
            self.plane.apply_crds()
        make_repository(self.repository, empty=fresh)
        self.plane.kubectl("apply", "--server-side", "--filename", "-", input=self._destination())
        if self._with_operator:
            self._operator = self._start_operator()

    def _take_lock(self) -> int:
        """Lock the folder itself. No lock file is left behind, and the lock ends together with this process."""
        lock = os.open(self.data, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise DevError(
                f"another `troth dev` is using {self.data}; end that one, or use another --data"
            ) from None
        return lock

    def _destination(self) -> str:
        """The objects that make the repository a destination, as a stream of JSON documents."""
        objects = [
            {
                "apiVersion": GIT_STATE_STORE.api_version,
                "kind": GIT_STATE_STORE.kind,
                "metadata": {"name": "local"},
                "spec": {"url": str(self.repository), "branch": "main"},
            },
            {
                "apiVersion": DESTINATION.api_version,
                "kind": DESTINATION.kind,
                "metadata": {"name": "local", "labels": {"environment": "dev"}},
                "spec": {"path": "local", "stateStoreRef": {"kind": GIT_STATE_STORE.kind, "name": "local"}},
            },
        ]
        return "\n---\n".join(map(json.dumps, objects))

    def _start_operator(self) -> OperatorProcess:
        operator = OperatorProcess(
            kubeconfig=self.kubeconfig,
            environment=self.plane.environment(),
            log=None if self._verbose else self.data / "operator.log",
            arguments=(
                *("--local-stores", self.data),
                *("--conversion-address", "127.0.0.1", "--conversion-port", "0"),
            ),
        )
        operator.wait_ready(self._progress)
        return operator
