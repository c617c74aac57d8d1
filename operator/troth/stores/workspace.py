"""The folder for clones, which several operators may share. Each clone in it belongs to one living process.

A process that is killed cannot clean up after itself, so the next one does. It must find the same folder, and
recognise which processes are still alive: the folder of each clone contains a file that its process keeps locked for
as long as it lives, and the system releases the lock when the process ends, for whatever reason. The workspace itself
is locked while a folder is made in it or removed from it, so a folder without its lock is never one that is just
being made.

Rejected: process ids in names (they are used again, and mean something else in another container that shares the
folder), and a temporary folder for each process (nobody finds it again, and a crash loop fills the disk).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_CLONE: Final = "git-"
_LOCK: Final = "lock"


@contextlib.contextmanager
def temporary_workspace(parent: Path) -> Iterator[Path]:
    """The private workspace of this user below ``parent``. It is removed at the end if nobody else uses it.

    Its name is known, so another user may create it first if everybody may write to ``parent``. A folder that does not
    belong to this user, or is not private, is not used; then this process has a folder that nobody else knows.
    """
    workspace = parent / f"troth-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        workspace.mkdir(mode=0o700)
    if not _is_private(workspace):
        workspace = Path(tempfile.mkdtemp(prefix="troth-", dir=parent))
    try:
        yield workspace
    finally:
        with contextlib.suppress(OSError), _locked(workspace, wait=False):
            workspace.rmdir()  # this only removes an empty folder


def make_clone_folder(workspace: Path) -> tuple[Path, int]:
    """Remove what dead processes have left, and make a folder. Returns it and its lock. Blocks; raises OSError."""
    with _locked(workspace):
        _sweep(workspace)
        folder = Path(tempfile.mkdtemp(prefix=_CLONE, dir=workspace))
        lock = os.open(folder / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return folder, lock


def remove_clone_folder(folder: Path, lock: int | None) -> None:
    """Remove a folder and release its lock. This blocks."""
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _sweep(workspace: Path) -> None:
    for folder in workspace.glob(f"{_CLONE}*"):
        lock: int | None = None
        try:
            lock = os.open(folder / _LOCK, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass  # its process ended before it had a lock; otherwise it would hold the lock of the workspace
        except OSError:
            if lock is not None:
                os.close(lock)
            continue
        remove_clone_folder(folder, lock)


@contextlib.contextmanager
def _locked(workspace: Path, *, wait: bool = True) -> Iterator[None]:
    """Locks the workspace, so that nobody else makes or removes folders in it. It is created if it is missing."""
    held = _lock(workspace, wait=wait)
    while held is None:
        held = _lock(workspace, wait=wait)
    try:
        yield
    finally:
        os.close(held)


def _lock(workspace: Path, *, wait: bool) -> int | None:
    """Locks the workspace and returns the lock; None when somebody has removed the workspace meanwhile."""
    workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
    held: int | None = None
    try:
        held = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.path.samestat(os.fstat(held), workspace.stat()):
            return held
    except FileNotFoundError:
        pass
    except OSError:
        if held is not None:
            os.close(held)
        raise
    if held is not None:
        os.close(held)
    return None


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
