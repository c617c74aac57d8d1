"""Waits until a file of a Promise has changed.

Notifications of the system wake it up, and times and sizes of files decide whether something has changed. So a file
that was written while the cases ran is noticed, and a build folder next to the Promise is ignored. On file systems
without notifications (some network and container file systems), the files are also checked now and then. The watcher
is closed before cases run, since they are faster in a process without threads, which may fork.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_LOOK_MILLISECONDS: Final = 1000
_SETTLE_MILLISECONDS: Final = 60
_MOST_FILES: Final = 50_000

State = Mapping[Path, tuple[int, int]]


def state(folders: Sequence[Path]) -> State:
    """The time and the size of each file below the folders."""
    found: dict[Path, tuple[int, int]] = {}
    for folder in folders:
        for path in folder.rglob("*") if folder.is_dir() else (folder,):
            with contextlib.suppress(OSError):
                if path.is_file():
                    about = path.stat()
                    found[path] = (about.st_mtime_ns, about.st_size)
            if len(found) >= _MOST_FILES:
                return found
    return found


def wait_for_change(folders: Sequence[Path], before: State) -> list[Path]:
    """Waits until something differs from ``before``, and returns the files that differ.

    Raises:
        KeyboardInterrupt: the user has pressed Ctrl-C.
    """
    from watchfiles import watch

    there = [folder for folder in folders if folder.exists()]
    for _ in watch(
        *there,
        debounce=_SETTLE_MILLISECONDS,
        step=_SETTLE_MILLISECONDS // 2,
        rust_timeout=_LOOK_MILLISECONDS,
        yield_on_timeout=True,
        watch_filter=None,
    ):
        now = state(folders)
        if now != before:
            return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
    return []
