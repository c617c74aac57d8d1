"""What is still wanted is never taken away, whoever renders it, places it or stores it now.

`TROTH_KEEPER_PAIRS=300` runs all the pairs that are promised instead of some of them, `13-14` the one of that number.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.keeper_pairs import SEED, Edition, Pair, generate
from tests.platforms import (
    Object,
    Platform,
    Repository,
    api_of,
    condition,
    destination,
    git_store,
    placements,
    promise,
    request,
)
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import (
    CONFIG_MAP,
    DESTINATION,
    GIT_STATE_STORE,
    KUBERNETES_STATE_STORE,
    PROMISE,
    WORK,
)
from troth.dev.git_server import git
from troth.engine.yaml.manifests import load_documents
from troth.kube import Client, KubeError, WatchEvent

NUMBERS = range(*(int(number) for number in os.environ.get("TROTH_KEEPER_PAIRS", "24").split("-")))
AT_ONCE = 6
SERVICE = Resource("", "v1", "services", "Service")
CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
KINDS = {"ConfigMap": CONFIG_MAP, "Service": SERVICE, "PersistentVolumeClaim": CLAIM}


def cluster_store(name: str) -> Object:
    return {
        "apiVersion": KUBERNETES_STATE_STORE.api_version,
        "kind": KUBERNETES_STATE_STORE.kind,
        "metadata": {"name": name},
        "spec": {},
    }


@dataclass
class Watched:
    """What a watch has seen of objects that must live on: (kind, name) → what went wrong."""

    uids: dict[tuple[str, str], str]
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)

    def see(self, event: WatchEvent) -> None:
        metadata = event.object.get("metadata") or {}
        key = (event.object.get("kind", ""), metadata.get("name", ""))
        if key not in self.uids:
            return
        if event.type == "DELETED":
            self.wrong[key] = "deleted"
        elif "deletionTimestamp" in metadata:
            self.wrong.setdefault(key, "being deleted")
        elif metadata["uid"] != self.uids[key]:
            self.wrong.setdefault(key, "made anew")


@contextlib.asynccontextmanager
async def watching(
    client: Client, namespace: str, resources: list[Resource], wanted: set[tuple[str, str]]
) -> AsyncIterator[Watched]:
    """Watches the objects (kind, name) of a namespace, all of which exist."""
    watched = Watched({})
    tasks = []

    async def follow(resource: Resource, version: str) -> None:
        with contextlib.suppress(KubeError):
            async for event in client.watch(resource, resource_version=version, namespace=namespace):
                watched.see(event)

    for resource in resources:
        listing = await client.list(resource, namespace)
        for item in listing.items:
            key = (resource.kind, item["metadata"]["name"])
            if key in wanted:
                watched.uids[key] = item["metadata"]["uid"]
        tasks.append(asyncio.create_task(follow(resource, listing.resource_version)))
    assert watched.uids.keys() == wanted
    try:
        yield watched
        for resource in resources:  # whatever happened is in the list that comes after it
            listing = await client.list(resource, namespace)
            there = {(resource.kind, item["metadata"]["name"]): item for item in listing.items}
            for key, uid in watched.uids.items():
                if key[0] == resource.kind and there.get(key, {}).get("metadata", {}).get("uid") != uid:
                    watched.wrong.setdefault(key, "is not the one that it was")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Stage:
    """One generated pair in the cluster."""

    def __init__(
        self, platform: Platform, number: int, unique: str, namespace: str, folder: Path, part: str
    ) -> None:
        self.platform = platform
        self.name = f"{unique}k{number}"
        self.namespace = namespace
        self.folder = folder
        self.pair: Pair = generate(number, unique, namespace, part=part)
        self.kinds = {**KINDS, f"Kind{part}": api_of(part)} if part else KINDS
        self.part = part
        self.pushes = folder / f"{self.name}.pushes"
        self.repositories: list[Repository] = []

    async def prepare(self) -> None:
        for index in range(2):
            if self.pair.cluster:
                await self.platform.make(KUBERNETES_STATE_STORE, cluster_store(f"{self.name}-{index}"))
            else:
                repository = await asyncio.to_thread(self._repository, index)
                self.repositories.append(repository)
                await self.platform.make(
                    GIT_STATE_STORE, git_store(f"{self.name}-{index}", str(repository.path), path=f"p{index}")
                )

    def _repository(self, index: int) -> Repository:
        # Half of the pairs have both stores in one branch.
        shared = len(self.name) % 2 == 0 or self.name[-1] in "1379"
        repository = Repository(self.folder / f"{self.name}-{0 if shared else index}.git")
        hook = repository.path / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f'#!/bin/sh\nread old new ref\necho "{repository.path} $new" >> {self.pushes}\n')
        hook.chmod(0o755)
        return repository

    async def apply(self, edition: Edition, *, first: bool) -> None:
        for each in edition.destinations:
            await self.platform.make(DESTINATION, each)
        if first:
            await self.platform.publish(edition.promise)
        else:
            await self.platform.make(PROMISE, edition.promise)

    async def settled(self, edition: Edition, label: str) -> None:
        """Waits until everything of an edition is there, nothing else is, and nobody has anything left to do."""

        async def look() -> bool:
            there = await (
                self._in_cluster(label) if self.pair.cluster else asyncio.to_thread(self._in_git, label)
            )
            wanted = {self._named(key) for key in edition.objects}
            assert there == wanted, f"{sorted(there ^ wanted)} differ"
            for namespace in (self.namespace, "kratix-platform-system"):
                works = await self.platform.client.list(WORK, namespace)
                for work in works.items:
                    if work["spec"].get("promiseName") == self.name:
                        assert "troth.dev/retired" not in work["metadata"]["labels"], "a Work is retired"
                        assert "deletionTimestamp" not in work["metadata"], "a Work is being deleted"
            return True

        await eventually(look, f"{self.name} is {label}", within=60, every=0.1)

    async def _in_cluster(self, label: str) -> set[tuple[str, str]]:
        found = set()
        for kind, resource in self.kinds.items():
            listing = await self.platform.client.list(resource, self.namespace)
            for item in listing.items:
                metadata = item["metadata"]
                if not metadata["name"].startswith(f"{self.name}-") or "deletionTimestamp" in metadata:
                    continue
                edition = (metadata.get("labels") or {}).get("edition") or (item.get("data") or {}).get("edition")
                assert edition == label, f"{kind} {metadata['name']} is of {edition}"
                found.add((kind, metadata["name"]))
        return found

    def _in_git(self, label: str) -> set[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for repository in {each.path: each for each in self.repositories}.values():
            for path, content in repository.files().items():
                found += self._objects(path, content, label)
        assert len(found) == len(set(found)), f"something occurs twice: {sorted(found)}"
        return set(found)

    def _objects(self, path: str, content: str, label: str = "") -> list[tuple[str, str]]:
        if ".kratix/" in path or not path.endswith(".yaml"):
            return []
        found = []
        for document in load_documents(content):
            metadata = document.get("metadata") or {}
            if not metadata.get("name", "").startswith(f"{self.name}-"):
                continue
            edition = (metadata.get("labels") or {}).get("edition") or (document.get("data") or {}).get("edition")
            assert not label or edition == label, f"{path} is of {edition}"
            found.append((document["kind"], metadata["name"]))
        return found

    def _named(self, key: tuple[str, str]) -> tuple[str, str]:
        return (f"Kind{self.part}", key[1]) if key[0] == self.part and self.part else key

    async def change(self) -> str:
        """From before to after; answers what was wrong."""
        wanted = {self._named(key) for key in self.pair.both}
        if not self.pair.cluster:
            heads = {str(each.path): each.head() for each in self.repositories}
            done = len(self.pushes.read_text().splitlines()) if self.pushes.exists() else 0
            await self.apply(self.pair.after, first=False)
            await self.settled(self.pair.after, "after")
            return await asyncio.to_thread(self._history, heads, done, wanted)
        async with watching(self.platform.client, self.namespace, list(self.kinds.values()), wanted) as watched:
            await self.apply(self.pair.after, first=False)
            await self.settled(self.pair.after, "after")
        return "; ".join(f"{kind} {name}: {wrong}" for (kind, name), wrong in watched.wrong.items())

    def _history(self, heads: dict[str, str], done: int, wanted: set[tuple[str, str]]) -> str:
        """Every commit, in the order in which they arrived in all repositories."""
        for line in self.pushes.read_text().splitlines()[done:]:
            path, commit = line.split()
            for each in git(Path(path), "rev-list", "--reverse", f"{heads[path]}..{commit}").decode().split():
                heads[path] = each
                there = [key for where, head in heads.items() for key in self._at(Path(where), head)]
                if missing := wanted - set(there):
                    return f"{each} in {path} lacks {sorted(missing)}"
        return ""

    def _at(self, repository: Path, commit: str) -> list[tuple[str, str]]:
        names = git(repository, "ls-tree", "-r", "--name-only", commit).decode().split()
        return [
            key
            for name in names
            for key in self._objects(name, git(repository, "show", f"{commit}:{name}").decode())
        ]


@pytest.fixture
async def part(platform: Platform, unique: str) -> str:
    """A Promise whose requests are components; they render nothing that matters here."""
    name = f"{unique}part"
    await platform.publish(promise(name, template="# nothing\n"))
    return name


async def test_no_object_that_is_in_both_results_is_ever_absent(
    platform: Platform,
    unique: str,
    namespace: str,
    stores: Path,
    part: str,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("told", f"keepers: {len(NUMBERS)} pairs of before and after, seed {SEED}")
    slots = asyncio.Semaphore(AT_ONCE)
    wrong: dict[int, str] = {}

    async def run(number: int) -> None:
        async with slots:
            corner = Platform(platform.client)
            stage = Stage(corner, number, unique, namespace, stores, part)
            try:
                await stage.prepare()
                await stage.apply(stage.pair.before, first=True)
                await corner.make(api_of(stage.name), request(stage.name, f"{stage.name}-r", namespace))
                await stage.settled(stage.pair.before, "before")
                if problem := await stage.change():
                    wrong[number] = problem
            except AssertionError as error:
                wrong[number] = str(error)
            finally:
                await corner.clean()

    async with asyncio.TaskGroup() as group:
        for number in NUMBERS:
            group.create_task(run(number))
    assert not wrong, "\n".join(f"pair {number}: {problem}" for number, problem in sorted(wrong.items()))


class Renamed:
    """A Promise on a cluster whose one pipeline is given other names."""

    def __init__(self, platform: Platform, name: str, namespace: str) -> None:
        self.platform = platform
        self.name = name
        self.namespace = namespace

    async def prepare(self) -> str:
        """Applies everything; answers the uid of the object that must live on."""
        await self.platform.make(KUBERNETES_STATE_STORE, cluster_store(self.name))
        await self.platform.make(
            DESTINATION,
            destination(self.name, store=self.name, kind="KubernetesStateStore", labels={"for": self.name}),
        )
        await self.platform.publish(self.promise("first"))
        await self.platform.ask(self.name, "orders", self.namespace)
        await self.platform.ready(self.name, "orders", self.namespace)
        return await self.uid()

    def promise(self, pipeline: str, *, more: str = "", **labels: str) -> Object:
        made = promise(self.name, selectors={"for": self.name, **labels})
        [only] = made["spec"]["workflows"]["resource"]["configure"]
        only["metadata"]["name"] = pipeline
        if more:
            only["spec"]["files"].append({"path": "more.yaml", "template": more})
        return made

    async def uid(self) -> str:
        live = await self.platform.client.get(CONFIG_MAP, "orders", self.namespace)
        assert "deletionTimestamp" not in live["metadata"]
        uid: str = live["metadata"]["uid"]
        return uid

    async def works(self) -> dict[str, Object]:
        """The Works by pipeline."""
        listing = await self.platform.client.list(WORK, self.namespace)
        own = [item for item in listing.items if item["spec"].get("promiseName") == self.name]
        return {item["metadata"]["labels"]["kratix.io/pipeline-name"]: item for item in own}

    async def says(self, *words: str) -> None:
        def test(live: Mapping[str, Any]) -> bool:
            message = condition(live, "Ready").get("message", "")
            return condition(live, "Ready").get("status") == "False" and all(word in message for word in words)

        await self.platform.wait(api_of(self.name), "orders", test, namespace=self.namespace)

    async def only(self, pipeline: str) -> None:
        """Waits until nothing is left of any other pipeline."""

        async def look() -> bool:
            assert set(await self.works()) == {pipeline}
            return True

        await eventually(look, f"only {pipeline} has a Work", within=20)
        await self.platform.ready(self.name, "orders", self.namespace)


@pytest.fixture
def renamed(platform: Platform, unique: str, namespace: str) -> Renamed:
    return Renamed(platform, unique, namespace)


async def test_what_no_destination_takes_yet_stays_where_it_was_and_the_request_says_so(renamed: Renamed) -> None:
    uid = await renamed.prepare()
    await renamed.platform.make(PROMISE, renamed.promise("second", region="mars"))
    await renamed.says("No destination has the labels", "region=mars", "the former pipeline first wrote stays")
    assert await renamed.uid() == uid
    assert set(await renamed.works()) == {"first", "second"}
    mars = destination(
        f"{renamed.name}-mars",
        store=renamed.name,
        kind="KubernetesStateStore",
        labels={"for": renamed.name, "region": "mars"},
    )
    await renamed.platform.make(DESTINATION, mars)
    await renamed.only("second")
    assert await renamed.uid() == uid


async def test_a_renamed_pipeline_stays_in_its_destination_among_equal_ones(renamed: Renamed) -> None:
    await renamed.prepare()

    async def destinations() -> list[str]:
        live = await renamed.platform.ready(renamed.name, "orders", renamed.namespace)
        return [each["destination"] for each in placements(live)]

    for suffix in "abcdef":
        equal = destination(
            f"{renamed.name}-{suffix}",
            store=renamed.name,
            kind="KubernetesStateStore",
            labels={"for": renamed.name},
        )
        await renamed.platform.make(DESTINATION, equal)
    for pipeline in ("second", "third", "fourth"):
        await renamed.platform.make(PROMISE, renamed.promise(pipeline))
        await renamed.only(pipeline)
        assert await destinations() == [renamed.name]


async def test_a_rename_that_is_undone_half_way_leaves_everything_as_it_was(renamed: Renamed) -> None:
    uid = await renamed.prepare()
    for name in ("second", "third"):
        await renamed.platform.make(PROMISE, renamed.promise(name, region="mars"))
        await renamed.says("region=mars", "stays until then")
    await renamed.platform.make(PROMISE, renamed.promise("first"))
    await renamed.only("first")
    assert await renamed.uid() == uid
    listing = await renamed.platform.client.list(WORK, renamed.namespace)
    assert not [item for item in listing.items if "troth.dev/retired" in item["metadata"]["labels"]]


async def test_what_a_cluster_refuses_keeps_what_was_there(renamed: Renamed) -> None:
    uid = await renamed.prepare()
    refused = "apiVersion: v1\nkind: Unheard\nmetadata: {name: of}\n"
    await renamed.platform.make(PROMISE, renamed.promise("second", more=refused))
    await renamed.says("does not serve Unheard", "the former pipeline first wrote stays")
    assert await renamed.uid() == uid
    await renamed.platform.make(PROMISE, renamed.promise("second"))
    await renamed.only("second")
    assert await renamed.uid() == uid


async def test_a_pipeline_that_fails_takes_nothing_away_from_the_others(renamed: Renamed) -> None:
    uid = await renamed.prepare()
    made = renamed.promise("first")
    [first] = made["spec"]["workflows"]["resource"]["configure"]
    moved = {**first, "metadata": {"name": "second"}, "spec": {"files": list(first["spec"]["files"])}}
    other = {
        "path": "other.yaml",
        "template": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ name }}-2'}\n",
    }
    first["spec"]["files"] = [other]
    made["spec"]["workflows"]["resource"]["configure"] = [first, moved]
    broken = {"path": "z.yaml", "template": "{{ fail('not today') }}"}
    await renamed.platform.make(
        PROMISE,
        {
            **made,
            "spec": {
                **made["spec"],
                "workflows": {
                    "resource": {
                        "configure": [first, {**moved, "spec": {"files": [*moved["spec"]["files"], broken]}}]
                    }
                },
            },
        },
    )
    await renamed.says("not today")
    other_map = await renamed.platform.wait(CONFIG_MAP, "orders-2", lambda live: True, namespace="default")
    assert other_map
    assert await renamed.uid() == uid
    await renamed.platform.make(PROMISE, made)
    await renamed.platform.ready(renamed.name, "orders", renamed.namespace)
    assert await renamed.uid() == uid


async def test_deleting_takes_along_what_was_waiting_to_be_handed_over(renamed: Renamed) -> None:
    await renamed.prepare()
    await renamed.platform.make(PROMISE, renamed.promise("second", region="mars"))
    await renamed.says("stays until then")
    await renamed.platform.delete(api_of(renamed.name), "orders", namespace=renamed.namespace)
    await renamed.platform.gone(api_of(renamed.name), "orders", namespace=renamed.namespace)
    await renamed.platform.gone(CONFIG_MAP, "orders", namespace=renamed.namespace)
    assert await renamed.works() == {}


async def test_an_object_with_another_name_stays_until_the_one_in_its_place_is_written(renamed: Renamed) -> None:
    await renamed.prepare()
    made = renamed.promise("first")
    [only] = made["spec"]["workflows"]["resource"]["configure"]
    template = only["spec"]["files"][0]["template"].replace("name: {{ name }}", "name: {{ name }}-new")
    kept = {"path": "kept.yaml", "template": template.replace("-new", "-kept")}
    only["spec"] |= {
        "files": [kept, {"path": "other/new.yaml", "template": template}],
        "destinations": [{"directory": "other", "matchLabels": {"for": f"{renamed.name}-other"}}],
        "moved": [{"kind": "ConfigMap", "from": "{{ name }}", "to": "{{ name }}-new"}],
    }
    await renamed.platform.make(PROMISE, made)
    await renamed.platform.wait(CONFIG_MAP, "orders-kept", lambda live: True, namespace=renamed.namespace)
    await renamed.says(f"for={renamed.name}-other")
    await renamed.uid()
    other = destination(
        f"{renamed.name}-other",
        store=renamed.name,
        kind="KubernetesStateStore",
        labels={"for": f"{renamed.name}-other"},
    )
    await renamed.platform.make(DESTINATION, other)
    await renamed.platform.ready(renamed.name, "orders", renamed.namespace)
    await renamed.platform.gone(CONFIG_MAP, "orders", namespace=renamed.namespace)
    await renamed.platform.wait(CONFIG_MAP, "orders-new", lambda live: True, namespace=renamed.namespace)
