"""An operator that is killed while components are on their way says nothing untrue, and its successor finishes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.compounds import HELD, Compound, components, unready
from tests.idleness import idle
from tests.operators import OperatorProcess
from tests.platforms import Platform, api_of, destination, git_store
from tests.waiting import eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE
from troth.dev import AuditLog, ControlPlane
from troth.dev.git_server import GitServer
from troth.kube import Client, NotFound

FLAGS = ("--store-poll", "1", "--failing-store-poll", "0.5")


@pytest.fixture
async def compound(client: Client, git_server: GitServer, unique: str, namespace: str) -> AsyncIterator[Compound]:
    platform = Platform(client)
    await asyncio.to_thread(git_server.create_repository, unique)
    await platform.make(GIT_STATE_STORE, git_store(unique, git_server.url(unique)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    compound = Compound(platform, unique, namespace)
    await compound.prepare()
    yield compound
    await platform.clean()


@pytest.fixture
def start(
    operator: Callable[..., OperatorProcess], control_plane: ControlPlane, unique: str, tmp_path: Path
) -> Callable[[], OperatorProcess]:
    """Starts the operator as a user of its own, so that the audit log tells its writes from others'."""
    kubeconfig = control_plane.kubeconfig_for(f"operator-{unique}", ["system:masters"])

    def begin() -> OperatorProcess:
        return operator(*FLAGS, "--workspace", tmp_path / "workspace", kubeconfig=kubeconfig, TMPDIR=str(tmp_path))

    return begin


async def test_killed_while_components_come_and_go_it_finishes_and_restarted_idle_it_writes_nothing(
    compound: Compound, start: Callable[[], OperatorProcess], control_plane: ControlPlane, unique: str
) -> None:
    running = await asyncio.to_thread(start)
    await compound.platform.publish(compound.parts())
    await compound.platform.publish(compound.wholes())
    await compound.ask()
    await eventually(lambda: component_there(compound, "shop-cache"), "a component", within=20, every=0.005)
    running.kill()
    running = await asyncio.to_thread(start)
    live = await compound.shop(within=40)
    assert [item["ready"] for item in components(live)] == [True, True]
    await idle(running, rounds=6)
    running.kill()

    mark = live["metadata"]["resourceVersion"]
    audit = AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)
    running = await asyncio.to_thread(start)
    await idle(running, rounds=6)
    # A dry run of one ConfigMap is how a store finds out whether it may write; it writes nothing.
    assert audit.writes(lambda entry: entry.user == f"operator-{unique}" and "dryRun" not in entry.uri) == []
    assert (await compound.shop())["metadata"]["resourceVersion"] == mark

    await compound.platform.delete(api_of(compound.whole), "shop", namespace=compound.namespace)
    running.kill()
    running = await asyncio.to_thread(start)
    await compound.platform.gone(api_of(compound.whole), "shop", namespace=compound.namespace, within=40)
    assert not (await compound.platform.client.list(api_of(compound.part), compound.namespace)).items


async def test_deleted_while_nobody_was_running_it_still_waits_for_what_was_made_a_moment_before_the_crash(
    compound: Compound, start: Callable[[], OperatorProcess]
) -> None:
    running = await asyncio.to_thread(start)
    await compound.platform.publish(compound.parts())
    await compound.platform.publish(compound.wholes())
    await compound.ask()
    await eventually(lambda: component_there(compound, "shop-data"), "a component", within=20, every=0.005)
    running.kill()
    await compound.hold("shop-data", [HELD])
    await compound.platform.delete(api_of(compound.whole), "shop", namespace=compound.namespace)
    running = await asyncio.to_thread(start)
    await compound.shop(unready("Deleting", "shop-data to be removed"), within=40)
    await compound.hold("shop-data", [])
    await compound.platform.gone(api_of(compound.whole), "shop", namespace=compound.namespace, within=40)
    assert not (await compound.platform.client.list(api_of(compound.part), compound.namespace)).items


async def component_there(compound: Compound, name: str) -> bool:
    with contextlib.suppress(NotFound):
        return bool(await compound.component(name))
    return False
