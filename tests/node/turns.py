"""One operator at a time: all tests of a run share one node, and an operator reconciles everything that it finds there.

Tests with an operator therefore hold a lock, whichever process of pytest-xdist they run in, and whether the operator
runs in a Pod or on this machine.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.node.node import Node


@contextmanager
def only_operator(node: Node) -> Iterator[None]:
    """Wait until nobody else has an operator on this node, and keep it so for the time of the block."""
    with Path(node.kubeconfig).with_name("operator.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
