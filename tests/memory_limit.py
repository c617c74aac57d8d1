"""Limits the memory of a program and all of its children, as for a pod.

It uses a control group of the kernel (version 2 or 1) if this machine allows one to be made; as a rule, root may. It
counts what the limit of a pod counts, and kills processes that exceed it. Nothing else can replace it: a sum over
processes that is taken now and then misses a peak of a tenth of a second, which is long enough for the kernel.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from troth.surroundings import python

_ROOT = Path("/sys/fs/cgroup")


class MemoryLimit:
    """A control group with a limit in bytes.

    Attributes:
        peak: the most memory without page cache that `look` has seen, in bytes.
    """

    def __init__(self, folder: Path, *, first: bool) -> None:
        self._folder = folder
        self._first = first
        self.peak = 0

    @property
    def interpreter(self) -> Sequence[str]:
        """The command of an interpreter that enters the group before it starts."""
        return ("sh", "-c", f'echo $$ > {self._folder}/cgroup.procs && exec "$@"', "sh", *python())

    def kills(self) -> int:
        """How many processes in the group the kernel has killed because they exceeded the limit."""
        name = "memory.oom_control" if self._first else "memory.events"
        return self._read(name, "oom_kill")

    def look(self) -> int:
        """How many bytes are used now, without page cache."""
        used = self._read("memory.stat", "total_rss" if self._first else "anon")
        self.peak = max(self.peak, used)
        return used

    def _read(self, name: str, key: str) -> int:
        lines = (self._folder / name).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.split()[0] == key)


@contextlib.contextmanager
def memory_limit(size: int) -> Iterator[MemoryLimit]:
    """A group with a limit of ``size`` bytes. It is removed at the end, when its processes have ended.

    Raises:
        OSError: this machine does not allow a group to be made.
    """
    first = (_ROOT / "memory").is_dir()
    parent = _ROOT / "memory" if first else _ROOT
    folder = parent / f"troth-test-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        (folder / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(size))
        if not os.access(folder / "cgroup.procs", os.W_OK):
            raise PermissionError(f"{folder} cannot be entered")
        yield MemoryLimit(folder, first=first)
    finally:
        end = time.monotonic() + 10
        while True:
            try:
                folder.rmdir()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
