"""What a new operator knows of Secrets in the clear without reading what it does not have to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.idleness import idle
from tests.operators import OperatorProcess
from tests.platforms import Platform, Repository, api_of, condition, destination, git_store, promise, says
from troth.api.resources import DESTINATION, GIT_STATE_STORE
from troth.dev import AuditLog, ControlPlane
from troth.kube import Client

TEMPLATE = """\
apiVersion: v1
kind: {{ spec.kind }}
metadata: {name: {{ name }}}
stringData: {password: {{ spec.password }}}
"""


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    platform = Platform(client)
    yield platform
    await platform.clean()


@pytest.mark.parametrize("policy", ["warn", "refuse"])
async def test_a_restart_says_the_same_writes_nothing_and_reads_no_more_than_it_must(
    operator: Callable[..., OperatorProcess],
    control_plane: ControlPlane,
    platform: Platform,
    client: Client,
    tmp_path: Path,
    namespace: str,
    unique: str,
    policy: str,
) -> None:
    user = f"operator-{unique}"
    kubeconfig = control_plane.kubeconfig_for(user, ["system:masters"])
    flags = ("--local-stores", tmp_path, "--store-poll", "1", "--failing-store-poll", "0.5")

    def start() -> OperatorProcess:
        return operator(*flags, kubeconfig=kubeconfig, TMPDIR=str(tmp_path))

    running = await asyncio.to_thread(start)
    repository = Repository(tmp_path / "state.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path), plainSecrets=policy))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    await platform.publish(promise(unique, template=TEMPLATE))
    await platform.ask(unique, "plain", namespace, kind="Secret", password="hunter2")
    for number in range(10):
        await platform.ask(unique, f"sealed{number}", namespace, kind="SealedSecret", password="x")
    for number in range(10):
        await platform.ready(unique, f"sealed{number}", namespace)
    before = await platform.wait(api_of(unique), "plain", says("PlainSecrets", "True"), namespace=namespace)
    await idle(running)
    await asyncio.to_thread(running.terminate)
    head = repository.head()

    audit = AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)
    running = await asyncio.to_thread(start)
    await idle(running)
    asked = [entry for entry in await asyncio.to_thread(audit.read) if entry.user == user]
    assert [entry for entry in asked if entry.is_write] == []
    contents = [
        entry.name for entry in asked if entry.verb == "get" and entry.resource in ("works", "workplacements")
    ]
    assert [name for name in contents if "sealed" in name] == []
    assert len(contents) <= 1
    assert repository.head() == head
    now = await client.get(api_of(unique), "plain", namespace)
    assert condition(now, "PlainSecrets") == condition(before, "PlainSecrets")
