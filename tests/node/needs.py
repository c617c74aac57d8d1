"""What a machine must offer before a node can run on it, each need tried in some milliseconds.

Rejected: to start the node and to call every failure "not possible here"; a fault of ours would be skipped, too.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.node.cgroups import REQUIRED_CONTROLLERS, controllers, hierarchies

# Numbers of include/uapi/linux/capability.h.
_CAPABILITIES = {
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_ADMIN": 21,
    "CAP_MKNOD": 27,
}
_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork")
_DNAT = "-t nat -A OUTPUT -d 10.96.0.1/32 -p tcp --dport 443 -j DNAT --to 127.0.0.1:6443"
_OVERLAY = (
    "mount -t tmpfs probe /mnt && mkdir /mnt/1 /mnt/2 /mnt/3 && "
    "mount -t overlay -o lowerdir=/mnt/1,upperdir=/mnt/2,workdir=/mnt/3 probe /mnt/1"
)
_TIMEOUT = 60
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def missing_need() -> str | None:
    """The first thing that a node needs and this machine does not have, in words, or None when it has all.

    Programs that a package brings count only once they are there: see `programs.py`.
    """
    if os.geteuid() != 0:
        return "a node needs root"
    if lacking := [name for name, number in _CAPABILITIES.items() if not _effective() >> number & 1]:
        return f"root lacks {', '.join(lacking)} here"
    if not stat.S_ISCHR(_mode(Path("/dev/kmsg"))):
        return "there is no /dev/kmsg, without which the kubelet ends"
    if "Seccomp:" not in Path("/proc/self/status").read_text():
        return "the kernel has no seccomp"
    if absent := REQUIRED_CONTROLLERS - controllers():
        return f"the cgroup controllers {', '.join(sorted(absent))} are not mounted"
    if (problem := _unwritable_cgroup()) is not None:
        return problem
    if shutil.which("unshare", path=_PATH) is None:
        return "there is no unshare (package util-linux)"
    for what, command in (
        ("namespaces", ("true",)),
        ("overlayfs on tmpfs", ("sh", "-c", _OVERLAY)),
        ("network bridges", ("ip", "link", "add", "probe", "type", "bridge")),
        ("pairs of virtual network devices", ("ip", "link", "add", "probe", "type", "veth")),
        ("translation of network addresses", ("iptables", *_DNAT.split())),
    ):
        if shutil.which(command[0], path=_PATH) is not None and (problem := _refusal(command)) is not None:
            return f"the kernel or this container refuses {what}: {problem}"
    return None


def _effective() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("CapEff:")), 16)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _unwritable_cgroup() -> str | None:
    for hierarchy in hierarchies():
        probe = hierarchy / f"troth-probe-{os.getpid()}"
        try:
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            return f"no cgroup can be made in {hierarchy}: {error.strerror}"
    return None


def _refusal(command: Sequence[str]) -> str | None:
    """What the command says, run in namespaces of its own, when it fails."""
    try:
        done = subprocess.run(
            ["unshare", *_NAMESPACES, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env={"PATH": _PATH, "XTABLES_LOCKFILE": "/dev/null"},
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {_TIMEOUT} seconds"
    return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip() or "no reason given"
