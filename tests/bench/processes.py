"""Reads from /proc what a process and all its children cost.

The render workers and the git commands are children of the operator and count as part of it. What a child has used is
still counted after its end (in its parent's ``cutime``), so that short commands are not missed between two reads.

Memory is PSS: pages that several processes share are counted once and divided among them. Adding up RSS would count
the interpreter of every render worker again. A child that has not started its program yet still runs in its parent's
memory (vfork). It is left out, because otherwise the operator would be counted twice whenever it starts a command. On
machines without /proc everything here returns None.
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
    """Whether this machine has /proc."""
    return (_PROC / "self" / "stat").exists()


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of ``/proc/PID/stat``: the parent, and the CPU seconds of the process and of its ended children."""

    pid: int
    parent: int
    own: float
    ended: float = 0.0

    @property
    def cpu(self) -> float:
        """The CPU seconds of both together."""
        return self.own + self.ended


def parse_stat(line: str, *, ticks: int = _TICKS) -> Stat:
    """Read the line. The program's name in it may contain spaces and parentheses."""
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
    """The CPU time that a process and its children, including ended ones, have used, in seconds."""
    if not available():
        return None
    return sum(stat.cpu for stat in family(pid, _all()))


def own_cpu_seconds(pid: int) -> float | None:
    """The CPU time of one process alone, in seconds."""
    try:
        return parse_stat((_PROC / str(pid) / "stat").read_text()).own
    except OSError:
        return None


class Neighbours:
    """Measures from now on how busy other programs keep the machine."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), self._used()

    def cores(self) -> float | None:
        """The number of cores that they have kept busy on average since the beginning."""
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
    """The proportional memory of one process in bytes; 0 when it is gone."""
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
    """The role of a child: ``render worker``, or the name of a git command."""
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
        together: the memory of the process and its children.
        alone: the memory of the process itself (perhaps at another moment).
        children: the memory of the children in ``together``, by role.
    """

    together: int = 0
    alone: int = 0
    children: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class MemoryWatch:
    """A context manager that samples a process and its children four times a second."""

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
