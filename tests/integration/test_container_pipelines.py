"""Requests with container pipelines, on a real API server; `tests.job_player` stands in for the kubelet."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from tests.container_site import IMAGE, MANUAL, SUSPENDED, WRITE, Object, Site, containers, jinja, phases
from tests.faults import FaultProxy, SilenceWatch
from tests.platforms import all_files, api_of, condition, request, says
from tests.waiting import eventually
from troth.api import labels as names
from troth.api.resources import JOB
from troth.dev import ControlPlane
from troth.engine.jobs.inputs import MOST_ANNOTATED

pytestmark = pytest.mark.integration


async def test_a_request_runs_as_a_job_its_files_reach_the_destination_and_its_status_tells_the_progress(
    site: Site,
) -> None:
    site.start()
    site.player.hold()
    await site.ask(containers("instance"))
    running = await site.request(lambda live: phases(live) == {"instance": "Running"})
    assert condition(running, "Ready")["reason"] == "WorkflowPending"
    job = await site.player.waiting()
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE
    site.player.release()
    live = await site.ready()
    assert await site.files() == {"made.yaml": {"kind": "Made", "metadata": {"name": "cache"}, "size": "small"}}
    assert live["status"]["url"] == "https://cache.example.com"
    entry = live["status"]["kratix"]["workflows"]["pipelines"][0]
    assert (entry["phase"], entry["hash"]) == ("Succeeded", job["metadata"]["labels"]["kratix.io/hash"])
    assert len(site.player.ran) == 1


@pytest.mark.parametrize("first", ["containers", "templates"])
async def test_both_kinds_of_pipelines_go_together_in_either_order(site: Site, first: str) -> None:
    site.start()
    both = [containers("shell"), jinja("templates")]
    await site.ask(*(both if first == "containers" else reversed(both)))
    live = await site.ready()
    assert set(await site.files()) == {"made.yaml", "rolled.yaml"}
    assert set(phases(live).values()) == {"Succeeded"}
    assert live["status"]["url"] == "https://cache.example.com"
    assert len(site.player.ran) == 1


async def test_an_operator_that_is_killed_and_the_deletion_of_all_jobs_run_nothing_twice(site: Site) -> None:
    process = site.start()
    site.player.hold()
    await site.ask(containers("first"), containers("second", "true"))
    await site.player.waiting()
    process.kill()
    site.player.release()
    await site.player.finished(1)
    process = site.start()
    done = await site.ready()
    assert len(site.player.ran) == 2
    process.kill()
    for job in await site.player.jobs():
        await site.platform.client.delete(JOB, job["metadata"]["name"], site.namespace)
    site.start()
    await site.platform.ask(site.name, "other", site.namespace, size="large")
    await site.ready("other")
    assert len(site.player.ran) == 4, "the two of the other request, and no more"
    live = await site.platform.client.get(api_of(site.name), "cache", site.namespace)
    assert live["metadata"]["resourceVersion"] == done["metadata"]["resourceVersion"]
    assert "made.yaml" in await site.files()


async def test_a_job_that_was_made_before_the_operator_was_killed_is_found_although_its_object_has_changed(
    site: Site,
) -> None:
    process = site.start()
    site.player.hold()
    await site.ask(containers("instance"))
    job = await site.player.waiting()
    process.kill()
    await site.label("team", "a")
    site.start()
    await site.request(lambda live: phases(live) == {"instance": "Running"})
    site.player.release()
    await site.ready()
    assert [(each["metadata"]["name"], each["metadata"]["uid"]) for each in await site.player.jobs()] == [
        (job["metadata"]["name"], job["metadata"]["uid"])
    ]
    assert len(site.player.ran) == 1


async def test_a_container_finds_the_object_as_it_was_stored_just_before_its_job(
    site: Site, tmp_path: Path
) -> None:
    seen = tmp_path / "seen.yaml"
    site.start()
    await site.ask(containers("instance", f"cp /kratix/input/object.yaml {seen}"))
    live = await site.ready()
    found = yaml.safe_load(seen.read_text())
    assert found["spec"] == live["spec"]
    assert found["metadata"]["uid"] == live["metadata"]["uid"]
    assert found["status"]["kratix"]["workflows"]["pipelines"][0]["phase"] == "Running"
    (job,) = await site.player.jobs()
    assert [each["name"] for each in job["spec"]["template"]["spec"]["initContainers"]] == ["one"]


async def test_an_object_that_is_too_large_for_an_annotation_is_read_by_a_container(
    site: Site, tmp_path: Path
) -> None:
    seen = tmp_path / "seen.yaml"
    site.start()
    await site.platform.publish(site.promise(containers("instance", f"cp /kratix/input/object.yaml {seen}")))
    cache = request(site.name, "cache", site.namespace, size="small")
    cache["metadata"]["annotations"] = {"large": "a" * MOST_ANNOTATED}
    await site.platform.make(api_of(site.name), cache)
    await site.ready()
    assert yaml.safe_load(seen.read_text())["metadata"]["annotations"]["large"] == "a" * MOST_ANNOTATED
    (job,) = await site.player.jobs()
    assert [each["name"] for each in job["spec"]["template"]["spec"]["initContainers"]] == ["reader", "one"]
    assert names.OBJECT not in job["spec"]["template"]["metadata"].get("annotations", {})


async def test_with_the_setting_off_no_pod_shows_the_object_and_a_container_reads_it(site: Site) -> None:
    site.start("--object-in-annotation", "false")
    await site.ask(containers("instance"))
    await site.ready()
    (job,) = await site.player.jobs()
    assert [each["name"] for each in job["spec"]["template"]["spec"]["initContainers"]] == ["reader", "one"]
    assert names.OBJECT not in job["spec"]["template"]["metadata"].get("annotations", {})


async def test_a_container_that_fails_is_named_with_its_exit_code_and_last_words_and_runs_again_when_asked(
    site: Site, tmp_path: Path
) -> None:
    site.start()
    mended = tmp_path / "mended"
    script = f"test -e {mended} || {{ echo 'no such zone: eu-9' >&2; exit 3; }}\n{WRITE}"
    await site.ask(containers("instance", script))
    live = await site.request(says("Ready", "False", "'one'", "exit code 3", reason="ConfigureWorkflowFailed"))
    failure = live["status"]["troth"]["failure"]
    assert (failure["container"], failure["exitCode"]) == ("one", 3)
    assert "no such zone: eu-9" in failure["log"]
    assert phases(live) == {"instance": "Failed"}
    mended.touch()
    await site.label(MANUAL, "true")
    live = await site.ready()
    assert MANUAL not in live["metadata"]["labels"]
    assert len(site.player.ran) == 2
    assert "made.yaml" in await site.files()


@pytest.mark.parametrize(
    ("change", "size"),
    [({"spec": {"size": "large"}}, "large"), ({"metadata": {"labels": {MANUAL: "true"}}}, "small")],
    ids=["an edit", "the label for a new run"],
)
async def test_what_asks_for_another_run_while_the_job_runs_replaces_the_job(
    site: Site, change: Object, size: str
) -> None:
    site.start()
    site.player.hold()
    await site.ask(containers("instance"))
    outdated = await site.player.waiting()
    await site.change(change)
    await site.platform.gone(JOB, outdated["metadata"]["name"], namespace=site.namespace)
    site.player.release()
    await site.ready()
    assert (await site.files())["made.yaml"]["size"] == size
    assert outdated["metadata"]["name"] not in site.player.ran


async def test_a_pipeline_that_suspends_itself_goes_on_when_somebody_takes_the_label_off(
    site: Site, tmp_path: Path
) -> None:
    site.start()
    approved = tmp_path / "approved"
    stop = "printf 'suspend: true\\nmessage: waits for an approval\\n' > /kratix/metadata/workflow-control.yaml"
    await site.ask(containers("guard", f"test -e {approved} || {stop}"), containers("instance"))
    live = await site.request(says("Ready", "False", "waits for an approval", reason="WorkflowSuspended"))
    assert phases(live) == {"guard": "Suspended", "instance": "Pending"}
    assert live["metadata"]["labels"][SUSPENDED] == "true"
    assert await site.files() == {}
    approved.touch()
    await site.label(SUSPENDED, None)
    live = await site.ready()
    assert set(phases(live).values()) == {"Succeeded"}
    assert len(site.player.ran) == 3


async def test_a_work_that_would_leave_its_folder_is_not_sealed_although_the_pod_wrote_it(site: Site) -> None:
    async def meddle(_: Object) -> None:
        (work,) = await site.works()
        groups = work["spec"]["workloadGroups"]
        groups[0]["workloads"][0]["filepath"] = "../../../../stolen.yaml"
        await site.edit_work(groups)

    site.start()
    site.player.before_end = meddle
    await site.ask(containers("instance"))
    await site.request(says("Ready", "False", "stolen.yaml", "leaves its folder"))
    assert not any("stolen" in path for path in await all_files(site.repository))


async def test_a_work_of_containers_that_somebody_edits_is_said_to_be_lost_and_comes_back_with_another_run(
    site: Site,
) -> None:
    site.start()
    await site.ask(containers("instance"))
    await site.ready()
    await site.edit_work([])
    await site.request(says("Ready", "False", "instance", "edited", MANUAL))
    assert "made.yaml" in await site.files()
    await site.label(MANUAL, "true")
    await site.ready()
    assert len(site.player.ran) == 2


async def test_the_job_of_a_request_is_stopped_when_its_promise_has_no_containers_any_more(site: Site) -> None:
    site.start()
    site.player.hold()
    await site.ask(containers("instance"))
    job = await site.player.waiting()
    await site.platform.publish(site.promise(jinja("templates")))
    await site.platform.gone(JOB, job["metadata"]["name"], namespace=site.namespace)
    await site.ready()
    assert site.player.ran == []


async def test_a_deleted_request_takes_its_jobs_and_files_along(site: Site) -> None:
    site.start()
    await site.ask(containers("instance"))
    await site.ready()
    await site.platform.delete(api_of(site.name), "cache", namespace=site.namespace)
    await site.platform.gone(api_of(site.name), "cache", namespace=site.namespace)
    assert await site.player.jobs() == []
    assert await site.works() == []

    async def nothing_left() -> bool:
        return await site.files() == {}

    await eventually(nothing_left, "its files are gone")


async def test_a_pipeline_has_ended_with_its_pod_and_its_job_is_left_to_say_so_later(site: Site) -> None:
    async def see(job: Object) -> None:
        """Lets no Job be Complete before the operator has gone on without that."""
        if len(site.player.ran) == 1:
            await site.request(lambda live: phases(live) == {"first": "Succeeded", "second": "Running"})
        else:
            await site.ready()
        jobs = {each["metadata"]["name"]: each for each in await site.player.jobs()}
        assert set(site.player.ran) <= jobs.keys()
        assert not any(each["metadata"].get("deletionTimestamp") for each in jobs.values())

    site.start()
    site.player.before_complete = see
    await site.ask(containers("first"), containers("second", "true"))
    await site.player.finished(2)
    assert "made.yaml" in await site.files()
    assert len(site.player.ran) == 2


async def test_a_failed_container_is_named_also_when_its_jobs_end_is_seen_before_its_own(
    site: Site, control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with FaultProxy(control_plane.kubeconfig, tmp_path) as proxy:
        proxy.add(SilenceWatch(), path=r"/pods\?")
        process = await asyncio.to_thread(site.start, kubeconfig=proxy.kubeconfig)
        await site.ask(containers("instance", "echo 'no such zone: eu-9' >&2; exit 3"))
        live = await site.request(says("Ready", "False", "'one'", "exit code 3", reason="ConfigureWorkflowFailed"))
        assert "no such zone: eu-9" in live["status"]["troth"]["failure"]["log"]
        await site.platform.clean()
        await asyncio.to_thread(process.kill)
