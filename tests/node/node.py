"""A running node, as tests see it: a value that one process can hand to another."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.node.images import Image, write_archive
from tests.waiting import eventually_sync
from troth.dev import CommandFailed, CommandResult


@dataclass(frozen=True, slots=True)
class Node:
    """How to reach a node.

    Attributes:
        kubeconfig: of an administrator.
        kubectl: the program.
        import_images: the command that reads an archive of images; the archive's path follows.
        machine: this machine's address, seen from the Pods; empty where it is not known.
    """

    kubeconfig: str
    kubectl_program: str
    import_images: tuple[str, ...]
    machine: str = ""

    def environment(self) -> dict[str, str]:
        """The variables with which kubectl reaches this node, and leaves no files elsewhere."""
        return {
            **os.environ,
            "KUBECONFIG": self.kubeconfig,
            "KUBECACHEDIR": str(Path(self.kubeconfig).with_name("kubectl-cache")),
            "KUBECTL_KUBERC": "false",
            "NO_PROXY": "*",
        }

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 60
    ) -> CommandResult:
        """Run kubectl as administrator.

        Args:
            arguments: what follows ``kubectl``.
            stdin: its standard input.
            check: raise when it ends with another code than 0.
            timeout: seconds until it is killed.

        Raises:
            CommandFailed: it ended with another code than 0.
            subprocess.TimeoutExpired: it did not end in time.
        """
        done = subprocess.run(
            [self.kubectl_program, *arguments],
            input=(stdin or "").encode(),
            capture_output=True,
            check=False,
            env=self.environment(),
            timeout=timeout,
        )
        result = CommandResult(done.returncode, done.stdout.decode(), done.stderr.decode())
        if check and result.code != 0:
            raise CommandFailed(f"kubectl {' '.join(arguments[:2])}", result.code, result.stderr or result.stdout)
        return result

    def wait_established(self, *what: str) -> None:
        """Wait until CustomResourceDefinitions are established, which ``kubectl wait`` is told as ``what``.

        Raises:
            AssertionError: they are not after a minute.
        """
        wait = ("wait", "--for=condition=Established", "--timeout=60s", *what)
        # It fails at once for a definition that is so new that it does not have any conditions.
        eventually_sync(
            lambda: self.kubectl(*wait, check=False, timeout=70).code == 0,
            f"{' '.join(what)} are established",
            within=60,
        )

    def load(self, images: Sequence[Image], folder: Path) -> None:
        """Give it more images; the archive stands in ``folder`` meanwhile.

        Raises:
            CommandFailed: it does not take them.
        """
        archive = write_archive(folder / "images.tar", images)
        try:
            self.load_archive(archive)
        finally:
            archive.unlink()

    def load_archive(self, archive: Path) -> None:
        """Give it the images of an archive, as `docker save` or OCI has it.

        Raises:
            CommandFailed: it does not take them.
        """
        done = subprocess.run([*self.import_images, str(archive)], capture_output=True, check=False, timeout=300)
        if done.returncode != 0:
            raise CommandFailed("importing images", done.returncode, done.stderr.decode(errors="replace"))
