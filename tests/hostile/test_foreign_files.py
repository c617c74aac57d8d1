"""Files that nobody here made: a value of a request neither replaces nor deletes them, in Git or in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.operators import OperatorProcess
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
    placements,
    promise,
    says,
)
from tests.strangers import Stranger
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import DESTINATION, DIRECTORY_STATE_STORE, GIT_STATE_STORE
from troth.dev.git_server import GitServer
from troth.kube import Client

BY_HAND = {
    ".github/workflows/ci.yaml": "on: push\n",
    "apps/by-hand.yaml": "kind: ByHand\n",
    "README.md": "# Read me\n",
    "all.yaml": "kind: ByHand\n",
    "docs/LICENSE": "All rights reserved\n",
}
FILES = [
    {"path": "{{ spec.path }}", "template": "kind: Taken\nname: {{ name }}\nsize: {{ spec.size }}\n"},
    {"path": ".github/workflows/{{ name }}.yaml", "when": "{{ spec.ci }}", "template": "on: [push]\n"},
]


class Corner:
    """A repository behind a real Git server, full of files that people made, and a Destination that is all of it."""

    def __init__(self, platform: Platform, repository: Repository, stranger: Stranger, name: str, namespace: str):
        self.platform = platform
        self.repository = repository
        self.stranger = stranger
        self.name = name
        self.namespace = namespace

    async def place(self, **spec: Any) -> None:
        await self.platform.make(
            DESTINATION, destination(self.name, store=self.name, labels={"for": self.name}, path=".", **spec)
        )

    async def publish(self) -> None:
        await self.platform.publish(promise(self.name, files=FILES))

    async def ask(self, name: str, path: str, *, ci: bool = False, size: str = "small") -> None:
        await self.platform.ask(self.name, name, self.namespace, path=path, ci=ci, size=size)

    async def ready(self, name: str) -> Mapping[str, Any]:
        return await self.platform.ready(self.name, name, self.namespace, within=30)

    async def refused(self, name: str, *words: str) -> Mapping[str, Any]:
        test = says("Ready", "False", *words)
        return await self.platform.wait(api_of(self.name), name, test, namespace=self.namespace, within=20)

    async def drop(self, name: str) -> None:
        await self.platform.delete(api_of(self.name), name, namespace=self.namespace)
        await self.platform.gone(api_of(self.name), name, namespace=self.namespace)

    async def by_hand(self) -> dict[str, str]:
        files = await all_files(self.repository)
        return {path: files[path] for path in BY_HAND if path in files}


async def corner_of(platform: Platform, server: GitServer, folder: Path, name: str, namespace: str) -> Corner:
    repository = Repository(await asyncio.to_thread(server.create_repository, name))
    stranger = await asyncio.to_thread(Stranger, repository, folder / "clone")
    for path, text in BY_HAND.items():
        await asyncio.to_thread(stranger.push, path, text, f"add {path} by hand")
    await platform.make(GIT_STATE_STORE, git_store(name, server.url(name)))
    return Corner(platform, repository, stranger, name, namespace)


@pytest.fixture
async def corner(
    platform: Platform, git_server: GitServer, tmp_path: Path, unique: str, namespace: str
) -> AsyncIterator[Corner]:
    yield await corner_of(platform, git_server, tmp_path, unique, namespace)
    await platform.clean()


async def test_a_path_from_a_field_takes_no_file_of_the_repository_and_deletes_none(corner: Corner) -> None:
    await corner.place(filepath={"mode": "none"})
    await corner.publish()
    attacks = {
        "apps": "apps/by-hand.yaml",
        "readme": "README.md",
        "twin": "ALL.yaml",
        "below": "docs/LICENSE/x.yaml",
    }
    for name, path in attacks.items():
        await corner.ask(name, path)
    await corner.ask("ci", "mine.yaml", ci=True)
    for number in range(3):
        await corner.ask(f"honest{number}", f"honest{number}.yaml")
    for number in range(3):
        await corner.ready(f"honest{number}")
    for name, path in (
        ("apps", "apps/by-hand.yaml"),
        ("readme", "README.md"),
        ("ci", ".github/workflows/ci.yaml"),
    ):
        live = await corner.refused(name, repr(path), "exists in the store", "did not make it", "existing: Adopt")
        assert placements(live)[0]["state"] == "Failing"
    await corner.refused("twin", "'all.yaml' exists in the store", "one file")
    await corner.refused("below", "a file stands at 'docs/LICENSE'")
    assert await corner.by_hand() == BY_HAND
    assert "mine.yaml" not in await all_files(corner.repository)
    for name in (*attacks, "ci"):
        await corner.drop(name)
    assert await corner.by_hand() == BY_HAND
    # an edit is no other way in, and what was there before it stays with its request
    await corner.ask("honest0", "apps/by-hand.yaml")
    await corner.refused("honest0", "apps/by-hand.yaml", "did not make it")
    assert "honest0.yaml" in await all_files(corner.repository)
    await corner.drop("honest0")
    assert await corner.by_hand() == BY_HAND
    assert "honest0.yaml" not in await all_files(corner.repository)


async def test_a_stranger_who_removes_the_file_lets_the_request_have_the_path(corner: Corner) -> None:
    await corner.place(filepath={"mode": "none"})
    await corner.publish()
    await corner.ask("orders", "apps/by-hand.yaml")
    await corner.refused("orders", "did not make it")
    await asyncio.to_thread(corner.stranger.remove, "apps/by-hand.yaml")
    await corner.ready("orders")
    await corner.drop("orders")
    assert "apps/by-hand.yaml" not in await all_files(corner.repository)


async def test_what_a_destination_may_adopt_is_written_and_released(corner: Corner) -> None:
    await corner.place(filepath={"mode": "none"})
    await corner.publish()
    await corner.ask("orders", "apps/by-hand.yaml")
    await corner.refused("orders", "did not make it")
    await corner.place(filepath={"mode": "none"}, existing="Adopt")
    await corner.ready("orders")
    await corner.place(filepath={"mode": "none"})
    await corner.ask("orders", "apps/by-hand.yaml", size="large")
    await corner.ready("orders")
    assert (await corner.by_hand())["apps/by-hand.yaml"] == "kind: Taken\nname: orders\nsize: large\n"
    await corner.drop("orders")
    files = await all_files(corner.repository)
    assert "size: large" in files["apps/by-hand.yaml"]
    assert not [path for path in files if "/.kratix/" in f"/{path}"]


async def test_the_one_file_of_a_destination_is_not_taken_from_whoever_made_it(corner: Corner) -> None:
    await corner.place(filepath={"mode": "aggregatedYAML", "filename": "all.yaml"})
    await corner.publish()
    await corner.platform.wait(DESTINATION, corner.name, says("Ready", "False", "'all.yaml'", "did not make it"))
    for name in ("orders", "users"):
        await corner.ask(name, "x.yaml")
        await corner.refused(name, "'all.yaml'", "did not make it")
    await corner.drop("orders")
    assert await corner.by_hand() == BY_HAND
    await asyncio.to_thread(corner.stranger.remove, "all.yaml")
    await corner.ready("users")
    assert "name: users" in (await all_files(corner.repository))["all.yaml"]
    await corner.drop("users")
    assert "all.yaml" not in await all_files(corner.repository)


async def test_the_one_file_may_be_adopted_and_stays_when_nothing_is_in_it_any_more(corner: Corner) -> None:
    await corner.place(filepath={"mode": "aggregatedYAML", "filename": "all.yaml"}, existing="Adopt")
    await corner.publish()
    await corner.ask("orders", "x.yaml")
    await corner.ready("orders")
    assert "name: orders" in (await all_files(corner.repository))["all.yaml"]
    await corner.drop("orders")
    assert "name: orders" in (await all_files(corner.repository))["all.yaml"]


async def test_the_root_of_a_folder_that_becomes_a_link_is_told_and_not_followed(
    platform: Platform, stores: Path, tmp_path: Path, unique: str, namespace: str
) -> None:
    root, elsewhere = stores / unique, stores / f"{unique}-elsewhere"
    root.mkdir()
    store = {
        "apiVersion": DIRECTORY_STATE_STORE.api_version,
        "kind": DIRECTORY_STATE_STORE.kind,
        "metadata": {"name": unique},
        "spec": {"path": str(root)},
    }
    live = await platform.make(DIRECTORY_STATE_STORE, store)
    await platform.make(
        DESTINATION, destination(unique, store=unique, kind="DirectoryStateStore", labels={"for": unique})
    )
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace, size="small")
    await platform.ready(unique, "orders", namespace)
    root.rename(elsewhere)
    root.symlink_to(elsewhere)
    before = read(elsewhere)
    await platform.wait(
        DIRECTORY_STATE_STORE,
        unique,
        says("Ready", "False", str(root), "has become a symbolic link", str(elsewhere)),
    )
    await platform.ask(unique, "orders", namespace, size="large")

    async def warned() -> bool:
        return any("symbolic link" in event["note"] for event in await events_of(platform.client, live))

    await eventually(warned, "an Event of the store tells of the link")
    await platform.wait(api_of(unique), "orders", lambda found: not is_ready(found), namespace=namespace)
    assert read(elsewhere) == before
    root.unlink()
    elsewhere.rename(root)
    await platform.ready(unique, "orders", namespace, within=30)
    assert any("large" in text for text in read(root).values())
    await platform.clean()


def read(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


async def test_a_restart_changes_no_mind_and_what_an_earlier_release_wrote_goes_on(
    operator: Callable[..., OperatorProcess],
    client: Client,
    git_server: GitServer,
    tmp_path: Path,
    unique: str,
    namespace: str,
) -> None:
    platform = Platform(client)
    running = await asyncio.to_thread(operator)
    flat = await corner_of(platform, git_server, tmp_path, unique, namespace)
    await flat.place(filepath={"mode": "none"})
    await flat.publish()
    await flat.ask("good", "good.yaml")
    await flat.ask("bad", "README.md")
    await flat.ready("good")
    await flat.refused("bad", "did not make it")
    other = f"{unique}w"
    await platform.make(
        DESTINATION,
        destination(other, store=unique, labels={"for": other}, path="whole", filepath={"mode": "aggregatedYAML"}),
    )
    await platform.publish(promise(other))
    await platform.ask(other, "orders", namespace, size="small")
    await platform.ready(other, "orders", namespace)
    head = flat.repository.head()
    await asyncio.to_thread(running.kill)
    # an earlier release did not record whose the one file is
    await client.merge_patch(DESTINATION, other, {"status": {"troth": {"aggregate": None}}}, subresource="status")
    await asyncio.to_thread(operator)
    await recorded(platform, other)
    await platform.ready(other, "orders", namespace)
    await flat.refused("bad", "did not make it")
    assert flat.repository.head() == head
    await platform.ask(other, "orders", namespace, size="large")
    await platform.ready(other, "orders", namespace)
    files = await all_files(flat.repository)
    assert "large" in files["whole/aggregated.yaml"]
    assert await flat.by_hand() == BY_HAND
    await platform.delete(api_of(other), "orders", namespace=namespace)
    await platform.gone(api_of(other), "orders", namespace=namespace)
    assert "whole/aggregated.yaml" not in await all_files(flat.repository)
    await platform.clean()


async def recorded(platform: Platform, name: str, resource: Resource = DESTINATION) -> None:
    """Waits until a Destination says that its one file is its own."""

    def has(live: Mapping[str, Any]) -> bool:
        ready = condition(live, "Ready").get("status") == "True"
        return ready and bool(((live.get("status") or {}).get("troth") or {}).get("aggregate"))

    await platform.wait(resource, name, has)
