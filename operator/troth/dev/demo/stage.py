"""Starts what the demo needs: a control plane, a Git server, the operator, and a folder with the files to apply.

The operator pushes over http with a user name and a password from a Secret, as it would to a Git host, and applies
objects to the cluster that it runs in. Everything is in the control plane's folder, which is removed even when this
process is killed.
"""

from __future__ import annotations

import secrets
import shutil
import string
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from troth.dev.binaries import find_binaries
from troth.dev.controlplane import ControlPlane
from troth.dev.demo.errors import DemoFailed
from troth.dev.git_server import GitServer
from troth.dev.kubeconfig import write_private
from troth.dev.operator_process import OperatorProcess
from troth.dev.progress import Progress
from troth.dev.shipped import shipped_folder

_FILES = Path(__file__).with_name("files")
_LONG = 30.0  # quicker steps do not print how long they took; the demo itself says that
_USER = "troth"
_REPOSITORY = "gitops"


class Stage:
    """A context manager with everything that the demo starts, which it ends.

    Attributes:
        progress: shows what takes long.
        folder: the folder in which commands run, with the files that they name, the repository and the operator's
            log. It is set by `start_control_plane`, as are the next two.
        plane: the control plane.
        repository: the bare repository that the Git server serves.
    """

    folder: Path
    plane: ControlPlane
    repository: Path

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or Progress(summary=_LONG)
        self._home: Path | None = None
        self._git: GitServer | None = None
        self._operator: OperatorProcess | None = None

    def start_control_plane(self) -> None:
        """Start etcd, kube-apiserver and the Git server, and write the files.

        Raises:
            DevError: something did not start; the message says what.
        """
        if shutil.which("git") is None:
            raise DemoFailed("git is not installed; the operator and this demo need it")
        binaries = find_binaries(progress=self.progress)
        self._home = Path(tempfile.mkdtemp(prefix="troth-demo-"))
        self.plane = ControlPlane(binaries=binaries, folder=self._home)
        with self.progress.step("starting etcd and kube-apiserver"):
            self.plane.start()
            self.plane.apply_crds()
        self.folder = self.plane.folder / "demo"
        self.folder.mkdir()
        password = secrets.token_urlsafe(18)
        self._git = GitServer(self.folder, username=_USER, password=password)
        self._git.start()
        self.repository = self._git.create_repository(_REPOSITORY)
        self._lay_out(url=self._git.url(_REPOSITORY), username=_USER, password=password)

    def start_operator(self) -> None:
        """Start the operator and wait until it reconciles.

        Raises:
            ProcessFailed: it did not start; the message contains the end of its log.
        """
        self._operator = OperatorProcess(
            kubeconfig=self.plane.kubeconfig,
            environment=self.plane.environment(),
            log=self.folder / "operator.log",
        )
        self._operator.wait_ready(self.progress)

    def check(self) -> None:
        """Raises ProcessFailed when one of the programs has ended."""
        self.plane.check()
        if self._operator is not None:
            self._operator.check()

    @property
    def operator_log(self) -> str:
        """The last lines of the operator's log; empty before it has been started."""
        return self._operator.tail() if self._operator is not None else ""

    def stop(self) -> None:
        """End everything, the operator gracefully, and remove the folder. This may be called twice."""
        try:
            if self._operator is not None:
                self._operator.end()
                self._operator = None
        finally:
            if self._git is not None:
                self._git.stop()
                self._git = None
            if hasattr(self, "plane"):
                self.plane.stop()
            if self._home is not None:
                shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _lay_out(self, **values: str) -> None:
        """Write the files that the demo applies. The library's Promises stay where they are."""
        (self.folder / "promises").symlink_to(shipped_folder("promises"), target_is_directory=True)
        for source in _FILES.glob("*.yaml"):
            text = source.read_text()
            if source.name == "destinations.yaml":
                text = string.Template(text).substitute(values)
            write_private(self.folder / source.name, text.encode())
