"""What an operator that was away finds out when it is back: what others did meanwhile, and who had what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.idleness import idle
from tests.operators import OperatorProcess
from tests.platforms import (
    DEFAULT_TEMPLATE,
    Platform,
    Repository,
    all_files,
    api_of,
    condition,
    destination,
    events_of,
    git_store,
    promise,
)
from tests.strangers import Stranger
from tests.waiting import eventually
from troth.api.resources import (
    CONFIG_MAP,
    DESTINATION,
    GIT_STATE_STORE,
    KUBERNETES_STATE_STORE,
    WORK_PLACEMENT,
)
from troth.dev import AuditLog, ControlPlane
from troth.kube import Client, NotFound


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    platform = Platform(client)
    yield platform
    await platform.clean()


@pytest.fixture
def start(
    operator: Callable[..., OperatorProcess], control_plane: ControlPlane, unique: str, tmp_path: Path
) -> Callable[[], OperatorProcess]:
    """Starts the operator as a user of its own, so that the audit log tells its writes from others'."""
    kubeconfig = control_plane.kubeconfig_for(f"operator-{unique}", ["system:masters"])
    flags = ("--local-stores", tmp_path, "--store-poll", "1", "--failing-store-poll", "0.5")
    return lambda: operator(*flags, kubeconfig=kubeconfig, TMPDIR=str(tmp_path))


async def test_what_others_did_to_a_cluster_meanwhile_is_put_right_and_an_idle_restart_writes_nothing(
    start: Callable[[], OperatorProcess],
    platform: Platform,
    control_plane: ControlPlane,
    client: Client,
    unique: str,
    namespace: str,
) -> None:
    running = await asyncio.to_thread(start)
    await platform.make(
        KUBERNETES_STATE_STORE,
        {
            "apiVersion": KUBERNETES_STATE_STORE.api_version,
            "kind": KUBERNETES_STATE_STORE.kind,
            "metadata": {"name": unique},
            "spec": {},
        },
    )
    await platform.make(
        DESTINATION, destination(unique, store=unique, kind=KUBERNETES_STATE_STORE.kind, labels={"for": unique})
    )
    await platform.publish(promise(unique))
    names = [f"r{number}" for number in range(20)]
    for name in names:
        await platform.ask(unique, name, namespace, size="small")
    for name in names:
        await platform.ready(unique, name, namespace)
    await asyncio.to_thread(running.terminate)
    await client.merge_patch(CONFIG_MAP, "r3", {"data": {"size": "huge"}}, namespace=namespace)
    await client.delete(CONFIG_MAP, "r5", namespace)
    running = await asyncio.to_thread(start)

    async def repaired() -> bool:
        try:
            found = [(await client.get(CONFIG_MAP, name, namespace))["data"] for name in ("r3", "r5")]
        except NotFound:
            return False
        return found == [{"size": "small"}] * 2

    await eventually(repaired, "what others changed and removed is as it was asked for", within=20)

    async def restored() -> set[str]:
        listing = await client.list(WORK_PLACEMENT, namespace)
        return {
            item["spec"]["resourceName"]
            for item in listing.items
            if condition(item, "FilesRestored").get("status") == "True"
        }

    async def told() -> bool:
        return await restored() == {"r3", "r5"}

    await eventually(told, "the placements say that their files were restored, and the others do not", within=20)
    await idle(running)
    await asyncio.to_thread(running.terminate)
    audit = AuditLog(control_plane.audit_log, settle=control_plane.settle_audit_log)
    running = await asyncio.to_thread(start)
    await idle(running)
    # whether a store can be written to is asked with a dry run
    assert audit.writes(lambda entry: entry.user == f"operator-{unique}" and "dryRun=All" not in entry.uri) == []


@pytest.mark.parametrize("content", ["kind: Same\n", "kind: Same\nname: {{ name }}\n"])
async def test_of_two_requests_for_one_path_the_first_keeps_it_over_a_restart(
    start: Callable[[], OperatorProcess],
    platform: Platform,
    tmp_path: Path,
    unique: str,
    namespace: str,
    content: str,
) -> None:
    running = await asyncio.to_thread(start)
    repository = Repository(tmp_path / "state.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(
        DESTINATION, destination(unique, store=unique, labels={"for": unique}, filepath={"mode": "none"})
    )
    await platform.publish(promise(unique, files=[{"path": "same.yaml", "template": content}]))

    def refused(live: Any) -> bool:
        found = condition(live, "Ready")
        return found.get("status") == "False" and "claimed by both" in found.get("message", "")

    await platform.ask(unique, "z-first", namespace)
    await platform.ready(unique, "z-first", namespace)
    # the names say in which order they are listed, and so looked at after a restart
    for name in ("a-second", "zz-second"):
        await platform.ask(unique, name, namespace)
        await platform.wait(api_of(unique), name, refused, namespace=namespace)
    before, head = await all_files(repository), repository.head()
    for _ in range(2):
        await asyncio.to_thread(running.kill)
        running = await asyncio.to_thread(start)
        await refused_again(running, "a-second", "zz-second")
        assert (await all_files(repository), repository.head()) == (before, head)
    await platform.delete(api_of(unique), "a-second", namespace=namespace)
    await platform.gone(api_of(unique), "a-second", namespace=namespace)
    assert repository.head() == head
    await platform.delete(api_of(unique), "z-first", namespace=namespace)
    await platform.ready(unique, "zz-second", namespace, within=40)
    after = await all_files(repository)
    assert len(after) == len(before)
    assert [path for path in after if "zz-second" in path]
    assert not [path for path in after if "z-first" in path]
    assert "z-first" not in after[f"{unique}/same.yaml"]


async def refused_again(running: OperatorProcess, *names: str) -> None:
    """Waits until an operator has tried the writes of these requests, and says in its log that they were refused."""

    async def look() -> bool:
        lines = [line for line in running.text().splitlines() if "claimed by both" in line]
        return all(any(f"-{name}-" in line for line in lines) for name in names)

    await eventually(look, f"{', '.join(names)} are refused again", within=20)


SPOILT = {
    "tag": "files: [!!int x]\n",
    "deep": "files: " + "[" * 50_000,
    "aliases": "a: &a [1,2,3,4,5,6,7,8,9]\n"
    + "".join(
        f"b{number}: &b{number} {{<<: [{', '.join([f'*b{number - 1}' if number else '*a'] * 9)}]}}\n"
        for number in range(9)
    ),
}


async def test_records_that_somebody_spoilt_are_told_on_the_store_and_stop_nobody_and_lose_nothing(
    start: Callable[[], OperatorProcess],
    platform: Platform,
    client: Client,
    tmp_path: Path,
    unique: str,
    namespace: str,
) -> None:
    running = await asyncio.to_thread(start)
    repository = Repository(tmp_path / "state.git")
    store = await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(
        DESTINATION, destination(unique, store=unique, labels={"for": unique}, filepath={"mode": "none"})
    )
    await platform.publish(promise(unique, files=[{"path": "{{ name }}.yaml", "template": DEFAULT_TEMPLATE}]))
    for name in (*SPOILT, "other"):
        await platform.ask(unique, name, namespace, size="small")
    for name in (*SPOILT, "other"):
        await platform.ready(unique, name, namespace)
    before = await all_files(repository)
    await asyncio.to_thread(running.kill)
    records = {name: record_of(before, name) for name in SPOILT}
    stranger = Stranger(repository, tmp_path / "stranger")
    for name, text in SPOILT.items():
        await asyncio.to_thread(stranger.push, records[name], text, "spoil it")
    await platform.ask(unique, "other", namespace, size="large")
    await asyncio.to_thread(start)
    expected = {path: text.replace("small", "large") if "other" in path else text for path, text in before.items()}

    async def healed() -> bool:
        return await all_files(repository) == expected

    async def told() -> bool:
        events = await events_of(client, store)
        notes = [event["note"] for event in events if event["reason"] == "RecordUnreadable"]
        return all(any(record in note for note in notes) for record in records.values())

    await eventually(healed, "everything is written as it was wanted", within=20)
    await eventually(told, "the store says which records were spoilt")


def record_of(files: Mapping[str, str], name: str) -> str:
    """The path of the record that lists a request's file."""
    (path,) = (path for path, text in files.items() if "/.kratix/" in path and f"{name}.yaml" in text)
    return path
