"""Upgrading, killing, uninstalling and reinstalling the release: no request is lost, and nothing is written twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import pytest
import yaml

from tests.charts import SYSTEM_NAMESPACE
from tests.idleness import idle
from tests.node.installed.release import NAME, Release
from tests.node.installed.repositories import Repositories
from tests.node.node import Node
from tests.platforms import Platform, Repository, api_of, promise
from tests.waiting import eventually, eventually_sync
from troth.api.resources import (
    CUSTOM_RESOURCE_DEFINITION,
    DESTINATION,
    GIT_STATE_STORE,
    PROMISE,
    WORK,
    WORK_PLACEMENT,
)
from troth.kube import Client

pytestmark = pytest.mark.timeout(900)

_PACE = 0.25  # seconds between two requests, so that a rollout sees some dozens
_SELECTOR = f"app.kubernetes.io/instance={NAME}"


@dataclass
class Site:
    """A Promise with a repository, and the requests that were made of it.

    Attributes:
        name: of the Promise, its store and the namespace of its requests.
        asked: the names of the requests so far.
    """

    platform: Platform
    repository: Repository
    name: str
    asked: list[str] = field(default_factory=list)

    async def ask(self) -> str:
        """Makes one more request. Returns its name."""
        name = f"cache-{len(self.asked)}"
        await self.platform.ask(self.name, name, self.name, size=name)
        self.asked.append(name)
        return name

    async def all_ready(self) -> None:
        """Waits until each request is Ready."""
        for name in self.asked:
            await self.platform.ready(self.name, name, self.name, within=90)

    async def commits(self) -> dict[str, int]:
        """How many commits have written or changed each request's file.

        Raises:
            AssertionError: the file of a request is not there, is there twice, or does not hold what was asked for.
        """
        files = await asyncio.to_thread(self.repository.files)
        logged = await asyncio.to_thread(self.repository.git, "log", "--format=", "--name-only", "main")
        found = {}
        for name in self.asked:
            (path,) = [path for path in files if f"/{name}/" in path]
            assert yaml.safe_load(files[path])["data"] == {"size": name}
            found[name] = logged.splitlines().count(path)
        return found


@pytest.fixture
async def site(
    release: Release, platform: Platform, repositories: Repositories, namespace: str
) -> AsyncIterator[Site]:
    await asyncio.to_thread(release.install, _values(namespace))
    repository = await repositories.connect(platform, namespace)
    await platform.publish(promise(namespace), within=60)
    yield Site(platform, repository, namespace)
    if not release.installed:  # its operator removes what the test has made
        await asyncio.to_thread(release.install, _values(namespace))


def _values(name: str, **more: Any) -> dict[str, Any]:
    return {"rbac": {"requestApis": {"groups": [f"{name}.example.com"]}}, "settings": {"storePoll": 1}, **more}


@asynccontextmanager
async def _asking(site: Site) -> AsyncIterator[None]:
    """Requests are made one after the other for the time of the block, and some before and after it."""
    stop = asyncio.Event()

    async def go_on() -> None:
        while not stop.is_set():
            await site.ask()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _PACE)

    for _ in range(3):
        await site.ask()
    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        stop.set()
        await task
    for _ in range(3):
        await site.ask()


@contextmanager
def _watched_pods(node: Node, folder: Path) -> Iterator[Path]:
    """A file to which every state of the release's Pods is written, as a stream of JSON documents."""
    log = folder / "pods.json"
    command = (
        node.kubectl_program,
        "get",
        "pods",
        "-n",
        SYSTEM_NAMESPACE,
        "-l",
        _SELECTOR,
        "--watch",
        "-o",
        "json",
    )
    with log.open("w") as output:
        watching = Popen(command, env=node.environment(), stdout=output, stderr=DEVNULL)
        try:
            eventually_sync(lambda: log.stat().st_size > 0, "the watch has begun", within=30)
            yield log
        finally:
            watching.kill()
            watching.wait(10)


def _states(log: Path, name: str) -> list[dict[str, Any]]:
    """What a watch has seen of one Pod so far."""
    text, found, at = log.read_text(), [], 0
    decoder = json.JSONDecoder()
    with contextlib.suppress(json.JSONDecodeError):  # the last one is being written
        while at < len(text):
            state, at = decoder.raw_decode(text, at)
            found.append(state)
            at += len(text[at:]) - len(text[at:].lstrip())
    return [state for state in found if state["metadata"]["name"] == name]


def _end(states: list[dict[str, Any]]) -> dict[str, Any] | None:
    """How the operator's container has ended, if it has."""
    for state in reversed(states):
        for container in state["status"].get("containerStatuses", ()):
            ended: dict[str, Any] | None = container["state"].get("terminated")
            if ended is not None:
                return ended
    return None


async def test_a_pod_that_is_killed_loses_no_request_and_writes_nothing_twice(
    site: Site, release: Release, node: Node
) -> None:
    old = await asyncio.to_thread(release.pod)
    async with _asking(site):
        await asyncio.to_thread(
            node.kubectl,
            "delete",
            "pod",
            old["metadata"]["name"],
            "-n",
            SYSTEM_NAMESPACE,
            "--grace-period=0",
            "--force",
        )
        await asyncio.to_thread(
            node.kubectl,
            "rollout",
            "status",
            f"deployment/{NAME}",
            "-n",
            SYSTEM_NAMESPACE,
            "--timeout=60s",
            timeout=70,
        )
    await site.all_ready()
    assert await site.commits() == dict.fromkeys(site.asked, 1)


async def _versions(client: Client, site: Site) -> dict[str, str]:
    """The versions of all objects that the operator writes to."""
    found = {}
    cluster = (CUSTOM_RESOURCE_DEFINITION, PROMISE, DESTINATION, GIT_STATE_STORE)
    for resource, namespace in itertools.chain(
        ((resource, "") for resource in cluster),
        ((resource, site.name) for resource in (api_of(site.name), WORK)),
        ((resource, SYSTEM_NAMESPACE) for resource in (WORK, WORK_PLACEMENT)),
    ):
        for live in (await client.list(resource, namespace)).items:
            metadata = live["metadata"]
            found[f"{resource.kind} {namespace}/{metadata['name']}"] = metadata["resourceVersion"]
    return found


async def test_uninstalling_leaves_definitions_and_data_and_reinstalling_writes_nothing(
    site: Site, release: Release, node: Node, client: Client
) -> None:
    for _ in range(5):
        await site.ask()
    await site.all_ready()
    await idle(release)
    before, head = await _versions(client, site), site.repository.head()
    await asyncio.to_thread(release.uninstall)

    kinds = (
        "deployments,pods,services,configmaps,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,"
    )
    kinds += "validatingadmissionpolicies,validatingadmissionpolicybindings,networkpolicies,secrets"
    left = await asyncio.to_thread(node.kubectl, "get", kinds, "-A", "-l", _SELECTOR, "-o", "name")
    assert left.stdout == ""
    assert await _versions(client, site) == before

    await asyncio.to_thread(release.install, _values(site.name))
    new = await site.ask()
    await site.platform.ready(site.name, new, site.name, within=60)
    await idle(release)
    after = await _versions(client, site)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {f"Promise /{site.name}"}  # which counts its requests
    (commit,) = site.repository.commits(since=head)
    assert all(f"/{new}/" in path for path in site.repository.changed(commit))


async def test_an_upgrade_loses_no_request_and_writes_nothing_twice(
    site: Site, release: Release, node: Node, tmp_path: Path
) -> None:
    old = (await asyncio.to_thread(release.pod))["metadata"]["name"]
    with _watched_pods(node, tmp_path) as log:
        async with _asking(site):
            await asyncio.to_thread(
                release.install, _values(site.name, podAnnotations={"example.com/state": "new"})
            )
        ended = await eventually(lambda: _end(_states(log, old)), "the old Pod has ended", within=60, every=0.2)
        marked = next(state for state in _states(log, old) if "deletionTimestamp" in state["metadata"])
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 40
    assert datetime.fromisoformat(ended["finishedAt"]) < datetime.fromisoformat(
        marked["metadata"]["deletionTimestamp"]
    )
    assert (await asyncio.to_thread(release.pod))["metadata"]["name"] != old
    assert len(site.asked) > 10
    await site.all_ready()
    assert await site.commits() == dict.fromkeys(site.asked, 1)
