"""What the operator does when a store misbehaves, moves, goes away or comes back; with the operator as a process."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.operators import running_operator
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
from tests.strangers import Stranger, forced_pushes, record_pushes, refuse_pushes
from tests.waiting import SAFE, eventually
from troth.api import Resource
from troth.api.naming import group_id
from troth.api.resources import (
    CONFIG_MAP,
    DESTINATION,
    DIRECTORY_STATE_STORE,
    GIT_STATE_STORE,
    KUBERNETES_STATE_STORE,
    SECRET,
    WORK_PLACEMENT,
)
from troth.dev import ControlPlane
from troth.dev.git_server import GitServer
from troth.kube import Client

ROOT_GROUP = group_id(".")[:5]


@pytest.fixture(scope="module")
def stores(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the local stores of one operator, which runs for all tests of this file."""
    folder = tmp_path_factory.mktemp("stores")
    flags = ("--local-stores", folder, "--store-poll", "1", "--failing-store-poll", "0.5")
    with running_operator(control_plane, folder, *flags):
        yield folder


@dataclass
class Site:
    """A test's corner: a Promise, its namespace, and repositories that are told apart by a suffix."""

    platform: Platform
    name: str
    namespace: str
    folder: Path

    async def open_store(self, suffix: str = "", *, url: str = "", labels: bool = True, **spec: Any) -> Repository:
        """A repository with a store and, with ``labels``, a destination that the Promise's requests match."""
        repository = Repository(self.folder / f"{self.name}{suffix}.git")
        await self.platform.make(
            GIT_STATE_STORE, git_store(f"{self.name}{suffix}", url or str(repository.path), **spec)
        )
        if labels:
            await self.place(suffix)
        return repository

    async def place(self, suffix: str = "", *, store: str = "", **spec: Any) -> None:
        """Applies the destination of a suffix."""
        name = f"{self.name}{suffix}"
        label = {"for": name}
        await self.platform.make(DESTINATION, destination(name, store=store or name, labels=label, **spec))

    async def publish(self, suffix: str = "", **spec: Any) -> None:
        await self.platform.publish(promise(f"{self.name}{suffix}", **spec))

    async def ask(self, name: str, suffix: str = "", **spec: Any) -> None:
        await self.platform.ask(f"{self.name}{suffix}", name, self.namespace, **spec)

    async def ready(self, name: str, suffix: str = "", *, within: float = SAFE) -> Mapping[str, Any]:
        return await self.platform.ready(f"{self.name}{suffix}", name, self.namespace, within=within)

    async def request(self, name: str, test: Any, suffix: str = "", *, within: float = SAFE) -> Mapping[str, Any]:
        """Waits until a request passes a test."""
        resource = api_of(f"{self.name}{suffix}")
        return await self.platform.wait(resource, name, test, namespace=self.namespace, within=within)

    async def store(self, test: Any, suffix: str = "", *, within: float = SAFE) -> Mapping[str, Any]:
        """Waits until the Git store passes a test."""
        return await self.platform.wait(GIT_STATE_STORE, f"{self.name}{suffix}", test, within=within)

    async def destination(self, test: Any, suffix: str = "", *, within: float = SAFE) -> Mapping[str, Any]:
        """Waits until the destination passes a test."""
        return await self.platform.wait(DESTINATION, f"{self.name}{suffix}", test, within=within)

    async def placement(self, request: str, suffix: str = "") -> Mapping[str, Any]:
        """The one placement of a request."""
        listing = await self.platform.client.list(WORK_PLACEMENT, self.namespace)
        found = [
            item
            for item in listing.items
            if item["spec"].get("resourceName") == request
            and item["spec"]["promiseName"] == f"{self.name}{suffix}"
        ]
        assert len(found) == 1
        return found[0]

    async def drop(self, name: str, suffix: str = "") -> None:
        """Deletes a request and waits until it is gone."""
        resource = api_of(f"{self.name}{suffix}")
        await self.platform.delete(resource, name, namespace=self.namespace)
        await self.platform.gone(resource, name, namespace=self.namespace)

    def directory(self, request: str, *, path: str = "", suffix: str = "") -> str:
        """Where the files of a request are with the mode nestedByMetadata."""
        name = f"{self.name}{suffix}"
        return f"{path or name}/resources/{self.namespace}/{name}/{request}/instance/{ROOT_GROUP}"


@pytest.fixture
async def site(client: Client, stores: Path, unique: str, namespace: str) -> AsyncIterator[Site]:
    platform = Platform(client)
    yield Site(platform, unique, namespace, stores)
    await platform.clean()


async def warned(client: Client, live: Mapping[str, Any], word: str) -> None:
    """Waits for a Warning about an object."""

    async def look() -> bool:
        events = await events_of(client, live)
        return any(event["type"] == "Warning" and word in event["note"] for event in events)

    await eventually(look, f"an Event about {live['metadata']['name']} that says {word!r}")


# ---- somebody else uses the repository


async def test_all_of_a_strangers_fifty_commits_are_still_there_and_nothing_was_forced(
    site: Site, tmp_path: Path
) -> None:
    repository = await site.open_store()
    record_pushes(repository)
    await site.publish()
    stranger = await asyncio.to_thread(Stranger, repository, tmp_path / "clone")

    def push_fifty() -> list[str]:
        return [stranger.push(f"theirs/{number}.txt", f"{number}\n", f"number {number}") for number in range(50)]

    async def ask_and_edit() -> None:
        for number in range(10):
            await site.ask(f"r{number}", size="small")
            await site.ready(f"r{number}")
        for number in range(10):
            await site.ask(f"r{number}", size="large")

    theirs, _ = await asyncio.gather(asyncio.to_thread(push_fifty), ask_and_edit())
    for number in range(10):
        await site.ready(f"r{number}")
    assert set(theirs) <= set(repository.commits())
    assert forced_pushes(repository) == []
    files = await all_files(repository)
    assert {f"theirs/{number}.txt" for number in range(50)} <= files.keys()
    for number in range(10):
        content = yaml.safe_load(files[f"{site.directory(f'r{number}')}/object.yaml"])
        assert content["data"] == {"size": "large"}


async def test_a_rule_of_the_server_is_told_in_its_own_words_and_its_end_heals_everything(site: Site) -> None:
    repository = await site.open_store()
    await site.open_store("b")
    await site.publish()
    await site.publish("b")
    await site.store(says("Ready", "True"))
    await site.destination(says("Ready", "True"))
    lift = refuse_pushes(repository, "frozen until Monday, says the change board")
    await site.ask("orders", size="small")
    live = await site.request("orders", says("Ready", "False", "frozen until Monday", reason="WorksFailing"))
    assert placements(live)[0]["state"] == "Failing"
    placement = await site.placement("orders")
    assert says("WriteSucceeded", "False", "frozen until Monday")(placement)
    await warned(site.platform.client, placement, "frozen until Monday")
    store = await site.store(says("Ready", "False", "frozen until Monday", reason="PushRefused"))
    await warned(site.platform.client, store, "frozen until Monday")
    await site.ask("orders", "b", size="small")
    await site.ready("orders", "b")
    lift()
    await site.ready("orders", within=30)
    await site.store(says("Ready", "True"))
    assert f"{site.directory('orders')}/object.yaml" in await all_files(repository)


async def test_a_rule_against_one_request_stops_no_other(site: Site) -> None:
    repository = await site.open_store()
    await site.publish()
    await site.destination(says("Ready", "True"))
    lift = refuse_pushes(
        repository,
        "no secrets in here",
        when='git diff --name-only "$old" "$new" | grep -q /bad/',
    )
    await site.ask("bad")
    await site.request("bad", says("Ready", "False", "no secrets in here"))
    for name in ("good", "fine"):
        await site.ask(name)
    for name in ("good", "fine"):
        await site.ready(name)
    await site.store(says("Ready", "True"))
    objects = {name: f"{site.directory(name)}/object.yaml" for name in ("bad", "good", "fine")}
    assert objects.values() & (await all_files(repository)).keys() == {objects["good"], objects["fine"]}
    lift()
    await site.ready("bad", within=30)
    assert objects["bad"] in await all_files(repository)


async def test_many_refused_requests_do_not_wear_out_the_server_and_are_all_let_in_at_its_end(
    site: Site, tmp_path: Path
) -> None:
    repository = await site.open_store()
    await site.publish()
    await site.destination(says("Ready", "True"))
    count = tmp_path / "refused"
    lift = refuse_pushes(repository, "frozen", when=f"echo >> {count}")
    for number in range(20):
        await site.ask(f"r{number}")
    for number in range(20):
        await site.request(f"r{number}", says("Ready", "False", "frozen"))
    lift()
    for number in range(20):
        await site.ready(f"r{number}", within=30)
    assert len(count.read_text().splitlines()) < 10 * 20


async def test_a_server_that_never_answers_holds_up_nobody_else(site: Site) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        await site.open_store(url=f"http://127.0.0.1:{silent.getsockname()[1]}/silent.git")
        await site.open_store("b")
        await site.publish()
        await site.publish("b")
        for number in range(10):
            await site.ask(f"r{number}")
        await site.ask("orders", "b")
        await site.ready("orders", "b")
        live = await site.request("r0", says("Ready", "False", f"Being written to {site.name}"), within=25)
        assert placements(live)[0]["state"] == "Pending"
    await site.store(says("Ready", "False", "cannot be reached", reason="Unreachable"))
    await site.request("r0", says("Ready", "False", "cannot be reached", reason="WorksFailing"))


async def test_a_server_that_is_away_is_told_everywhere_and_its_return_heals_everything(
    site: Site, tmp_path: Path
) -> None:
    server = GitServer(site.folder)
    server.start()
    try:
        port = server.port
        repository = await site.open_store(url=server.url(site.name))
        await site.open_store("b")
        await site.publish()
        await site.publish("b")
        await site.ask("before")
        await site.ready("before")
        await asyncio.to_thread(server.stop)
        await site.store(says("Ready", "False", "cannot be reached", reason="Unreachable"))
        await site.destination(says("Ready", "False", "not ready", reason="StateStoreNotReady"))
        await site.ask("meanwhile")
        live = await site.request("meanwhile", says("Ready", "False", "cannot be reached", reason="WorksFailing"))
        assert placements(live)[0]["state"] == "Failing"
        assert says("WriteSucceeded", "False", "cannot be reached")(await site.placement("meanwhile"))
        before = await site.ready("before")
        assert placements(before)[0]["state"] == "Written"
        await site.ask("meanwhile", "b")
        await site.ready("meanwhile", "b")
        server = GitServer(site.folder, port=port)
        await asyncio.to_thread(server.start)
        await site.ready("meanwhile", within=20)
        await site.store(says("Ready", "True"))
        await site.destination(says("Ready", "True"))
        assert f"{site.directory('meanwhile')}/object.yaml" in await all_files(repository)
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_request_that_is_deleted_while_its_store_is_away_goes_when_that_returns(site: Site) -> None:
    repository = await site.open_store()
    await site.publish()
    await site.ask("orders")
    await site.ready("orders")
    repository.path.rename(repository.path.with_suffix(".away"))
    await site.store(says("Ready", "False", "no repository", reason="RepositoryMissing"))
    resource = api_of(site.name)
    await site.platform.delete(resource, "orders", namespace=site.namespace)
    why = ("Deleting: waiting for 1 work to be removed", site.name, "there is no repository")
    await site.request("orders", says("Ready", "False", *why, reason="Deleting"))
    repository.path.with_suffix(".away").rename(repository.path)
    await site.platform.gone(resource, "orders", namespace=site.namespace, within=20)
    assert await all_files(repository, f"{site.name}/resources/{site.namespace}") == {}


async def test_requests_can_be_deleted_when_their_destination_or_their_store_is_gone_for_good(site: Site) -> None:
    repository = await site.open_store()
    await site.publish()
    for name in ("orders", "users"):
        await site.ask(name)
        await site.ready(name)
    await site.platform.delete(DESTINATION, site.name)
    await site.platform.gone(DESTINATION, site.name)
    await site.drop("orders")
    files = await all_files(repository, f"{site.name}/resources/{site.namespace}")
    assert list(files) == [f"{site.directory('users')}/object.yaml"]
    await site.platform.delete(GIT_STATE_STORE, site.name)
    await site.platform.gone(GIT_STATE_STORE, site.name)
    await site.drop("users")
    # The operator may have heard of the one deletion before the other, and then it could still remove the files.
    assert await all_files(repository, f"{site.name}/resources/{site.namespace}") in (files, {})


async def test_files_that_a_stranger_takes_away_come_back_and_the_placement_says_so(
    site: Site, tmp_path: Path
) -> None:
    repository = await site.open_store()
    await site.publish()
    first = repository.head()
    for name in ("orders", "users"):
        await site.ask(name, size="small")
    for name in ("orders", "users"):
        await site.ready(name)
    wanted = await all_files(repository, f"{site.name}/")
    stranger = await asyncio.to_thread(Stranger, repository, tmp_path / "clone")

    async def restored() -> bool:
        return await all_files(repository, f"{site.name}/") == wanted

    await asyncio.to_thread(stranger.remove, site.directory("orders"))
    await eventually(restored, "the removed files are back", within=15)

    async def told() -> bool:
        return condition(await site.placement("orders"), "FilesRestored").get("status") == "True"

    await eventually(told, "the placement says that its files were restored")
    await warned(site.platform.client, await site.placement("orders"), "written again")
    assert not condition(await site.placement("users"), "FilesRestored")
    await asyncio.to_thread(stranger.force_back_to, first)
    await eventually(restored, "the files of a branch that was forced back are back", within=15)

    def names_a_commit_of_the_branch_that_holds_them(live: Mapping[str, Any]) -> bool:
        [found] = placements(live)
        reachable = found["version"] in repository.commits()
        return is_ready(live) and reachable and repository.holds(found["version"], f"{found['path']}/object.yaml")

    for name in ("orders", "users"):
        await site.request(name, names_a_commit_of_the_branch_that_holds_them)


async def test_a_branch_that_vanishes_is_missed_and_filled_again_when_it_returns(site: Site) -> None:
    repository = await site.open_store()
    first = repository.head()
    await site.publish()
    await site.ask("orders")
    await site.ready("orders")
    wanted = await all_files(repository)
    repository.git("update-ref", "-d", "refs/heads/main")
    await site.store(says("Ready", "False", "no branch main", "spec.branch", reason="BranchMissing"))
    repository.git("update-ref", "refs/heads/main", first)

    async def filled() -> bool:
        return await all_files(repository) == wanted

    await eventually(filled, "the files are in the new branch", within=20)
    await site.store(says("Ready", "True"))


# ---- destinations and stores that change


async def test_a_destination_that_comes_back_finds_its_files_where_they_were(site: Site) -> None:
    repository = await site.open_store()
    await site.publish()
    await site.ask("orders", size="small")
    await site.ready("orders")
    await site.platform.delete(DESTINATION, site.name)
    await site.platform.gone(DESTINATION, site.name)
    await site.request("orders", says("Ready", "False", site.name, reason="WorksMisplaced"))
    assert f"{site.directory('orders')}/object.yaml" in await all_files(repository)
    await site.place()
    await site.ready("orders")
    await site.destination(says("Ready", "True"))
    await site.ask("orders", size="large")
    await site.ready("orders")
    files = await all_files(repository)
    assert "large" in files[f"{site.directory('orders')}/object.yaml"]


@pytest.mark.parametrize("mode", ["nestedByMetadata", "none", "aggregatedYAML"])
async def test_a_destination_that_changes_its_path_takes_everything_along(site: Site, mode: str) -> None:
    repository = await site.open_store(labels=False)
    await site.place(filepath={"mode": mode})
    await site.publish(files=[{"path": "{{ name }}.yaml", "template": "kind: A\nname: {{ name }}\n"}])
    for name in ("orders", "users"):
        await site.ask(name)
        await site.ready(name)
    before = await all_files(repository, f"{site.name}/")
    await site.place(filepath={"mode": mode}, path="clusters/new")

    async def moved() -> bool:
        files = await all_files(repository)
        there = {path.removeprefix("clusters/new/") for path in files if path.startswith("clusters/new/")}
        assert there == {path.removeprefix(f"{site.name}/") for path in before}
        assert not [path for path in files if path.startswith(f"{site.name}/")]
        return True

    await eventually(moved, "everything is at the new path and nothing at the old", within=20)
    for name in ("orders", "users"):
        await site.request(
            name, lambda live: is_ready(live) and placements(live)[0]["path"].startswith("clusters/new")
        )
    await site.destination(says("Ready", "True"))
    await site.drop("orders")
    await site.drop("users")
    left = await all_files(repository)
    assert not [path for path in left if "orders" in path or "users" in path or "aggregated" in path]


async def test_a_destination_that_comes_back_with_another_layout_moves_everything(site: Site) -> None:
    repository = await site.open_store()
    await site.publish()
    await site.ask("orders")
    await site.ready("orders")
    for mode in ("aggregatedYAML", "none", "aggregatedYAML", "nestedByMetadata"):
        await site.platform.delete(DESTINATION, site.name)
        await site.platform.gone(DESTINATION, site.name)
        await site.place(filepath={"mode": mode})
        expected = {"aggregatedYAML": "aggregated.yaml", "none": "object.yaml"}
        path = (
            f"{site.name}/{expected.get(mode)}" if mode in expected else f"{site.directory('orders')}/object.yaml"
        )

        async def moved(path: str = path) -> bool:
            files = await all_files(repository, f"{site.name}/")
            objects = [file for file, content in files.items() if "name: orders" in content]
            assert objects == [path]
            return True

        await eventually(moved, f"everything is where {mode} wants it", within=20)
        await site.ready("orders")


async def test_a_destination_that_changes_its_store_takes_everything_along(site: Site) -> None:
    old = await site.open_store()
    new = await site.open_store("b", labels=False)
    await site.publish()
    await site.ask("orders")
    await site.ready("orders")
    before = await all_files(old, f"{site.name}/")
    await site.place(store=f"{site.name}b")

    async def moved() -> bool:
        assert await all_files(new, f"{site.name}/") == before
        assert await all_files(old, f"{site.name}/") == {}
        return True

    await eventually(moved, "everything is in the new store and nothing in the old", within=20)
    live = await site.ready("orders")
    await site.request(
        "orders", lambda live: new.holds(str(placements(live)[0]["version"]), f"{site.directory('orders')}")
    )
    assert placements(live)[0]["state"] == "Written"


async def test_with_cleanup_all_a_destination_leaves_nothing_behind(site: Site) -> None:
    repository = await site.open_store(labels=False)
    empty = await all_files(repository)
    await site.place(cleanup="all")
    await site.publish()
    await site.ask("orders")
    await site.ready("orders")
    await site.platform.delete(DESTINATION, site.name)
    await site.platform.gone(DESTINATION, site.name, within=20)
    assert await all_files(repository) == empty
    await site.request("orders", says("Ready", "False", f"for={site.name}", reason="UnscheduledWorkloads"))


async def test_a_store_that_comes_back_gets_what_was_asked_for_meanwhile(site: Site) -> None:
    repository = await site.open_store()
    await site.publish()
    await site.ask("before")
    await site.ready("before")
    await site.platform.delete(GIT_STATE_STORE, site.name)
    await site.destination(says("Ready", "False", "not found", reason="StateStoreNotFound"))
    await site.ask("meanwhile")
    await site.request("meanwhile", says("Ready", "False", site.name, "does not exist", reason="WorksFailing"))
    # What is written there stays, and nobody keeps it up to date: that is told as well.
    await site.request("before", says("Ready", "False", "does not exist", "stays as it is", reason="WorksFailing"))
    await site.open_store()
    await site.ready("meanwhile")
    await site.ready("before")
    await site.destination(says("Ready", "True"))
    assert f"{site.directory('meanwhile')}/object.yaml" in await all_files(repository)


@pytest.mark.parametrize("mode", ["nestedByMetadata", "none", "aggregatedYAML"])
async def test_a_store_that_changes_its_path_takes_everything_along(site: Site, mode: str) -> None:
    repository = await site.open_store(labels=False, path="platform/old")
    await site.place(filepath={"mode": mode})
    await site.publish(files=[{"path": "{{ name }}.yaml", "template": "kind: A\nname: {{ name }}\n"}])
    for name in ("orders", "users"):
        await site.ask(name)
        await site.ready(name)
    before = await all_files(repository, "platform/old/")
    await site.open_store(labels=False, path="new")

    async def moved() -> bool:
        files = await all_files(repository)
        assert {path for path in files if path != "README.md"} == {
            path.replace("platform/old/", "new/") for path in before
        }
        return True

    await eventually(moved, "everything is at the new path and nothing at the old", within=20)
    for name in ("orders", "users"):
        await site.request(name, lambda live: is_ready(live) and placements(live)[0]["path"].startswith("new/"))


async def test_a_store_that_begins_to_mean_another_repository_fills_that_one(site: Site) -> None:
    old = await site.open_store()
    await site.publish()
    for name in ("orders", "users"):
        await site.ask(name)
        await site.ready(name)
    before = await all_files(old)
    new = Repository(site.folder / f"{site.name}-new.git")
    await site.platform.make(GIT_STATE_STORE, git_store(site.name, str(new.path)))

    async def filled() -> bool:
        return await all_files(new, f"{site.name}/") == {
            path: content for path, content in before.items() if path.startswith(f"{site.name}/")
        }

    await eventually(filled, "everything is in the new repository", within=20)
    await site.request("orders", lambda live: is_ready(live) and placements(live)[0]["version"] in new.commits())
    placement = await site.placement("orders")
    assert not condition(placement, "FilesRestored")
    await warned(site.platform.client, placement, "somewhere else now")
    assert await all_files(old) == before
    await site.drop("orders")
    assert await all_files(new, f"{site.name}/resources/{site.namespace}/{site.name}/orders") == {}


async def test_a_password_may_change_on_both_sides_and_a_wrong_one_is_told(site: Site) -> None:
    async def set_password(password: str) -> None:
        data = {"username": base64.b64encode(b"troth"), "password": base64.b64encode(password.encode())}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "git", "namespace": site.namespace},
            "data": {key: value.decode() for key, value in data.items()},
        }
        await site.platform.make(SECRET, secret)

    server = GitServer(site.folder, username="troth", password="first")
    server.start()
    try:
        port = server.port
        await set_password("first")
        reference = {"name": "git", "namespace": site.namespace}
        repository = await site.open_store(url=server.url(site.name), secretRef=reference)
        await site.publish()
        await site.ask("one")
        await site.ready("one")
        await asyncio.to_thread(server.stop)
        server = GitServer(site.folder, username="troth", password="second", port=port)
        await asyncio.to_thread(server.start)
        await site.store(
            says("Ready", "False", "refused the credentials", "Secret", reason="AuthenticationRefused")
        )
        await site.ask("two")
        await site.request("two", says("Ready", "False", "refused the credentials", reason="WorksFailing"))
        await set_password("second")
        await site.ready("two")
        await site.store(says("Ready", "True"))
        await set_password("wrong")
        await site.store(says("Ready", "False", "refused the credentials", reason="AuthenticationRefused"))
        await site.ask("three")
        await set_password("second")
        await site.ready("three")
        assert f"{site.directory('three')}/object.yaml" in await all_files(repository)
    finally:
        await asyncio.to_thread(server.stop)


async def test_requests_stay_where_they_are_when_labels_go_and_return(site: Site) -> None:
    repository = await site.open_store()
    await site.open_store("b", labels=False)
    await site.publish()
    await site.ask("orders", size="small")
    await site.ready("orders")
    name = site.name
    await site.platform.make(DESTINATION, destination(name, store=name, labels={"for": "others"}))
    await site.request("orders", says("Ready", "False", name, "no longer has the labels", reason="WorksMisplaced"))
    misplaced = await site.placement("orders")
    assert misplaced["metadata"]["labels"]["kratix.io/misplaced"] == "true"
    assert says("Ready", "False", reason="Misplaced")(misplaced)
    await site.platform.make(DESTINATION, destination(f"{name}b", store=f"{name}b", labels={"for": name}))
    await site.destination(says("Ready", "True"), "b")
    await site.ask("orders", size="large")

    async def kept_up_to_date() -> bool:
        return "large" in (await all_files(repository))[f"{site.directory('orders')}/object.yaml"]

    await eventually(kept_up_to_date, "a misplaced request is kept up to date where it is")
    assert (await site.placement("orders"))["spec"]["targetDestinationName"] == name
    await site.ask("users")
    assert placements(await site.ready("users"))[0]["destination"] == f"{name}b"
    await site.platform.make(DESTINATION, destination(name, store=name, labels={"for": name}))
    live = await site.ready("orders")
    assert placements(live)[0]["destination"] == name
    assert "kratix.io/misplaced" not in (await site.placement("orders"))["metadata"]["labels"]


# ---- the other layouts and stores


async def test_with_the_mode_none_files_stand_directly_in_the_destination(site: Site) -> None:
    repository = await site.open_store(labels=False)
    await site.place(filepath={"mode": "none"})
    files = [
        {"path": "{{ name }}/size.yaml", "template": "kind: Size\nsize: {{ spec.size }}\n"},
        {"path": "{{ name }}/extra.yaml", "when": "{{ spec.extra }}", "template": "kind: Extra\n"},
    ]
    await site.publish(files=files)
    for name in ("orders", "users"):
        await site.ask(name, size="small", extra=True)
        await site.ready(name)
    placement = (await site.placement("orders"))["metadata"]["name"]
    record = f"{site.name}/.kratix/{site.namespace}-{placement}.yaml"
    found = await all_files(repository, f"{site.name}/")
    assert yaml.safe_load(found[record]) == {
        "files": [f"{site.name}/orders/extra.yaml", f"{site.name}/orders/size.yaml"]
    }
    assert f"{site.name}/users/size.yaml" in found
    await site.ask("orders", size="large", extra=False)
    await site.ready("orders")
    found = await all_files(repository, f"{site.name}/")
    assert f"{site.name}/orders/extra.yaml" not in found
    assert yaml.safe_load(found[record]) == {"files": [f"{site.name}/orders/size.yaml"]}
    await site.drop("orders")
    found = await all_files(repository, f"{site.name}/")
    assert record not in found
    assert not [path for path in found if "/orders/" in path]
    assert f"{site.name}/users/size.yaml" in found


async def test_with_the_mode_none_two_requests_for_one_path_are_told_of_each_other(site: Site) -> None:
    repository = await site.open_store(labels=False)
    await site.place(filepath={"mode": "none"})
    await site.publish(files=[{"path": "same.yaml", "template": "kind: Same\nname: {{ name }}\n"}])
    await site.ask("first")
    await site.ready("first")
    await site.ask("second")
    await site.request("second", says("Ready", "False", "same.yaml", "claimed by both", "first", "second"))
    assert "first" in (await all_files(repository))[f"{site.name}/same.yaml"]
    await site.drop("first")
    await site.ready("second", within=30)
    assert "second" in (await all_files(repository))[f"{site.name}/same.yaml"]


async def test_with_the_mode_aggregated_all_documents_are_in_one_file(site: Site) -> None:
    repository = await site.open_store(labels=False)
    await site.place(filepath={"mode": "aggregatedYAML", "filename": "all.yaml"})
    await site.publish()

    async def documents() -> dict[str, str]:
        content = (await all_files(repository)).get(f"{site.name}/all.yaml", "")
        return {found["metadata"]["name"]: found["data"]["size"] for found in yaml.safe_load_all(content)}

    for name in ("orders", "users", "items"):
        await site.ask(name, size="small")
    for name in ("orders", "users", "items"):
        live = await site.ready(name)
        assert placements(live)[0]["path"] == f"{site.name}/all.yaml"
    assert await documents() == {"orders": "small", "users": "small", "items": "small"}
    await site.ask("users", size="large")
    await site.ready("users")
    assert await documents() == {"orders": "small", "users": "large", "items": "small"}
    await site.drop("orders")
    assert await documents() == {"users": "large", "items": "small"}
    await site.drop("users")
    await site.drop("items")
    assert f"{site.name}/all.yaml" not in await all_files(repository)
    assert await all_files(repository, f"{site.name}/"), "the destination's folder must not vanish"


TWO_OBJECTS: list[dict[str, Any]] = [
    {
        "path": "main.yaml",
        "template": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ name }}", namespace: "{{ namespace }}"}
data: {size: "{{ spec.size }}"}
""",
    },
    {
        "path": "extra.yaml",
        "when": "{{ spec.extra }}",
        "template": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ name }}-extra", namespace: "{{ namespace }}"}
""",
    },
]


async def test_a_kubernetes_store_applies_prunes_and_deletes(site: Site) -> None:
    await open_other_store(site, KUBERNETES_STATE_STORE, {})
    await site.publish(files=TWO_OBJECTS)

    async def config_maps() -> set[str]:
        listing = await site.platform.client.list(CONFIG_MAP, site.namespace)
        return {item["metadata"]["name"] for item in listing.items}

    await site.ask("orders", size="small", extra=True)
    live = await site.ready("orders")
    assert str(placements(live)[0]["version"]).startswith("sha256:")
    assert {"orders", "orders-extra"} <= await config_maps()
    await site.ask("orders", size="large", extra=False)
    await site.ready("orders")
    found = await site.platform.client.get(CONFIG_MAP, "orders", site.namespace)
    assert found["data"] == {"size": "large"}
    assert "orders-extra" not in await config_maps()
    await site.drop("orders")
    assert "orders" not in await config_maps()


async def test_a_kubernetes_store_says_what_the_cluster_refuses(site: Site) -> None:
    await open_other_store(site, KUBERNETES_STATE_STORE, {})
    template = (
        "apiVersion: {{ spec.api }}\nkind: {{ spec.kind }}\nmetadata: {name: one, namespace: {{ namespace }}}\n"
    )
    await site.publish(template=template)
    await site.ask("orders", api="nowhere.example.com/v1", kind="Nothing")
    await site.request("orders", says("Ready", "False", "Nothing", "nowhere.example.com", reason="WorksFailing"))
    await site.ask("orders", api="v1", kind="ConfigMap")
    await site.ready("orders")
    await site.platform.client.get(CONFIG_MAP, "one", site.namespace)


async def test_a_directory_store_writes_prunes_and_deletes(site: Site) -> None:
    folder = site.folder / f"{site.name}-folder"
    folder.mkdir()
    await open_other_store(site, DIRECTORY_STATE_STORE, {"path": str(folder)})
    await site.publish(files=TWO_OBJECTS)
    await site.ask("orders", size="small", extra=True)
    await site.ready("orders")
    place = folder / site.directory("orders")
    assert {file.name for file in place.iterdir()} == {"main.yaml", "extra.yaml"}
    await site.ask("orders", size="large", extra=False)
    await site.ready("orders")
    assert {file.name for file in place.iterdir()} == {"main.yaml"}
    assert yaml.safe_load((place / "main.yaml").read_text())["data"] == {"size": "large"}
    await site.drop("orders")
    assert not place.exists()
    assert (folder / site.name).is_dir()


async def open_other_store(site: Site, resource: Resource, spec: Mapping[str, Any]) -> None:
    """A store that is no GitStateStore, and a destination that uses it."""
    store = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": site.name},
        "spec": dict(spec),
    }
    await site.platform.make(resource, store)
    await site.place(stateStoreRef={"kind": resource.kind, "name": site.name})
    await site.destination(says("Ready", "True"))
