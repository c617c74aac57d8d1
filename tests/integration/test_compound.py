"""A Promise whose requests are made of requests of other Promises: Ready when theirs are, and gone after they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.compounds import FAILING, HELD, Compound, components, unready
from tests.platforms import Platform, Repository, all_files, api_of, condition, events_of, is_ready
from tests.waiting import eventually
from troth.api.resources import PROMISE
from troth.dev import AuditEntry, AuditLog
from troth.kube import Client, WatchEvent


@pytest.fixture
async def compound(platform: Platform, repository: Repository, unique: str, namespace: str) -> Compound:
    del repository  # where the components' own files go
    compound = Compound(platform, unique, namespace)
    await compound.prepare()
    return compound


async def test_a_request_is_ready_when_its_components_are_and_names_them(compound: Compound) -> None:
    await compound.platform.publish(compound.parts())
    await compound.platform.publish(compound.wholes(requiredPromises=[{"name": compound.part}]))
    await compound.ask()
    live = await compound.shop()
    assert components(live) == [
        {
            "promise": compound.part,
            "apiVersion": f"{compound.part}.example.com/v1",
            "kind": f"Kind{compound.part}",
            "name": f"shop-{suffix}",
            "namespace": compound.namespace,
            "ready": True,
        }
        for suffix in ("cache", "data")
    ]
    for suffix in ("cache", "data"):
        assert is_ready(await compound.component(f"shop-{suffix}"))


async def test_each_write_of_the_parent_says_something_new_and_none_follows_when_nothing_changes(
    compound: Compound, audit: AuditLog
) -> None:
    await compound.platform.publish(compound.parts())
    await compound.platform.publish(compound.wholes())
    client = compound.platform.client
    start = (await client.list(api_of(compound.whole), compound.namespace)).resource_version
    versions: list[str] = []

    async def watch() -> None:
        stream: AsyncIterator[WatchEvent] = client.watch(
            api_of(compound.whole), resource_version=start, namespace=compound.namespace
        )
        async for event in stream:
            versions.append(event.object["metadata"]["resourceVersion"])  # noqa: PERF401 - one by one, as they come

    def written() -> list[AuditEntry]:
        resource = api_of(compound.whole)
        place = (resource.plural, compound.namespace)
        return [item for item in audit.writes() if (item.resource, item.namespace) == place]

    entries: list[AuditEntry] = []

    async def each_made_a_version() -> bool:
        entries.extend(entry for entry in await asyncio.to_thread(written) if entry.code < 300)
        return last["metadata"]["resourceVersion"] in versions and len(entries) == len(versions)

    watching = asyncio.create_task(watch())
    try:
        await compound.ask()
        last = await compound.shop()
        # A write that changes nothing makes no version. How many there are depends on how much of what the components
        # do is seen at once.
        await eventually(each_made_a_version, "as many versions as writes", within=15)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    # A component that changes and stays Ready is no news.
    await client.merge_patch(
        api_of(compound.part),
        "shop-cache",
        {"metadata": {"annotations": {"tests.example.com/touched": "yes"}}},
        namespace=compound.namespace,
    )
    await compound.ask()
    await compound.shop()
    assert [entry for entry in await asyncio.to_thread(written) if entry.user_agent != "troth-tests"] == []


async def test_ready_is_never_said_before_every_component_has_what_was_asked_for(compound: Compound) -> None:
    await compound.platform.publish(compound.parts())
    await compound.platform.publish(compound.wholes())
    early: list[str] = []
    client = compound.platform.client
    settled = asyncio.Event()
    seen: list[str] = []

    async def watch() -> None:
        start = (await client.list(api_of(compound.whole), compound.namespace)).resource_version
        stream: AsyncIterator[WatchEvent] = client.watch(
            api_of(compound.whole), resource_version=start, namespace=compound.namespace
        )
        async for event in stream:
            if not is_ready(event.object):
                continue
            size = event.object["spec"]["size"]
            for suffix in ("cache", "data"):
                # It can only be further by now than when that status was written.
                part = await compound.component(f"shop-{suffix}")
                order = ("one", "two", "three")
                if order.index(part["spec"]["size"]) < order.index(size) or not components(event.object):
                    early.append(f"Ready with {size}, and {suffix} had {part['spec']['size']}")
            seen.append(size)
            if "three" in seen:
                settled.set()

    watching = asyncio.create_task(watch())
    try:
        for size in ("one", "two", "three"):
            await compound.ask(size)
            await compound.shop()
        async with asyncio.timeout(15):
            await settled.wait()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert not early
    assert set(seen) == {"one", "two", "three"}


async def test_a_component_that_fails_is_named_with_its_reason_and_its_healing_heals_the_parent(
    compound: Compound, client: Client
) -> None:
    await compound.platform.publish(compound.parts())
    await compound.platform.publish(compound.wholes())
    await compound.ask()
    await compound.shop()
    await compound.ask("huge")
    await compound.shop(
        unready("ComponentsNotReady", "2 of 2 components", "shop-cache: ", "there is no size huge")
    )
    # The parent says so as soon as one component has failed; the other one may still be on its way.
    live = await compound.shop(
        lambda live: all("there is no size huge" in item.get("message", "") for item in components(live))
    )
    assert [item["ready"] for item in components(live)] == [False, False]

    async def told() -> bool:
        return any(event["reason"] == "ComponentsNotReady" for event in await events_of(client, live))

    await eventually(told, "an Event says so")
    await compound.ask("large")
    await compound.shop()
    # And when it is not the parent that heals it, but the Promise of the component.
    await compound.ask("huge")
    await compound.shop(unready("ComponentsNotReady"))
    healed = compound.parts()
    template = healed["spec"]["workflows"]["resource"]["configure"][0]["spec"]["files"][0]
    template["template"] = FAILING.split("\n", 1)[1]
    await compound.platform.make(PROMISE, healed)
    await compound.shop()


async def test_a_component_whose_promise_comes_later_is_waited_for(compound: Compound) -> None:
    await compound.platform.publish(compound.wholes())
    await compound.ask()
    await compound.shop(lambda live: condition(live, "Ready").get("status") == "False")
    live = await compound.shop(
        lambda live: any("no Promise offers" in item.get("message", "") for item in components(live))
    )
    assert not is_ready(live)
    await compound.platform.publish(compound.parts())
    await compound.shop(within=40)


async def test_a_component_that_somebody_removes_is_missed_and_comes_back(compound: Compound) -> None:
    await compound.platform.publish(compound.parts())
    await compound.platform.publish(compound.wholes())
    await compound.ask()
    await compound.shop()
    await compound.platform.delete(api_of(compound.part), "shop-cache", namespace=compound.namespace)
    await compound.shop(unready("ComponentsPending", "shop-cache"))
    await compound.shop(within=60)


async def test_a_request_that_only_calls_itself_a_component_is_none(compound: Compound, client: Client) -> None:
    await compound.platform.publish(compound.parts())
    await compound.platform.publish(compound.wholes(("cache",)))
    await compound.ask()
    await compound.shop()
    stranger = {
        "apiVersion": f"{compound.part}.example.com/v1",
        "kind": f"Kind{compound.part}",
        "metadata": {
            "name": "stranger",
            "namespace": compound.namespace,
            "labels": {
                "kratix.io/parent-promise-name": compound.whole,
                "kratix.io/parent-resource-name": "shop",
                "kratix.io/parent-resource-namespace": compound.namespace,
            },
        },
        "spec": {"size": "huge"},
    }
    await compound.platform.make(api_of(compound.part), stranger)
    await compound.platform.wait(
        api_of(compound.part),
        "stranger",
        unready("ConfigureWorkflowFailed"),
        namespace=compound.namespace,
    )
    live = await compound.shop()
    assert [item["name"] for item in components(live)] == ["shop-cache"]
    await compound.platform.delete(api_of(compound.whole), "shop", namespace=compound.namespace)
    await compound.platform.gone(api_of(compound.whole), "shop", namespace=compound.namespace)
    assert await compound.component("stranger")


async def test_a_deleted_request_goes_after_its_components_and_their_files(
    compound: Compound, repository: Repository
) -> None:
    await compound.platform.publish(compound.parts())
    await compound.platform.publish(compound.wholes())
    await compound.ask()
    await compound.shop()
    assert await all_files(repository, f"{compound.name}/resources/{compound.namespace}")
    await compound.hold("shop-data", [HELD])
    await compound.platform.delete(api_of(compound.whole), "shop", namespace=compound.namespace)
    await compound.shop(unready("Deleting", f"waiting for Kind{compound.part} shop-data to be removed"))
    await compound.hold("shop-data", [])
    await compound.platform.gone(api_of(compound.whole), "shop", namespace=compound.namespace)
    assert not (await compound.platform.client.list(api_of(compound.part), compound.namespace)).items
    assert await all_files(repository, f"{compound.name}/resources/{compound.namespace}") == {}
