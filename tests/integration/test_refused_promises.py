"""An API server that refuses Promises: a short while is lived through, a long one ends the operator with what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.operators import OperatorProcess
from tests.platforms import Platform, promise
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import PROMISE
from troth.dev import AuditLog, ControlPlane
from troth.kube import Client

RBAC = "rbac.authorization.k8s.io"
ROLE = Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
BINDING = Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
PROMISES = {"apiGroups": [PROMISE.group], "resources": ["promises"], "verbs": ["get", "list", "watch"]}
OTHERS = [
    {"apiGroups": ["", "apiextensions.k8s.io", "events.k8s.io", "troth.dev"], "resources": ["*"], "verbs": ["*"]},
    {
        "apiGroups": [PROMISE.group],
        "resources": [
            *("destinations", "gitstatestores", "works", "workplacements", "promises/status"),
            *("promiserevisions", "promiserevisions/status", "resourcebindings", "resourcebindings/status"),
        ],
        "verbs": ["*"],
    },
    {"apiGroups": [PROMISE.group], "resources": ["promises"], "verbs": ["patch", "update"]},
]


class Rights:
    """What an operator's account may do: everything that it needs, and to read Promises while that is granted."""

    def __init__(self, client: Client, user: str) -> None:
        self.user = user
        self._client = client
        self._bound: list[str] = []

    async def make(self) -> None:
        await self._bind(f"{self.user}-others", OTHERS)
        await self.grant()

    async def grant(self) -> None:
        """It may read Promises."""
        await self._bind(f"{self.user}-promises", [PROMISES])

    async def revoke(self) -> None:
        """It may not read Promises any more."""
        await self._unbind(f"{self.user}-promises")

    async def remove(self) -> None:
        for name in list(self._bound):
            await self._unbind(name)

    async def _bind(self, name: str, rules: list[dict[str, Any]]) -> None:
        role = {"apiVersion": ROLE.api_version, "kind": ROLE.kind, "metadata": {"name": name}, "rules": rules}
        binding = {
            "apiVersion": BINDING.api_version,
            "kind": BINDING.kind,
            "metadata": {"name": name},
            "roleRef": {"apiGroup": RBAC, "kind": ROLE.kind, "name": name},
            "subjects": [{"kind": "User", "apiGroup": RBAC, "name": self.user}],
        }
        await self._client.create(ROLE, role)
        await self._client.create(BINDING, binding)
        self._bound.append(name)

    async def _unbind(self, name: str) -> None:
        for resource in (BINDING, ROLE):
            await self._client.delete(resource, name)
        self._bound.remove(name)


@pytest.fixture
async def rights(client: Client, unique: str) -> AsyncIterator[Rights]:
    rights = Rights(client, f"operator-{unique}")
    await rights.make()
    yield rights
    await rights.remove()


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    platform = Platform(client)
    yield platform
    await platform.clean()


@pytest.fixture
def bare_plane() -> Iterator[ControlPlane]:
    """A control plane without Troth's CustomResourceDefinitions."""
    with ControlPlane() as plane:
        yield plane


async def test_rights_on_promises_that_come_back_in_time_are_waited_for(
    rights: Rights,
    platform: Platform,
    control_plane: ControlPlane,
    operator: Callable[..., OperatorProcess],
    unique: str,
) -> None:
    running = await start(operator, control_plane, rights, limit=120)
    await rights.revoke()
    await eventually(
        lambda: f"{PROMISE.name}: changes are not seen" in running.text(), "the operator notices", within=60
    )
    await rights.grant()
    await eventually(
        lambda: f"{PROMISE.name}: changes are seen again" in running.text(), "the operator sees again", within=60
    )
    await platform.make(PROMISE, promise(unique))
    await platform.wait(PROMISE, unique, lambda live: bool(live.get("status")), within=30)
    assert running.running


async def test_rights_on_promises_that_stay_away_end_the_operator_with_one_sentence_that_says_what_to_grant(
    rights: Rights, control_plane: ControlPlane, operator: Callable[..., OperatorProcess]
) -> None:
    running = await start(operator, control_plane, rights, limit=2)
    await rights.revoke()
    assert await asyncio.to_thread(running.wait_ended, 60) == 1
    said = sentence(running)
    assert f"CRITICAL {PROMISE.name}: the API server has not let this kind be followed for" in said
    assert f'User "{rights.user}" cannot' in said
    assert "grant the operator's account the rights to get, list and watch it" in said


async def test_definitions_that_come_in_time_are_waited_for_and_others_end_the_operator_with_what_to_install(
    bare_plane: ControlPlane, operator: Callable[..., OperatorProcess]
) -> None:
    def begin(limit: int) -> OperatorProcess:
        return operator("--refusal-limit", str(limit), kubeconfig=bare_plane.kubeconfig, wait=False)

    impatient = await asyncio.to_thread(begin, 2)
    assert await asyncio.to_thread(impatient.wait_ended, 60) == 1
    said = sentence(impatient)
    assert f"CRITICAL {PROMISE.name}: the API server has not known this kind for" in said
    assert "install the CRDs: kubectl apply --server-side -f crds/, or helm with Troth's chart" in said

    patient = await asyncio.to_thread(begin, 120)
    await eventually(
        lambda: "does not know this kind" in patient.text(), "the operator looks for Promises", within=60
    )
    await asyncio.to_thread(bare_plane.apply_crds)
    await asyncio.to_thread(patient.wait_ready, 60)


async def test_kopf_asks_the_api_server_nothing(
    rights: Rights, control_plane: ControlPlane, operator: Callable[..., OperatorProcess], audit: AuditLog
) -> None:
    await start(operator, control_plane, rights, limit=30)
    asked = [entry for entry in audit.read() if entry.user == rights.user]
    assert asked
    assert [entry.uri for entry in asked if not entry.user_agent.startswith("troth")] == []


async def start(
    operator: Callable[..., OperatorProcess], control_plane: ControlPlane, rights: Rights, *, limit: int
) -> OperatorProcess:
    """An operator that looks at Promises every second, so that it notices what it may not do any more."""
    kubeconfig: Path = control_plane.kubeconfig_for(rights.user)
    flags = ("--resync-interval", "1", "--refusal-limit", str(limit))
    return await asyncio.to_thread(operator, *flags, kubeconfig=kubeconfig)


def sentence(ended: OperatorProcess) -> str:
    """The one line that says why an operator has ended."""
    lines = [line for line in ended.text().splitlines() if "CRITICAL" in line]
    assert len(lines) == 1, ended.text()
    return lines[0]
