"""Fixtures for a real API server for the tests of one process, and for `troth operator` processes.

This is a pytest plug-in and not a conftest.py, because tests/integration and tests/hostile share one control plane.

Each pytest-xdist process has its own control plane. It is synchronous, so that it outlives the event loop of each
test. If its programs cannot be found, downloaded or built, the tests fail; they are not skipped.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.manifests import Manifests
from tests.operators import OperatorProcess, running_operator
from tests.platforms import Platform, Repository, destination, git_store
from troth.api.resources import DESTINATION, GIT_STATE_STORE
from troth.dev import AuditLog, CommandResult, ControlPlane, find_binaries, find_helm
from troth.dev.git_server import GitServer
from troth.kube import Client, load_credentials

_WITH_CONTROL_PLANE = tuple(Path(__file__).parent / name for name in ("integration", "hostile"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find or make the programs before the first test, since building takes longer than a test may take."""
    ours = [item for item in session.items if any(map(item.path.is_relative_to, _WITH_CONTROL_PLANE))]
    if session.config.option.collectonly or not ours:
        return
    find_binaries()
    if any("helm" in getattr(item, "fixturenames", ()) for item in ours):
        find_helm()


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """The control plane of this process, with Troth's CustomResourceDefinitions."""
    with ControlPlane() as plane:
        plane.apply_crds()
        yield plane


@pytest.fixture(scope="session")
def helm() -> Path:
    """The helm program."""
    return find_helm()


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Callable[..., Awaitable[CommandResult]]:
    """``await kubectl("get", "pods", …)``: like `ControlPlane.kubectl`, without blocking the event loop."""

    async def run(*arguments: str | Path, **options: Any) -> CommandResult:
        return await asyncio.to_thread(control_plane.kubectl, *arguments, **options)

    return run


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """A client that is an administrator; its user agent is ``troth-tests``."""
    client = Client(await load_credentials(control_plane.kubeconfig, None), user_agent="troth-tests")
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
def unique() -> str:
    """A name that no other test has: lower-case letters and digits, beginning with a letter."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def namespace(control_plane: ControlPlane, unique: str) -> Iterator[str]:
    """A namespace for this test, which is deleted with everything in it after the test.

    The finalizers of objects that are left in it are removed, because nobody is there any more to do so.
    """
    status, answer = control_plane.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": unique}})
    assert status == HTTPStatus.CREATED, answer
    yield unique
    control_plane.finish_namespace(unique, strip_finalizers=True)


@pytest.fixture
def apply(control_plane: ControlPlane, namespace: str) -> Iterator[Manifests]:
    """``apply(object_or_yaml, …)`` with kubectl. The objects are deleted after the test, and so is a Promise's API."""
    manifests = Manifests(control_plane, namespace)
    yield manifests
    manifests.remove()


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    """A Git server on the loopback address without a login. Its ``create_repository`` makes repositories."""
    with GitServer(tmp_path / "git") as server:
        yield server


@pytest.fixture
def audit(control_plane: ControlPlane) -> AuditLog:
    """The API server's audit log from now on. Each read waits until all answered requests are in it."""
    return AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)


@pytest.fixture
def operator(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts `troth operator` processes: ``operator("--flag", "value", kubeconfig=…, wait=True)``.

    They are ended with the test, and the test fails if one of them has logged a traceback or ended by itself.
    """
    started: list[OperatorProcess] = []

    def start(
        *arguments: str | Path, kubeconfig: Path | None = None, wait: bool = True, **environment: str
    ) -> OperatorProcess:
        process = OperatorProcess(
            kubeconfig or control_plane.kubeconfig,
            arguments,
            log=tmp_path / f"operator-{len(started)}.log",
            environment=control_plane.environment(kubeconfig) | environment,
        )
        started.append(process)
        if wait:
            process.wait_ready()
        return process

    yield start
    for process in started:
        process.end()
    for process in started:
        process.check()


@pytest.fixture(scope="module")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the local stores of all tests of a file."""
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def shared_operator(control_plane: ControlPlane, store_folder: Path) -> Iterator[OperatorProcess]:
    """The operator that runs for all tests of a file, unless the file has another fixture `stores`."""
    with running_operator(
        control_plane,
        store_folder,
        *("--local-stores", store_folder, "--store-poll", "1", "--failing-store-poll", "0.5"),
    ) as process:
        yield process


@pytest.fixture(scope="module")
def stores(shared_operator: OperatorProcess, store_folder: Path) -> Path:
    """The folder of the local stores of one operator, which runs for all tests of a file."""
    return store_folder


@pytest.fixture
async def platform(client: Client, stores: Path) -> AsyncIterator[Platform]:
    """A platform for one test, with the operator that runs for all tests of its file."""
    platform = Platform(client)
    yield platform
    await platform.clean()


@pytest.fixture
async def repository(platform: Platform, stores: Path, unique: str) -> Repository:
    """A repository with a state store and a Destination that has the label ``for: <unique>``."""
    repository = Repository(stores / f"{unique}.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    return repository
