"""Informers on a real API server, and on the way to it everything that goes wrong."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults import (
    Answer,
    CutWatch,
    EndWatch,
    ExpireWatch,
    Fault,
    FaultProxy,
    LoseAnswer,
    Refuse,
    SilenceWatch,
    conflict,
    gone,
    server_error,
    too_many_requests,
)
from tests.waiting import eventually
from tests.widgets import widgets
from troth.api import Key, Resource
from troth.api.objects import ObjectMeta, read_metadata
from troth.api.resources import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION
from troth.dev import ControlPlane
from troth.kube import (
    AlreadyExists,
    Client,
    Conflict,
    ConnectionFailed,
    Informer,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    load_credentials,
    transport,
)

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True)
class View:
    metadata: ObjectMeta
    data: dict[str, str]


def read(obj: dict[str, Any]) -> View:
    return View(read_metadata(obj), obj.get("data") or {})


@dataclass
class Mirror:
    """A copy that is made only of what the informer told: the informer and its tale must agree."""

    objects: dict[Key, View] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def on_change(self, key: Key, old: View | None, new: View | None) -> None:
        if self.objects.get(key) is not old:
            self.complaints.append(f"{key}: told of a change of {old}, but had {self.objects.get(key)}")
        if old is not None and new is not None and old.metadata.resource_version == new.metadata.resource_version:
            self.complaints.append(f"{key}: told of a change that is none")
        if new is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = new


@asynccontextmanager
async def running(
    client: Client, label: str, resource: Resource = CONFIG_MAP
) -> AsyncIterator[tuple[Informer[View], Mirror]]:
    mirror = Mirror()
    informer = Informer(
        client=client,
        resource=resource,
        decode=read,
        on_change=mirror.on_change,
        label_selector=f"test={label}" if label else "",
        random=Random(1),
    )
    task = asyncio.create_task(informer.run())
    try:
        yield informer, mirror
        assert not task.done(), "run() must not end by itself"
        assert mirror.complaints == []
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def config_map(namespace: str, name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"test": namespace}},
        "data": data,
    }


async def agrees(client: Client, namespace: str, informer: Informer[View], mirror: Mirror) -> bool:
    """Whether the server, the informer and its tale are the same."""
    listing = await client.list(CONFIG_MAP, namespace, label_selector=f"test={namespace}")
    truth = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listing.items}
    copy = {view.metadata.name: view.metadata.resource_version for view in informer.items()}
    told = {view.metadata.name: view.metadata.resource_version for view in mirror.objects.values()}
    assert copy == told == truth
    return True


@pytest.fixture
async def proxy(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(control_plane.kubeconfig, tmp_path) as proxy:
        yield proxy


@pytest.fixture
async def behind(proxy: FaultProxy) -> AsyncIterator[Client]:
    async with Client(await load_credentials(proxy.kubeconfig), deadline=10.0) as client:
        yield client


async def test_it_follows_what_others_do(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAP, config_map(namespace, "there"))
    async with running(client, namespace) as (informer, mirror):
        assert await informer.wait_synced(10)
        assert [view.metadata.name for view in informer.items()] == ["there"]
        await client.create(CONFIG_MAP, config_map(namespace, "new"))
        await client.merge_patch(CONFIG_MAP, "there", {"data": {"x": "1"}}, namespace=namespace)
        await client.delete(CONFIG_MAP, "new", namespace)
        await client.create(CONFIG_MAP, config_map(namespace, "new"))
        await eventually(lambda: agrees(client, namespace, informer, mirror))
        view = informer.get(namespace, "there")
        assert view is not None
        assert view.data == {"x": "1"}


async def test_our_own_writes_are_there_at_once_and_their_echo_is_no_change(
    client: Client, namespace: str
) -> None:
    async with running(client, namespace) as (informer, mirror):
        assert await informer.wait_synced(10)
        for number in range(20):
            informer.observe(await client.apply(CONFIG_MAP, config_map(namespace, "a", x=str(number))))
            view = informer.get(namespace, "a")
            assert view is not None
            assert view.data == {"x": str(number)}
        events = informer.counters.events
        await client.create(CONFIG_MAP, config_map(namespace, "last"))
        await eventually(lambda: informer.get(namespace, "last") is not None)
        assert informer.counters.events > events
        await agrees(client, namespace, informer, mirror)


@pytest.mark.parametrize(
    "fault",
    [CutWatch(1), EndWatch(1), ExpireWatch(1), ExpireWatch(0, 500, "InternalError"), gone(), server_error(503)],
    ids=repr,
)
async def test_a_broken_watch_loses_nothing(
    proxy: FaultProxy, behind: Client, client: Client, namespace: str, fault: Any
) -> None:
    async with running(behind, namespace) as (informer, mirror):
        assert await informer.wait_synced(10)
        with proxy.inject(fault, path="watch=1.*labelSelector", times=3) as rule:
            proxy.cut_watches()
            numbers = itertools.count()

            async def all_happened() -> bool:
                number = next(numbers)
                await client.apply(CONFIG_MAP, config_map(namespace, f"m{number % 4}", x=str(number)))
                if number % 5 == 4:
                    await client.delete(CONFIG_MAP, f"m{number % 4}", namespace)
                    await client.create(CONFIG_MAP, config_map(namespace, f"m{number % 4}", x="again"))
                return rule.hits == 3

            await eventually(all_happened, within=30)
        await eventually(lambda: agrees(client, namespace, informer, mirror), within=20)
        await eventually(lambda: informer.counters.watch_restarts >= 3)


async def test_deletions_while_nobody_watched_are_found_when_the_watch_has_expired(
    proxy: FaultProxy, behind: Client, client: Client, namespace: str
) -> None:
    for name in ("a", "b", "c"):
        await client.create(CONFIG_MAP, config_map(namespace, name))
    async with running(behind, namespace) as (informer, mirror):
        assert await informer.wait_synced(10)
        before = informer.get(namespace, "c")
        with proxy.inject(Refuse(), path="configmaps"):
            proxy.cut_watches()
            await client.delete(CONFIG_MAP, "a", namespace)
            await client.delete(CONFIG_MAP, "c", namespace)
            await client.create(CONFIG_MAP, config_map(namespace, "c"))
            await eventually(lambda: informer.counters.failures > 1)
        with proxy.inject(gone(), path="watch=1", times=1) as rule:
            await eventually(lambda: agrees(client, namespace, informer, mirror), within=20)
            assert rule.hits == 1
        after = informer.get(namespace, "c")
        assert before is not None
        assert after is not None
        assert before.metadata.uid != after.metadata.uid
        assert informer.counters.missed_deletions == 1


async def test_a_stream_that_says_nothing_any_more_is_noticed(
    proxy: FaultProxy, behind: Client, client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("troth.kube.transport._SILENCE", 0.5)
    with proxy.inject(SilenceWatch(), path="watch=1", times=1):
        async with running(behind, namespace) as (informer, mirror):
            assert await informer.wait_synced(10)
            await client.create(CONFIG_MAP, config_map(namespace, "a"))
            await eventually(lambda: agrees(client, namespace, informer, mirror), within=20)
            assert informer.counters.failures >= 1


def test_a_stream_may_be_silent_for_longer_than_it_takes_the_server_to_send_a_bookmark() -> None:
    assert 60 < transport._SILENCE < 90


async def test_a_kind_may_come_late_go_and_come_again(client: Client, unique: str) -> None:
    group = f"{unique}.example.com"
    widget = Resource(group, "v1", "widgets", "Widget", namespaced=False)
    obj = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "data": {"x": "1"}}
    async with running(client, "", widget) as (informer, mirror):
        await eventually(lambda: informer.counters.failures >= 2)
        assert isinstance(informer.last_error, NotFound)
        assert not informer.synced.is_set()
        for _ in range(2):
            await client.apply(CUSTOM_RESOURCE_DEFINITION, widgets(group))
            try:
                informer.poke()

                async def made() -> bool:
                    with suppress(NotFound, TooManyRequests):
                        await client.apply(widget, obj)
                        return True
                    return False

                await eventually(made, within=20)
                await eventually(lambda: informer.get("", "a"), within=20)
            finally:
                await client.delete(CUSTOM_RESOURCE_DEFINITION, f"widgets.{group}")
            await eventually(
                lambda: not informer.items(), "the deletion of the kind is the deletion of its objects", within=20
            )
            await eventually(lambda: _missing(client, group), within=20)
        assert not mirror.objects


async def test_clear_after_the_end_tells_that_all_are_gone(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAP, config_map(namespace, "a"))
    async with running(client, namespace) as (informer, mirror):
        assert await informer.wait_synced(10)
        assert len(mirror.objects) == 1
    informer.clear()
    assert mirror.objects == {}
    assert mirror.complaints == []


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_after_any_trouble_the_copy_is_the_truth(
    proxy: FaultProxy, behind: Client, client: Client, namespace: str, seed: int
) -> None:
    """Writers through the proxy, writers past it, and every fault at once; then quiet, and all must agree."""
    random = Random(seed)
    troubles: tuple[tuple[Fault, str, str], ...] = (
        (CutWatch(2), ".*", "watch=1"),
        (EndWatch(3), ".*", "watch=1"),
        (ExpireWatch(1), ".*", "watch=1"),
        (gone(), ".*", "continue="),
        (server_error(500), ".*", ""),
        (too_many_requests(0), ".*", ""),
        (conflict(), "PATCH|PUT", ""),
        (LoseAnswer(), "POST|PATCH|DELETE", ""),
        (Refuse(), ".*", ""),
        (Answer(404, "NotFound"), "GET", ""),
    )
    for fault, method, path in troubles:
        proxy.add(fault, method=method, path=path, probability=0.08, random=random)

    async def write(through: Client, turns: int) -> None:
        for turn in range(turns):
            name = f"m{random.randrange(12)}"
            action = random.choice(["apply", "apply", "apply", "patch", "delete", "create"])
            with suppress(NotFound, AlreadyExists, Conflict, ConnectionFailed, ServerError, TooManyRequests):
                if action == "apply":
                    informer.observe(await through.apply(CONFIG_MAP, config_map(namespace, name, x=str(turn))))
                elif action == "create":
                    informer.observe(await through.create(CONFIG_MAP, config_map(namespace, name, y=str(turn))))
                elif action == "patch":
                    patch = {"data": {"z": str(turn)}}
                    informer.observe(await through.merge_patch(CONFIG_MAP, name, patch, namespace=namespace))
                else:
                    answer = await through.delete(CONFIG_MAP, name, namespace)
                    uid = answer["details"]["uid"]
                    informer.forget(Key(CONFIG_MAP.name, namespace, name), uid=uid)

    async with running(behind, namespace) as (informer, mirror):
        await asyncio.gather(*(write(behind, 40) for _ in range(4)), *(write(client, 20) for _ in range(2)))
        proxy.heal()
        assert await informer.wait_synced(30)
        await eventually(lambda: agrees(client, namespace, informer, mirror), within=30)
        # And it stays so: nothing late brings back what was.
        await client.create(CONFIG_MAP, config_map(namespace, "last"))
        await eventually(lambda: informer.get(namespace, "last"))
        await agrees(client, namespace, informer, mirror)


async def _missing(client: Client, group: str) -> bool:
    try:
        await client.get(CUSTOM_RESOURCE_DEFINITION, f"widgets.{group}")
    except NotFound:
        return True
    except KubeError:
        return False
    return False
