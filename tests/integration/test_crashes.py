"""Killed at any moment, an operator leaves nothing missing, doubled or orphaned; and idle it writes nothing."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.idleness import idle
from tests.operators import OperatorProcess
from tests.outcomes import Auditor
from tests.platforms import Object, Platform, Repository, api_of, destination, git_store, promise, request
from tests.waiting import SAFE, eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE, WORK
from troth.dev import AuditLog, ControlPlane
from troth.dev.git_server import GitServer
from troth.kube import Client

FLAGS = ("--store-poll", "1", "--failing-store-poll", "0.5")
LIVES = 6
REQUESTS = 200
IN_FLIGHT = 16

CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ name }}
  namespace: {{ namespace }}
data:
  size: {{ spec.size }}
  revision: "REVISION"
"""
BACKUP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ name }}-backup
data:
  size: {{ spec.size }}
"""
NOTE = "note of {{ name }}: {{ spec.note }}\n"


@dataclass(slots=True)
class Site:
    """Two Promises on four destinations of one repository, with all three layouts."""

    platform: Platform
    client: Client
    repository: Repository
    unique: str
    namespace: str
    names: tuple[str, str] = field(init=False)
    auditor: Auditor = field(init=False)

    def __post_init__(self) -> None:
        self.names = (f"{self.unique}a", f"{self.unique}b")
        self.auditor = Auditor(
            self.client,
            self.repository,
            apis={name: api_of(name) for name in self.names},
            destinations=[f"{self.unique}-{kind}" for kind in ("one", "two", "flat", "whole")],
            namespaces=[self.namespace],
        )

    async def prepare(self, url: str) -> None:
        """Makes the store and the destinations."""
        first, second = self.names
        await self.platform.make(GIT_STATE_STORE, git_store(self.unique, url))
        for kind, label, filepath in (
            ("one", first, {}),
            ("two", first, {}),
            ("flat", second, {"mode": "none"}),
            ("whole", f"{second}-backup", {"mode": "aggregatedYAML", "filename": "all.yaml"}),
        ):
            spec: dict[str, Any] = {"filepath": filepath} if filepath else {}
            name = f"{self.unique}-{kind}"
            await self.platform.make(
                DESTINATION, destination(name, store=self.unique, labels={"for": label}, **spec)
            )

    def first_promise(self, revision: str) -> Object:
        """Nested files on one of two destinations, static dependencies on both."""
        dependency = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"needed-{revision}"}}
        files = [
            {"path": "config.yaml", "template": CONFIG.replace("REVISION", revision)},
            {"path": "note.txt", "template": NOTE, "when": "{{ spec.note is defined }}"},
        ]
        return promise(self.names[0], files=files, dependencies=[dependency])

    def second_promise(self) -> Object:
        """A file in a shared folder, and one that joins all others of its destination in one file."""
        name = self.names[1]
        return promise(
            name,
            files=[
                {"path": "{{ namespace }}-{{ name }}.yaml", "template": CONFIG.replace("REVISION", "only")},
                {"path": "backup/{{ name }}.yaml", "template": BACKUP},
            ],
            pipeline={"destinations": [{"directory": "backup", "matchLabels": {"for": f"{name}-backup"}}]},
        )

    async def remove_promises(self) -> None:
        """Deletes both Promises and waits until they and their APIs are gone."""
        for name in self.names:
            await self.platform.delete(PROMISE, name)
        for name in self.names:
            await self.platform.gone(PROMISE, name, within=60)


@pytest.fixture
async def site(client: Client, git_server: GitServer, unique: str, namespace: str) -> AsyncIterator[Site]:
    platform = Platform(client)
    repository = Repository(await asyncio.to_thread(git_server.create_repository, unique))
    site = Site(platform, client, repository, unique, namespace)
    await site.prepare(git_server.url(unique))
    yield site
    await platform.clean()


@pytest.fixture
def start(
    operator: Callable[..., OperatorProcess], control_plane: ControlPlane, unique: str, tmp_path: Path
) -> Callable[..., OperatorProcess]:
    """Starts the operator as a user of its own, so that the audit log tells its writes from others'."""
    kubeconfig = control_plane.kubeconfig_for(f"operator-{unique}", ["system:masters"])
    flags = (*FLAGS, "--workspace", tmp_path / "workspace")

    def begin(*, wait: bool = True) -> OperatorProcess:
        return operator(*flags, kubeconfig=kubeconfig, wait=wait, TMPDIR=str(tmp_path))

    return begin


Operation = tuple[str, str, str, dict[str, Any]]


def plan_of(randomly: random.Random, names: tuple[str, str]) -> list[list[Operation]]:
    """What people do during each life: creations, edits and deletions, each of what exists by then."""
    lives: list[list[Operation]] = []
    alive: list[tuple[str, str]] = []
    created = 0
    for life in range(LIVES):
        share = (REQUESTS * (life + 1)) // LIVES
        operations: list[Operation] = []
        busy = randomly.sample(alive, k=min(len(alive), 20))
        for index, (owner, name) in enumerate(busy):
            if index % 3 == 0:
                operations.append(("delete", owner, name, {}))
                alive.remove((owner, name))
            else:
                spec: dict[str, Any] = {"size": f"edited-{life}"}
                if index % 3 == 1:
                    spec["note"] = f"in life {life}"
                operations.append(("apply", owner, name, spec))
        while created < share:
            owner = names[0] if randomly.random() < 0.6 else names[1]
            alive.append((owner, f"r{created}"))
            operations.append(("apply", owner, f"r{created}", {"size": f"size-{created}"}))
            created += 1
        randomly.shuffle(operations)
        lives.append(operations)
    return lives


async def carry_out(site: Site, operations: list[Operation]) -> None:
    """Does it all, many at once."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def do(operation: Operation) -> None:
        verb, owner, name, spec = operation
        async with slots:
            if verb == "delete":
                await site.platform.delete(api_of(owner), name, namespace=site.namespace)
            else:
                body = request(owner, name, site.namespace, **spec)
                await site.client.apply(api_of(owner), body, field_manager="tests")

    async with asyncio.TaskGroup() as group:
        for operation in operations:
            group.create_task(do(operation))


async def moment_of_death(
    kind: str, site: Site, start: Callable[..., OperatorProcess], randomly: random.Random
) -> OperatorProcess:
    """Starts an operator and answers it at a moment that hurts."""
    works = len((await site.client.list(WORK, site.namespace)).items)
    head = site.repository.head()
    if kind == "while it starts":
        running = await asyncio.to_thread(start, wait=False)
        await asyncio.sleep(randomly.uniform(0.3, 2.0))
        return running
    running = await asyncio.to_thread(start)
    if kind == "between two Works":
        more = works + randomly.randint(1, 15)

        async def scheduled() -> bool:
            return len((await site.client.list(WORK, site.namespace)).items) >= more

        await eventually(scheduled, "some more Works", within=30)
    else:
        # The branch has moved, and nobody has written down yet which commit holds what.
        await eventually(lambda: site.repository.head() != head, "a commit", within=30, every=0.005)
        if kind == "after a commit":
            await asyncio.sleep(randomly.uniform(0.0, 0.6))
    return running


MOMENTS = ["while it starts", "between two Works", "at a commit", "at a commit", "after a commit"]


async def test_killed_five_times_under_200_requests_nothing_is_missing_or_doubled_and_idle_it_writes_nothing(
    site: Site,
    start: Callable[..., OperatorProcess],
    control_plane: ControlPlane,
    unique: str,
) -> None:
    seed = secrets.randbelow(10**6)
    print(f"random seed: {seed}")
    randomly = random.Random(seed)
    first = await asyncio.to_thread(start)
    await site.platform.publish(site.first_promise("one"), within=30)
    await site.platform.publish(site.second_promise(), within=30)
    await asyncio.to_thread(first.terminate)
    moments = randomly.sample(MOMENTS, k=len(MOMENTS))
    for life, operations in enumerate(plan_of(randomly, site.names)):
        people = asyncio.create_task(carry_out(site, operations))
        try:
            if life == LIVES // 2:
                await site.platform.make(PROMISE, site.first_promise("two"))
            if life < len(moments):
                running = await moment_of_death(moments[life], site, start, randomly)
                await asyncio.to_thread(running.kill)
            else:
                running = await asyncio.to_thread(start)
        finally:
            await people
    expected = await site.auditor.settled(within=90)
    assert len(expected.files) > REQUESTS
    await idle(running)
    await asyncio.to_thread(running.terminate)

    head = site.repository.head()
    audit = AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)
    running = await asyncio.to_thread(start)
    await idle(running)
    assert audit.writes(lambda entry: entry.user == f"operator-{unique}") == []
    assert site.repository.head() == head
    await site.auditor.compare()
    await site.remove_promises()
    await site.auditor.nothing_left(within=SAFE)
