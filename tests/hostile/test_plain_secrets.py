"""Secrets in the clear on their way into a repository: said, refused or allowed, as the store wants it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    condition,
    destination,
    events_of,
    git_store,
    is_ready,
    promise,
    says,
)
from tests.waiting import eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE, WORK, WORK_PLACEMENT
from troth.kube import Client

Object = dict[str, Any]
PASSWORD = "hunter2-in-the-clear"
SECRET = """\
apiVersion: v1
kind: {{ spec.kind }}
metadata: {name: {{ name }}-login}
stringData: {password: {{ spec.password }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ name }}}
data: {size: {{ spec.size }}}
"""


async def setting(platform: Platform, repository: Repository, name: str, policy: str) -> None:
    """What the store says of Secrets in the clear."""
    await platform.make(GIT_STATE_STORE, git_store(name, str(repository.path), plainSecrets=policy))


async def ask(platform: Platform, name: str, request: str, namespace: str, **spec: Any) -> None:
    await platform.ask(name, request, namespace, **{"kind": "Secret", "password": PASSWORD, "size": "1", **spec})


async def told(client: Client, live: Object) -> str:
    """Everything that is said of a request: its status, its Works and placements without their content, and Events."""
    found = [str(live["status"])]
    for resource in (WORK, WORK_PLACEMENT):
        for item in (await client.list(resource, live["metadata"]["namespace"])).items:
            found += [str(item.get("status")), str(item["metadata"])]
            found += [str(event) for event in await events_of(client, item)]
    return "\n".join([*found, *(str(event) for event in await events_of(client, live))])


async def test_a_store_that_says_nothing_warns(
    platform: Platform, repository: Repository, client: Client, namespace: str, unique: str
) -> None:
    await platform.publish(promise(unique, template=SECRET))
    await ask(platform, unique, "loud", namespace)
    await ask(platform, unique, "quiet", namespace, kind="SealedSecret")
    warned = says("PlainSecrets", "True", "Secret loud-login in object.yaml", f"GitStateStore {unique}")
    await platform.wait(api_of(unique), "loud", warned, namespace=namespace)
    live = await platform.ready(unique, "loud", namespace)
    assert PASSWORD in str(await all_files(repository))
    assert not condition(await platform.ready(unique, "quiet", namespace), "PlainSecrets")

    async def announced() -> bool:
        works = (await client.list(WORK, namespace)).items
        events = [event for work in works for event in await events_of(client, work)]
        return any(event["reason"] == "PlainSecrets" and "loud-login" in event["note"] for event in events)

    await eventually(announced, "an Event names the Secret")
    assert PASSWORD not in await told(client, live)

    await ask(platform, unique, "loud", namespace, kind="SealedSecret")
    await platform.wait(
        api_of(unique),
        "loud",
        lambda now: is_ready(now) and not condition(now, "PlainSecrets"),
        namespace=namespace,
    )


async def test_a_store_that_refuses_keeps_what_it_has_and_says_what_to_do(
    platform: Platform, repository: Repository, client: Client, namespace: str, unique: str
) -> None:
    await setting(platform, repository, unique, "refuse")
    await platform.publish(promise(unique, template=SECRET))
    await ask(platform, unique, "sealed", namespace, kind="SealedSecret", password="encrypted")
    await platform.ready(unique, "sealed", namespace)
    before = await all_files(repository)
    refused = says("Ready", "False", "not written", "plainSecrets: refuse", "External Secrets")
    await ask(platform, unique, "sealed", namespace, size="2")
    await ask(platform, unique, "new", namespace)
    for name in ("sealed", "new"):
        live = await platform.wait(api_of(unique), name, refused, namespace=namespace)
        assert condition(live, "PlainSecrets")["reason"] == "NotWritten"
        assert PASSWORD not in await told(client, live)
    assert await all_files(repository) == before
    assert PASSWORD not in await asyncio.to_thread(repository.git, "log", "-p")

    await setting(platform, repository, unique, "allow")  # whoever owns the store decides, and nobody has to edit
    for name in ("sealed", "new"):
        live = await platform.ready(unique, name, namespace)
        assert not condition(live, "PlainSecrets")
    assert PASSWORD in str(await all_files(repository))

    await setting(platform, repository, unique, "refuse")  # what is written stays, and is said
    await ask(platform, unique, "third", namespace)
    await platform.wait(api_of(unique), "third", refused, namespace=namespace)
    assert PASSWORD in str(await all_files(repository))


@pytest.mark.parametrize("mode", ["aggregatedYAML", "none"])
async def test_one_refused_request_takes_nothing_from_the_others_of_its_destination(
    platform: Platform, repository: Repository, namespace: str, unique: str, mode: str
) -> None:
    await setting(platform, repository, unique, "refuse")
    name = f"{unique}m"
    await platform.make(
        DESTINATION, destination(name, store=unique, labels={"for": name}, filepath={"mode": mode})
    )
    files = [{"path": "{{ name }}.yaml", "template": SECRET}]
    await platform.publish(promise(name, files=files))
    for request in ("one", "two"):
        await ask(platform, name, request, namespace, kind="SealedSecret")
        await platform.ready(name, request, namespace)
    await ask(platform, name, "one", namespace, size="2")
    await platform.wait(api_of(name), "one", says("Ready", "False", "not written"), namespace=namespace)
    await ask(platform, name, "two", namespace, kind="SealedSecret", size="3")
    await platform.ready(name, "two", namespace)
    written = str(await all_files(repository, f"{name}/"))
    assert "kind: Secret\\n" not in written
    assert written.count("kind: SealedSecret") == 2
    assert "size: '3'" in written or 'size: "3"' in written


async def test_a_destination_that_moves_brings_no_secret_to_a_store_that_refuses(
    platform: Platform, repository: Repository, stores: Path, namespace: str, unique: str
) -> None:
    await setting(platform, repository, unique, "allow")
    other = Repository(stores / f"{unique}-other.git")
    await setting(platform, other, f"{unique}o", "refuse")
    await platform.publish(promise(unique, template=SECRET))
    await ask(platform, unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    await platform.make(DESTINATION, destination(unique, store=f"{unique}o", labels={"for": unique}))
    await platform.wait(api_of(unique), "orders", says("Ready", "False", "not written"), namespace=namespace)
    assert PASSWORD not in await asyncio.to_thread(other.git, "log", "-p")
    assert PASSWORD in str(await all_files(repository))


async def test_dependencies_are_judged_too(platform: Platform, repository: Repository, unique: str) -> None:
    await setting(platform, repository, unique, "refuse")
    dependency = {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {"name": "all"},
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "deep"},
                "stringData": {"password": PASSWORD},
            }
        ],
    }
    await platform.make(PROMISE, promise(unique, dependencies=[dependency]))
    await platform.wait(PROMISE, unique, says("PlainSecrets", "True", "Secret deep in static/", "not written"))
    await platform.wait(PROMISE, unique, says("Ready", "False", "not written"))
    assert PASSWORD not in await asyncio.to_thread(repository.git, "log", "-p")
