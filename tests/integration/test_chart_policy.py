"""What RBAC cannot say of the operator's account is said by the chart's policies, and holds on a real server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.charts import SYSTEM_NAMESPACE, render
from tests.platforms import git_store, promise
from tests.waiting import eventually
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, GIT_STATE_STORE, PROMISE
from troth.dev import CommandResult, ControlPlane
from troth.kube import Client, NotFound

pytestmark = pytest.mark.integration

Object = dict[str, Any]
Kubectl = Callable[..., Awaitable[CommandResult]]
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


def definition(name: str, *, labels: Mapping[str, str] | None = None, group: str = "") -> Object:
    made: Object = promise(name)["spec"]["api"]
    made["metadata"]["labels"] = dict(labels or {})
    if group:
        made["spec"]["group"] = group
        made["metadata"] |= {
            "name": f"{name}s.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        }
    return made


@pytest.fixture
async def account(
    helm: Path, kubectl: Kubectl, control_plane: ControlPlane, client: Client, namespace: str, unique: str
) -> AsyncIterator[Callable[..., Awaitable[CommandResult]]]:
    """kubectl as the operator's account of a release of the chart, with all of its rights and the policies."""
    objects = [
        entry
        for entry in render(helm, release=unique, namespace=namespace)
        if entry["kind"] in (*POLICIES, "ServiceAccount", "ClusterRole", "ClusterRoleBinding")
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    await kubectl("apply", "--server-side", "-f", "-", input=text)

    async def as_operator(*arguments: str, **options: Any) -> CommandResult:
        return await kubectl(
            *arguments, f"--as=system:serviceaccount:{namespace}:{unique}", check=False, **options
        )

    probe = definition(f"{unique}p")

    async def in_force() -> bool:
        done = await as_operator("create", "--dry-run=server", "-f", "-", input=json.dumps(probe))
        return "may only touch" in done.stderr

    await eventually(in_force, "the API server knows the policies", within=30)
    yield as_operator
    await kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", input=text)
    for letter in ("a", "b", "c"):
        for resource, name in (
            (CUSTOM_RESOURCE_DEFINITION, f"{unique}{letter}s.{unique}{letter}.example.com"),
            (PROMISE, f"{unique}{letter}"),
            (GIT_STATE_STORE, f"{unique}{letter}"),
        ):
            try:
                await client.delete(resource, name)
            except NotFound:
                continue


async def test_the_operator_touches_only_definitions_that_are_its_own(
    account: Kubectl, client: Client, unique: str
) -> None:
    foreign = await client.create(CUSTOM_RESOURCE_DEFINITION, definition(f"{unique}a"))
    name = foreign["metadata"]["name"]
    patch = json.dumps({"spec": {"conversion": {"strategy": "None"}}, "metadata": {"annotations": {"x": "y"}}})
    for attack in (
        ("patch", "crd", name, "--type=merge", "-p", patch),
        ("label", "crd", name, f"kratix.io/promise-name={unique}"),
        ("delete", "crd", name),
        ("label", "crd", "promises.platform.kratix.io", "kratix.io/promise-name=x"),
    ):
        done = await account(*attack)
        assert done.code != 0, attack
        assert "may only touch definitions that it made" in done.stderr, attack
    assert (await client.get(CUSTOM_RESOURCE_DEFINITION, name))["metadata"]["uid"] == foreign["metadata"]["uid"]

    own = definition(f"{unique}b", labels={"kratix.io/promise-name": unique})
    for step in (
        ("create", "-f", "-"),
        ("patch", "crd", own["metadata"]["name"], "--type=merge", "-p", patch),
        ("delete", "crd", own["metadata"]["name"]),
    ):
        done = await account(*step, input=json.dumps(own))
        assert done.code == 0, done.stderr

    await client.merge_patch(
        CUSTOM_RESOURCE_DEFINITION, name, {"metadata": {"labels": {"kratix.io/promise-name": unique}}}
    )
    done = await account("patch", "crd", name, "--type=merge", "-p", patch)
    assert done.code == 0, "it was handed over"
    done = await account("delete", "crd", name)
    assert done.code == 0


@pytest.mark.parametrize("group", ["x.k8s.io", "metrics.kubernetes.io", "platform.kratix.io", "sub.troth.dev"])
async def test_no_api_of_a_promise_is_in_a_group_of_somebody_else(
    account: Kubectl, unique: str, group: str
) -> None:
    made = definition(f"{unique}c", labels={"kratix.io/promise-name": unique}, group=group)
    done = await account("create", "--dry-run=server", "-f", "-", input=json.dumps(made))
    assert done.code != 0
    assert "no Promise offers an API in a group" in done.stderr


async def test_the_operator_keeps_finalizers_and_labels_and_changes_no_spec(
    account: Kubectl, client: Client, unique: str
) -> None:
    large = promise(f"{unique}a", files=[{"path": "a.yaml", "template": "x: " + "y" * 900_000}])
    await client.apply(PROMISE, large, field_manager="tests")
    await client.apply(
        GIT_STATE_STORE, git_store(f"{unique}a", "https://git.example.com/x"), field_manager="tests"
    )
    for kind, spec in (
        ("promise", {"destinationSelectors": []}),
        ("gitstatestore", {"url": "https://evil.example.com"}),
    ):
        name = f"{unique}a"
        kept = json.dumps({"metadata": {"finalizers": ["example.com/kept"], "labels": {"a": "b"}}})
        done = await account("patch", kind, name, "--type=merge", "-p", kept)
        assert done.code == 0, done.stderr
        done = await account("patch", kind, name, "--type=merge", "-p", json.dumps({"spec": spec}))
        assert done.code != 0, kind
        assert "may not change its spec" in done.stderr
        status = json.dumps({"status": {"observedGeneration": 1}})
        done = await account("patch", kind, name, "--type=merge", "--subresource=status", "-p", status)
        assert done.code == 0, done.stderr
        resource = PROMISE if kind == "promise" else GIT_STATE_STORE
        await client.merge_patch(resource, name, {"spec": spec})  # anybody else with the right
        await client.merge_patch(resource, name, {"metadata": {"finalizers": None}})


def test_the_policies_are_about_the_account_of_the_release_and_a_switch_leaves_them_out(helm: Path) -> None:
    made = [entry["kind"] for entry in render(helm) if entry["kind"] in POLICIES]
    assert sorted(made) == sorted([*POLICIES, *POLICIES])
    without = render(helm, {"admissionPolicy": {"enabled": False}})
    assert not [entry for entry in without if entry["kind"] in POLICIES]
    users = str([entry for entry in render(helm, release="a", namespace="b") if entry["kind"] in POLICIES])
    assert "system:serviceaccount:b:a" in users
    assert SYSTEM_NAMESPACE not in users
