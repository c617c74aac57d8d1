"""The operator as a process on this machine, working on a node's cluster.

So tests kill it, restart it and read its log as they do elsewhere (`tests.operators`), and its stores are folders. What
runs in the Pods of container pipelines is the image that ships.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.charts import SYSTEM_NAMESPACE
from tests.node.node import Node
from tests.node.turns import only_operator
from tests.operators import OperatorProcess
from troth.dev import crds_folder


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


@contextmanager
def running_operator(node: Node, image: str, folder: Path) -> Iterator[NodeOperator]:
    """An operator that is ready; nobody else has one on the node for the time of the block.

    Raises:
        AssertionError: at the end, if it has ended by itself or logged a traceback.
    """
    with only_operator(node):
        crds = str(crds_folder())
        node.kubectl("apply", "--server-side", "--force-conflicts", "--filename", crds)
        node.wait_established("--filename", crds)
        node.kubectl("create", "namespace", SYSTEM_NAMESPACE, check=False)  # the chart may have made it
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
