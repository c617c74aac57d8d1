"""Starting a node in namespaces of its own: process, mount, network, IPC and host name.

So one SIGKILL is the whole tear-down. The kernel ends what runs there, containers included, and with the last process
go mounts, network devices and rules. What remains are empty cgroups and one folder, and `lifeline.py` removes those,
also when it is pytest that was killed. Should even that be killed, the next start clears up.

A node's number is taken by binding an abstract Unix socket: a lock without a file, which the kernel frees with its
holder. So several runs have nodes beside each other.

Rejected: the programs in the machine's own namespaces (fixed ports, one node for the machine, and ten kinds of
leftovers, each of which needs its own removal in the right order); a process that watches and clears up (it can be
killed, too).
"""

from __future__ import annotations

import contextlib
import http
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.node import init
from tests.node.addresses import API_PORT, NUMBERS, UPLINK, Addresses
from tests.node.cgroups import cgroup_folders, make_cgroup, remove_cgroup
from tests.node.configuration import CONTAINERD_SOCKET, IMPORT, NODE_NAME, Files, node_steps, write_files
from tests.node.images import basic_images, write_archive
from tests.node.node import Node
from tests.node.programs import PATH, NodePrograms
from troth.dev import DevError, ProcessFailed, Supervised
from troth.dev.apiserver import ApiServer
from troth.dev.processes import wait_until

_READY_WITHIN = 120.0
_GONE_WITHIN = 10.0
_LOG_TAIL = 6000


@contextmanager
def namespaced_node(programs: NodePrograms) -> Iterator[Node]:
    """A node that is Ready, with the images of `images.py`, for the time of the block.

    Raises:
        DevError: it did not start; the message holds the end of the logs that tell why. Nothing is left behind.
    """
    _clear_all()
    with _numbered() as addresses:
        folder = Path(tempfile.mkdtemp(prefix=f"{addresses.name}-"))
        try:
            with _running(addresses, programs, folder) as node:
                yield node
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _clear(addresses)


@contextmanager
def _numbered() -> Iterator[Addresses]:
    """The first number that nobody has, for the time of the block."""
    for addresses in map(Addresses, NUMBERS):
        with _taken(addresses) as taken:
            if taken:
                yield addresses
                return
    raise DevError(f"{len(NUMBERS)} nodes run on this machine already")


@contextmanager
def _taken(addresses: Addresses) -> Iterator[bool]:
    """Take a number for the time of the block; whether it was to be had."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0{addresses.name}")
        except OSError:
            yield False
        else:
            yield True


def _clear_all() -> None:
    """Remove what nodes have left whose guardians were killed, whatever their numbers."""
    for addresses in map(Addresses, NUMBERS):
        with _taken(addresses) as taken:
            if taken:
                _clear(addresses)


def _clear(addresses: Addresses) -> None:
    """Wait until a node of this number is gone, and remove what it could not remove itself.

    Raises:
        DevError: something of it does not go.
    """
    try:
        remove_cgroup(addresses.name)
    except OSError as error:
        raise DevError(f"the cgroup {addresses.name} cannot be removed: {error}") from error
    for leftover in Path(tempfile.gettempdir()).glob(f"{addresses.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    _remove_device(addresses.name)


def _remove_device(name: str) -> None:
    """Remove the link to a node that is gone.

    It would go with the node's network namespace, but a connection whose last bytes nobody has acknowledged keeps that
    for minutes after its last process has ended.
    """
    if name not in (found for _, found in socket.if_nameindex()):
        return
    done = subprocess.run(
        ["ip", "link", "delete", name],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={"PATH": PATH},
        timeout=_GONE_WITHIN,
    )
    # The kernel may have removed it meanwhile.
    if done.returncode != 0 and name in (found for _, found in socket.if_nameindex()):
        raise DevError(
            f"the network device {name} cannot be removed: {done.stderr.decode(errors='replace').strip()}"
        )


@contextmanager
def _running(addresses: Addresses, programs: NodePrograms, folder: Path) -> Iterator[Node]:
    files = write_files(folder, addresses, programs)
    images = write_archive(folder / "images.tar", basic_images(programs.busybox, programs.control_plane.kubectl))
    plan = init.write_plan(folder / "plan.json", node_steps(addresses, programs, files, images))
    make_cgroup(addresses.name)
    log = folder / "init.log"
    # The log is read through this file: when the node ends by itself, its folder is gone before we can look.
    with log.open("w+") as said:
        process = Supervised(
            "the node",
            _command(plan),
            log=log,
            environment={"PATH": PATH, "HOME": "/run/node"},
            folder=folder,
            remove=[*cgroup_folders(addresses.name), folder],
        )
        try:
            try:
                _connect(addresses, process)
                _wait_ready(addresses, files, process)
            except ProcessFailed as error:
                raise DevError(f"{error}\n{_said(said, folder)}") from error
            yield _node(addresses, programs, files, process)
        finally:
            process.kill()


def _command(plan: Path) -> list[str | Path]:
    return [
        *("unshare", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *(sys.executable, "-I", "-S", init.__file__, plan),
    ]


def _connect(addresses: Addresses, process: Supervised) -> None:
    """Give the node the other end of a pair of network devices; init waits for it."""
    wait_until(
        lambda: _first_process(process) is not None, processes=[process], what="in its namespaces", timeout=10
    )
    for command in (
        f"link add {addresses.name} type veth peer name {UPLINK} netns {_first_process(process)}",
        f"address add {addresses.machine}/30 dev {addresses.name}",
        f"link set {addresses.name} up",
    ):
        done = subprocess.run(
            ["ip", *command.split()], capture_output=True, check=False, timeout=30, env={"PATH": PATH}
        )
        if done.returncode != 0:
            process.check()
            raise DevError(f"ip {command} failed: {done.stderr.decode().strip()}")


def _first_process(process: Supervised) -> int | None:
    """The id of the node's first process, seen from the machine, once it has namespaces of its own."""
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children and _network(int(children[0])) != _network(os.getpid()):
            return int(children[0])
    except OSError:  # it has just ended
        pass
    return None


def _network(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


def _wait_ready(addresses: Addresses, files: Files, process: Supervised) -> None:
    certificate, key = files.admin
    authority = files.authority.read_bytes()
    server = ApiServer(host=addresses.node, port=API_PORT, authority=authority, certificate=certificate, key=key)
    wait_until(lambda: _ready(server), processes=[process], what="ready", timeout=_READY_WITHIN)


def _ready(server: ApiServer) -> bool:
    """Whether Pods can be made: the node is Ready, and the account that they run as is there."""
    try:
        status, node = server.request("GET", f"/api/v1/nodes/{NODE_NAME}", timeout=5)
        if status != http.HTTPStatus.OK:
            return False
        conditions = {condition["type"]: condition["status"] for condition in node["status"].get("conditions", ())}
        account, _ = server.request("GET", "/api/v1/namespaces/default/serviceaccounts/default", timeout=5)
        return conditions.get("Ready") == "True" and account == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _node(addresses: Addresses, programs: NodePrograms, files: Files, process: Supervised) -> Node:
    enter = ("nsenter", f"--target={_first_process(process)}", "--mount", "--net", "--pid", "--")
    return Node(
        kubeconfig=str(files.kubeconfig),
        kubectl_program=str(programs.control_plane.kubectl),
        import_images=(*enter, str(programs.ctr), "--address", CONTAINERD_SOCKET, *IMPORT),
        machine=addresses.machine,
    )


def _said(log: IO[str], folder: Path) -> str:
    log.seek(0)
    own = log.read()[-_LOG_TAIL:]
    with contextlib.suppress(OSError):
        own += "\nkubelet.log: " + (folder / "kubelet.log").read_text(errors="replace")[-_LOG_TAIL:]
    return own
