"""One node for all tests of this folder, however many processes run them.

The process that people start has it: it starts the node before the first test, tells the processes of pytest-xdist how
to reach it, and ends it. When it is killed, the node is gone with it.

These tests run only when this folder is named (``pytest tests/node``, `make test-node`), for a machine has to be made
ready for them. Where it cannot be, they are skipped with the reason.
"""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from image.debian import PackagesUnavailable
from tests.node.choice import missing_for_node, started_node
from tests.node.distribution import NodeScheduling
from tests.node.node import Node
from tests.node.platform import SharedOperator, shared_operator
from tests.node.shipped_image import loaded_image, shipped_archive
from tests.node.sites import Site, made_site
from tests.platforms import Platform
from tests.waiting import eventually_sync
from troth.dev import DevError
from troth.kube import Client, load_credentials

_HERE = Path(__file__).parent
_INPUT = "troth_node"
_node = pytest.StashKey[Node]()
_missing = pytest.StashKey[str]()
_running = pytest.StashKey[ExitStack]()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the node. This is called only where the folder was named; otherwise this file is read too late for it."""
    config = session.config
    if (told := getattr(config, "workerinput", None)) is not None:
        _hear(config, told[_INPUT])
    elif config.option.collectonly:
        config.stash[_missing] = "the tests are only collected"
    else:
        try:
            _start(config)
        except DevError as error:
            pytest.exit(f"there is no node to test on: {error}", returncode=1)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell another process of pytest-xdist about it."""
    node.workerinput[_INPUT] = _tell(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> NodeScheduling:
    """Say which tests run in one process."""
    return NodeScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests of this folder out when they were not asked for."""
    if _node in config.stash or _missing in config.stash:
        return
    ours = [item for item in items if item.path.is_relative_to(_HERE)]
    config.hook.pytest_deselected(items=ours)
    items[:] = [item for item in items if item not in ours]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what this process runs; and in CI, on a machine that can have a node, let some test have used it."""
    config = session.config
    stack = config.stash.get(_running, None)
    if stack is None:
        return
    stack.close()
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and not _any_ran(reporter):
        reporter.write_line("this machine can have a node, and not one test on it was run", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Node:
    """The node of this run."""
    if (missing := request.config.stash.get(_missing, None)) is not None:
        pytest.skip(missing)
    return request.config.stash[_node]


@pytest.fixture
def namespace(node: Node) -> Iterator[str]:
    """A namespace of this test's own, in which Pods can be made; it is deleted with the test."""
    name = f"t{uuid.uuid4().hex[:10]}"
    node.kubectl("create", "namespace", name)
    eventually_sync(
        lambda: node.kubectl("get", "serviceaccount", "default", "-n", name, check=False).code == 0,
        "the namespace has its default service account",
    )
    yield name
    node.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    """A client of the node's API server that is an administrator."""
    async with Client(await load_credentials(Path(node.kubeconfig), None), user_agent="troth-tests") as client:
        yield client


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    """Puts objects into the cluster, and removes them after the test."""
    platform = Platform(client)
    yield platform
    await platform.clean()


@pytest.fixture(scope="session")
def archive() -> Path:
    """The archive of the image that ships."""
    try:
        return shipped_archive()
    except PackagesUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shipped_image(node: Node, archive: Path) -> str:
    """The reference of the image that ships, which the node has."""
    return loaded_image(node, archive)


@pytest.fixture(scope="session")
def shared(
    request: pytest.FixtureRequest, node: Node, archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedOperator]:
    """An operator that runs on this machine for the tests of all processes.

    It is left when this process ends, and not with its last test: the process that has started it waits then until the
    others have left it, too, which may take longer than a test is given.
    """
    config = request.config
    folder = tmp_path_factory.getbasetemp()
    if hasattr(config, "workerinput"):
        folder = folder.parent  # the folder of all processes
    operator = config.stash[_running].enter_context(shared_operator(node, archive, folder / "operator"))
    yield operator
    operator.check()


@pytest.fixture
async def site(shared: SharedOperator, platform: Platform, namespace: str) -> Site:
    """A namespace and a repository for one test, with an operator that runs containers."""
    return await made_site(shared, platform, namespace)


def _start(config: pytest.Config) -> None:
    if (missing := missing_for_node()) is not None:
        config.stash[_missing] = missing
        return
    stack = ExitStack()
    try:
        config.stash[_node] = stack.enter_context(started_node())
    except PackagesUnavailable as error:
        config.stash[_missing] = str(error)
    else:
        config.stash[_running] = stack


def _tell(config: pytest.Config) -> dict[str, Any]:
    if (node := config.stash.get(_node, None)) is not None:
        return {"node": dataclasses.asdict(node)}
    return {"missing": config.stash[_missing]}


def _hear(config: pytest.Config, told: dict[str, Any]) -> None:
    if "node" in told:
        fields = told["node"]
        config.stash[_node] = Node(**{**fields, "import_images": tuple(fields["import_images"])})
        config.stash[_running] = ExitStack()
    else:
        config.stash[_missing] = told["missing"]


def _any_ran(reporter: Any) -> bool:
    """Whether a test of this folder came to a result of its own."""
    return any(
        _HERE.name in Path(report.nodeid.partition("::")[0]).parts
        for outcome in ("passed", "failed", "error")
        for report in reporter.stats.get(outcome, ())
        if getattr(report, "when", "") in ("setup", "call")
    )
