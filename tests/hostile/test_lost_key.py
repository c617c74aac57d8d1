"""The operator's key is lost, or there has never been one: a release without seals, or Kratix, made what is there.

Then nothing has a seal that counts. Everything stays where it is, is sealed by whoever it belongs to, and no file is
removed or written anew for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.idleness import idle
from tests.operators import OperatorProcess
from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    condition,
    destination,
    git_store,
    is_ready,
    placements,
    promise,
)
from tests.waiting import eventually
from troth.api.naming import group_id, short_group_id
from troth.api.resources import DESTINATION, GIT_STATE_STORE, SECRET, WORK, WORK_PLACEMENT
from troth.dev import AuditLog, ControlPlane
from troth.dev.git_server import git
from troth.engine.placement.work import placement_name
from troth.kube import Client

Object = dict[str, Any]
SYSTEM_NAMESPACE = "kratix-platform-system"
KEY = "troth-seal"


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    platform = Platform(client)
    yield platform
    await platform.clean()


@pytest.fixture
def start(
    operator: Callable[..., OperatorProcess], control_plane: ControlPlane, unique: str, tmp_path: Path
) -> Callable[[], OperatorProcess]:
    kubeconfig = control_plane.kubeconfig_for(f"operator-{unique}", ["system:masters"])
    flags = ("--local-stores", tmp_path, "--store-poll", "1", "--failing-store-poll", "0.5")
    return lambda: operator(*flags, kubeconfig=kubeconfig, TMPDIR=str(tmp_path))


async def lose_everything(client: Client, namespace: str) -> None:
    """Takes all seals away, and the key, as if there had never been any."""
    for resource in (WORK, WORK_PLACEMENT):
        for live in (await client.list(resource, namespace)).items:
            name = live["metadata"]["name"]
            bare: Object = {"metadata": {"annotations": {"troth.dev/seal": None}}}
            await client.merge_patch(resource, name, bare, namespace=namespace)
            if live.get("status"):
                status = {"status": {"troth": {"seal": None}}}
                await client.merge_patch(resource, name, status, namespace=namespace, subresource="status")
    await client.delete(SECRET, KEY, SYSTEM_NAMESPACE)


async def are_sealed(client: Client, namespace: str) -> bool:
    found = [
        live for resource in (WORK, WORK_PLACEMENT) for live in (await client.list(resource, namespace)).items
    ]
    for live in found:
        assert "troth.dev/seal" in (live["metadata"].get("annotations") or {}), live["metadata"]["name"]
        assert ((live.get("status") or {}).get("troth") or {}).get("seal"), live["metadata"]["name"]
        assert condition(live, "Ready").get("reason") != "NotMadeByTroth", live["metadata"]["name"]
    return bool(found)


@pytest.mark.parametrize("keeps_seals", [False, True])
async def test_without_the_key_everything_stays_and_is_sealed_anew(
    start: Callable[[], OperatorProcess],
    platform: Platform,
    control_plane: ControlPlane,
    unique: str,
    namespace: str,
    tmp_path: Path,
    *,
    keeps_seals: bool,
) -> None:
    client = platform.client
    running = await asyncio.to_thread(start)
    repository = Repository(tmp_path / "r.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    whole = f"{unique}w"
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    mode = {"mode": "aggregatedYAML"}
    await platform.make(DESTINATION, destination(whole, store=unique, labels={"for": whole}, filepath=mode))
    dependency = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    await platform.publish(promise(unique, dependencies=[dependency]))
    await platform.publish(promise(whole))
    asked = [(unique, name) for name in ("orders", "users", "moved", "going")] + [
        (whole, name) for name in ("a", "b", "c")
    ]
    for kind, name in asked:
        await platform.ask(kind, name, namespace, size="small")
    for kind, name in asked:
        await platform.ready(kind, name, namespace)
    files = await all_files(repository)
    ids = {
        live["metadata"]["uid"]
        for resource in (WORK, WORK_PLACEMENT)
        for live in (await client.list(resource, namespace)).items
    }
    await idle(running)
    head = await asyncio.to_thread(repository.head)
    await asyncio.to_thread(running.terminate)
    if keeps_seals:
        await client.delete(SECRET, KEY, SYSTEM_NAMESPACE)
    else:
        await lose_everything(client, namespace)
    running = await asyncio.to_thread(start)

    async def sealed() -> bool:
        return await are_sealed(client, namespace) and all(
            [is_ready(await client.get(api_of(kind), name, namespace)) for kind, name in asked]
        )

    await eventually(sealed, "everything is sealed anew", within=30, every=0.1)
    await idle(running)
    made = await asyncio.to_thread(git, repository.path, "log", "-p", f"{head}..main")
    assert not made, f"no commit for it: {made.decode()}"
    for kind, name in asked:
        (written,) = placements(await client.get(api_of(kind), name, namespace))
        assert written["state"] == "Written"
    left = {
        live["metadata"]["uid"]
        for resource in (WORK, WORK_PLACEMENT)
        for live in (await client.list(resource, namespace)).items
    }
    assert left == ids, "nothing was deleted or made anew"
    await asyncio.to_thread(running.terminate)
    audit = AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)
    running = await asyncio.to_thread(start)
    await idle(running)
    assert audit.writes(lambda entry: entry.user == f"operator-{unique}" and "dryRun=All" not in entry.uri) == []

    # Lost once more, with a request that goes meanwhile, one whose Destination does not match any more, and an edit.
    await asyncio.to_thread(running.terminate)
    await lose_everything(client, namespace)
    await client.delete(api_of(unique), "going", namespace)
    await platform.ask(whole, "b", namespace, size="large")
    await client.merge_patch(DESTINATION, unique, {"metadata": {"labels": {"for": "others"}}})
    await platform.make(DESTINATION, destination(f"{unique}x", store=unique, labels={"for": unique}))
    since = await asyncio.to_thread(repository.head)
    running = await asyncio.to_thread(start)
    await platform.gone(api_of(unique), "going", namespace=namespace)

    async def settled() -> bool:
        await are_sealed(client, namespace)
        orders = await client.get(api_of(unique), "orders", namespace)
        assert condition(orders, "Ready").get("reason") == "WorksMisplaced", "it stays where it is"
        return is_ready(await client.get(api_of(whole), "b", namespace))

    await eventually(settled, "everything is sealed anew", within=30, every=0.1)
    await idle(running)
    now = await all_files(repository)
    kept = {path for path in files if path.endswith("object.yaml") and "going" not in files[path]}
    assert {path for path in now if path.endswith("object.yaml") and path.startswith(f"{unique}/")} == kept
    for commit in await asyncio.to_thread(repository.commits, since):
        shown = await asyncio.to_thread(git, repository.path, "show", f"{commit}:{whole}/aggregated.yaml")
        assert all(f"name: {name}" in shown.decode() for name in "abc"), "no commit lacks what others have there"


async def test_works_with_kratix_s_names_are_taken_over_where_they_are(
    start: Callable[[], OperatorProcess], platform: Platform, unique: str, namespace: str, tmp_path: Path
) -> None:
    client = platform.client
    running = await asyncio.to_thread(start)
    repository = Repository(tmp_path / "r.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    targets = [f"{unique}{letter}" for letter in "abc"]
    for name in targets:
        await platform.make(DESTINATION, destination(name, store=unique, labels={"for": unique}))
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace, size="small")
    live = await platform.ready(unique, "orders", namespace)
    await asyncio.to_thread(running.terminate)
    # Kratix draws lots: another name, and another Destination than the one that we would choose.
    (work,), (placement,) = [(await client.list(resource, namespace)).items for resource in (WORK, WORK_PLACEMENT)]
    for resource, made in ((WORK_PLACEMENT, placement), (WORK, work)):
        name = made["metadata"]["name"]
        await client.merge_patch(resource, name, {"metadata": {"finalizers": None}}, namespace=namespace)
        await client.delete(resource, name, namespace)
    target = next(name for name in targets if name != placement["spec"]["targetDestinationName"])
    kratix_work = f"{unique}-orders-7f3a1"
    await client.create(WORK, as_kratix(work, kratix_work))
    name = placement_name(kratix_work, target, short_group_id(group_id(".")))
    was = as_kratix(placement, name)
    was["metadata"]["labels"] |= {"kratix.io/work": kratix_work, "kratix.io/targetDestinationName": target}
    was["spec"] |= {"targetDestinationName": target}
    await client.create(WORK_PLACEMENT, was)
    await client.merge_patch(
        WORK_PLACEMENT, name, {"status": {"versionID": "3f1c2ab"}}, namespace=namespace, subresource="status"
    )
    await client.delete(SECRET, KEY, SYSTEM_NAMESPACE)
    await asyncio.sleep(1.1)  # the API server's times have whole seconds, and Kratix ran before this
    running = await asyncio.to_thread(start)

    async def taken_over() -> bool:
        await are_sealed(client, namespace)
        found = placements(await client.get(api_of(unique), "orders", namespace))
        assert [written["destination"] for written in found] == [target]
        return is_ready(await client.get(api_of(unique), "orders", namespace))

    await eventually(taken_over, "it is taken over where it is", within=20, every=0.1)
    assert [item["metadata"]["name"] for item in (await client.list(WORK, namespace)).items] == [kratix_work]
    assert [item["metadata"]["name"] for item in (await client.list(WORK_PLACEMENT, namespace)).items] == [name]
    await client.delete(api_of(unique), "orders", namespace)
    await platform.gone(api_of(unique), "orders", namespace=namespace)
    left = [path for path in await all_files(repository) if path.endswith("object.yaml")]
    assert not [path for path in left if path.startswith(f"{target}/")]
    assert is_ready(live)
    await asyncio.to_thread(running.terminate)


def as_kratix(live: Mapping[str, Any], name: str) -> Object:
    """An object as Kratix would have made it: no seal, no annotations of ours, no status of ours."""
    metadata = {key: live["metadata"][key] for key in ("namespace", "labels", "finalizers")}
    return {**live, "metadata": {**metadata, "name": name, "labels": dict(metadata["labels"])}, "status": {}}


async def test_an_operator_that_may_not_have_a_key_begins_nothing_and_says_what_to_do(
    operator: Callable[..., OperatorProcess],
    control_plane: ControlPlane,
    client: Client,
    unique: str,
    tmp_path: Path,
) -> None:
    where = unique
    spoilt = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": KEY, "namespace": where},
        "data": {"key": "c2hvcnQ="},
    }
    await asyncio.to_thread(control_plane.kubectl, "create", "namespace", where)
    try:
        await client.create(SECRET, spoilt)
        running = operator("--local-stores", tmp_path, "--system-namespace", where, wait=False)

        async def says() -> bool:
            said = [await asyncio.to_thread(running.text)]
            try:
                said.append((await asyncio.to_thread(running.get, "/readyz"))[1])
            except OSError:
                return False
            return all("does not contain a key of 32 bytes" in text and "delete it, and" in text for text in said)

        await eventually(says, "the log and the probe say what to do", within=20)
        log = await asyncio.to_thread(running.text)
        assert "c2hvcnQ" not in log
        assert "reconciling" not in log
        await client.delete(SECRET, KEY, where)
        await asyncio.to_thread(running.wait_ready)
        assert (await client.get(SECRET, KEY, where))["immutable"] is True
        await asyncio.to_thread(running.terminate)
    finally:
        await asyncio.to_thread(control_plane.finish_namespace, where, strip_finalizers=True)
