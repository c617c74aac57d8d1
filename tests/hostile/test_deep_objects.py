"""An object that nests too deep, or holds too much, is set aside and says so; everybody else is served.

Also through restarts, lists and watches: whoever sees the object has to read around it. It is taken up again when it is
mended, and goes when it is deleted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.deep_objects import LISTS, Hand, nest
from tests.operators import OperatorProcess
from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    available,
    condition,
    destination,
    events_of,
    git_store,
    promise,
    request,
    says,
)
from tests.waiting import eventually
from troth.api.nesting import DEEPEST, MOST_VALUES
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE
from troth.dev import CommandResult
from troth.kube import Client

Object = dict[str, Any]
Kubectl = Callable[..., Awaitable[CommandResult]]

LEVELS = (DEEPEST + 1, 260, 1_100, 4_000)


@pytest.fixture
def hand(kubectl: Kubectl, tmp_path: Path) -> Hand:
    return Hand(kubectl, tmp_path)


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    return tmp_path / "stores"


@pytest.fixture
def start(operator: Callable[..., OperatorProcess], stores: Path) -> Callable[[], OperatorProcess]:
    stores.mkdir()
    return lambda: operator("--local-stores", stores, "--store-poll", "1")


def refused(*words: str, reason: str = "Unreadable") -> Callable[[Mapping[str, Any]], bool]:
    """Whether an object says that it is set aside, and why, for the generation that it has."""
    tell = says("Ready", "False", "cannot be read", *words, reason=reason)
    return lambda live: tell(live) and live["status"]["observedGeneration"] == live["metadata"]["generation"]


async def test_a_request_beyond_the_bounds_is_set_aside_alone(
    platform: Platform,
    client: Client,
    hand: Hand,
    start: Callable[[], OperatorProcess],
    stores: Path,
    namespace: str,
    unique: str,
) -> None:
    running = start()
    repository = Repository(stores / f"{unique}.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    await platform.publish(promise(unique))
    api = api_of(unique)
    poison = {f"deep-{levels}": nest(levels) for levels in LEVELS} | {"wide": LISTS}
    for name, filling in poison.items():
        await hand.post(api, request(unique, name, namespace, size="small", x="the hole"), filling)

    async def look(beside: str) -> None:
        await platform.ask(unique, beside, namespace, size="small")
        await platform.ready(unique, beside, namespace)
        for name in poison:
            why = f"more than {MOST_VALUES} values" if name == "wide" else f"deeper than {DEEPEST} levels"
            live = await platform.wait(api, name, refused("spec", why), namespace=namespace)
            assert condition(live, "Stalled")["status"] == "True"
            assert not live["metadata"].get("finalizers")

    await look("first")

    async def told() -> bool:
        live = await client.get(api, "deep-1100", namespace)
        return any(event["reason"] == "Unreadable" for event in await events_of(client, live))

    await eventually(told, "an Event says it")

    # A stranger's status that is too deep: the request is fine, and what it says is put right.
    live = await client.get(api, "first", namespace)
    await hand.put(api, {**live, "status": {"other": "the hole"}}, nest(1_100), subresource="status")
    await platform.ready(unique, "first", namespace)

    # A request that was written is edited into one that cannot be read: its files stay.
    live = await client.get(api, "first", namespace)
    live["metadata"].pop("managedFields", None)
    await hand.put(api, {**live, "spec": {"size": "large", "x": "the hole"}}, nest(1_100))
    await platform.wait(api, "first", refused("spec.x"), namespace=namespace)
    kept = {path: text for path, text in (await all_files(repository)).items() if "/first/" in path}
    assert [text for path, text in kept.items() if path.endswith("object.yaml") and "size: small" in text]

    # After a restart they come in a list, and not by a watch.
    running.kill()
    running = start()
    await look("second")
    assert kept.items() <= (await all_files(repository)).items()

    # Mended they are taken up.
    for name in ("deep-1100", "wide", "first"):
        await client.merge_patch(api, name, {"spec": {"x": None, "size": "huge"}}, namespace=namespace)
        await platform.ready(unique, name, namespace)
    texts = [text for path, text in (await all_files(repository)).items() if "/first/" in path]
    assert any("size: huge" in text for text in texts)

    # And deleted they go: with our finalizers on them (an edit made one unreadable again), and without.
    live = await client.get(api, "wide", namespace)
    live["metadata"].pop("managedFields", None)
    await hand.put(api, {**live, "spec": {"x": "the hole"}}, nest(2_000))
    await platform.wait(api, "wide", refused("spec.x"), namespace=namespace)
    for name in (*poison, "first", "second"):
        await client.delete(api, name, namespace)
    for name in (*poison, "first", "second"):
        await platform.gone(api, name, namespace=namespace)

    async def empty() -> bool:
        return not [path for path in await all_files(repository) if path.endswith("object.yaml")]

    await eventually(empty, "its files are gone")
    assert running.get("/healthz")[0] == 200


async def test_a_request_with_a_delete_pipeline_says_what_its_deletion_needs(
    platform: Platform,
    client: Client,
    hand: Hand,
    start: Callable[[], OperatorProcess],
    namespace: str,
    unique: str,
) -> None:
    start()
    offered = promise(unique)
    pipelines = offered["spec"]["workflows"]["resource"]
    pipelines["delete"] = [{**pipelines["configure"][0], "metadata": {"name": "farewell"}}]
    pipelines["configure"][0]["spec"]["files"] = []
    await platform.publish(offered)
    await platform.ask(unique, "orders", namespace, size="small")
    api = api_of(unique)
    await platform.ready(unique, "orders", namespace)
    live = await client.get(api, "orders", namespace)
    live["metadata"].pop("managedFields", None)
    await hand.put(api, {**live, "spec": {"x": "the hole"}}, nest(1_100))
    await client.delete(api, "orders", namespace)
    said = says("Ready", "False", "delete pipelines cannot be run", "spec.x", "kratix.io/delete-workflows")
    await platform.wait(api, "orders", said, namespace=namespace)
    await client.merge_patch(api, "orders", {"spec": {"x": None}}, namespace=namespace)
    await platform.gone(api, "orders", namespace=namespace)


DEEP_PROMISES: Mapping[str, Callable[[Object], None]] = {
    "dependency": lambda spec: spec.update(
        dependencies=[
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "it", "namespace": "default"},
                "x": "the hole",
            }
        ]
    ),
    "pipeline": lambda spec: spec["workflows"]["resource"]["configure"][0]["spec"].update(
        values={"x": "the hole"}
    ),
    "own pipeline": lambda spec: spec["workflows"].update(
        promise={"configure": [{"apiVersion": "troth.dev/v1alpha1", "kind": "JinjaPipeline", "spec": "the hole"}]}
    ),
    "schema": lambda spec: spec["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].update(
        deep="the hole"
    ),
}


async def test_a_promise_beyond_the_bounds_is_set_aside_alone(
    platform: Platform,
    client: Client,
    hand: Hand,
    start: Callable[[], OperatorProcess],
    unique: str,
) -> None:
    running = start()
    bad: dict[str, Object] = {}
    for number, (kind, spoil) in enumerate(DEEP_PROMISES.items()):
        for levels in (DEEPEST, 1_200):
            name = f"{unique}{number}x{levels}"
            bad[name] = promise(name)
            spoil(bad[name]["spec"])
            filling = nest(levels)
            if kind == "schema":
                filling = (
                    '{"type":"object","properties":{"a":' * (levels // 2)
                    + '{"type":"string"}'
                    + "}}" * (levels // 2)
                )
            platform._made.append((PROMISE, name, ""))
            await hand.post(PROMISE, bad[name], filling)

    async def look(beside: str) -> None:
        for name in bad:
            await platform.wait(
                PROMISE, name, refused("spec", f"deeper than {DEEPEST} levels", reason="InvalidPromise")
            )
        await platform.publish(promise(beside))

    await look(f"{unique}first")
    running.kill()
    start()
    await look(f"{unique}second")
    mended, *deleted = bad
    for name in deleted:
        await client.delete(PROMISE, name)
    await client.merge_patch(PROMISE, mended, {"spec": promise(mended)["spec"] | {"dependencies": None}})
    await platform.wait(PROMISE, mended, available)
    for name in deleted:
        await platform.gone(PROMISE, name)
