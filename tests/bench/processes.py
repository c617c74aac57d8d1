"""What a process and all its children cost, read from /proc.

The render workers and the git commands are children of the operator and belong to it. What a child has used stays
countable after its end (its parent's ``cutime``), so short commands are not missed between two looks.

Memory is PSS: pages that several processes share are counted once, divided among them. Adding up RSS would count the
interpreter of every render worker again. A child that has not begun its program yet still runs in its parent's memory
(vfork); it is left out, or the operator would be counted twice whenever it starts a command. On machines without
/proc everything here answers None.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def available() -> bool:
    """Whether this machine tells."""
    return (_PROC / "self" / "stat").exists()


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of ``/proc/PID/stat``: whose child it is, and CPU seconds of its own and of its ended children."""

    pid: int
    parent: int
    own: float
    ended: float = 0.0

    @property
    def cpu(self) -> float:
        """Both together."""
        return self.own + self.ended


def parse_stat(line: str, *, ticks: int = _TICKS) -> Stat:
    """Read the line; the program's name in it may hold spaces and parentheses."""
    head, _, tail = line.rpartition(")")
    fields = tail.split()
    used, by_system, used_by_ended, by_system_for_ended = (int(text) / ticks for text in fields[11:15])
    return Stat(
        pid=int(head.partition(" ")[0]),
        parent=int(fields[1]),
        own=used + by_system,
        ended=used_by_ended + by_system_for_ended,
    )


def family(pid: int, stats: dict[int, Stat]) -> list[Stat]:
    """A process and everything that descends from it."""
    children: dict[int, list[int]] = {}
    for stat in stats.values():
        children.setdefault(stat.parent, []).append(stat.pid)
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        if current in stats:
            found.append(stats[current])
            waiting += children.get(current, ())
    return found


def cpu_seconds(pid: int) -> float | None:
    """CPU time that a process and its children, ended ones too, have used."""
    if not available():
        return None
    return sum(stat.cpu for stat in family(pid, _all()))


def own_cpu_seconds(pid: int) -> float | None:
    """CPU time of one process alone."""
    try:
        return parse_stat((_PROC / str(pid) / "stat").read_text()).own
    except OSError:
        return None


class Neighbours:
    """How busy programs that are not ours keep the machine, from now on."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), self._used()

    def cores(self) -> float | None:
        """Cores that they kept busy on average since the beginning."""
        used = self._used()
        if used is None or self._before is None:
            return None
        return max(0.0, (used - self._before) / (time.monotonic() - self._began))

    def _used(self) -> float | None:
        ours = cpu_seconds(os.getpid())
        if ours is None:
            return None
        fields = [int(text) for text in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]]
        idle = fields[3] + fields[4]
        return (sum(fields[:8]) - idle) / _TICKS - ours


def pss(pid: int) -> int:
    """Proportional memory of one process in bytes; 0 when it is gone."""
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _all() -> dict[int, Stat]:
    found = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                stat = parse_stat((folder / "stat").read_text())
            except OSError:
                continue
            found[stat.pid] = stat
    return found


def role(arguments: Sequence[str]) -> str:
    """What a child is for: ``render worker``, or a git command by its name."""
    program = Path(arguments[0]).name
    if program == "git":
        skip = {"-c", "-C", "--git-dir"}
        words = [word for before, word in pairwise(arguments) if not word.startswith("-") and before not in skip]
        return f"git {words[0]}" if words else "git"
    return "render worker" if "troth.engine.workers.worker" in arguments else program


def _arguments(pid: int) -> list[str]:
    """The command line of a process; empty when it is gone."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


@dataclass(slots=True)
class Peak:
    """The most memory at one moment, in bytes.

    Attributes:
        together: of the process and its children.
        alone: of the process itself (at a moment of its own).
        children: whose the rest of ``together`` was, by role.
    """

    together: int = 0
    alone: int = 0
    children: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class MemoryWatch:
    """Samples a process and its children four times a second; a context manager."""

    pid: int
    interval: float = 0.25
    peak: Peak = field(default_factory=Peak)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if available():
            self._thread = threading.Thread(target=self._run, name="memory watch", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            alone = pss(self.pid)
            children: dict[str, int] = {}
            for stat in family(self.pid, _all()):
                arguments = _arguments(stat.pid)
                if stat.pid != self.pid and arguments and arguments != _arguments(stat.parent):
                    name = role(arguments)
                    children[name] = children.get(name, 0) + pss(stat.pid)
            together = alone + sum(children.values())
            self.peak.alone = max(self.peak.alone, alone)
            if together > self.peak.together:
                self.peak.together = together
                self.peak.children = children
            if self._ended.wait(self.interval):
                return
