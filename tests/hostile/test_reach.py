"""A Promise author reaches for what is not theirs: other people's APIs, and namespaces of the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.platforms import Platform, Repository, api_of, condition, destination, placements, promise, says
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, DESTINATION, PROMISE, WORK
from troth.dev import CommandResult
from troth.kube import Client, NotFound

Object = dict[str, Any]


async def refused(platform: Platform, name: str, *words: str) -> Object:
    """The Promise, once it says all of that."""
    return await platform.wait(PROMISE, name, says("Ready", "False", *words))


def with_api(name: str, group: str, plural: str, kind: str) -> Object:
    made = promise(name)
    api = made["spec"]["api"]
    api["metadata"] = {"name": f"{plural}.{group}", "annotations": {"api-approved.kubernetes.io": "unapproved"}}
    api["spec"] |= {"group": group, "names": {"plural": plural, "kind": kind}}
    return made


@pytest.fixture
async def foreign(client: Client, unique: str) -> AsyncIterator[Object]:
    """A definition that somebody else has made."""
    made = promise(unique)["spec"]["api"]
    made["metadata"]["name"] = f"strangers.{unique}.example.com"
    made["spec"]["names"] = {"plural": "strangers", "kind": "Stranger"}
    yield await client.create(CUSTOM_RESOURCE_DEFINITION, made)
    try:
        await client.delete(CUSTOM_RESOURCE_DEFINITION, made["metadata"]["name"])
    except NotFound:
        return


async def test_groups_of_others_and_namespaces_of_the_cluster_are_refused_with_words(
    platform: Platform, client: Client, unique: str
) -> None:
    attacks = {
        "k": with_api(f"{unique}k", "k8s.io", f"{unique}k", f"K{unique}"),
        "g": with_api(f"{unique}g", "gateway.networking.k8s.io", f"{unique}g", f"G{unique}"),
        "p": with_api(f"{unique}p", "platform.kratix.io", f"{unique}p", f"P{unique}"),
        "t": with_api(f"{unique}t", "troth.dev", f"{unique}t", f"T{unique}"),
    }
    for letter, namespace in (("s", "kube-system"), ("o", "kratix-platform-system")):
        attacks[letter] = promise(f"{unique}{letter}")
        attacks[letter]["spec"]["workflows"]["config"] = {"pipelineNamespace": namespace}
    for attack in attacks.values():
        await platform.make(PROMISE, attack)
    words = {
        "k": "Kubernetes",
        "g": "Kubernetes",
        "p": "Kratix",
        "t": "Troth",
        "s": "kube-system",
        "o": "operator's",
    }
    for letter, attack in attacks.items():
        live = await refused(platform, f"{unique}{letter}", words[letter])
        assert (condition(live, "Stalled") or {}).get("status") == "True", letter
        with pytest.raises(NotFound):
            await client.get(CUSTOM_RESOURCE_DEFINITION, attack["spec"]["api"]["metadata"]["name"])
    assert not [
        work
        for work in (await client.list(WORK, "kube-system")).items
        if unique in str(work["metadata"].get("labels"))
    ]


async def test_an_api_that_somebody_else_has_made_is_not_taken(
    platform: Platform, client: Client, unique: str, foreign: Object
) -> None:
    """Nor patched, nor deleted with the Promise, nor taken with the same kind under another plural."""
    name = foreign["metadata"]["name"]
    group = foreign["spec"]["group"]
    await platform.make(PROMISE, with_api(f"{unique}a", group, "strangers", "Stranger"))
    await refused(platform, f"{unique}a", "Troth did not make it", f"label it kratix.io/promise-name={unique}a")
    await platform.make(PROMISE, with_api(f"{unique}b", group, "impostors", "Stranger"))
    await refused(platform, f"{unique}b", "Stranger", "already in use")
    for letter in "ab":
        await client.delete(PROMISE, f"{unique}{letter}")
        await platform.gone(PROMISE, f"{unique}{letter}")
    now = await client.get(CUSTOM_RESOURCE_DEFINITION, name)
    assert now["metadata"]["uid"] == foreign["metadata"]["uid"]
    assert now["metadata"].get("labels") == foreign["metadata"].get("labels")
    assert now["spec"] == foreign["spec"]


async def test_a_definition_that_is_handed_over_is_taken(
    platform: Platform, repository: Repository, client: Client, unique: str, foreign: Object,
    kubectl: Callable[..., Awaitable[CommandResult]],
) -> None:  # fmt: skip
    """As those of a Kratix installation are, which carry the label."""
    del repository
    name = foreign["metadata"]["name"]
    await kubectl("label", "crd", name, f"kratix.io/promise-name={unique}")
    await platform.publish(with_api(unique, foreign["spec"]["group"], "strangers", "Stranger"))
    now = await client.get(CUSTOM_RESOURCE_DEFINITION, name)
    assert now["metadata"]["uid"] == foreign["metadata"]["uid"]


async def test_the_api_of_another_promise_is_not_taken(
    platform: Platform, repository: Repository, client: Client, namespace: str, unique: str
) -> None:
    del repository
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    thief = promise(unique)
    thief["metadata"]["name"] = f"a{unique}"  # before it in the alphabet
    await platform.make(PROMISE, thief)
    await refused(platform, f"a{unique}", f"is the API of the Promise {unique}")
    await client.delete(PROMISE, f"a{unique}")
    await platform.gone(PROMISE, f"a{unique}")
    await platform.ready(unique, "orders", namespace)


def files_of(repository: Repository, folder: str) -> dict[str, str]:
    """What is written for requests in a folder."""
    return {path: text for path, text in repository.files(f"{folder}/").items() if path.endswith("object.yaml")}


async def test_a_destination_inside_what_another_one_writes_waits_until_that_is_gone(
    platform: Platform, repository: Repository, client: Client, namespace: str, unique: str
) -> None:
    """Files of the inner one would be removed with a request of the outer one, or would pass for them."""
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    live = await platform.ready(unique, "orders", namespace)
    victim = placements(live)[0]["path"]
    inner = f"{unique}z"
    await platform.make(DESTINATION, destination(inner, store=unique, labels={"for": inner}, path=victim))
    await platform.wait(DESTINATION, inner, says("Ready", "False", f"Destination {unique}", "own path"))
    await platform.publish(promise(inner))
    await platform.ask(inner, "thief", namespace)
    await platform.wait(
        api_of(inner), "thief", says("Ready", "False", f"Destination {unique}"), namespace=namespace
    )
    assert len(await asyncio.to_thread(files_of, repository, unique)) == 1

    await platform.delete(api_of(unique), "orders", namespace=namespace)
    await platform.gone(api_of(unique), "orders", namespace=namespace)
    await client.delete(PROMISE, unique)
    await platform.gone(PROMISE, unique)
    await client.delete(DESTINATION, unique)
    await platform.wait(DESTINATION, inner, says("Ready", "True"))
    await platform.ready(inner, "thief", namespace)
    assert len(await asyncio.to_thread(files_of, repository, victim)) == 1


async def test_no_file_goes_to_the_folder_of_a_destination_that_was_not_selected(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    """A Destination of the mode none at the root could write to every folder."""
    root = f"{unique}a"
    made = destination(root, store=unique, labels={"for": root}, path="", filepath={"mode": "none"})
    await platform.make(DESTINATION, made)
    await platform.wait(DESTINATION, root, says("Ready", "True"))
    await platform.wait(DESTINATION, root, says("PathOverlaps", "True", f"Destination {unique}"))
    await platform.wait(DESTINATION, unique, says("PathOverlaps", "True", f"Destination {root}"))
    files = [
        {"path": "{{ spec.where }}/object.yaml", "template": "kind: ConfigMap\nmetadata: {name: {{ name }}}\n"}
    ]
    await platform.publish(promise(root, files=files))
    for name, where in (("good", f"{unique}s"), ("bad", unique), ("deep", f"{unique}/resources/x")):
        await platform.ask(root, name, namespace, where=where)
    await platform.ready(root, "good", namespace)
    for name in ("bad", "deep"):
        await platform.wait(
            api_of(root), name, says("Ready", "False", f"the folder of Destination {unique}"), namespace=namespace
        )
    assert not await asyncio.to_thread(files_of, repository, unique)
    assert await asyncio.to_thread(files_of, repository, f"{unique}s")
