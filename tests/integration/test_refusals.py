"""What the API server does not let the operator write is told on the object that waits for it, in plain words."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Awaitable, Callable

from tests.platforms import (
    Object,
    Platform,
    Repository,
    api_of,
    available,
    condition,
    events_of,
    is_ready,
    promise,
    request,
)
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, NAMESPACE, PROMISE, WORK
from troth.dev import ControlPlane
from troth.kube import Client, Forbidden

RESOURCE_QUOTA = Resource("", "v1", "resourcequotas", "ResourceQuota")
_ADMISSION = "admissionregistration.k8s.io"
POLICY = Resource(_ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False)
POLICY_BINDING = Resource(
    _ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", namespaced=False
)


async def allow_none(client: Client, namespace: str, kind: str) -> None:
    """A quota for objects of a kind: none. Its controller, which does not run here, would fill in the status."""
    hard = {f"count/{kind}": "0"}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": hard},
    }
    await client.create(RESOURCE_QUOTA, quota)
    status = {"status": {"hard": hard, "used": hard}}
    await client.merge_patch(RESOURCE_QUOTA, "none", status, namespace=namespace, subresource="status")


async def test_a_request_whose_files_are_too_large_says_so_and_heals_when_they_are_not(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    files = [{"path": f"{number}.txt", "template": "{{ spec.text }}" + str(number)} for number in range(6)]
    await platform.publish(promise(unique, files=files))
    noise = random.Random(1)  # what cannot be compressed
    text = "".join(noise.choices(string.ascii_letters + string.digits, k=400_000))
    await platform.ask(unique, "orders", namespace, text=text)
    live = await platform.wait(
        api_of(unique),
        "orders",
        lambda live: condition(live, "Ready").get("reason") == "WorksRefused",
        namespace=namespace,
    )
    message = condition(live, "Ready")["message"]
    assert "the API server refused what was rendered" in message
    assert "divide it among several pipelines" in message
    assert live["status"]["message"] == message

    async def noted() -> bool:
        return [event["note"] for event in await events_of(platform.client, live)] == [message]

    await eventually(noted, "an Event says the same, once")
    await platform.ask(unique, "orders", namespace, text="short")
    await platform.ready(unique, "orders", namespace)


async def test_a_placement_that_a_quota_refuses_is_told_on_the_request_and_made_when_there_is_room(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.publish(promise(unique))
    await allow_none(platform.client, namespace, "workplacements.platform.kratix.io")
    await platform.ask(unique, "orders", namespace)
    live = await platform.wait(
        api_of(unique),
        "orders",
        lambda live: condition(live, "Ready").get("reason") == "WorksFailing",
        namespace=namespace,
    )
    assert "The API server refused a placement" in condition(live, "Ready")["message"]
    assert "exceeded quota" in condition(live, "Ready")["message"]
    await platform.client.delete(RESOURCE_QUOTA, "none", namespace)
    await platform.wait(api_of(unique), "orders", is_ready, namespace=namespace, within=20)


async def test_a_promise_whose_works_are_refused_says_why_and_heals(
    platform: Platform, repository: Repository, control_plane: ControlPlane, unique: str
) -> None:
    asked = promise(unique)
    workflows = asked["spec"]["workflows"]
    workflows["promise"] = {"configure": workflows["resource"]["configure"]}
    workflows["promise"]["configure"][0]["spec"]["files"] = [{"path": "a.yaml", "template": "kind: A\n"}]
    workflows["config"] = {"pipelineNamespace": unique}
    await platform.make(PROMISE, asked)
    live = await platform.wait(
        PROMISE, unique, lambda live: condition(live, "Ready").get("reason") == "WorksRefused"
    )
    assert f'namespaces "{unique}" not found' in condition(live, "Ready")["message"]
    assert condition(live, "Available")["status"] == "False"
    await platform.client.create(
        NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": unique}}
    )
    try:
        await platform.wait(PROMISE, unique, available, within=20)
        await platform.delete(PROMISE, unique)
        await platform.gone(PROMISE, unique)
    finally:
        await asyncio.to_thread(control_plane.finish_namespace, unique, strip_finalizers=True)


async def refuse(platform: Platform, name: str, rule: Object, expression: str) -> None:
    """A policy that refuses what the expression is false for."""
    policy = {
        "apiVersion": POLICY.api_version,
        "kind": POLICY.kind,
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": expression, "reason": "Forbidden", "message": "ask the platform team"}],
        },
    }
    binding = {
        "apiVersion": POLICY_BINDING.api_version,
        "kind": POLICY_BINDING.kind,
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    await platform.make(POLICY, policy)
    await platform.make(POLICY_BINDING, binding)


async def refused(attempt: Callable[[], Awaitable[object]]) -> None:
    """Waits until the policy is in force."""

    async def in_force() -> bool:
        try:
            await attempt()
        except Forbidden:
            return True
        return False

    await eventually(in_force, "the policy is in force", within=30)


async def test_a_promise_whose_api_a_policy_refuses_says_so_in_its_words_and_heals(
    platform: Platform, repository: Repository, unique: str
) -> None:
    asked = promise(unique)
    name = asked["spec"]["api"]["metadata"]["name"]
    rule = {
        "apiGroups": ["apiextensions.k8s.io"],
        "apiVersions": ["v1"],
        "resources": ["customresourcedefinitions"],
        "operations": ["CREATE"],
    }
    await refuse(platform, unique, rule, f"object.metadata.name != '{name}'")
    definition = asked["spec"]["api"]
    await refused(lambda: platform.client.apply(CUSTOM_RESOURCE_DEFINITION, definition, dry_run=True))
    await platform.make(PROMISE, asked)
    live = await platform.wait(
        PROMISE, unique, lambda live: condition(live, "Ready").get("reason") == "APIRefused"
    )
    assert "the API server refused what its API needs" in live["status"]["message"]
    assert "ask the platform team" in live["status"]["message"]
    await platform.client.delete(POLICY_BINDING, unique)
    await platform.wait(PROMISE, unique, available, within=30)
    # An API that somebody takes away from a Promise that was available, and that may not come back, is missed.
    await refuse(platform, unique, rule, f"!object.metadata.name.endsWith('.{unique}.example.com')")
    names = {"kind": "Probe", "plural": "probes"}
    probe = {
        **definition,
        "metadata": {"name": f"probes.{unique}.example.com"},
        "spec": {**definition["spec"], "names": names},
    }
    await refused(lambda: platform.client.apply(CUSTOM_RESOURCE_DEFINITION, probe, dry_run=True))
    await platform.client.delete(CUSTOM_RESOURCE_DEFINITION, name)
    live = await platform.wait(
        PROMISE, unique, lambda live: condition(live, "Ready").get("reason") == "APIRefused", within=30
    )
    assert condition(live, "Available")["status"] == "False"
    await platform.client.delete(POLICY_BINDING, unique)
    await platform.wait(PROMISE, unique, available, within=30)


async def test_a_request_on_which_no_finalizer_may_be_put_says_so_and_heals(
    platform: Platform, repository: Repository, namespace: str, unique: str
) -> None:
    await platform.publish(promise(unique))
    api = api_of(unique)
    rule = {
        "apiGroups": [api.group],
        "apiVersions": [api.version],
        "resources": [api.plural],
        "operations": ["CREATE", "UPDATE"],
    }
    await refuse(platform, unique, rule, "!has(object.metadata.finalizers)")
    held = request(unique, "other", namespace)
    held["metadata"]["finalizers"] = ["example.com/held"]
    await refused(lambda: platform.client.apply(api, held, dry_run=True))
    await platform.ask(unique, "orders", namespace)
    live = await platform.wait(
        api,
        "orders",
        lambda live: condition(live, "Ready").get("reason") == "FinalizersRefused",
        namespace=namespace,
    )
    assert "ask the platform team" in condition(live, "Ready")["message"]
    assert not live["metadata"].get("finalizers")
    assert (await platform.client.list(WORK, namespace)).items == []
    await platform.client.delete(POLICY_BINDING, unique)
    await platform.ask(unique, "orders", namespace, size="large")
    await platform.wait(api, "orders", is_ready, namespace=namespace, within=30)
