"""Destinations that move between stores which are one place: the same cluster, the same branch."""

from __future__ import annotations

from collections.abc import Mapping
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
    git_store,
    placements,
    promise,
    says,
)
from tests.waiting import eventually
from troth.api.resources import (
    CONFIG_MAP,
    DESTINATION,
    GIT_STATE_STORE,
    KUBERNETES_STATE_STORE,
    WORK_PLACEMENT,
)
from troth.kube import NotFound

INVENTORY = "troth.dev/inventory"
SYSTEM = "kratix-platform-system"
FILES = [{"path": "{{ name }}.yaml", "template": "kind: A\nname: {{ name }}\n"}]


class Moving:
    """A Promise with one Destination that is told to use one store after the other."""

    def __init__(self, platform: Platform, name: str, namespace: str) -> None:
        self.platform = platform
        self.name = name
        self.namespace = namespace

    async def cluster_store(self, suffix: str) -> None:
        await self.platform.make(
            KUBERNETES_STATE_STORE,
            {
                "apiVersion": KUBERNETES_STATE_STORE.api_version,
                "kind": KUBERNETES_STATE_STORE.kind,
                "metadata": {"name": f"{self.name}{suffix}"},
                "spec": {},
            },
        )

    async def place(self, suffix: str, *, kind: str = "KubernetesStateStore", **spec: Any) -> None:
        """Points the Destination at the store of a suffix."""
        await self.platform.make(
            DESTINATION,
            destination(self.name, store=f"{self.name}{suffix}", kind=kind, labels={"for": self.name}, **spec),
        )

    async def placement(self, request: str) -> Mapping[str, Any]:
        listing = await self.platform.client.list(WORK_PLACEMENT, self.namespace)
        [found] = [item for item in listing.items if item["spec"].get("resourceName") == request]
        return found

    async def settled(self, request: str, suffix: str) -> Mapping[str, Any]:
        """Waits until a placement says that it is in the store of a suffix, wholly; answers it."""
        last: dict[str, Any] = {}

        async def look() -> Mapping[str, Any] | None:
            found = await self.placement(request)
            last["status"] = found.get("status")
            ours = found["status"].get("troth") or {}
            there = (ours.get("location") or {}).get("store", {}).get("name") == f"{self.name}{suffix}"
            written = condition(found, "WriteSucceeded").get("status") == "True"
            return found if there and written and "alsoIn" not in ours else None

        try:
            return await eventually(look, f"{request} is in the store {suffix}", within=20)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{last}") from None

    async def drop(self, request: str) -> None:
        resource = api_of(self.name)
        await self.platform.delete(resource, request, namespace=self.namespace)
        await self.platform.gone(resource, request, namespace=self.namespace)

    async def applied(self, name: str) -> Mapping[str, Any]:
        return await self.platform.client.get(CONFIG_MAP, name, self.namespace)

    async def inventories(self, suffix: str) -> list[Mapping[str, Any]]:
        listing = await self.platform.client.list(
            CONFIG_MAP, SYSTEM, label_selector=f"troth.dev/store={self.name}{suffix}"
        )
        return list(listing.items)


@pytest.fixture
def moving(platform: Platform, unique: str, namespace: str) -> Moving:
    return Moving(platform, unique, namespace)


async def test_a_destination_moves_between_two_stores_of_one_cluster_and_its_objects_live_on(
    moving: Moving,
) -> None:
    for suffix in ("a", "b"):
        await moving.cluster_store(suffix)
    await moving.place("a")
    await moving.platform.publish(promise(moving.name))
    await moving.platform.ask(moving.name, "orders", moving.namespace, size="small")
    await moving.platform.ready(moving.name, "orders", moving.namespace)
    before = await moving.applied("orders")
    for old, new in (("a", "b"), ("b", "a")):
        await moving.place(new)
        live = await moving.settled("orders", new)
        assert not condition(live, "FilesRestored")
        there = await moving.applied("orders")
        assert there["metadata"]["uid"] == before["metadata"]["uid"]
        assert await moving.inventories(old) == []
        [record] = await moving.inventories(new)
        assert there["metadata"]["labels"][INVENTORY] == record["metadata"]["name"]
    await moving.place("a", path="elsewhere")
    await moving.platform.ask(moving.name, "orders", moving.namespace, size="large")
    await moving.platform.ready(moving.name, "orders", moving.namespace)
    there = await moving.applied("orders")
    assert (there["metadata"]["uid"], there["data"]) == (before["metadata"]["uid"], {"size": "large"})
    await moving.drop("orders")
    with pytest.raises(NotFound):
        await moving.applied("orders")
    assert await moving.inventories("a") == []


async def test_the_old_store_of_a_cluster_may_be_gone_before_its_destination_has_moved(moving: Moving) -> None:
    for suffix in ("a", "b"):
        await moving.cluster_store(suffix)
    await moving.place("a")
    await moving.platform.publish(promise(moving.name))
    await moving.platform.ask(moving.name, "orders", moving.namespace)
    await moving.platform.ready(moving.name, "orders", moving.namespace)
    before = await moving.applied("orders")
    await moving.platform.delete(KUBERNETES_STATE_STORE, f"{moving.name}a")
    await moving.platform.gone(KUBERNETES_STATE_STORE, f"{moving.name}a")
    await moving.place("b")
    await moving.settled("orders", "b")
    assert (await moving.applied("orders"))["metadata"]["uid"] == before["metadata"]["uid"]
    assert await moving.inventories("a") == []
    await moving.drop("orders")
    with pytest.raises(NotFound):
        await moving.applied("orders")


async def test_a_destination_on_a_cluster_may_come_back_with_another_layout(moving: Moving) -> None:
    await moving.cluster_store("a")
    await moving.place("a", filepath={"mode": "aggregatedYAML"})
    await moving.platform.publish(promise(moving.name))
    for name in ("orders", "users"):
        await moving.platform.ask(moving.name, name, moving.namespace)
        await moving.platform.ready(moving.name, name, moving.namespace)
    before = {name: (await moving.applied(name))["metadata"]["uid"] for name in ("orders", "users")}
    for mode in ("nestedByMetadata", "none", "aggregatedYAML"):
        await moving.platform.delete(DESTINATION, moving.name)
        await moving.platform.gone(DESTINATION, moving.name)
        await moving.place("a", filepath={"mode": mode})
        for name, uid in before.items():
            await moving.platform.ask(moving.name, name, moving.namespace, size=mode)
            await moving.platform.ready(moving.name, name, moving.namespace, within=20)
            there = await moving.applied(name)
            assert (there["metadata"]["uid"], there["data"]) == (uid, {"size": mode})
    await moving.drop("orders")
    with pytest.raises(NotFound):
        await moving.applied("orders")
    await moving.applied("users")


@pytest.mark.parametrize("mode", ["nestedByMetadata", "none", "aggregatedYAML"])
async def test_a_destination_moves_between_two_stores_of_one_branch_and_no_file_is_ever_missing(
    moving: Moving, stores: Path, mode: str
) -> None:
    repository = Repository(stores / f"{moving.name}.git")
    for suffix in ("a", "b"):
        await moving.platform.make(GIT_STATE_STORE, git_store(f"{moving.name}{suffix}", str(repository.path)))
    await moving.place("a", kind="GitStateStore", filepath={"mode": mode})
    await moving.platform.publish(promise(moving.name, files=FILES))
    for name in ("orders", "users"):
        await moving.platform.ask(moving.name, name, moving.namespace)
        await moving.platform.ready(moving.name, name, moving.namespace)
    before, head = await all_files(repository), repository.head()
    for suffix in ("b", "a", "b"):
        await moving.place(suffix, kind="GitStateStore", filepath={"mode": mode})
        for name in ("orders", "users"):
            await moving.settled(name, suffix)
        await moving.platform.wait(DESTINATION, moving.name, in_store(f"{moving.name}{suffix}"))
    assert repository.head() == head
    assert await all_files(repository) == before
    await moving.drop("orders")
    files = await all_files(repository)
    assert not [content for content in files.values() if "name: orders" in content]
    assert [content for content in files.values() if "name: users" in content]
    assert before.keys() - files.keys() == {path for path in before if "orders" in path}


async def test_a_destination_moves_to_a_store_of_the_same_branch_with_another_path(
    moving: Moving, stores: Path
) -> None:
    repository = Repository(stores / f"{moving.name}.git")
    for suffix in ("a", "b"):
        await moving.platform.make(
            GIT_STATE_STORE, git_store(f"{moving.name}{suffix}", str(repository.path), path=f"platform/{suffix}")
        )
    await moving.place("a", kind="GitStateStore", filepath={"mode": "none"})
    await moving.platform.publish(promise(moving.name, files=FILES))
    await moving.platform.ask(moving.name, "orders", moving.namespace)
    await moving.platform.ready(moving.name, "orders", moving.namespace)
    before = await all_files(repository, "platform/a/")
    await moving.place("b", kind="GitStateStore", filepath={"mode": "none"})
    await moving.settled("orders", "b")

    async def moved() -> bool:
        files = await all_files(repository, "platform/")
        return set(files) == {path.replace("platform/a/", "platform/b/") for path in before}

    await eventually(moved, "everything is at the new path and nothing at the old", within=20)
    live = await moving.platform.ready(moving.name, "orders", moving.namespace)
    assert placements(live)[0]["path"].startswith("platform/b")


async def test_a_destination_that_turns_back_half_way_leaves_nothing_where_it_did_not_stay(
    moving: Moving, stores: Path
) -> None:
    old, new = (Repository(stores / f"{moving.name}{suffix}.git") for suffix in ("a", "b"))
    for suffix, repository in (("a", old), ("b", new)):
        await moving.platform.make(GIT_STATE_STORE, git_store(f"{moving.name}{suffix}", str(repository.path)))
    await moving.place("a", kind="GitStateStore")
    await moving.platform.publish(promise(moving.name, files=FILES))
    await moving.platform.ask(moving.name, "orders", moving.namespace)
    await moving.platform.ready(moving.name, "orders", moving.namespace)
    before = await all_files(old, f"{moving.name}/")
    old.path.rename(old.path.with_suffix(".away"))
    await moving.platform.wait(
        GIT_STATE_STORE, f"{moving.name}a", lambda live: condition(live, "Ready").get("status") == "False"
    )
    await moving.place("b", kind="GitStateStore")

    async def arrived() -> bool:
        files = await all_files(new, f"{moving.name}/")
        return any("canary" in path for path in files) and any("orders" in path for path in files)

    await eventually(arrived, "the files are at the new place, and could not be removed from the old", within=20)
    await moving.place("a", kind="GitStateStore")
    old.path.with_suffix(".away").rename(old.path)
    await moving.settled("orders", "a")
    await moving.platform.wait(DESTINATION, moving.name, in_store(f"{moving.name}a"))
    assert await all_files(new, f"{moving.name}/") == {}
    assert await all_files(old, f"{moving.name}/") == before


async def test_two_stores_of_one_branch_know_of_each_others_files(moving: Moving, stores: Path) -> None:
    repository = Repository(stores / f"{moving.name}.git")
    platform, one, two = moving.platform, moving.name, f"{moving.name}b"
    for name in (one, two):
        await platform.make(GIT_STATE_STORE, git_store(name, str(repository.path)))
    files = [{"path": "same.yaml", "template": "kind: Same\nname: {{ name }}\n"}]
    for name in (one, two):
        await platform.make(
            DESTINATION,
            destination(name, store=name, labels={"for": name}, path="shared", filepath={"mode": "none"}),
        )
        await platform.publish(promise(name, files=files))
        test = ready if name == one else says("Ready", "False", one, two, "claimed by both")
        await platform.wait(DESTINATION, name, test)
    await platform.ask(one, "first", moving.namespace)
    await platform.ready(one, "first", moving.namespace)
    head = repository.head()
    refused = says("Ready", "False", "same.yaml", "claimed by both", "first", "second")
    for _ in range(2):
        await platform.ask(two, "second", moving.namespace)
        await platform.wait(api_of(two), "second", refused, namespace=moving.namespace)
        await platform.delete(api_of(two), "second", namespace=moving.namespace)
        await platform.gone(api_of(two), "second", namespace=moving.namespace)
        assert repository.head() == head
    await platform.ask(two, "second", moving.namespace)
    await platform.wait(api_of(two), "second", refused, namespace=moving.namespace)
    await moving.drop("first")
    await platform.ready(two, "second", moving.namespace, within=40)
    assert "second" in (await all_files(repository))["shared/same.yaml"]


def ready(live: Mapping[str, Any]) -> bool:
    return condition(live, "Ready").get("status") == "True"


def in_store(name: str) -> Any:
    """A test of a Destination: its own files are in that store, and it is Ready."""

    def test(live: Mapping[str, Any]) -> bool:
        ours = (live.get("status") or {}).get("troth") or {}
        there = ((ours.get("location") or {}).get("store") or {}).get("name") == name
        return there and "alsoIn" not in ours and ready(live)

    return test
