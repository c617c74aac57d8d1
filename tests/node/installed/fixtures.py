"""The fixtures of tests that install the chart.

These tests have a node of their own, because an operator reconciles everything that it finds and the other tests have
one as well. Each process of pytest-xdist that runs such a test has another such node, so they all run in one
(`tests.node.distribution`).

Rejected: *one node, and a lock*; each half of the tests would wait for the other, which is most of the time that both
take, since Pods are waited for and use hardly any of the processors.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.choice import started_node
from tests.node.installed.release import Release
from tests.node.installed.repositories import Repositories, served_repositories
from tests.node.node import Node
from tests.node.shipped_image import loaded_image

__all__ = ["node", "release", "repositories"]


@pytest.fixture(scope="session")
def node(node: Node) -> Iterator[Node]:
    """A node beside the one of all other tests; where there is none, there is no second one either."""
    with started_node() as second:
        yield second


@pytest.fixture(scope="session")
def release(node: Node, helm: Path, archive: Path) -> Iterator[Release]:
    """Troth, to be installed by the chart. It is uninstalled at the end."""
    release = Release(node, helm, loaded_image(node, archive))
    yield release
    release.uninstall()


@pytest.fixture(scope="session")
def repositories(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repositories]:
    """A Git server that Pods and this machine reach."""
    if not node.machine:
        pytest.skip("this machine's address is not known to the Pods of kind")
    with served_repositories(node, tmp_path_factory.mktemp("git") / "server") as served:
        yield served
