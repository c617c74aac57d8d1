"""Where a request's files go when destinations, selectors or the request itself change; beside a real operator."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
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
    is_ready,
    placements,
    promise,
)
from tests.waiting import eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE, WORK_PLACEMENT
from troth.dev import CommandResult

Kubectl = Callable[..., Awaitable[CommandResult]]


class Estate:
    """A Promise whose requests say which environment they want, with one repository for its destinations."""

    def __init__(self, platform: Platform, name: str, namespace: str, folder: Path) -> None:
        self.platform = platform
        self.name = name
        self.namespace = namespace
        self.repository = Repository(folder / f"{name}.git")

    async def open(self, *environments: str) -> None:
        await self.platform.make(GIT_STATE_STORE, git_store(self.name, str(self.repository.path)))
        for environment in environments:
            await self.place(environment)
            await self.platform.wait(DESTINATION, f"{self.name}-{environment}", is_ready_object)

    async def place(self, suffix: str, *, store: str = "", **labels: str) -> None:
        name = f"{self.name}-{suffix}"
        wanted = {"estate": self.name, **(labels or {"environment": suffix})}
        await self.platform.make(DESTINATION, destination(name, store=store or self.name, labels=wanted))

    async def publish(self, *, pipeline: str = "instance", **spec: Any) -> None:
        rule = {"matchLabels": {"environment": "{{ spec.environment }}"}}
        made = promise(self.name, selectors={"estate": self.name}, pipeline={"destinations": [rule]}, **spec)
        made["spec"]["workflows"]["resource"]["configure"][0]["metadata"]["name"] = pipeline
        await self.platform.publish(made)

    async def ask(self, **spec: Any) -> None:
        await self.platform.ask(self.name, "orders", self.namespace, **spec)

    async def ready(self) -> Mapping[str, Any]:
        return await self.platform.ready(self.name, "orders", self.namespace)

    async def request(self, test: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        return await self.platform.wait(api_of(self.name), "orders", test, namespace=self.namespace)

    async def placement(self) -> Mapping[str, Any]:
        listing = await self.platform.client.list(WORK_PLACEMENT, self.namespace)
        [found] = [item for item in listing.items if not item["metadata"].get("deletionTimestamp")]
        return found

    async def content(self, environment: str) -> str:
        """What stands in a destination's folder of the request, as one text."""
        files = await all_files(self.repository, f"{self.name}-{environment}/resources/{self.namespace}")
        return "".join(files.values())


def is_ready_object(live: Mapping[str, Any]) -> bool:
    return bool(condition(live, "Ready").get("status") == "True")


def is_held(live: Mapping[str, Any]) -> bool:
    ready = condition(live, "Ready")
    observed = (live.get("status") or {}).get("observedGeneration") == live["metadata"]["generation"]
    return observed and ready.get("reason") == "WorksMisplaced" and "asks for" in ready["message"]


def is_renamed(live: Mapping[str, Any]) -> bool:
    pipelines = live["status"]["kratix"]["workflows"]["pipelines"]
    return is_held(live) and [pipeline["name"] for pipeline in pipelines] == ["renamed"]


@pytest.fixture
def estate(platform: Platform, unique: str, namespace: str, stores: Path) -> Estate:
    return Estate(platform, unique, namespace, stores)


async def test_an_edit_that_asks_for_another_environment_is_not_written_into_the_old_one(
    estate: Estate, kubectl: Kubectl
) -> None:
    await estate.open("dev", "prod")
    await estate.publish()
    await estate.ask(environment="dev", size="small")
    await estate.ready()
    before = await estate.content("dev")

    await estate.ask(environment="prod", size="large")
    live = await estate.request(is_held)
    message = condition(live, "Ready")["message"]
    assert f"asks for environment=prod and is placed in {estate.name}-dev, which has environment=dev." in message
    assert (await estate.content("dev"), await estate.content("prod")) == (before, "")
    assert live["status"]["troth"]["phase"] == "Rendered"

    await estate.ask(environment="prod", size="huge")
    live = await estate.request(is_held)
    assert (await estate.content("dev"), await estate.content("prod")) == (before, "")

    command = shlex.split(message[message.index("kubectl ") : message.rindex("`")])
    await kubectl(*command[1:], "--wait=false")
    live = await estate.ready()
    assert [entry["destination"] for entry in placements(live)] == [f"{estate.name}-prod"]
    assert "huge" in await estate.content("prod")

    async def moved() -> bool:
        return not await estate.content("dev")

    await eventually(moved, "its files are gone from the old destination")


async def test_a_renamed_pipeline_does_not_move_what_an_edit_could_not(estate: Estate, kubectl: Kubectl) -> None:
    await estate.open("dev", "prod")
    await estate.publish()
    await estate.ask(environment="dev", size="small")
    await estate.ready()
    await estate.ask(environment="prod", size="large")
    await estate.request(is_held)

    await estate.publish(pipeline="renamed")
    live = await estate.request(is_renamed)
    message = condition(live, "Ready")["message"]
    assert f"is placed in {estate.name}-dev, which has environment=dev." in message
    assert "small" in await estate.content("dev")
    assert await estate.content("prod") == ""

    command = shlex.split(message[message.index("kubectl ") : message.rindex("`")])
    await kubectl(*command[1:], "--wait=false")
    live = await estate.ready()
    assert [entry["destination"] for entry in placements(live)] == [f"{estate.name}-prod"]
    assert "large" in await estate.content("prod")


async def test_an_edit_that_is_taken_back_goes_on_where_it_was(estate: Estate) -> None:
    await estate.open("dev", "prod")
    await estate.publish()
    await estate.ask(environment="dev", size="small")
    await estate.ready()
    await estate.ask(environment="prod", size="large")
    await estate.request(is_held)

    await estate.ask(environment="dev", size="large")
    live = await estate.ready()

    assert [entry["destination"] for entry in placements(live)] == [f"{estate.name}-dev"]
    assert "large" in await estate.content("dev")
    assert "kratix.io/misplaced" not in (await estate.placement())["metadata"]["labels"]


async def test_a_request_is_placed_where_the_destination_is_ready(estate: Estate) -> None:
    await estate.open("a")
    for suffix in "bcdef":
        await estate.place(suffix, store=f"{estate.name}-away", environment="a")
        await estate.platform.wait(
            DESTINATION, f"{estate.name}-{suffix}", lambda live: condition(live, "Ready").get("status") == "False"
        )
    await estate.publish()

    await estate.ask(environment="a")
    live = await estate.ready()

    assert [entry["destination"] for entry in placements(live)] == [f"{estate.name}-a"]


async def test_what_was_never_written_goes_to_the_destination_that_becomes_ready(estate: Estate) -> None:
    await estate.open()
    await estate.place("away", store=f"{estate.name}-away", environment="a")
    await estate.publish()
    await estate.ask(environment="a")
    await estate.request(lambda live: bool(placements(live)))

    await estate.place("a")
    live = await estate.ready()

    assert [entry["destination"] for entry in placements(live)] == [f"{estate.name}-a"]

    async def one_is_left() -> bool:
        listing = await estate.platform.client.list(WORK_PLACEMENT, estate.namespace)
        return [item["spec"]["targetDestinationName"] for item in listing.items] == [f"{estate.name}-a"]

    await eventually(one_is_left, "nothing is left of the placement that was never written")


async def test_an_edit_before_the_first_write_is_placed_where_it_asks_to_be(estate: Estate) -> None:
    await estate.open("prod")
    await estate.place("dev", store=f"{estate.name}-away", environment="dev")
    await estate.publish()
    await estate.ask(environment="dev")
    await estate.request(lambda live: bool(placements(live)))

    await estate.ask(environment="prod")
    live = await estate.ready()

    assert is_ready(live)
    assert [entry["destination"] for entry in placements(live)] == [f"{estate.name}-prod"]
