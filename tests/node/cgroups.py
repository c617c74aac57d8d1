"""The cgroups of a node: one folder in each hierarchy, below which the kubelet makes all of its own.

Both versions are known: one hierarchy for each controller (v1), or one for all (v2).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

REQUIRED_CONTROLLERS = frozenset({"cpu", "cpuset", "memory", "pids"})
_VERSION_2 = "cgroup2"
_GONE_WITHIN = 10.0


def hierarchies() -> list[Path]:
    """Where cgroups are mounted."""
    return [path for path, _, _ in _mounts()]


def controllers() -> frozenset[str]:
    """The names of the controllers that some mounted hierarchy has."""
    found: set[str] = set()
    for path, version, options in _mounts():
        if version == _VERSION_2:
            found.update((path / "cgroup.controllers").read_text().split())
        else:
            found.update(options)
    return frozenset(found)


def cgroup_folders(name: str) -> list[Path]:
    """The folder of the cgroup ``name`` in each hierarchy, whether it is there or not."""
    return [path / name for path in hierarchies()]


def make_cgroup(name: str) -> None:
    """Make it in each hierarchy, in the form in which the kubelet accepts it as its root.

    Raises:
        OSError: a hierarchy does not let us.
    """
    for path, version, options in _mounts():
        folder = path / name
        if version == _VERSION_2:
            # Only what is passed on by the root can be used below it; systemd has mostly done so.
            for controller in sorted(REQUIRED_CONTROLLERS):
                with contextlib.suppress(OSError):
                    (path / "cgroup.subtree_control").write_text(f"+{controller}")
        folder.mkdir()
        if "cpuset" in options:  # version 1 lets no process in before these are set
            for file in ("cpuset.cpus", "cpuset.mems"):
                (folder / file).write_text((path / file).read_text())


def remove_cgroup(name: str) -> None:
    """Kill what is in it and remove it with all below; nothing happens when it is not there.

    Raises:
        OSError: it is still there after 10 s.
    """
    deadline = time.monotonic() + _GONE_WITHIN
    for folder in cgroup_folders(name):
        while folder.exists():
            try:
                _remove(folder)
            except FileNotFoundError:
                continue
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)  # a process that was killed leaves its cgroup a moment later


def _remove(folder: Path) -> None:
    # The innermost first; a cgroup's files are the kernel's and go with it.
    inner = [Path(path) for path, _, _ in os.walk(folder, topdown=False)]
    for path in inner:
        for pid in (path / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        path.rmdir()


def _mounts() -> list[tuple[Path, str, frozenset[str]]]:
    """Path, type and options of each."""
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [
        (Path(path), kind, frozenset(options.split(",")))
        for _, path, kind, options, *_ in lines
        if kind in ("cgroup", _VERSION_2)
    ]
