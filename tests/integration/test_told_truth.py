"""What an object says of itself is so: also when its Promise, its Destination or its store is not what it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.platforms import (
    Object,
    Platform,
    Repository,
    all_files,
    api_of,
    available,
    condition,
    destination,
    git_store,
    is_ready,
    placements,
    promise,
    says,
)
from tests.strangers import refuse_pushes
from tests.waiting import SAFE, eventually
from troth.api.resources import (
    CUSTOM_RESOURCE_DEFINITION,
    DESTINATION,
    GIT_STATE_STORE,
    PROMISE,
    WORK,
    WORK_PLACEMENT,
)
from troth.kube import Client

PAUSED = "kratix.io/paused"


@dataclass
class Corner:
    """A test's own store, Destination and namespace, in which a Promise and its requests live."""

    platform: Platform
    repository: Repository
    name: str
    namespace: str

    @property
    def client(self) -> Client:
        return self.platform.client

    async def request(self, name: str, test: Any, *, promise: str = "", within: float = SAFE) -> Object:
        """Waits until a request passes a test."""
        return await self.platform.wait(
            api_of(promise or self.name), name, test, namespace=self.namespace, within=within
        )

    async def promise(self, test: Any, *, name: str = "", within: float = SAFE) -> Object:
        """Waits until the Promise passes a test."""
        return await self.platform.wait(PROMISE, name or self.name, test, within=within)

    async def placement(self, owner: str) -> Object:
        """The one placement of a request."""
        listing = await self.client.list(WORK_PLACEMENT, self.namespace)
        (found,) = [item for item in listing.items if item["spec"].get("resourceName") == owner]
        return found

    async def placed(self, owner: str, test: Any) -> None:
        """Waits until the placement of a request passes a test."""

        async def look() -> bool:
            live = await self.placement(owner)
            assert test(live), live["status"]
            return True

        await eventually(look, f"the placement of {owner}", within=15)

    async def pause(self, resource: Any, name: str, *, paused: bool = True, namespace: str = "") -> None:
        change = {"metadata": {"labels": {PAUSED: "true" if paused else None}}}
        await self.client.merge_patch(resource, name, change, namespace=namespace)


@pytest.fixture
async def corner(platform: Platform, repository: Repository, unique: str, namespace: str) -> Corner:
    return Corner(platform, repository, unique, namespace)


# ---- Promises and those that require them


async def test_a_promise_that_was_there_first_says_who_requires_it_and_who_no_longer_does(corner: Corner) -> None:
    needed = f"{corner.name}n"
    await corner.platform.publish(promise(needed, selectors={"for": corner.name}))
    await corner.platform.publish(promise(corner.name, requiredPromises=[{"name": needed, "version": ""}]))

    def required_by(live: Object) -> list[str]:
        return [entry["promise"]["name"] for entry in live["status"].get("requiredBy") or ()]

    await corner.promise(lambda live: required_by(live) == [corner.name], name=needed)
    await corner.platform.make(PROMISE, promise(corner.name))
    await corner.promise(lambda live: required_by(live) == [], name=needed)
    await corner.platform.make(PROMISE, promise(corner.name, requiredPromises=[{"name": needed}]))
    await corner.promise(lambda live: required_by(live) == [corner.name], name=needed)
    await corner.platform.delete(PROMISE, corner.name)
    await corner.promise(lambda live: required_by(live) == [], name=needed)


async def test_a_promise_refused_for_what_is_outside_of_it_heals_when_that_goes(corner: Corner) -> None:
    made = promise(corner.name)
    first = made["spec"]["api"]["spec"]["versions"]
    first.append({**first[0], "name": "v2", "storage": False})
    await corner.platform.publish(made)
    newer = promise(corner.name)
    newer["spec"]["api"]["spec"]["versions"][0]["name"] = "v2"
    await corner.platform.make(PROMISE, newer)
    assert not available(await corner.promise(says("Ready", "False", "storedVersions")))
    definition = api_of(corner.name).name
    live = await corner.client.get(CUSTOM_RESOURCE_DEFINITION, definition)
    versions = [{**version, "storage": version["name"] == "v2"} for version in live["spec"]["versions"]]
    await corner.client.merge_patch(CUSTOM_RESOURCE_DEFINITION, definition, {"spec": {"versions": versions}})
    await corner.client.merge_patch(
        CUSTOM_RESOURCE_DEFINITION, definition, {"status": {"storedVersions": ["v2"]}}, subresource="status"
    )
    await corner.promise(available, within=10)
    live = await corner.client.get(CUSTOM_RESOURCE_DEFINITION, definition)
    assert [version["name"] for version in live["spec"]["versions"]] == ["v2"]


async def test_a_promise_whose_api_is_a_strangers_takes_it_when_the_stranger_has_gone(corner: Corner) -> None:
    made = promise(corner.name)
    theirs = made["spec"]["api"]
    await corner.platform.make(CUSTOM_RESOURCE_DEFINITION, theirs)
    await corner.platform.make(PROMISE, made)
    await corner.promise(says("Ready", "False", "Troth did not make it"))
    await corner.platform.delete(CUSTOM_RESOURCE_DEFINITION, theirs["metadata"]["name"])
    await corner.promise(available, within=40)  # nobody tells of definitions that are not ours: Troth tries again
    live = await corner.client.get(CUSTOM_RESOURCE_DEFINITION, theirs["metadata"]["name"])
    assert live["metadata"]["labels"]["kratix.io/promise-name"] == corner.name


# ---- requests of a Promise that cannot fulfil them


async def test_an_edit_that_meets_an_invalid_promise_waits_and_says_so_and_others_stay_ready(
    corner: Corner,
) -> None:
    await corner.platform.publish(promise(corner.name))
    for name in ("edited", "left"):
        await corner.platform.ask(corner.name, name, corner.namespace, size="small")
        await corner.platform.ready(corner.name, name, corner.namespace)
    await corner.platform.make(PROMISE, promise(corner.name, template="a: {{ spec.size | nosuchfilter }}\n"))
    await corner.promise(says("Ready", "False", reason="InvalidPromise"))
    await corner.platform.ask(corner.name, "edited", corner.namespace, size="large")
    await corner.platform.ask(corner.name, "new", corner.namespace, size="large")
    cause = (f"the Promise {corner.name} cannot fulfil requests", "nosuchfilter")
    stays = "what was written before it stays"
    live = await corner.request("edited", says("Ready", "False", stays, *cause, reason="PromiseUnavailable"))
    assert all(word in live["status"]["message"] for word in cause)
    assert condition(live, "Reconciled")["status"] == "Unknown"
    live = await corner.request("new", says("Ready", "False", cause[0][1:], cause[1], reason="PromiseUnavailable"))
    assert "Requirements" not in condition(live, "Ready")["message"]
    left = await corner.request("left", says("PromiseAvailable", "False"))
    assert is_ready(left)
    await corner.platform.make(PROMISE, promise(corner.name))
    for name in ("edited", "left", "new"):
        await corner.platform.ready(corner.name, name, corner.namespace)
    assert any("large" in text for text in (await all_files(corner.repository)).values())


async def test_a_required_promise_that_goes_takes_nothing_from_requests_that_were_carried_out(
    corner: Corner,
) -> None:
    needed = f"{corner.name}n"
    await corner.platform.publish(promise(needed, selectors={"for": corner.name}))
    await corner.platform.publish(promise(corner.name, requiredPromises=[{"name": needed}]))
    await corner.platform.ask(corner.name, "before", corner.namespace)
    await corner.platform.ready(corner.name, "before", corner.namespace)
    await corner.pause(PROMISE, needed)
    await corner.promise(says("Ready", "False", needed, "Requirement not available"))
    await corner.platform.ask(corner.name, "new", corner.namespace)
    await corner.request(
        "new",
        says("Ready", "False", needed, "Requirement not available", reason="PromiseRequirementsNotInstalled"),
    )
    before = await corner.request("before", says("PromiseAvailable", "False"))
    assert is_ready(before)
    await corner.platform.delete(DESTINATION, corner.name)  # how its files fare is told all the same
    await corner.request("before", says("Ready", "False", corner.name, reason="WorksMisplaced"))
    await corner.pause(PROMISE, needed, paused=False)
    await corner.promise(available)
    await corner.request("new", says("Ready", "False", reason="UnscheduledWorkloads"))


async def test_a_paused_promise_and_its_requests_are_not_ready_and_say_what_to_do(corner: Corner) -> None:
    await corner.platform.publish(promise(corner.name))
    for name in ("orders", "going"):
        await corner.platform.ask(corner.name, name, corner.namespace, size="small")
        await corner.platform.ready(corner.name, name, corner.namespace)
    await corner.pause(PROMISE, corner.name)
    paused = says("Ready", "False", "Paused", f"{PAUSED}=true", reason="PausedReconciliation")
    await corner.promise(paused)
    live = await corner.request("orders", paused)
    assert f"its Promise {corner.name}" in condition(live, "Ready")["message"]
    await corner.platform.ask(corner.name, "new", corner.namespace)
    await corner.request("new", paused)
    await corner.platform.delete(api_of(corner.name), "going", namespace=corner.namespace)
    await corner.request("going", says("Ready", "False", "it is not deleted until the label is removed"))
    await corner.pause(PROMISE, corner.name, paused=False)
    await corner.promise(says("Ready", "True"))
    await corner.platform.ready(corner.name, "orders", corner.namespace)
    await corner.platform.ready(corner.name, "new", corner.namespace)
    await corner.platform.gone(api_of(corner.name), "going", namespace=corner.namespace)
    await corner.pause(api_of(corner.name), "orders", namespace=corner.namespace)
    live = await corner.request("orders", paused)
    assert "its Promise" not in condition(live, "Ready")["message"]
    await corner.pause(api_of(corner.name), "orders", paused=False, namespace=corner.namespace)
    await corner.platform.ready(corner.name, "orders", corner.namespace)


async def test_a_promise_that_is_being_deleted_names_a_request_that_holds_it_up_and_why(corner: Corner) -> None:
    await corner.platform.publish(promise(corner.name))
    await corner.platform.ask(corner.name, "orders", corner.namespace)
    await corner.platform.ready(corner.name, "orders", corner.namespace)
    await corner.pause(api_of(corner.name), "orders", namespace=corner.namespace)
    await corner.platform.delete(PROMISE, corner.name)
    await corner.promise(
        says("Ready", "False", f"{corner.namespace}/orders says: Paused: it has the label {PAUSED}=true")
    )
    await corner.pause(api_of(corner.name), "orders", paused=False, namespace=corner.namespace)
    await corner.platform.gone(PROMISE, corner.name)


async def test_a_promise_that_is_being_deleted_is_not_available(corner: Corner) -> None:
    made = promise(corner.name)
    made["metadata"]["finalizers"] = ["example.com/held"]
    made["spec"]["workflows"]["promise"] = {
        "delete": [
            {
                "apiVersion": "troth.dev/v1alpha1",
                "kind": "JinjaPipeline",
                "metadata": {"name": "farewell"},
                "spec": {"values": {"check": "{{ fail('not on a Friday') }}"}},
            }
        ]
    }
    await corner.platform.publish(made)
    await corner.platform.delete(PROMISE, corner.name)
    live = await corner.promise(says("Ready", "False", "not on a Friday"))
    assert condition(live, "Available")["status"] == "False"
    assert live["status"]["status"] == "Unavailable"
    await corner.platform.ask(corner.name, "late", corner.namespace)
    await corner.request("late", says("Ready", "False", "is being deleted", reason="PromiseUnavailable"))


# ---- stores and Destinations


async def test_a_destination_is_not_ready_while_its_store_refuses_every_write(corner: Corner) -> None:
    await corner.platform.publish(promise(corner.name))
    await corner.platform.wait(DESTINATION, corner.name, says("Ready", "True"))
    lift = refuse_pushes(corner.repository, "frozen until Monday")
    await corner.platform.ask(corner.name, "orders", corner.namespace)
    await corner.platform.wait(GIT_STATE_STORE, corner.name, says("Ready", "False", "frozen until Monday"))
    await corner.platform.wait(
        DESTINATION, corner.name, says("Ready", "False", "frozen until Monday", reason="StateStoreWriteFailed")
    )
    lift()
    await corner.platform.ready(corner.name, "orders", corner.namespace, within=30)
    await corner.platform.wait(DESTINATION, corner.name, says("Ready", "True"))


async def test_files_whose_destination_is_gone_are_not_said_to_be_looked_after(corner: Corner) -> None:
    await corner.platform.publish(promise(corner.name))
    await corner.platform.ask(corner.name, "orders", corner.namespace, size="small")
    await corner.platform.ready(corner.name, "orders", corner.namespace)
    await corner.platform.delete(DESTINATION, corner.name)
    gone = f"Destination {corner.name} does not exist"
    live = await corner.request("orders", says("Ready", "False", gone, reason="WorksMisplaced"))
    message = condition(live, "Ready")["message"]
    assert "labels" not in message
    assert "are kept up to date" not in message
    assert placements(live)[0]["message"] == gone
    await corner.placed("orders", says("Ready", "False", reason="DestinationNotFound"))
    await corner.placed("orders", says("WriteSucceeded", "True"))  # which it did, before
    (work,) = (await corner.client.list(WORK, corner.namespace)).items
    assert says("ScheduleSucceeded", "False", gone, reason="DestinationNotFound")(work)
    await corner.platform.ask(corner.name, "orders", corner.namespace, size="large")
    await corner.request(
        "orders", lambda live: live["status"]["observedGeneration"] == 2 and says("Ready", "False", gone)(live)
    )
    await corner.platform.make(
        DESTINATION, destination(corner.name, store=corner.name, labels={"for": corner.name})
    )
    await corner.platform.ready(corner.name, "orders", corner.namespace)
    await corner.placed("orders", says("Ready", "True"))


async def test_files_whose_store_is_gone_are_not_said_to_be_looked_after(corner: Corner) -> None:
    await corner.platform.publish(promise(corner.name))
    await corner.platform.ask(corner.name, "orders", corner.namespace)
    await corner.platform.ready(corner.name, "orders", corner.namespace)
    held = {"metadata": {"finalizers": ["example.com/held"]}}
    await corner.client.merge_patch(GIT_STATE_STORE, corner.name, held)
    await corner.platform.delete(GIT_STATE_STORE, corner.name)
    deleting = says("Ready", "False", "example.com/held", reason="Deleting")
    await corner.platform.wait(GIT_STATE_STORE, corner.name, deleting)
    await corner.platform.wait(DESTINATION, corner.name, says("Ready", "False", reason="StateStoreNotReady"))
    await corner.client.merge_patch(GIT_STATE_STORE, corner.name, {"metadata": {"finalizers": None}})
    await corner.platform.wait(DESTINATION, corner.name, says("Ready", "False", reason="StateStoreNotFound"))
    gone = f"state store GitStateStore/{corner.name} does not exist"
    await corner.request("orders", says("Ready", "False", gone, reason="WorksFailing"))
    await corner.placed("orders", says("Ready", "False", reason="WorkloadsFailedWrite"))
    await corner.platform.make(GIT_STATE_STORE, git_store(corner.name, str(corner.repository.path)))
    await corner.platform.ready(corner.name, "orders", corner.namespace, within=20)


async def test_a_destination_that_is_being_deleted_says_what_it_waits_for(corner: Corner) -> None:
    await corner.platform.publish(promise(corner.name))
    await corner.platform.ask(corner.name, "orders", corner.namespace)
    await corner.platform.ready(corner.name, "orders", corner.namespace)
    held = {"metadata": {"finalizers": ["example.com/held"]}}
    await corner.client.merge_patch(DESTINATION, corner.name, held)
    await corner.platform.delete(DESTINATION, corner.name)
    await corner.platform.wait(
        DESTINATION, corner.name, says("Ready", "False", "example.com/held", reason="Deleting")
    )
    await corner.client.merge_patch(DESTINATION, corner.name, {"metadata": {"finalizers": None}})
    await corner.platform.gone(DESTINATION, corner.name)
