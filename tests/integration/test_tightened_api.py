"""Requests that no longer fit their tightened API: they can be deleted, or it is said what stands in the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from tests.platforms import Object, Platform, Repository, api_of, condition, events_of, promise
from tests.waiting import eventually
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, PROMISE
from troth.dev import CommandResult
from troth.kube import Invalid

pytestmark = pytest.mark.integration

Kubectl = Callable[..., Awaitable[CommandResult]]

RULE = {"x-kubernetes-validations": [{"rule": "has(self.spec)", "message": "say what it is for"}]}
OLD = {"type": "string", "x-kubernetes-validations": [{"rule": "self != oldSelf", "message": "choose another"}]}
REQUIRED: Mapping[str, Any] = {"required": ["spec"]}


def tightened(
    name: str, root: Mapping[str, Any] | None = None, spec: Mapping[str, Any] | None = None, **options: Any
) -> Object:
    """A Promise whose API has more at its root, or in its spec."""
    fields = {"type": "object", "properties": {"size": {"type": "string"}}, **(spec or {})}
    obj = promise(name, template="kind: Thing\nname: {{ name }}\n", spec_schema=fields, **options)
    obj["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"] |= root or {}
    return obj


async def ask(platform: Platform, name: str, namespace: str, *, spec: Mapping[str, Any] | None = None) -> None:
    """A request, Ready, before the API is tightened."""
    resource = api_of(name)
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": "early", "namespace": namespace},
        **({"spec": dict(spec)} if spec else {}),
    }
    await platform.make(resource, body)
    await platform.ready(name, "early", namespace)


async def tighten(platform: Platform, obj: Object, namespace: str) -> None:
    """Applies the Promise and waits until the API server refuses every write of the early request."""
    await platform.publish(obj)
    resource = api_of(obj["metadata"]["name"])
    label = {"metadata": {"labels": {"a": "b"}}}

    async def refused() -> bool:
        try:
            await platform.client.merge_patch(resource, "early", label, namespace=namespace, dry_run=True)
        except Invalid:
            return True
        return False

    await eventually(refused, "the API server refuses what no longer fits")


CASES = pytest.mark.parametrize(
    ("root", "spec", "asked"),
    [
        (REQUIRED, {}, None),
        (RULE, {}, None),
        ({}, {"properties": {"size": OLD}}, {"size": "small"}),
    ],
    ids=["required", "rule", "rule-of-a-change"],
)


@CASES
async def test_a_promise_can_be_deleted_whatever_its_requests_no_longer_fit(
    platform: Platform,
    repository: Repository,
    namespace: str,
    unique: str,
    root: Mapping[str, Any],
    spec: Mapping[str, Any],
    asked: Mapping[str, Any] | None,
) -> None:
    await platform.publish(tightened(unique))
    await ask(platform, unique, namespace, spec=asked)
    await tighten(platform, tightened(unique, root, spec), namespace)
    await platform.delete(PROMISE, unique)
    await platform.gone(PROMISE, unique, within=30)
    await platform.gone(CUSTOM_RESOURCE_DEFINITION, api_of(unique).name)


async def test_a_promise_takes_a_request_with_it_that_was_held_before(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.publish(tightened(unique))
    await ask(platform, unique, namespace)
    await tighten(platform, tightened(unique, RULE), namespace)
    live = await platform.client.get(api_of(unique), "early", namespace)
    await platform.delete(api_of(unique), "early", namespace=namespace)
    assert await _noted(platform, live, "DeletionRefused", "say what it is for")
    await platform.delete(PROMISE, unique)
    await platform.gone(PROMISE, unique, within=30)


async def test_a_definition_that_somebody_deletes_goes_whatever_its_requests_no_longer_fit(
    platform: Platform, repository: Repository, namespace: str, unique: str, kubectl: Kubectl
) -> None:
    await platform.publish(tightened(unique))
    await ask(platform, unique, namespace)
    await tighten(platform, tightened(unique, REQUIRED), namespace)
    before = await platform.client.get(CUSTOM_RESOURCE_DEFINITION, api_of(unique).name)
    await kubectl("delete", "crd", api_of(unique).name, "--wait=false")

    def anew(live: Object) -> bool:
        return bool(live["metadata"]["uid"] != before["metadata"]["uid"])

    live = await platform.wait(CUSTOM_RESOURCE_DEFINITION, api_of(unique).name, anew, within=30)
    assert live["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["required"] == ["spec"]


async def test_a_request_that_cannot_go_says_why_and_goes_once_it_fits(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.publish(tightened(unique))
    await ask(platform, unique, namespace)
    await tighten(platform, tightened(unique, REQUIRED), namespace)
    resource = api_of(unique)
    await platform.delete(resource, "early", namespace=namespace)

    def held(live: Object) -> bool:
        return "does not let the operator" in condition(live, "Ready").get("message", "")

    live = await platform.wait(resource, "early", held, namespace=namespace)
    ready = condition(live, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Deleting")
    assert "spec: Required value" in ready["message"]
    assert f"the API of the Promise {unique}" in ready["message"]
    assert await _noted(platform, live, "DeletionRefused", "spec: Required value")
    fits = {"spec": {"size": "small"}}
    await platform.client.merge_patch(resource, "early", fits, namespace=namespace)
    await platform.gone(resource, "early", namespace=namespace)


async def test_a_request_whose_status_is_refused_as_well_says_so_by_an_event_and_goes_once_its_api_allows_it(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.publish(tightened(unique))
    await ask(platform, unique, namespace)
    await tighten(platform, tightened(unique, RULE), namespace)
    resource = api_of(unique)
    live = await platform.client.get(resource, "early", namespace)
    await platform.delete(resource, "early", namespace=namespace)
    assert await _noted(platform, live, "DeletionRefused", "say what it is for")
    await platform.publish(tightened(unique))
    await platform.gone(resource, "early", namespace=namespace, within=20)


async def test_a_promise_names_the_requests_that_no_longer_fit_until_they_do(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.publish(tightened(unique))
    for name, size in (("r1", "huge"), ("r2", "small"), ("r3", "huge"), ("r4", "huge"), ("r5", "huge")):
        await platform.ask(unique, name, namespace, size=size)
        await platform.ready(unique, name, namespace)
    limit = {"properties": {"size": {"type": "string", "enum": ["small"]}}}
    await platform.publish(tightened(unique, spec=limit))

    def says(number: str) -> Callable[[Object], bool]:
        return lambda live: condition(live, "RequestsFit").get("message", "").startswith(number)

    live = await platform.wait(PROMISE, unique, says("4 requests do not fit the API: "))
    told = condition(live, "RequestsFit")
    assert (told["status"], told["reason"]) == ("False", "RequestsDoNotFit")
    for name in ("r1", "r3", "r4"):
        assert f'{namespace}/{name} (spec.size: Unsupported value: "huge"' in told["message"]
    assert "and 1 more" in told["message"]
    assert condition(live, "Ready")["status"] == "True"
    resource = api_of(unique)
    await platform.client.merge_patch(resource, "r1", {"spec": {"size": "small"}}, namespace=namespace)
    await platform.delete(resource, "r3", namespace=namespace)
    await platform.wait(PROMISE, unique, says("2 requests do not fit the API: "))
    await platform.publish(tightened(unique))
    await platform.wait(PROMISE, unique, lambda live: not condition(live, "RequestsFit"))


async def test_a_promise_says_which_requests_cannot_even_be_deleted(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.publish(tightened(unique))
    await ask(platform, unique, namespace)
    await tighten(platform, tightened(unique, RULE), namespace)

    def told(live: Object) -> bool:
        return "nobody can delete it" in condition(live, "RequestsFit").get("message", "")

    await platform.wait(PROMISE, unique, told)
    await platform.delete(PROMISE, unique)
    await platform.gone(PROMISE, unique, within=30)


async def _noted(platform: Platform, live: Object, reason: str, words: str) -> bool:
    """Waits for an Event."""

    async def told() -> bool:
        events = await events_of(platform.client, live)
        return any(event["reason"] == reason and words in event["note"] for event in events)

    await eventually(told, f"an Event {reason} says {words!r}")
    return True
