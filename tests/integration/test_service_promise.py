"""The compound Promise of the library on a real API server, with the Promises that it is made of."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from tests.compounds import Compound, components, unready
from tests.platforms import Object, Platform, Repository, all_files, condition, is_ready, says
from tests.unit.promises.library import examples, load_promise
from troth.api import Resource
from troth.api.resources import PROMISE
from troth.engine.promises.definitions import request_resource

PARTS = ("web-app", "worker", "postgresql", "redis")


def api(name: str) -> Resource:
    """Where the requests of a Promise of the library live."""
    return request_resource(load_promise(name)["spec"]["api"])


def labelled(name: str, label: str, *, dependencies: bool = False) -> Object:
    """A Promise of the library for destinations of one test."""
    promise = copy.deepcopy(load_promise(name))
    promise["spec"]["destinationSelectors"] = [{"matchLabels": {"for": label}}]
    if not dependencies:
        promise["spec"].pop("dependencies", None)
    return promise


async def ask(platform: Platform, name: str, example: str, namespace: str, **changes: Any) -> Object:
    """Applies an example of a Promise, with changes of its spec."""
    [path] = [path for path in examples(name) if path.stem == example]
    request = yaml.safe_load(path.read_text("utf-8"))
    request["metadata"]["namespace"] = namespace
    request["spec"] |= changes
    if "host" in request["spec"]:  # that of another namespace is refused
        request["spec"]["host"] = f"{example}.{namespace}.apps.example.com"
    await platform.make(api(name), request)
    return await platform.wait(
        api(name), request["metadata"]["name"], lambda live: live.get("status"), namespace=namespace
    )


async def test_a_service_waits_for_its_promises_is_ready_with_its_parts_and_takes_them_along(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await Compound(platform, unique, namespace).prepare()
    await platform.make(PROMISE, labelled("service", f"{unique}-here"))
    await platform.wait(
        PROMISE, "service", lambda live: "web-app" in condition(live, "Ready").get("message", ""), within=20
    )
    for name in PARTS:
        await platform.publish(labelled(name, unique), within=30)
    await platform.wait(PROMISE, "service", is_ready, within=20)
    for name in ("service", *PARTS):
        await platform.wait(PROMISE, name, says("Linted", "True"), within=30)
    for name in ("web-app", "worker"):
        for path in examples(name):
            asked = await ask(platform, name, path.stem, namespace)
            await platform.wait(api(name), asked["metadata"]["name"], is_ready, namespace=namespace)
            await platform.delete(api(name), asked["metadata"]["name"], namespace=namespace)
            await platform.gone(api(name), asked["metadata"]["name"], namespace=namespace)

    await ask(platform, "service", "shop", namespace)
    live = await platform.wait(api("service"), "shop", is_ready, namespace=namespace, within=30)
    assert [(item["kind"], item["name"], item["ready"]) for item in components(live)] == [
        ("PostgreSQL", "shop-db", True),
        ("Redis", "shop-cache", True),
        ("WebApp", "shop", True),
    ]
    written = "\n".join(await all_files(repository, f"{unique}/resources/{namespace}"))
    for part in ("web-app/shop/", "postgresql/shop-db/", "redis/shop-cache/"):
        assert part in written

    # What one part refuses is said by the whole, and forgotten when it is put right.
    broken = labelled("redis", unique)
    file = broken["spec"]["workflows"]["resource"]["configure"][0]["spec"]["files"][0]
    file["template"] = '{{ fail("no Redis today") }}\n'
    await platform.make(PROMISE, broken)
    await platform.wait(
        api("service"),
        "shop",
        unready("ComponentsNotReady", "Redis shop-cache: ", "no Redis today"),
        namespace=namespace,
    )
    await platform.make(PROMISE, labelled("redis", unique))
    await platform.wait(api("service"), "shop", is_ready, namespace=namespace)

    await ask(platform, "service", "shop", namespace, cache="none")
    live = await platform.wait(
        api("service"), "shop", lambda live: is_ready(live) and len(components(live)) == 2, namespace=namespace
    )
    await platform.gone(api("redis"), "shop-cache", namespace=namespace)

    await ask(platform, "service", "stateless", namespace)
    await platform.wait(api("service"), "thumbnails", is_ready, namespace=namespace, within=30)

    for name in ("shop", "thumbnails"):
        await platform.delete(api("service"), name, namespace=namespace)
        await platform.gone(api("service"), name, namespace=namespace, within=30)
    for name in PARTS:
        assert not (await platform.client.list(api(name), namespace)).items
    assert await all_files(repository, f"{unique}/resources/{namespace}") == {}
