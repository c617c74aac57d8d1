"""The one file that many placements share: nobody who edits or forges a placement keeps others' objects in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.test_lost_key import are_sealed, lose_everything, platform, start
from tests.idleness import idle
from tests.operators import OperatorProcess
from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    destination,
    events_of,
    git_store,
    promise,
)
from tests.waiting import eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE, NAMESPACE, WORK, WORK_PLACEMENT
from troth.kube import Client

__all__ = ["platform", "start"]


async def in_file(repository: Repository) -> set[str]:
    """The requests of which there is an object in the one file."""
    files = await all_files(repository)
    text = next((text for path, text in files.items() if path.endswith("aggregated.yaml")), "")
    return {line.removeprefix("  name: ") for line in text.splitlines() if line.startswith("  name: ")}


async def becomes(repository: Repository, wanted: set[str]) -> None:
    async def is_so() -> bool:
        return await in_file(repository) == wanted

    await eventually(is_so, f"the file has {wanted}", within=20)


async def edit(client: Client, resource: Any, request: str, where: str) -> None:
    """Breaks the seal of what was made for a request."""
    (live,) = [
        item for item in (await client.list(resource, where)).items if item["spec"].get("resourceName") == request
    ]
    patch = {"spec": {"promiseName": "x"}} if resource is WORK else {"spec": {"resourceName": "x"}}
    await client.merge_patch(resource, live["metadata"]["name"], patch, namespace=where, field_manager="somebody")


async def test_neither_an_edited_nor_a_forged_placement_keeps_others_objects_in_the_file(
    start: Callable[[], OperatorProcess], platform: Platform, unique: str, namespace: str, tmp_path: Path
) -> None:
    client, tenant = platform.client, f"{unique}-tenant"
    running = await asyncio.to_thread(start)
    repository = Repository(tmp_path / "r.git")
    await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": tenant}})
    try:
        await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
        one = destination(unique, store=unique, labels={"for": unique}, filepath={"mode": "aggregatedYAML"})
        await platform.make(DESTINATION, one)
        await platform.publish(promise(unique))
        asked = {"mine": tenant, "a": namespace, "b": namespace, "c": namespace}
        for name, where in asked.items():
            await platform.ask(unique, name, where, size="small")
        for name, where in asked.items():
            await platform.ready(unique, name, where)
        await idle(running)
        await asyncio.to_thread(running.terminate)
        forged = {
            "apiVersion": WORK_PLACEMENT.api_version,
            "kind": "WorkPlacement",
            "metadata": {
                "name": "x",
                "namespace": tenant,
                "labels": {"kratix.io/targetDestinationName": unique},
            },
            "spec": {"targetDestinationName": unique, "id": "x", "workloads": []},
        }
        await client.create(WORK_PLACEMENT, forged, field_manager="somebody")
        await asyncio.sleep(1.1)  # the API server's times have whole seconds, and it was made before the key
        await lose_everything(client, namespace)
        running = await asyncio.to_thread(start)

        async def sealed() -> bool:
            return await are_sealed(client, namespace)

        await eventually(sealed, "everything is sealed anew", within=30, every=0.1)
        await platform.delete(api_of(unique), "a", namespace=namespace)
        await becomes(repository, {"mine", "b", "c"})
        # Somebody edits their own, which nobody puts right as long as their request is paused.
        await platform.ready(unique, "mine", tenant)
        await idle(running)
        paused = {"metadata": {"labels": {"kratix.io/paused": "true"}}}
        await client.merge_patch(api_of(unique), "mine", paused, namespace=tenant)
        await idle(running)
        for resource in (WORK, WORK_PLACEMENT):
            await edit(client, resource, "mine", tenant)
        await platform.delete(api_of(unique), "b", namespace=namespace)
        await becomes(repository, {"mine", "c"})
        await platform.delete(api_of(unique), "c", namespace=namespace)
        await becomes(repository, {"mine"})
        live = await client.get(DESTINATION, unique)

        async def told() -> bool:
            return any(event["reason"] == "UnsealedPlacements" for event in await events_of(client, live))

        await eventually(told, "an Event says why something stays")
        await client.delete(WORK_PLACEMENT, "x", tenant)
        await client.merge_patch(
            api_of(unique), "mine", {"metadata": {"labels": {"kratix.io/paused": None}}}, namespace=tenant
        )
        await platform.delete(api_of(unique), "mine", namespace=tenant)
        await becomes(repository, set())
    finally:
        await asyncio.to_thread(running.terminate)
        await client.delete(NAMESPACE, tenant)
