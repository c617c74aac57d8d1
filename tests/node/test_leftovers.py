"""A node leaves nothing on the machine, however it ends: each test has one of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.node.addresses import NUMBERS, Addresses
from tests.node.cgroups import cgroup_folders
from tests.node.images import BUSYBOX
from tests.node.namespaced import namespaced_node
from tests.node.node import Node
from tests.node.programs import PATH, NodePrograms, find_node_programs
from tests.waiting import eventually_sync
from troth.dev import DevError

pytestmark = [
    pytest.mark.usefixtures("node"),  # where there cannot be one, there is nothing to leave behind either
    pytest.mark.skipif(os.environ.get("TROTH_TEST_NODE") == "kind", reason="kind's nodes are Docker's to remove"),
]

_ROOT = Path(__file__).parents[2]
_FOLDER = re.compile(r"/troth-node-(\d+)-\w+/")

# What container runtimes, network plug-ins and kubelets are known to leave on a machine.
_HABITUAL = (
    "/etc/cni/net.d",
    "/opt/containerd",
    "/run/containerd",
    "/run/netns",
    "/run/node",
    "/run/xtables.lock",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
_SETTINGS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "net/ipv4/ip_forward")


@dataclasses.dataclass(frozen=True)
class _Machine:
    """What of the machine a node could change."""

    mounts: frozenset[str]
    rules: tuple[str, ...]
    files: tuple[str, ...]
    settings: tuple[str, ...]


def _machine() -> _Machine:
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    rules = subprocess.run(
        ["sh", "-c", "iptables -t nat -S; iptables -S"], capture_output=True, check=False, env={"PATH": PATH}
    )
    return _Machine(
        mounts=frozenset(line for line in mounts),
        rules=tuple(rules.stdout.decode().splitlines()),
        files=tuple(path for path in _HABITUAL if Path(path).exists()),
        settings=tuple(Path("/proc/sys", name).read_text() for name in _SETTINGS),
    )


def _processes_with(text: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if text.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def _is_gone(number: int) -> bool:
    """Nothing that has the number of a node is there."""
    name = Addresses(number).name
    leftovers: list[object] = [folder for folder in cgroup_folders(name) if folder.exists()]
    leftovers += Path(tempfile.gettempdir()).glob(f"{name}-*")
    leftovers += [path for path in Path("/sys/class/net").iterdir() if path.name == name]
    leftovers += _processes_with(f"/{name}-")
    assert not leftovers, f"left: {leftovers}"
    return True


@dataclasses.dataclass(frozen=True)
class _Started:
    """A node of another process.

    Attributes:
        process: of `python -m tests.node`.
        number: the node's.
        marker: stands in the command line of a container that runs on it.
    """

    process: subprocess.Popen[str]
    number: int
    marker: str


@contextmanager
def _node_with_a_pod() -> Iterator[_Started]:
    command = [sys.executable, "-m", "tests.node"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            kubeconfig = process.stdout.readline().strip().removeprefix("export KUBECONFIG=")
            found = _FOLDER.search(kubeconfig)
            assert found, "the node did not start"
            marker = f"sleep {uuid.uuid4().int % 10**9 + 10**9}"
            node = Node(kubeconfig, str(find_node_programs().control_plane.kubectl), ())
            node.kubectl("run", "sleeper", f"--image={BUSYBOX}", "--restart=Never", "--", *marker.split())
            node.kubectl("wait", "pod/sleeper", "--for=condition=Ready", "--timeout=60s", timeout=70)
            marker = marker.replace(" ", "\0")
            eventually_sync(lambda: _processes_with(marker), "the container is seen from the machine", within=20)
            yield _Started(process, int(found[1]), marker)
        finally:
            process.terminate()
            process.wait(60)


def _lifelines(pid: int) -> list[int]:
    return [child for child in _processes_with("lifeline.py") if _parent(child) == pid]


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _nothing_is_left(started: _Started, before: _Machine) -> None:
    eventually_sync(lambda: _is_gone(started.number), "nothing of the node is left", within=20)
    assert _processes_with(started.marker) == []
    assert _machine() == before


def test_a_node_that_is_ended_leaves_nothing_behind() -> None:
    before = _machine()
    with _node_with_a_pod() as started:
        assert _machine() == before, "the node shows outside of its namespaces"
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(30) == 0
        _nothing_is_left(started, before)


def test_a_node_whose_starter_is_killed_leaves_nothing_behind() -> None:
    before = _machine()
    with _node_with_a_pod() as started:
        started.process.kill()
        _nothing_is_left(started, before)


def test_what_a_node_leaves_when_its_guardian_is_killed_too_goes_with_the_next_start() -> None:
    before = _machine()
    with _node_with_a_pod() as started:
        (guardian,) = _lifelines(started.process.pid)
        started.process.kill()
        os.kill(guardian, signal.SIGKILL)
        eventually_sync(lambda: not _processes_with(started.marker), "the container has ended", within=20)
        with _node_with_a_pod():
            pass
        _nothing_is_left(started, before)


def test_a_link_that_outlives_its_node_goes_with_the_next_start(tmp_path: Path) -> None:
    before = _machine()
    last = Addresses(NUMBERS[-1])
    subprocess.run(["ip", "link", "add", last.name, "type", "bridge"], check=True, env={"PATH": PATH}, timeout=10)
    with pytest.raises(DevError, match="containerd ended"), namespaced_node(_with_broken("containerd", tmp_path)):
        pytest.fail("the node has started")
    assert _is_gone(last.number)
    assert _machine() == before


@pytest.mark.parametrize("program", ["containerd", "kubelet"])
def test_a_node_that_fails_to_start_says_why_and_leaves_nothing_behind(program: str, tmp_path: Path) -> None:
    before = _machine()
    programs = _with_broken(program, tmp_path)
    with pytest.raises(DevError, match=f"{program} ended with code 3"), namespaced_node(programs):
        pytest.fail("the node has started")
    called = _FOLDER.search((tmp_path / "called").read_text())
    assert called
    assert _is_gone(int(called[1]))
    assert _machine() == before


def _with_broken(program: str, folder: Path) -> NodePrograms:
    """The programs of a node, one of which notes how it was called and ends."""
    programs = find_node_programs()
    for whole in programs.kubernetes.iterdir():
        (folder / whole.name).symlink_to(whole)
    broken = folder / program
    broken.unlink(missing_ok=True)
    broken.write_text(f'#!/bin/sh\necho "$@" >{folder}/called\nexit 3\n')
    broken.chmod(0o755)
    if program == "containerd":
        return dataclasses.replace(programs, containerd=broken)
    return dataclasses.replace(programs, kubernetes=folder)
