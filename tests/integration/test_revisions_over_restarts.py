"""A restart beside requests that use several versions of their Promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.idleness import idle
from tests.operators import OperatorProcess
from tests.platforms import Platform, Repository, destination, git_store
from tests.versions import Site, applied, at
from troth.api.resources import DESTINATION, GIT_STATE_STORE
from troth.dev import AuditLog
from troth.engine.promises.bindings import binding_name
from troth.kube import Client

pytestmark = pytest.mark.integration


@pytest.fixture
async def site(client: Client, tmp_path: Path, unique: str, namespace: str) -> AsyncIterator[Site]:
    platform = Platform(client)
    repository = Repository(tmp_path / f"{unique}.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    yield Site(platform, repository, unique, namespace)
    await platform.clean()


@pytest.fixture
def start(operator: Callable[..., OperatorProcess], tmp_path: Path) -> Callable[[], OperatorProcess]:
    return lambda: operator("--local-stores", tmp_path, "--store-poll", "1")


async def test_a_restart_with_requests_on_several_versions_writes_nothing(
    site: Site, start: Callable[[], OperatorProcess], audit: AuditLog
) -> None:
    process = await asyncio.to_thread(start)
    await site.install("v1")
    await site.ask()
    await site.pin("v1")
    await site.install("v2")
    await site.ask(name="newer")
    await site.request(at("v2"), "newer")
    await site.binding(applied("v2"), binding_name(site.name, "newer"))
    await idle(process)
    await asyncio.to_thread(process.terminate)
    head = site.repository.head()
    assert audit.writes(lambda entry: entry.user_agent == "troth"), "this is how its writes are known"
    process = await asyncio.to_thread(start)
    await idle(process)
    assert audit.writes(lambda entry: entry.user_agent == "troth" and "dryRun=All" not in entry.uri) == []
    assert site.repository.head() == head


async def test_the_binding_of_a_request_costs_two_writes(
    site: Site, start: Callable[[], OperatorProcess], audit: AuditLog
) -> None:
    process = await asyncio.to_thread(start)
    await site.install("v1")
    await site.ask()
    await site.request(at("v1"))
    await site.binding(applied("v1"))
    await idle(process)
    writes = audit.writes(
        lambda entry: (
            entry.user_agent == "troth"
            and entry.resource == "resourcebindings"
            and entry.namespace == site.namespace
        )
    )
    assert [(entry.verb, entry.subresource) for entry in writes] == [("create", ""), ("patch", "status")]


async def test_an_operator_that_is_killed_during_an_upgrade_finishes_it(
    site: Site, start: Callable[[], OperatorProcess]
) -> None:
    process = await asyncio.to_thread(start)
    await site.install("v1")
    names = [f"r{number}" for number in range(10)]
    for name in names:
        await site.ask(name=name)
    for name in names:
        await site.request(at("v1"), name)
    await site.apply("v2")
    await site.request(at("v2"), names[0])
    process.kill()
    await asyncio.to_thread(start)
    for name in names:
        await site.request(at("v2"), name)
        await site.written("made: v2", name=name)
        await site.binding(applied("v2", "UpgradeComplete"), binding_name(site.name, name))
    await site.latest("v2")
