"""Requests with container pipelines, on a real API server; `tests.job_player` stands in for the kubelet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.job_player import JobPlayer
from tests.operators import OperatorProcess
from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    condition,
    destination,
    git_store,
    promise,
    says,
)
from tests.waiting import eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE, JOB, PROMISE, WORK
from troth.dev import ControlPlane
from troth.kube import Client

pytestmark = pytest.mark.integration

IMAGE = "registry.example.com/troth:1"
MANUAL = "kratix.io/manual-reconciliation"
SUSPENDED = "kratix.io/workflow-suspended"
WRITE = """\
size=$(sed -n 's/^  size: //p' /kratix/input/object.yaml)
printf 'kind: Made\\nmetadata: {name: %s}\\nsize: %s\\n' "$KRATIX_OBJECT_NAME" "$size" > /kratix/output/made.yaml
printf 'url: https://%s.example.com\\n' "$KRATIX_OBJECT_NAME" > /kratix/metadata/status.yaml
"""
ROLL = "kind: Rolled\nname: {{ name }}\n"

Object = dict[str, Any]


def containers(name: str, script: str = WRITE, **spec: Any) -> Object:
    """A pipeline with one container, which runs a script."""
    one = {"name": "one", "image": "registry.example.com/shell:1", "command": ["sh", "-ec", script]}
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": name},
        "spec": {"containers": [one], **spec},
    }


def jinja(name: str) -> Object:
    """A pipeline of templates with one file."""
    return {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "JinjaPipeline",
        "metadata": {"name": name},
        "spec": {"files": [{"path": "rolled.yaml", "template": ROLL}]},
    }


def made(unique: str, *pipelines: Object) -> Object:
    """A Promise whose requests are carried out by these pipelines."""
    found = promise(unique)
    found["spec"]["workflows"]["resource"]["configure"] = list(pipelines)
    return found


def phases(live: Object) -> dict[str, str]:
    """The phase of each pipeline."""
    entries = live.get("status", {}).get("kratix", {}).get("workflows", {}).get("pipelines") or ()
    return {entry["name"]: entry["phase"] for entry in entries}


@pytest.fixture
def start(operator: Callable[..., OperatorProcess], tmp_path: Path) -> Callable[[], OperatorProcess]:
    """Starts an operator that runs containers."""
    stores = tmp_path / "stores"
    stores.mkdir()
    return lambda: operator("--local-stores", stores, "--store-poll", "1", "--adapter-image", IMAGE)


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    platform = Platform(client)
    yield platform
    await platform.clean()


@pytest.fixture
async def repository(
    platform: Platform, start: Callable[[], OperatorProcess], tmp_path: Path, unique: str
) -> Repository:
    repository = Repository(tmp_path / "stores" / f"{unique}.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    return repository


@pytest.fixture
async def player(
    control_plane: ControlPlane, client: Client, namespace: str, tmp_path: Path
) -> AsyncIterator[JobPlayer]:
    async with JobPlayer(control_plane, client, namespace, tmp_path / "pods") as player:
        yield player


async def files_of(repository: Repository, name: str) -> dict[str, Any]:
    """The manifests of a request, by the names of their files."""
    found = await all_files(repository)
    return {Path(path).name: yaml.safe_load(text) for path, text in found.items() if f"/{name}/" in path}


async def label(client: Client, unique: str, namespace: str, name: str, value: str | None) -> None:
    """Sets a label of the request ``cache``, or takes it off."""
    patch = {"metadata": {"labels": {name: value}}}
    await client.merge_patch(api_of(unique), "cache", patch, namespace=namespace)


async def test_a_request_runs_as_a_job_its_files_reach_the_destination_and_its_status_tells_the_progress(
    platform: Platform,
    start: Callable[[], OperatorProcess],
    repository: Repository,
    player: JobPlayer,
    unique: str,
    namespace: str,
) -> None:
    start()
    player.hold()
    await platform.publish(made(unique, containers("instance")))
    await platform.ask(unique, "cache", namespace, size="small")
    running = await platform.wait(
        api_of(unique), "cache", lambda live: phases(live) == {"instance": "Running"}, namespace=namespace
    )
    assert condition(running, "Ready")["reason"] == "WorkflowPending"
    job = await player.waiting()
    assert job["spec"]["template"]["spec"]["initContainers"][0]["image"] == IMAGE
    player.release()
    live = await platform.ready(unique, "cache", namespace)
    assert await files_of(repository, "cache") == {
        "made.yaml": {"kind": "Made", "metadata": {"name": "cache"}, "size": "small"}
    }
    assert live["status"]["url"] == "https://cache.example.com"
    entry = live["status"]["kratix"]["workflows"]["pipelines"][0]
    assert (entry["phase"], entry["hash"]) == ("Succeeded", job["metadata"]["labels"]["kratix.io/hash"])
    assert len(player.ran) == 1


@pytest.mark.parametrize("first", ["containers", "templates"])
async def test_both_kinds_of_pipelines_go_together_in_either_order(
    platform: Platform,
    start: Callable[[], OperatorProcess],
    repository: Repository,
    player: JobPlayer,
    unique: str,
    namespace: str,
    first: str,
) -> None:
    start()
    both = [containers("shell"), jinja("templates")]
    await platform.publish(made(unique, *(both if first == "containers" else reversed(both))))
    await platform.ask(unique, "cache", namespace, size="small")
    live = await platform.ready(unique, "cache", namespace)
    assert set(await files_of(repository, "cache")) == {"made.yaml", "rolled.yaml"}
    assert set(phases(live).values()) == {"Succeeded"}
    assert live["status"]["url"] == "https://cache.example.com"
    assert len(player.ran) == 1


async def test_an_operator_that_is_killed_and_the_deletion_of_all_jobs_run_nothing_twice(
    platform: Platform,
    start: Callable[[], OperatorProcess],
    repository: Repository,
    player: JobPlayer,
    unique: str,
    namespace: str,
) -> None:
    process = start()
    player.hold()
    await platform.publish(made(unique, containers("first"), containers("second", "true")))
    await platform.ask(unique, "cache", namespace, size="small")
    await player.waiting()
    process.kill()
    player.release()
    await player.finished(1)
    process = start()
    done = await platform.ready(unique, "cache", namespace)
    assert len(player.ran) == 2
    process.kill()
    for job in await player.jobs():
        await platform.client.delete(JOB, job["metadata"]["name"], namespace)
    start()
    await platform.ask(unique, "other", namespace, size="large")
    await platform.ready(unique, "other", namespace)
    assert len(player.ran) == 4, "the two of the other request, and no more"
    live = await platform.client.get(api_of(unique), "cache", namespace)
    assert live["metadata"]["resourceVersion"] == done["metadata"]["resourceVersion"]
    assert "made.yaml" in await files_of(repository, "cache")


async def test_a_container_that_fails_is_named_with_its_exit_code_and_last_words_and_runs_again_when_asked(
    platform: Platform,
    start: Callable[[], OperatorProcess],
    repository: Repository,
    player: JobPlayer,
    unique: str,
    namespace: str,
    tmp_path: Path,
) -> None:
    start()
    mended = tmp_path / "mended"
    script = f"test -e {mended} || {{ echo 'no such zone: eu-9' >&2; exit 3; }}\n{WRITE}"
    await platform.publish(made(unique, containers("instance", script)))
    await platform.ask(unique, "cache", namespace, size="small")
    live = await platform.wait(
        api_of(unique),
        "cache",
        says("Ready", "False", "'one'", "exit code 3", reason="ConfigureWorkflowFailed"),
        namespace=namespace,
    )
    failure = live["status"]["troth"]["failure"]
    assert (failure["container"], failure["exitCode"]) == ("one", 3)
    assert "no such zone: eu-9" in failure["log"]
    assert phases(live) == {"instance": "Failed"}
    mended.touch()
    await label(platform.client, unique, namespace, MANUAL, "true")
    live = await platform.ready(unique, "cache", namespace)
    assert MANUAL not in live["metadata"]["labels"]
    assert len(player.ran) == 2
    assert "made.yaml" in await files_of(repository, "cache")


@pytest.mark.parametrize(
    ("change", "size"),
    [({"spec": {"size": "large"}}, "large"), ({"metadata": {"labels": {MANUAL: "true"}}}, "small")],
    ids=["an edit", "the label for a new run"],
)
async def test_what_asks_for_another_run_while_the_job_runs_replaces_the_job(
    platform: Platform,
    start: Callable[[], OperatorProcess],
    repository: Repository,
    player: JobPlayer,
    unique: str,
    namespace: str,
    change: Object,
    size: str,
) -> None:
    start()
    player.hold()
    await platform.publish(made(unique, containers("instance")))
    await platform.ask(unique, "cache", namespace, size="small")
    outdated = await player.waiting()
    await platform.client.merge_patch(api_of(unique), "cache", change, namespace=namespace)
    await platform.gone(JOB, outdated["metadata"]["name"], namespace=namespace)
    player.release()
    await platform.ready(unique, "cache", namespace)
    assert (await files_of(repository, "cache"))["made.yaml"]["size"] == size
    assert outdated["metadata"]["name"] not in player.ran


async def test_a_pipeline_that_suspends_itself_goes_on_when_somebody_takes_the_label_off(
    platform: Platform,
    start: Callable[[], OperatorProcess],
    repository: Repository,
    player: JobPlayer,
    unique: str,
    namespace: str,
    tmp_path: Path,
) -> None:
    start()
    approved = tmp_path / "approved"
    stop = "printf 'suspend: true\\nmessage: waits for an approval\\n' > /kratix/metadata/workflow-control.yaml"
    await platform.publish(
        made(unique, containers("guard", f"test -e {approved} || {stop}"), containers("instance"))
    )
    await platform.ask(unique, "cache", namespace, size="small")
    live = await platform.wait(
        api_of(unique),
        "cache",
        says("Ready", "False", "waits for an approval", reason="WorkflowSuspended"),
        namespace=namespace,
    )
    assert phases(live) == {"guard": "Suspended", "instance": "Pending"}
    assert live["metadata"]["labels"][SUSPENDED] == "true"
    assert await files_of(repository, "cache") == {}
    approved.touch()
    await label(platform.client, unique, namespace, SUSPENDED, None)
    live = await platform.ready(unique, "cache", namespace)
    assert set(phases(live).values()) == {"Succeeded"}
    assert len(player.ran) == 3


async def test_a_work_that_would_leave_its_folder_is_not_sealed_although_the_pod_wrote_it(
    platform: Platform,
    start: Callable[[], OperatorProcess],
    repository: Repository,
    player: JobPlayer,
    unique: str,
    namespace: str,
) -> None:
    async def meddle(_: Object) -> None:
        work = (await platform.client.list(WORK, namespace)).items[0]
        groups = work["spec"]["workloadGroups"]
        groups[0]["workloads"][0]["filepath"] = "../../../../stolen.yaml"
        patch = {"spec": {"workloadGroups": groups}}
        await platform.client.merge_patch(WORK, work["metadata"]["name"], patch, namespace=namespace)

    start()
    player.before_end = meddle
    await platform.publish(made(unique, containers("instance")))
    await platform.ask(unique, "cache", namespace, size="small")
    await platform.wait(
        api_of(unique), "cache", says("Ready", "False", "stolen.yaml", "leaves its folder"), namespace=namespace
    )
    assert not any("stolen" in path for path in await all_files(repository))


async def test_a_work_of_containers_that_somebody_edits_is_said_to_be_lost_and_comes_back_with_another_run(
    platform: Platform,
    start: Callable[[], OperatorProcess],
    repository: Repository,
    player: JobPlayer,
    unique: str,
    namespace: str,
) -> None:
    start()
    await platform.publish(made(unique, containers("instance")))
    await platform.ask(unique, "cache", namespace, size="small")
    await platform.ready(unique, "cache", namespace)
    work = (await platform.client.list(WORK, namespace)).items[0]
    patch: Object = {"spec": {"workloadGroups": []}}
    await platform.client.merge_patch(WORK, work["metadata"]["name"], patch, namespace=namespace)
    await platform.wait(
        api_of(unique), "cache", says("Ready", "False", "instance", "edited", MANUAL), namespace=namespace
    )
    assert "made.yaml" in await files_of(repository, "cache")
    await label(platform.client, unique, namespace, MANUAL, "true")
    await platform.ready(unique, "cache", namespace)
    assert len(player.ran) == 2


async def test_a_deleted_request_takes_its_jobs_and_files_along(
    platform: Platform,
    start: Callable[[], OperatorProcess],
    repository: Repository,
    player: JobPlayer,
    unique: str,
    namespace: str,
) -> None:
    start()
    await platform.publish(made(unique, containers("instance")))
    await platform.ask(unique, "cache", namespace, size="small")
    await platform.ready(unique, "cache", namespace)
    await platform.delete(api_of(unique), "cache", namespace=namespace)
    await platform.gone(api_of(unique), "cache", namespace=namespace)
    assert await player.jobs() == []
    assert (await platform.client.list(WORK, namespace)).items == []

    async def nothing_left() -> bool:
        return await files_of(repository, "cache") == {}

    await eventually(nothing_left, "its files are gone")


@pytest.mark.parametrize("where", ["promise", "delete"])
async def test_containers_where_they_cannot_be_run_yet_are_refused_in_words(
    platform: Platform, start: Callable[[], OperatorProcess], repository: Repository, unique: str, where: str
) -> None:
    start()
    found = made(unique, containers("instance"))
    if where == "promise":
        found["spec"]["workflows"]["promise"] = {"configure": [containers("own")]}
    else:
        found["spec"]["workflows"]["resource"]["delete"] = [containers("farewell")]
    await platform.make(PROMISE, found)
    await platform.wait(PROMISE, unique, says("Ready", "False", "container pipelines are not supported yet"))
