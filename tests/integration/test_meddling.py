"""Somebody edits by hand what the operator keeps: it says again what it said, and the files stay where they belong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.platforms import Platform, Repository, all_files, api_of, condition, is_ready, placements, promise
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, DESTINATION, PROMISE, WORK, WORK_PLACEMENT
from troth.kube import Client, NotFound

Object = Mapping[str, Any]


def label(name: str) -> Callable[[Object], Object]:
    """Takes a label away."""
    return lambda live: {"metadata": {"labels": {name: None}}}


def spec(name: str) -> Callable[[Object], Object]:
    """Writes nonsense into a field of the spec."""
    return lambda live: {"spec": {name: [] if isinstance(live["spec"][name], list) else "broken"}}


def told(live: Object) -> Object:
    """What an object says, without what counts its writes."""
    status = live.get("status") or {}
    conditions = [
        (item["type"], item["status"], item.get("reason"), item.get("message"))
        for item in status.get("conditions") or ()
    ]
    return {
        "labels": live["metadata"].get("labels"),
        "finalizers": sorted(live["metadata"].get("finalizers") or ()),
        "spec": {name: value for name, value in live["spec"].items() if name != "generation"},
        "conditions": sorted(conditions),
        "location": (status.get("troth") or {}).get("location"),
    }


EDITS: Mapping[str, tuple[Resource, Callable[[Object], Object]]] = {
    "work-pipeline": (WORK, label("kratix.io/pipeline-name")),
    "work-promise": (WORK, label("kratix.io/promise-name")),
    "work-request": (WORK, label("kratix.io/resource-name")),
    "work-type": (WORK, label("kratix.io/work-type")),
    "work-promise-spec": (WORK, spec("promiseName")),
    "work-request-spec": (WORK, spec("resourceName")),
    "work-files": (WORK, spec("workloadGroups")),
    "placement-pipeline": (WORK_PLACEMENT, label("kratix.io/pipeline-name")),
    "placement-destination": (WORK_PLACEMENT, label("kratix.io/targetDestinationName")),
    "placement-work": (WORK_PLACEMENT, label("kratix.io/work")),
    "placement-group": (WORK_PLACEMENT, label("kratix.io/workload-group-id")),
    "placement-group-spec": (WORK_PLACEMENT, spec("id")),
    "placement-promise-spec": (WORK_PLACEMENT, spec("promiseName")),
    "placement-request-spec": (WORK_PLACEMENT, spec("resourceName")),
    "placement-destination-spec": (WORK_PLACEMENT, spec("targetDestinationName")),
    "placement-files": (WORK_PLACEMENT, spec("workloads")),
}

SCALE = {"specReplicasPath": ".spec.odd", "statusReplicasPath": ".status.odd"}
THEIRS = {"labels": "x", "annotations": "y"}


@dataclass
class Corner:
    """A Promise with requests that are Ready."""

    platform: Platform
    repository: Repository
    name: str

    async def ask(self, names: Iterable[str]) -> None:
        await self.platform.publish(promise(self.name))
        await asyncio.gather(*(self.platform.ask(self.name, name, self.name, size="small") for name in names))
        for name in names:
            await self.platform.ready(self.name, name, self.name)

    async def of(self, request: str) -> dict[Resource, Object]:
        """A request, its Work and its placement."""
        found: dict[Resource, Object] = {}
        found[api_of(self.name)] = await self.platform.client.get(api_of(self.name), request, self.name)
        for resource in (WORK, WORK_PLACEMENT):
            listing = await self.platform.client.list(resource, self.name)
            (found[resource],) = (item for item in listing.items if item["spec"]["resourceName"] == request)
        return found


@pytest.fixture
async def corner(platform: Platform, repository: Repository, namespace: str, unique: str) -> Corner:
    assert namespace == unique
    return Corner(platform, repository, unique)


async def test_what_somebody_edits_in_works_and_placements_is_put_right(corner: Corner, client: Client) -> None:
    await corner.ask(EDITS)
    files = await all_files(corner.repository)
    before = {name: await corner.of(name) for name in EDITS}
    for name, (resource, meddle) in EDITS.items():
        live = before[name][resource]
        edited = await client.merge_patch(resource, live["metadata"]["name"], meddle(live), namespace=corner.name)
        assert told(edited) != told(live), name

    async def healed() -> bool:
        for name in EDITS:
            for resource, was in before[name].items():
                now = await client.get(resource, was["metadata"]["name"], corner.name)
                assert told(now) == told(was), name
        return await all_files(corner.repository) == files

    await eventually(healed, "everything is as it was", within=20, every=0.3)
    for resource in (WORK, WORK_PLACEMENT):
        assert len((await client.list(resource, corner.name)).items) == len(EDITS)
    for name in EDITS:
        (written,) = placements(await client.get(api_of(corner.name), name, corner.name))
        assert corner.repository.holds(written["version"], f"{written['path']}/object.yaml")
        await client.delete(api_of(corner.name), name, corner.name)

    async def gone() -> bool:
        for resource in (WORK, WORK_PLACEMENT):
            assert not (await client.list(resource, corner.name)).items
        return not [path for path in await all_files(corner.repository) if path.endswith("object.yaml")]

    await eventually(gone, "a deletion leaves nothing behind", within=15, every=0.1)


async def test_a_status_that_somebody_else_writes_is_put_right(corner: Corner, client: Client) -> None:
    await corner.ask(["orders"])
    kept = {resource: live["metadata"]["name"] for resource, live in (await corner.of("orders")).items()}
    kept |= {PROMISE: corner.name, DESTINATION: corner.name}

    async def look() -> dict[Resource, Object]:
        return {
            resource: await client.get(resource, name, corner.name if resource.namespaced else "")
            for resource, name in kept.items()
        }

    async def is_settled() -> dict[Resource, Object]:
        found = await look()
        assert condition(found[PROMISE], "Linted")
        assert all(condition(live, "Ready").get("status") == "True" for live in found.values())
        return found

    before = await eventually(is_settled, "all are Ready")
    lie = {"type": "Ready", "status": "False", "reason": "Lie", "message": "it is not"}
    for lying in (False, True):
        for resource, live in before.items():
            status: Object = {"conditions": [{**lie, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
            if not lying:
                status = dict.fromkeys(live["status"])
            where = corner.name if resource.namespaced else ""
            await client.merge_patch(
                resource, live["metadata"]["name"], {"status": status}, namespace=where, subresource="status"
            )

        async def healed() -> bool:
            for resource, now in (await look()).items():
                assert told(now) == told(before[resource]), resource.kind
            return True

        await eventually(healed, "all say again what is true", within=15, every=0.1)


async def test_a_promise_says_whose_its_definition_is_as_soon_as_somebody_changes_that(
    corner: Corner, client: Client
) -> None:
    await corner.ask(["orders"])
    name = f"{corner.name}s.{corner.name}.example.com"

    async def give(owner: str | None) -> None:
        patch = {"metadata": {"labels": {"kratix.io/promise-name": owner}}}
        await client.merge_patch(CUSTOM_RESOURCE_DEFINITION, name, patch)

    async def says(*words: str) -> None:
        def told(live: Object) -> bool:
            return all(word in condition(live, "Ready").get("message", "") for word in words)

        await corner.platform.wait(PROMISE, corner.name, told)

    await give(None)
    await says("exists, and Troth did not make it", f"label it kratix.io/promise-name={corner.name}")
    await give("another")
    await says("is the API of the Promise another")
    await give(corner.name)
    await says("Ready to fulfil resource requests")
    assert is_ready(await client.get(api_of(corner.name), "orders", corner.name))


async def test_what_somebody_edits_in_a_definition_is_put_right_and_what_they_add_to_it_stays(
    corner: Corner, client: Client
) -> None:
    published = promise(corner.name)
    api = published["spec"]["api"]
    api["metadata"] |= {"labels": {"team": "a"}, "annotations": {"note": "ours"}}
    await corner.platform.publish(published)
    name = api["metadata"]["name"]
    before = await client.get(CUSTOM_RESOURCE_DEFINITION, name)
    (version,) = before["spec"]["versions"]
    column = {"name": "odd", "type": "string", "jsonPath": ".spec.odd"}
    edited = {**version, "additionalPrinterColumns": [column], "selectableFields": None}
    edits = {
        "metadata": {"labels": {"team": "b", "theirs": "x"}, "annotations": {"note": None, "theirs": "y"}},
        "spec": {
            "versions": [{**edited, "subresources": {"status": {}, "scale": SCALE}}],
            "names": {"shortNames": [f"{corner.name}odd"], "categories": ["all"]},
        },
    }
    await client.merge_patch(CUSTOM_RESOURCE_DEFINITION, name, edits, field_manager="somebody")

    async def healed() -> bool:
        live = await client.get(CUSTOM_RESOURCE_DEFINITION, name)
        wanted = {part: {**before["metadata"].get(part, {}), "theirs": text} for part, text in THEIRS.items()}
        return live["spec"] == before["spec"] and all(
            live["metadata"][part] == texts for part, texts in wanted.items()
        )

    await eventually(healed, "the definition is what the Promise says", within=15)


async def test_a_work_and_a_placement_that_are_taken_away_by_force_come_back(
    corner: Corner, client: Client
) -> None:
    await corner.ask(["orders"])
    files = await all_files(corner.repository)
    for resource in (WORK_PLACEMENT, WORK):
        live = (await corner.of("orders"))[resource]
        name, uid = live["metadata"]["name"], live["metadata"]["uid"]
        await client.merge_patch(resource, name, {"metadata": {"finalizers": None}}, namespace=corner.name)
        await client.delete(resource, name, corner.name)

        async def is_back(resource: Resource = resource, name: str = name, uid: str = uid) -> bool:
            try:
                live = await client.get(resource, name, corner.name)
            except NotFound:
                return False
            return bool(live["metadata"]["uid"] != uid and live.get("status"))

        await eventually(is_back, f"the {resource.kind} is back")

    async def restored() -> bool:
        return await all_files(corner.repository) == files

    await eventually(restored, "the files are there")
