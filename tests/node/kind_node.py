"""The same tests on a node of kind, for machines with Docker: ``TROTH_TEST_NODE=kind``."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.node.images import basic_images, write_archive
from tests.node.node import Node
from tests.node.programs import PATH
from troth.dev import DevError

_START_TIMEOUT = 600.0


def missing_for_kind() -> str | None:
    """What is missing for a node of kind, in words, or None."""
    for program in ("kind", "docker"):
        if shutil.which(program, path=PATH) is None:
            return f"TROTH_TEST_NODE=kind needs {program}"
    if _run("docker", "info", timeout=30).returncode != 0:
        return "TROTH_TEST_NODE=kind needs a Docker that answers"
    return None


@contextmanager
def kind_node(kubectl: Path, busybox: Path) -> Iterator[Node]:
    """A cluster of kind with the images of `images.py`, for the time of the block.

    Args:
        kubectl: the program for the tests, and for the image of it.
        busybox: a static one.

    Raises:
        DevError: kind did not make it.
    """
    name = f"troth-node-{uuid.uuid4().hex[:8]}"
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    kubeconfig = folder / "kubeconfig"
    load = ("kind", "load", "image-archive", "--name", name)
    images = basic_images(busybox, kubectl)
    try:
        _must("kind", "create", "cluster", "--name", name, "--kubeconfig", str(kubeconfig), "--wait", "5m")
        _must(*load, str(write_archive(folder / "images.tar", images)))
        yield Node(str(kubeconfig), str(kubectl), load)
    finally:
        _run("kind", "delete", "cluster", "--name", name, "--kubeconfig", str(kubeconfig))
        shutil.rmtree(folder, ignore_errors=True)


def _must(*command: str) -> None:
    done = _run(*command)
    if done.returncode != 0:
        raise DevError(f"{' '.join(command[:3])} ended with code {done.returncode}: {done.stderr.strip()[-2000:]}")


def _run(*command: str, timeout: float = _START_TIMEOUT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout
    )
