"""The operator as a process on this machine, working on a node's cluster.

So tests kill it, restart it and read its log as they do elsewhere (`tests.operators`), and its stores are folders. What
runs in the Pods of container pipelines is the image that ships.

An operator reconciles everything that it finds, so a node has one. Tests that need nothing but an operator share it,
whichever processes of pytest-xdist they run in: they mostly wait for Pods, and a kubelet starts Pods beside each other.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.charts import SYSTEM_NAMESPACE
from tests.node.node import Node
from tests.node.shipped_image import loaded_image
from tests.operators import OperatorProcess
from troth.dev import crds_folder

# As Kratix's defaults, the operator's ask for so much that twenty Pods fill a node of two processors, and allow so
# little that every container of ours would take half a second more.
_MODEST = {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "512Mi"}}
_CONFIGURATION = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "kratix", "namespace": SYSTEM_NAMESPACE},
    "data": {"config": json.dumps({"workflows": {"defaultContainerResources": _MODEST}})},
}


@dataclass(slots=True)
class NodeOperator:
    """The only operator of a node.

    Attributes:
        node: whose cluster it works on.
        image: the image that ships.
        stores: the folder of its local stores.
        processes: the newest last; those before it have been killed.
    """

    node: Node
    image: str
    stores: Path
    processes: list[OperatorProcess] = field(default_factory=list)

    def start(self) -> OperatorProcess:
        """Starts a process and waits until it reconciles."""
        process = OperatorProcess(
            Path(self.node.kubeconfig),
            ("--local-stores", self.stores, "--store-poll", "1", "--adapter-image", self.image),
            log=self.stores.with_name(f"operator-{len(self.processes)}.log"),
            environment={**os.environ, "NO_PROXY": "*", "KUBECONFIG": self.node.kubeconfig},
        )
        self.processes.append(process)
        process.wait_ready(within=60)
        return process

    def kill(self) -> None:
        """Ends it as a power failure would."""
        self.processes[-1].kill()


@dataclass(frozen=True, slots=True)
class SharedOperator:
    """The operator of a node, as each of the processes sees it whose tests share it.

    Attributes:
        node: whose cluster it works on.
        folder: what `running_operator` writes into.
    """

    node: Node
    folder: Path

    @property
    def stores(self) -> Path:
        """The folder of its local stores."""
        return self.folder / "stores"

    def check(self) -> None:
        """Check that it has not logged a traceback.

        Raises:
            AssertionError: it has.
        """
        for log in self.folder.glob("*.log"):
            text = log.read_text(errors="replace")
            assert "Traceback (most recent call last)" not in text, f"the operator logged one:\n{text[-8000:]}"


@contextmanager
def running_operator(node: Node, image: str, folder: Path) -> Iterator[NodeOperator]:
    """An operator that is ready, for the time of the block.

    Raises:
        AssertionError: at the end, if it has ended by itself or logged a traceback.
    """
    crds = str(crds_folder())
    node.kubectl("apply", "--server-side", "--force-conflicts", "--filename", crds)
    node.wait_established("--filename", crds)
    node.kubectl("create", "namespace", SYSTEM_NAMESPACE, check=False)  # it may be there already
    operator = NodeOperator(node, image, folder / "stores")
    operator.stores.mkdir()
    try:
        operator.start()
        yield operator
    finally:
        for process in operator.processes:
            process.end()
    for process in operator.processes:
        process.check()


@contextmanager
def shared_operator(node: Node, archive: Path, folder: Path) -> Iterator[SharedOperator]:
    """The operator that several processes share, for the time of the block.

    Whoever comes first starts it, and ends it after all others have left. Its containers ask for little, so that many
    Pods run at once.

    Args:
        node: whose cluster it works on.
        archive: the image that ships.
        folder: the same for all processes; it is made here.

    Raises:
        AssertionError: at the end, in the process that started it, if it has ended by itself or logged a traceback.
        CommandFailed: the node does not take it.
    """
    with folder.with_suffix(".users").open("w") as users, ExitStack() as own:
        fcntl.flock(users, fcntl.LOCK_SH)
        with folder.with_suffix(".start").open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            starts = not folder.exists()
            if starts:
                own.enter_context(_started(node, archive, folder))
        try:
            yield SharedOperator(node, folder)
        finally:
            if starts:
                fcntl.flock(users, fcntl.LOCK_EX)


@contextmanager
def _started(node: Node, archive: Path, folder: Path) -> Iterator[None]:
    """The operator of `shared_operator`. Its logs are kept beside the folder, which is there as long as it runs."""
    image = loaded_image(node, archive)
    node.kubectl("create", "namespace", SYSTEM_NAMESPACE, check=False)  # it may be there already
    node.kubectl("apply", "--filename", "-", stdin=json.dumps(_CONFIGURATION))
    folder.mkdir()
    try:
        with running_operator(node, image, folder):
            yield
    finally:
        folder.rename(f"{folder}-{time.time_ns()}")
