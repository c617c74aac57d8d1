"""What tools made for Kratix look for: events with its reasons, labels, defaults, the messages of commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.platforms import (
    Object,
    Platform,
    Repository,
    api_of,
    condition,
    destination,
    events_of,
    promise,
    request,
)
from tests.waiting import eventually
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, DESTINATION, PROMISE, WORK, WORK_PLACEMENT
from troth.kube import Client


async def told(client: Client, live: Mapping[str, Any], reason: str) -> list[str]:
    """Waits for a Warning with a reason about an object; answers its notes."""

    async def look() -> list[str]:
        events = await events_of(client, live)
        return [event["note"] for event in events if (event["type"], event["reason"]) == ("Warning", reason)]

    return await eventually(look, f"a Warning {reason} on {live['metadata']['name']}")


async def only(client: Client, resource: Any, namespace: str) -> Object:
    (found,) = (await client.list(resource, namespace)).items
    return dict(found)


async def test_a_promise_that_is_no_longer_available_says_so_in_an_event(
    platform: Platform, repository: Repository, unique: str
) -> None:
    required = f"{unique}-required"
    await platform.publish({**promise(required, selectors={"for": unique}), "spec": {"destinationSelectors": []}})
    live = await platform.publish(promise(unique, requiredPromises=[{"name": required}]))
    await platform.delete(PROMISE, required)
    assert await told(platform.client, live, "Unavailable") == [
        "Promise no longer available: Requirements have changed"
    ]


async def test_a_misplaced_placement_and_failing_writes_are_warned_of(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    placement = await only(platform.client, WORK_PLACEMENT, namespace)
    work = await only(platform.client, WORK, namespace)
    await platform.client.merge_patch(DESTINATION, unique, {"metadata": {"labels": {"for": "others"}}})
    (note,) = await told(platform.client, placement, "DestinationSelectorMismatch")
    assert note.startswith(f"labels for destination: {unique} no longer match the expected labels, marking this")
    await platform.client.merge_patch(DESTINATION, unique, {"metadata": {"labels": {"for": unique}}})
    await platform.wait(WORK_PLACEMENT, placement["metadata"]["name"], is_well, namespace=namespace)
    away = repository.path.rename(repository.path.with_suffix(".away"))
    await platform.ask(unique, "orders", namespace, size="large")
    names = placement["metadata"]["name"]
    assert await told(platform.client, work, "WorkplacementsFailing") == [
        f"Workplacements failed to write: [{names}]"
    ]
    away.rename(repository.path)
    await platform.ready(unique, "orders", namespace)


def is_well(live: Mapping[str, Any]) -> bool:
    return condition(live, "Ready").get("status") == "True"


async def test_a_request_has_its_promise_s_label_while_the_promise_is_unavailable(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.make(PROMISE, promise(unique, requiredPromises=[{"name": f"{unique}-required"}]))
    await platform.wait(
        PROMISE, unique, lambda live: condition(live, "Ready").get("reason") == "RequirementsNotFulfilled"
    )
    resource = api_of(unique)

    async def served() -> bool:
        try:
            await platform.make(resource, request(unique, "orders", namespace))
        except Exception:  # noqa: BLE001 - the API is not served yet
            return False
        return True

    await eventually(served, "the API is served")
    live = await platform.wait(
        resource,
        "orders",
        lambda live: (live["metadata"].get("labels") or {}).get("kratix.io/promise-name") == unique,
        namespace=namespace,
    )
    assert not live["metadata"].get("finalizers"), "nothing has been made that must be undone"
    assert (
        condition(
            await platform.wait(resource, "orders", lambda live: condition(live, "Ready"), namespace=namespace),
            "Ready",
        )["status"]
        == "False"
    )


async def test_the_file_of_an_aggregating_destination_is_named_in_the_object_and_its_commits_name_whose_it_is(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    name = f"{unique}-whole"
    await platform.make(
        DESTINATION,
        destination(name, store=unique, labels={"for": name}, filepath={"mode": "aggregatedYAML"}),
    )
    await platform.wait(
        DESTINATION,
        name,
        lambda live: is_well(live) and live["spec"]["filepath"].get("filename") == "aggregated.yaml",
    )
    other = await platform.client.get(DESTINATION, unique)
    assert "filename" not in other["spec"]["filepath"], "as Kratix: only where it means something"
    await platform.publish(promise(unique, selectors={"for": name}))
    subjects = {}
    for request_name in ("orders", "users"):
        await platform.ask(unique, request_name, namespace, size="small")
        await platform.ready(unique, request_name, namespace)
        subjects[request_name] = repository.git("log", "-1", "--format=%s", "main").strip()
    placements = {
        item["spec"]["resourceName"]: item["metadata"]["name"]
        for item in (await platform.client.list(WORK_PLACEMENT, namespace)).items
    }
    assert subjects == {
        request_name: f"Update from: {placements[request_name]}" for request_name in ("orders", "users")
    }


async def test_a_promise_with_a_container_pipeline_is_refused_as_a_whole(
    platform: Platform, repository: Repository, unique: str
) -> None:
    dependency = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    asked = promise(unique, dependencies=[dependency])
    (pipeline,) = asked["spec"]["workflows"]["resource"]["configure"]
    pipeline |= {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "spec": {"containers": [{"name": "a", "image": "registry.example.com/a"}]},
    }
    await platform.make(PROMISE, asked)
    live = await platform.wait(PROMISE, unique, lambda live: condition(live, "Stalled"))
    assert "container pipelines are not supported yet" in condition(live, "Ready")["message"]
    labelled = f"kratix.io/promise-name={unique}"
    for resource in (WORK, CUSTOM_RESOURCE_DEFINITION):
        assert not (await platform.client.list(resource, label_selector=labelled)).items
