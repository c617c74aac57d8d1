"""A limit of memory for a program and all that it starts, as a pod has one.

A control group of the kernel where this machine lets one be made (version 2 or 1; root may, as a rule). It counts what
a pod's limit counts, and kills what passes it. There is no substitute: a sum over processes that is looked at now and
then misses a peak of a tenth of a second, which is enough for the kernel.
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
        peak: the most memory, page cache left out, that `look` has seen in it, in bytes.
    """

    def __init__(self, folder: Path, *, first: bool) -> None:
        self._folder = folder
        self._first = first
        self.peak = 0

    @property
    def interpreter(self) -> Sequence[str]:
        """An interpreter that enters the group before it begins."""
        return ("sh", "-c", f'echo $$ > {self._folder}/cgroup.procs && exec "$@"', "sh", *python())

    def kills(self) -> int:
        """How many processes the kernel has killed in it because the limit was passed."""
        name = "memory.oom_control" if self._first else "memory.events"
        return self._read(name, "oom_kill")

    def look(self) -> int:
        """How many bytes are used now, page cache left out."""
        used = self._read("memory.stat", "total_rss" if self._first else "anon")
        self.peak = max(self.peak, used)
        return used

    def _read(self, name: str, key: str) -> int:
        lines = (self._folder / name).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.split()[0] == key)


@contextlib.contextmanager
def memory_limit(size: int) -> Iterator[MemoryLimit]:
    """A group with a limit of ``size`` bytes; it is gone at the end, when its processes are.

    Raises:
        OSError: this machine does not let one be made.
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
