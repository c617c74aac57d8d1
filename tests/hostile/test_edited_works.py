"""Somebody with rights on Works and WorkPlacements in one namespace edits those of the operator, their status included.

Nothing of it reaches a store, nothing of anybody else is removed, and what was edited becomes again what it was. What
they make by hand is in test_forged_works.py.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest

from tests.forging import ALL, EVIL, MARK, OURS, Corner, Object
from tests.platforms import (
    DEFAULT_TEMPLATE,
    Repository,
    all_files,
    api_of,
    condition,
    is_ready,
    promise,
)
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import DESTINATION, WORK, WORK_PLACEMENT
from troth.dev.git_server import git
from troth.engine.placement.seals import PLACEMENT_LABELS, WORK_LABELS
from troth.engine.placement.work import encode_content
from troth.kube import ApiError


def told(live: Mapping[str, Any]) -> Object:
    """What an object of the operator's says, without times and what counts its writes."""
    status = live.get("status") or {}
    ours = status.get("troth") or {}
    said = {(item["type"], item["status"], item.get("reason")) for item in status.get("conditions") or ()}
    said = {item for item in said if item[0] != "FilesRestored"}
    labels = live["metadata"].get("labels") or {}
    matter = WORK_LABELS if live["kind"] == WORK.kind else PLACEMENT_LABELS
    return {
        "labels": {name: value for name, value in labels.items() if name in matter},
        "finalizers": sorted(live["metadata"].get("finalizers") or ()),
        "spec": {name: value for name, value in live["spec"].items() if name != "generation"},
        "conditions": said,
        "location": ours.get("location"),
        "alsoIn": ours.get("alsoIn"),
    }


# ---- edits of what is genuine


async def test_an_edit_of_a_genuine_work_or_placement_never_reaches_a_store(corner: Corner) -> None:
    await corner.ask("orders", size="small")
    elsewhere = await corner.place(f"{corner.name}-elsewhere")
    files = await all_files(corner.repository)
    content = encode_content(EVIL.encode())
    was = {resource: await corner.of("orders", resource) for resource in (WORK, WORK_PLACEMENT)}
    group = was[WORK]["spec"]["workloadGroups"][0]
    evil = [{"filepath": "object.yaml", "content": content}]
    escape = [{"filepath": f"../../{MARK}/{MARK}.yaml", "content": content}]
    elsewhere_labels = [{"matchLabels": {"for": f"{corner.name}-elsewhere"}, "source": "promise"}]
    edits: list[tuple[Resource, Object]] = [
        (WORK, {"workloadGroups": [{**group, "workloads": evil}]}),
        (WORK, {"workloadGroups": [group, {**group, "id": "77aa00", "directory": "x", "workloads": evil}]}),
        (WORK, {"workloadGroups": [{**group, "destinationSelectors": elsewhere_labels}]}),
        (WORK, {"workloadGroups": []}),
        (WORK_PLACEMENT, {"workloads": evil}),
        (WORK_PLACEMENT, {"workloads": escape}),
        (WORK_PLACEMENT, {"targetDestinationName": f"{corner.name}-elsewhere"}),
        (WORK_PLACEMENT, {"targetDestinationName": f"{corner.name}-elsewhere", "workloads": evil}),
        (WORK_PLACEMENT, {"resourceName": MARK}),
        (WORK_PLACEMENT, {"id": "77aa00", "workloads": evil}),
    ]
    for _ in range(3):  # several at once, and before what came before is put right
        for resource, spec in edits:
            await corner.edit(resource, was[resource]["metadata"]["name"], {"spec": spec})

    async def healed() -> bool:
        for resource, before in was.items():
            assert told(await corner.of("orders", resource)) == told(before)
        return await all_files(corner.repository) == files

    await eventually(healed, "everything is as it was", within=15, every=0.1)
    corner.nothing_was_written()
    corner.nothing_was_written(elsewhere)
    history = git(elsewhere.path, "log", "--all", "-p").decode()
    assert "small" not in history, "what was rendered for one place was written to another"


ORDERS: Mapping[str, tuple[Resource, Object]] = {
    "retired": (WORK, {"labels": {"troth.dev/retired": "true"}}),
    "dry-run": (WORK, {"labels": {"kratix.io/dry-run": "true"}}),
    "work-type": (WORK, {"labels": {"kratix.io/work-type": "promise"}}),
    "moved": (WORK, {"annotations": {"troth.dev/moved": '[["ConfigMap","another","orders"]]'}}),
    "seal": (WORK, {"annotations": {"troth.dev/seal": None}}),
    "misplaced": (WORK_PLACEMENT, {"labels": {"kratix.io/misplaced": "true"}}),
    "asked-for": (WORK_PLACEMENT, {"annotations": {"troth.dev/asked-for": "environment=prod"}}),
    "namespace": (WORK_PLACEMENT, {"labels": {"kratix.io/resource-namespace": "kube-system"}}),
    "placement-seal": (WORK_PLACEMENT, {"annotations": {"troth.dev/seal": None}}),
}


async def test_labels_and_annotations_that_order_are_believed_only_of_the_operator(corner: Corner) -> None:
    await corner.ask(*ORDERS, size="small")
    files = await all_files(corner.repository)
    head = await asyncio.to_thread(corner.repository.head)
    was = {name: await corner.of(name, resource) for name, (resource, _) in ORDERS.items()}
    for name, (resource, metadata) in ORDERS.items():
        await corner.edit(resource, was[name]["metadata"]["name"], {"metadata": metadata})

    async def healed() -> bool:
        for name, (resource, _) in ORDERS.items():
            now = await corner.of(name, resource)
            assert told(now) == told(was[name]), name
            assert now["metadata"].get("annotations") == was[name]["metadata"].get("annotations"), name
        return True

    await eventually(healed, "everything is as it was", within=15, every=0.1)
    assert await all_files(corner.repository) == files
    assert await asyncio.to_thread(corner.repository.head) == head, "nothing was written for it"
    for name in ORDERS:
        assert is_ready(await corner.request(name))


# ---- what a status says


async def test_forged_places_remove_nothing(corner: Corner) -> None:
    await corner.ask("orders", "users", size="small")
    others = {"README.md": "read me", "clusters/flux-system/gotk-sync.yaml": "kind: GitRepository"}
    await asyncio.to_thread(push, corner.repository, others)
    users = await corner.of("users", WORK_PLACEMENT)
    live = await corner.of("orders", WORK_PLACEMENT)
    true = live["status"]["troth"]["location"]
    forged = [
        {**true, "directory": "clusters/flux-system"},
        {**true, "directory": users["status"]["troth"]["location"]["directory"]},
        {"store": true["store"], "address": true["address"], "aggregate": "README.md"},
        {"store": true["store"], "aggregate": "README.md"},
        {"store": true["store"], "address": true["address"], "stateFile": "README.md"},
        {**true, "directory": "."},
    ]
    name = live["metadata"]["name"]

    async def stays() -> None:
        files = await all_files(corner.repository)
        assert files.items() >= others.items()
        assert any("name: users" in text for text in files.values())

    for status in (
        {"troth": {"alsoIn": forged}},
        {"troth": {"location": forged[0], "alsoIn": forged[1:]}},
        {"troth": {"location": forged[2], "alsoIn": None}, "versionID": "0" * 40},
    ):
        await corner.edit(WORK_PLACEMENT, name, {"status": status}, subresource="status")

        async def healed() -> bool:
            now = (await corner.of("orders", WORK_PLACEMENT))["status"]["troth"]
            return now.get("location") == true and "alsoIn" not in now

        await eventually(healed, "the status says again where the files are")
        await stays()
    # While it moves, and while it goes, what a status says would be carried out.
    await corner.edit(WORK_PLACEMENT, name, {"status": {"troth": {"alsoIn": forged}}}, subresource="status")
    await corner.client.merge_patch(DESTINATION, corner.name, {"spec": {"path": f"{corner.name}-moved"}})

    async def moved() -> bool:
        now = (await corner.of("orders", WORK_PLACEMENT))["status"]["troth"]
        return now["location"]["directory"].startswith(f"{corner.name}-moved/") and "alsoIn" not in now

    await eventually(moved, "the files are at the new place")
    await stays()
    await corner.edit(WORK_PLACEMENT, name, {"status": {"troth": {"alsoIn": forged}}}, subresource="status")
    await corner.client.delete(api_of(corner.name), "orders", corner.name)
    await corner.platform.gone(api_of(corner.name), "orders", namespace=corner.name)
    await stays()


def push(repository: Repository, files: Mapping[str, str]) -> None:
    """Somebody else adds files."""
    work = repository.path.with_suffix(".work")
    git(repository.path, "clone", "-q", str(repository.path), str(work))
    for path, text in files.items():
        target = work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    git(work, "add", "-A")
    git(work, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "by hand")
    git(work, "push", "-q", "origin", "HEAD:main")


async def test_no_status_makes_a_request_ready_of_which_nothing_is_written(corner: Corner) -> None:
    name, client = corner.name, corner.client
    await corner.ask()
    away = corner.repository.path.rename(corner.repository.path.with_suffix(".away"))
    await client.merge_patch(DESTINATION, name, {"metadata": {"labels": {"also": "nowhere"}}})
    await corner.platform.ask(name, "orders", name)
    pipeline = {"destinationSelectors": [{"matchLabels": {"for": "nobody"}}]}
    nowhere = f"{name}x"
    await corner.platform.publish({**promise(nowhere), "spec": {**promise(nowhere)["spec"], **pipeline}})
    await corner.platform.ask(nowhere, "nowhere", name)

    async def made() -> tuple[Object, Object]:
        return await corner.of("orders", WORK_PLACEMENT), await corner.of("nowhere", WORK)

    async def lies() -> bool:
        placement, work = await made()
        now = "2026-01-01T00:00:00Z"
        true = [
            {"type": kind, "status": "True", "reason": "Lie", "message": "it is", "lastTransitionTime": now}
            for kind in ("Ready", "WriteSucceeded", "ScheduleSucceeded")
        ]
        for live, resource in ((placement, WORK_PLACEMENT), (work, WORK)):
            generation = live["metadata"]["generation"]
            status = {
                "conditions": true,
                "observedGeneration": generation,
                "versionID": "1" * 40,
                "troth": {
                    "observedGeneration": generation,
                    "unscheduled": None,
                    "seal": f"{generation}/AAAA",
                    "location": {"store": {"kind": "GitStateStore", "name": name}, "directory": "x"},
                },
            }
            status = status if resource is WORK_PLACEMENT else {**status, "versionID": None}
            await corner.edit(resource, live["metadata"]["name"], {"status": status}, subresource="status")
        return True

    await eventually(lies, "the objects are there")
    loop = asyncio.get_running_loop()
    until = loop.time() + 4
    while loop.time() < until:
        for resource, request in ((api_of(name), "orders"), (api_of(nowhere), "nowhere")):
            live = await client.get(resource, request, name)
            assert condition(live, "Ready").get("status") != "True", live["status"]
            assert "1" * 40 not in str(live.get("status"))
        await asyncio.sleep(0.05)

    async def healed() -> bool:
        placement, work = await made()
        return all(condition(live, "Ready").get("status") == "False" for live in (placement, work))

    await eventually(healed, "they say again what is true", within=15)
    await client.merge_patch(DESTINATION, name, {"metadata": {"labels": {"also": None}}})
    away.rename(corner.repository.path)
    await corner.platform.ready(name, "orders", name)


# ---- anything at all


def mutations(generator: random.Random, live: Mapping[str, Any]) -> Object:
    """A random edit of an object: of a label, an annotation, a finalizer, any field of its spec or of its status."""
    value = generator.choice([None, MARK, f"{MARK}/x", "true", ""])
    labels = [
        *(live["metadata"].get("labels") or ()),
        "troth.dev/retired",
        "kratix.io/dry-run",
        "kratix.io/misplaced",
    ]
    annotations = ["troth.dev/seal", "troth.dev/moved", "troth.dev/asked-for"]
    content = encode_content(EVIL.encode())
    evil: list[Object] = [
        {"filepath": generator.choice(["object.yaml", f"{MARK}.yaml", "../x"]), "content": content}
    ]
    match generator.randrange(6):
        case 0:
            return {"metadata": {"labels": {generator.choice(labels): None if value is None else MARK}}}
        case 1:
            return {"metadata": {"annotations": {generator.choice(annotations): value}}}
        case 2:
            return {"metadata": {"finalizers": generator.choice([None, ["example.com/hold"]])}}
        case 3:
            field = generator.choice([name for name in live["spec"] if name != "generation"])
            if field == "workloadGroups":
                return {"spec": {field: [{"id": ALL, "directory": ".", "workloads": evil}]}}
            return {"spec": {field: evil if field == "workloads" else f"{MARK}"}}
        case 4:
            place = {
                "store": {"kind": "GitStateStore", "name": live["metadata"]["namespace"]},
                "aggregate": "README.md",
            }
            forged = {
                "location": place,
                "alsoIn": [place],
                "seal": "1/x",
                "unscheduled": [],
                "observedGeneration": 1,
            }
            key = generator.choice(list(forged))
            return {"status": {"troth": {key: forged[key]}}}
        case _:
            key = generator.choice(["versionID", "conditions", "troth"])
            return {"status": {key: {"versionID": "2" * 40}.get(key)}}


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_walk_through_random_edits_gets_a_byte_into_a_store_and_the_world_heals(
    corner: Corner, seed: int
) -> None:
    await corner.ask("orders", "users", size="small")
    await asyncio.to_thread(push, corner.repository, {"README.md": "read me"})
    generator = random.Random(seed)
    files = await all_files(corner.repository)
    was = {(name, resource): await corner.of(name, resource) for name in ("orders", "users") for resource in OURS}
    for _ in range(120):
        resource = generator.choice([WORK, WORK_PLACEMENT])
        live = was["orders", resource]
        name = live["metadata"]["name"]
        patch = mutations(generator, live)
        subresource = "status" if "status" in patch else ""
        try:
            await corner.edit(resource, name, patch, subresource=subresource)
            if generator.random() < 0.03:
                await corner.client.delete(resource, name, corner.name)
        except ApiError:  # it is not there just now, or the schema does not take it
            continue
    for resource in (WORK_PLACEMENT, WORK):  # whoever holds names with a finalizer of their own lets go at last

        async def let_go(resource: Resource = resource) -> bool:
            try:
                live = await corner.client.get(resource, was["orders", resource]["metadata"]["name"], corner.name)
            except ApiError:
                return True
            found = live["metadata"].get("finalizers") or []
            if "example.com/hold" in found:
                kept = [name for name in found if name != "example.com/hold"]
                await corner.edit(resource, live["metadata"]["name"], {"metadata": {"finalizers": kept}})
            return "example.com/hold" not in found

        await eventually(let_go, "no foreign finalizer is left")

    async def healed() -> bool:
        for (name, resource), before in was.items():
            found = [
                item
                for item in (await corner.client.list(resource, corner.name)).items
                if item["metadata"]["name"] == before["metadata"]["name"]
            ]
            assert found, (name, resource.kind)
            assert told(found[0]) == told(before), (name, resource.kind)
        assert is_ready(await corner.request("orders"))
        return await all_files(corner.repository) == files

    await eventually(healed, "everything is as it was", within=30, every=0.2)
    corner.nothing_was_written()
    await corner.client.delete(api_of(corner.name), "orders", corner.name)
    await corner.platform.gone(api_of(corner.name), "orders", namespace=corner.name)
    left = await all_files(corner.repository)
    assert left["README.md"] == "read me"
    assert not any("name: orders" in text for text in left.values())
    assert any("name: users" in text for text in left.values())


async def test_an_edited_placement_takes_nothing_out_of_the_file_that_it_shares(corner: Corner) -> None:
    name = f"{corner.name}a"
    repository = await corner.place(name, filepath={"mode": "aggregatedYAML"})
    await corner.platform.publish(promise(name, template=DEFAULT_TEMPLATE))
    for request in ("orders", "users"):
        await corner.platform.ask(name, request, corner.name, size="small")
        await corner.platform.ready(name, request, corner.name)
    live = await corner.of("orders", WORK_PLACEMENT)
    work = await corner.of("orders", WORK)
    evil = [{"filepath": "object.yaml", "content": encode_content(EVIL.encode())}]
    for size in range(5):
        await corner.edit(WORK, work["metadata"]["name"], {"metadata": {"labels": {"kratix.io/dry-run": "true"}}})
        await corner.edit(WORK_PLACEMENT, live["metadata"]["name"], {"spec": {"workloads": evil}})
        await corner.platform.ask(name, "users", corner.name, size=f"size-{size}")
        await corner.platform.ready(name, "users", corner.name)
    commits = await asyncio.to_thread(repository.commits)
    texts = [git(repository.path, "show", f"{commit}:{name}/aggregated.yaml").decode() for commit in commits[:5]]
    assert all("name: orders" in text for text in texts)
    corner.nothing_was_written(repository)
