"""A Promise that changes, that loses its API or that is taken back while requests exist converges."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.operators import OperatorProcess
from tests.outcomes import Auditor
from tests.platforms import (
    Object,
    Platform,
    Repository,
    api_of,
    available,
    condition,
    destination,
    git_store,
    is_ready,
    promise,
    request,
)
from tests.waiting import SAFE, eventually
from troth.api import Resource
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, DESTINATION, GIT_STATE_STORE, PROMISE, WORK
from troth.dev import CommandResult
from troth.kube import Client, Invalid, NotFound

Kubectl = Callable[..., Awaitable[CommandResult]]
TEMPLATE = "kind: Thing\nname: {{ name }}\nsize: {{ spec.size }}\nrevision: REVISION\n"
FLAGS = ("--store-poll", "1", "--failing-store-poll", "0.5")
SIZE: dict[str, Any] = {"type": "object", "properties": {"size": {"type": "string"}}}


@dataclass(slots=True)
class Site:
    """One Promise on two destinations of one repository, and an operator that can be killed."""

    platform: Platform
    repository: Repository
    name: str
    namespace: str
    auditor: Auditor
    begin: Callable[[], OperatorProcess]
    operator: OperatorProcess

    @property
    def definition(self) -> str:
        """The name of the Promise's CustomResourceDefinition."""
        return api_of(self.name).name

    def promise(self, revision: str = "one", **options: Any) -> Object:
        return promise(self.name, template=TEMPLATE.replace("REVISION", revision), **options)

    async def ask(self, numbers: range, **spec: Any) -> None:
        """Applies requests, all at once."""
        spec = spec or {"size": "small"}
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(self.platform.ask(self.name, f"r{number}", self.namespace, **spec))

    async def kill(self) -> None:
        await asyncio.to_thread(self.operator.kill)

    async def restart(self) -> None:
        self.operator = await asyncio.to_thread(self.begin)

    async def files_of(self, name: str) -> dict[str, str]:
        """The files of one request, wherever they are."""
        part = f"/resources/{self.namespace}/{self.name}/{name}/"
        files = await asyncio.to_thread(self.repository.files)
        return {path: content for path, content in files.items() if part in path}

    async def definition_uid(self) -> str:
        """The uid of the CustomResourceDefinition, or nothing while there is none or it goes."""
        try:
            live = await self.platform.client.get(CUSTOM_RESOURCE_DEFINITION, self.definition)
        except NotFound:
            return ""
        return "" if "deletionTimestamp" in live["metadata"] else str(live["metadata"]["uid"])


@pytest.fixture
async def site(
    client: Client,
    operator: Callable[..., OperatorProcess],
    unique: str,
    namespace: str,
    tmp_path: Path,
) -> AsyncIterator[Site]:
    platform = Platform(client)
    repository = await asyncio.to_thread(Repository, tmp_path / "gitops.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    destinations = [f"{unique}-{place}" for place in ("one", "two")]
    for name in destinations:
        await platform.make(DESTINATION, destination(name, store=unique, labels={"for": unique}))
    auditor = Auditor(
        client,
        repository,
        apis={unique: api_of(unique)},
        destinations=destinations,
        namespaces=[namespace],
    )

    def begin() -> OperatorProcess:
        return operator(*FLAGS, "--local-stores", tmp_path, TMPDIR=str(tmp_path))

    running = await asyncio.to_thread(begin)
    yield Site(platform, repository, unique, namespace, auditor, begin, running)
    await platform.clean()


def versions(*entries: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Versions of an API with one schema."""
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": SIZE}}}
    return [{"served": True, "storage": False, "schema": schema, **entry} for entry in entries]


def with_versions(obj: Object, *entries: Mapping[str, Any]) -> Object:
    """The Promise with these versions of its API."""
    obj["spec"]["api"]["spec"]["versions"] = versions(*entries)
    return obj


# ---- changes


async def test_of_quick_changes_with_30_requests_the_last_one_wins(site: Site) -> None:
    seed = secrets.randbelow(10**6)
    print(f"random seed: {seed}")
    randomly = Random(seed)
    await site.platform.publish(site.promise("zero"))
    asking = asyncio.create_task(site.ask(range(30)))
    try:
        for revision in ("one", "two", "three", "four", "five"):
            await site.platform.make(PROMISE, site.promise(revision))
            if randomly.random() < 0.5:
                await under_way(site, revision)
            if randomly.random() < 0.5:
                await site.ask(range(randomly.randrange(30), 30), size=f"during {revision}")
        await asking
    finally:
        asking.cancel()
    await site.platform.make(PROMISE, site.promise("last"))
    expected = await site.auditor.settled(within=45)
    things = [content for path, content in expected.files.items() if path.endswith("object.yaml")]
    assert len(things) == 30
    assert all(b"revision: last" in content for content in things)


async def under_way(site: Site, revision: str) -> None:
    """Waits until a change has reached some requests, which is not all of them."""
    head = ""

    async def begun() -> bool:
        nonlocal head
        if head == site.repository.head():
            return False
        head = site.repository.head()
        files = await asyncio.to_thread(site.repository.files)
        return any(f"revision: {revision}" in content for content in files.values())

    await eventually(begun, f"revision {revision} is under way", within=30)


# ---- the API


@pytest.mark.parametrize("killed", [False, True], ids=["while-it-runs", "while-the-operator-is-dead"])
async def test_a_promise_whose_definition_somebody_deletes_converges(
    site: Site, kubectl: Kubectl, killed: bool
) -> None:
    await site.platform.publish(site.promise())
    await site.ask(range(8))
    await site.auditor.settled(within=30)
    before = await site.definition_uid()
    if killed:
        await site.kill()
    await kubectl("delete", "crd", site.definition, "--wait=false")
    if killed:
        await site.restart()

    async def anew() -> bool:
        return await site.definition_uid() not in ("", before)

    await eventually(anew, "the definition is made anew", within=20)
    await site.platform.wait(PROMISE, site.name, available)
    await site.auditor.nothing_left(within=SAFE)
    await eventually(lambda: asked(site, "again"), "a new request is taken")
    await site.platform.ready(site.name, "again", site.namespace)
    await site.auditor.settled(within=SAFE)


async def shows(site: Site, text: str, count: int) -> None:
    """Waits until so many files hold a text and everything is as it must be."""

    async def look() -> bool:
        files = await asyncio.to_thread(site.repository.files)
        return sum(text in content for content in files.values()) == count

    await eventually(look, f"{count} files say {text}", within=20)


async def asked(site: Site, name: str) -> bool:
    """Whether the API takes a request; it is served a moment after it was made."""
    try:
        await site.platform.ask(site.name, name, site.namespace, size="new")
    except NotFound:
        return False
    return True


async def test_requests_that_vanished_while_the_operator_was_dead_leave_nothing(site: Site) -> None:
    await site.platform.publish(site.promise())
    await site.ask(range(3))
    await site.auditor.settled(within=20)
    await site.kill()
    for name in ("r0", "r1"):
        client, resource = site.platform.client, api_of(site.name)
        await client.delete(resource, name, site.namespace)
        await client.merge_patch(resource, name, {"metadata": {"finalizers": None}}, namespace=site.namespace)
    await site.restart()
    await site.auditor.settled(within=15)
    assert not await site.files_of("r0")
    assert await site.files_of("r2")


async def test_a_new_field_with_a_default_reaches_requests_that_were_made_before(site: Site) -> None:
    await site.platform.publish(site.promise(spec_schema=SIZE))
    await site.ask(range(5))
    await site.auditor.settled(within=20)
    schema = {
        "type": "object",
        "properties": {**SIZE["properties"], "tier": {"type": "string", "default": "gold"}},
    }
    template = TEMPLATE.replace("REVISION", "{{ spec.tier }}")
    await site.platform.make(PROMISE, promise(site.name, template=template, spec_schema=schema))
    await shows(site, "revision: gold", 5)
    await site.auditor.settled(within=20)


async def test_a_field_that_leaves_the_schema_leaves_what_is_rendered(site: Site) -> None:
    wide = {"type": "object", "properties": {**SIZE["properties"], "note": {"type": "string"}}}
    template = TEMPLATE.replace("REVISION", '{{ spec.note | default("none") }}')
    await site.platform.publish(promise(site.name, template=template, spec_schema=wide))
    await site.ask(range(3), size="small", note="kept")
    await site.auditor.settled(within=20)
    await site.platform.make(PROMISE, promise(site.name, template=template, spec_schema=SIZE))
    await shows(site, "revision: none", 3)
    await site.auditor.settled(within=20)


async def test_a_limit_and_a_short_name_that_leave_the_api_are_no_longer_in_force(site: Site) -> None:
    tight = {
        "type": "object",
        "properties": {"size": {"type": "string", "maxLength": 5, "enum": ["small"]}},
        "x-kubernetes-validations": [{"rule": "has(self.size)"}],
    }
    before = site.promise(spec_schema=tight)
    before["spec"]["api"]["spec"]["names"]["shortNames"] = [f"{site.name}x"]
    await site.platform.publish(before)
    await site.platform.publish(site.promise(spec_schema=SIZE))

    async def free() -> bool:
        try:
            await site.platform.ask(site.name, "free", site.namespace, size="enormous")
            await site.platform.ask(site.name, "empty", site.namespace)
        except Invalid:  # the API server serves a changed schema a moment later
            return False
        return True

    await eventually(free, "what the API allows is taken")
    live = await site.platform.client.get(CUSTOM_RESOURCE_DEFINITION, site.definition)
    assert "shortNames" not in live["spec"]["names"]
    await site.platform.ready(site.name, "free", site.namespace)


async def test_a_version_that_is_added_and_becomes_the_stored_one_changes_no_file(site: Site) -> None:
    await site.platform.publish(with_versions(site.promise(), {"name": "v1", "storage": True}))
    await site.ask(range(5))
    await site.auditor.settled(within=20)
    head = site.repository.head()
    steps: list[list[dict[str, Any]]] = [
        [{"name": "v1", "storage": True}, {"name": "v2"}],
        [{"name": "v1"}, {"name": "v2", "storage": True}],
        [{"name": "v1", "served": False}, {"name": "v2", "storage": True}],
    ]
    newer = Resource(f"{site.name}.example.com", "v2", f"{site.name}s", f"Kind{site.name}")
    for number, step in enumerate(steps):
        await site.platform.publish(with_versions(site.promise(), *step))
        assert site.repository.head() == head

        async def taken(name: str = f"new{number}") -> bool:
            body = request(site.name, name, site.namespace, size="new")
            body["apiVersion"] = newer.api_version
            try:
                await site.platform.make(newer, body)
            except NotFound:  # a moment until it is served
                return False
            return True

        await eventually(taken, "version v2 takes a request")
        await site.platform.wait(newer, f"new{number}", is_ready, namespace=site.namespace)
        head = site.repository.head()
    auditor = Auditor(
        site.platform.client,
        site.repository,
        apis={site.name: newer},
        destinations=[f"{site.name}-one", f"{site.name}-two"],
        namespaces=[site.namespace],
    )
    await auditor.settled(within=20)
    await site.platform.make(PROMISE, site.promise("after"))  # takes v2 away again, which is the stored version
    live = await site.platform.wait(
        PROMISE, site.name, lambda live: condition(live, "Ready").get("reason") == "InvalidPromise"
    )
    message = condition(live, "Ready")["message"]
    assert "spec.api.spec.versions: does not have v2, in which requests may be stored" in message
    assert "keep v2 with served: false until every request has been written again in v1" in message
    assert site.repository.head() == head
    await site.platform.publish(
        with_versions(site.promise("after"), {"name": "v1", "served": False}, {"name": "v2", "storage": True})
    )
    await shows(site, "revision: after", 8)
    await auditor.settled(within=20)


async def test_an_api_is_not_renamed_under_its_requests_and_is_when_the_last_has_gone(site: Site) -> None:
    await site.platform.publish(site.promise())
    await site.ask(range(2))
    await site.auditor.settled(within=20)
    head = site.repository.head()
    renamed = site.promise("renamed")
    api = renamed["spec"]["api"]
    api["metadata"]["name"] = f"better{site.definition}"
    api["spec"]["names"] = {"kind": "Better", "plural": f"better{site.name}s"}
    await site.platform.make(PROMISE, renamed)
    live = await site.platform.wait(
        PROMISE, site.name, lambda live: condition(live, "Ready").get("reason") == "InvalidPromise"
    )
    message = condition(live, "Ready")["message"]
    assert "spec.api" in message
    assert site.definition in message
    assert "2 of its requests exist" in message
    assert "delete the requests first" in message
    assert site.repository.head() == head
    for name in ("r0", "r1"):
        await site.platform.delete(api_of(site.name), name, namespace=site.namespace)
    for name in ("r0", "r1"):
        await site.platform.gone(api_of(site.name), name, namespace=site.namespace)
    await site.platform.wait(PROMISE, site.name, available)
    assert await site.definition_uid() == ""
    better = Resource(f"{site.name}.example.com", "v1", f"better{site.name}s", "Better")
    body = request(site.name, "new", site.namespace, size="new") | {"kind": "Better"}
    await site.platform.make(better, body)
    await site.platform.wait(better, "new", is_ready, namespace=site.namespace)
    assert await site.files_of("new")


async def test_a_kind_is_not_changed_under_its_requests_and_is_when_the_last_has_gone(site: Site) -> None:
    await site.platform.publish(site.promise())
    await site.ask(range(2))
    await site.auditor.settled(within=20)
    head, before = site.repository.head(), await site.definition_uid()
    changed = site.promise("changed")
    changed["spec"]["api"]["spec"]["names"]["kind"] = "Better"
    await site.platform.make(PROMISE, changed)
    live = await site.platform.wait(
        PROMISE, site.name, lambda live: condition(live, "Ready").get("reason") == "InvalidPromise"
    )
    message = condition(live, "Ready")["message"]
    assert "spec.api.spec.names.kind: cannot be changed while the API has requests, and 2 exist" in message
    assert site.repository.head() == head
    assert await site.definition_uid() == before
    for name in ("r0", "r1"):
        await site.platform.delete(api_of(site.name), name, namespace=site.namespace)
    for name in ("r0", "r1"):
        await site.platform.gone(api_of(site.name), name, namespace=site.namespace)
    await site.platform.wait(PROMISE, site.name, available, within=40)
    better = Resource(f"{site.name}.example.com", "v1", f"{site.name}s", "Better")
    body = request(site.name, "new", site.namespace, size="new") | {"kind": "Better"}
    await site.platform.make(better, body)
    await site.platform.wait(better, "new", is_ready, namespace=site.namespace)
    assert await site.files_of("new")


# ---- the end


@pytest.mark.parametrize("killed", [False, True], ids=["at-once", "with-a-kill-in-the-middle"])
async def test_a_promise_that_is_deleted_takes_30_requests_along_in_order(site: Site, killed: bool) -> None:
    await site.platform.publish(site.promise())
    await site.ask(range(30))
    await site.auditor.settled(within=40)
    await site.platform.delete(PROMISE, site.name)
    disorder = asyncio.create_task(watch_order(site))
    try:
        if killed:

            async def halfway() -> bool:
                return len((await site.platform.client.list(WORK, site.namespace)).items) <= 20

            await eventually(halfway, "a third of the Works have gone", within=20)
            await site.kill()
            await site.restart()
        await site.platform.gone(PROMISE, site.name, within=30)
        assert await disorder == []
    finally:
        disorder.cancel()
    await site.auditor.nothing_left(within=0.1)
    assert await site.definition_uid() == ""


async def watch_order(site: Site) -> list[str]:
    """Looks until the last request is gone; answers what was out of order."""
    found: list[str] = []
    while True:
        try:
            listing = await site.platform.client.list(api_of(site.name), site.namespace)
        except (NotFound, Invalid):
            return found
        left = {obj["metadata"]["name"] for obj in listing.items}
        files = await asyncio.to_thread(site.repository.files)
        part = f"/resources/{site.namespace}/{site.name}/"
        with_files = {path.partition(part)[2].partition("/")[0] for path in files if part in path}
        found += [f"{name} has gone before its files" for name in sorted(with_files - left)]
        if not left:
            return found
