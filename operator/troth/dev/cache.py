"""A folder of programs that appears completely or not at all, even if several processes make it at once.

It is made in a temporary folder next to it, which is renamed when it is complete, so an incomplete folder is never
found. A lock file lets one process do the work while the others wait for its result; the kernel releases the lock when
its holder dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from troth.dev.progress import Progress

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/troth``, by default ``~/.cache/troth``."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return base / "troth"


def this_platform() -> str:
    """The operating system and the processor as Go names them, such as ``linux-amd64``."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"


def digest_of(*files: Path) -> str:
    """A short hash of some files' content."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def is_complete(folder: Path, programs: Sequence[str]) -> bool:
    """Whether the folder contains all of these programs, and they are executable."""
    return all(os.access(folder / program, os.X_OK) and (folder / program).is_file() for program in programs)


def publish(target: Path, programs: Sequence[str], make: Callable[[Path], None], progress: Progress) -> None:
    """Make ``target`` by letting ``make`` fill an empty folder, unless another process has made it meanwhile.

    Raises:
        Exception: any exception of ``make``. Then nothing is left behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f"{target.name}.lock"), progress):
        if is_complete(target, programs):
            return
        _sweep(target)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.partial-"))
        try:
            make(work)
            work.chmod(0o755)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("waiting for another process that is preparing the same programs"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sweep(target: Path) -> None:
    """Remove what a killed process has left behind. Holding the lock shows that no process is at work."""
    for leftover in target.parent.glob(f"{target.name}.partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
