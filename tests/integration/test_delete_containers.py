"""Pipelines of containers that run when a request or a Promise is deleted; `tests.job_player` is the kubelet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.container_site import MANUAL, SUSPENDED, Object, Site, containers, jinja
from tests.platforms import api_of, condition, says
from tests.waiting import eventually
from troth.api import labels as names
from troth.api.resources import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    JOB,
    POD,
    PROMISE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    WORK,
    WORK_PLACEMENT,
)

pytestmark = pytest.mark.integration

LONG = 60.0  # for several Pods, each of which is some processes
FAREWELL = 'echo "$KRATIX_WORKFLOW_ACTION $KRATIX_PIPELINE_NAME $KRATIX_OBJECT_NAME" >> '


def writes(name: str, log: Path) -> Object:
    """A pipeline that notes that it ran."""
    return containers(name, f"{FAREWELL}{log}")


def delete_phases(live: Object) -> dict[str, str]:
    """The phase of each delete pipeline."""
    entries = live["status"].get("kratix", {}).get("workflows", {}).get("delete", {}).get("pipelines") or ()
    return {entry["name"]: entry["phase"] for entry in entries}


async def publish(site: Site, *pipelines: Object) -> None:
    """Publishes a Promise with these delete pipelines, and makes a request of templates Ready."""
    made = site.promise(jinja("instance"))
    made["spec"]["workflows"]["resource"]["delete"] = list(pipelines)
    await site.platform.publish(made)
    await site.platform.ask(site.name, "cache", site.namespace, size="small")
    await site.ready()


async def delete(site: Site) -> None:
    """Deletes the request."""
    await site.platform.delete(api_of(site.name), "cache", namespace=site.namespace)


async def nothing_is_left(site: Site) -> None:
    """Waits until the request is gone, and looks for what it may have left."""
    await site.platform.gone(api_of(site.name), "cache", namespace=site.namespace, within=LONG)
    for kind in (JOB, POD, WORK, WORK_PLACEMENT):
        assert (await site.platform.client.list(kind, site.namespace)).items == [], kind.kind

    async def no_file() -> bool:
        return await site.files() == {}

    await eventually(no_file, "its files are gone")


async def test_all_delete_pipelines_run_in_order_and_the_label_retries_only_the_one_that_failed(
    site: Site, tmp_path: Path
) -> None:
    site.start()
    log, mended = tmp_path / "log", tmp_path / "mended"
    second = f"test -e {mended} || {{ echo 'the account is locked' >&2; exit 4; }}\n{FAREWELL}{log}"
    await publish(site, writes("backup", log), containers("destroy", second), writes("report", log))
    await delete(site)
    live = await site.request(
        says("Ready", "False", "destroy", "'one'", "exit code 4", reason="DeleteWorkflowFailed"), within=LONG
    )
    assert condition(live, "DeleteWorkflowCompleted")["reason"] == "DeleteWorkflowFailed"
    assert delete_phases(live) == {"backup": "Succeeded", "destroy": "Failed", "report": "Pending"}
    assert "the account is locked" in live["status"]["troth"]["failure"]["log"]
    assert log.read_text() == "delete backup cache\n"
    assert "rolled.yaml" in await site.files(), "files leave the store only afterwards"
    mended.touch()
    await site.label(MANUAL, "true")
    await nothing_is_left(site)
    assert log.read_text() == "delete backup cache\ndelete destroy cache\ndelete report cache\n"
    assert len(site.player.ran) == 4


async def test_both_kinds_of_delete_pipelines_go_together_and_no_work_is_written_in_a_deletion(
    site: Site, tmp_path: Path
) -> None:
    site.start()
    guard = jinja("guard")
    guard["spec"] = {"values": {"check": "{{ name }}"}}
    await publish(site, guard, containers("last", f"echo a > /kratix/output/a.yaml\n{FAREWELL}{tmp_path / 'log'}"))
    site.player.hold()
    await delete(site)
    job = await site.player.waiting()
    spec = job["spec"]["template"]["spec"]
    ran = [container["name"] for container in (*spec["initContainers"], *spec["containers"])]
    assert ran == ["one", "status-writer"]
    live = await site.request(
        lambda live: delete_phases(live) == {"guard": "Succeeded", "last": "Running"}, within=LONG
    )
    assert condition(live, "Reconciled")["reason"] == "WorkflowPending"
    site.player.release()
    await nothing_is_left(site)
    assert (tmp_path / "log").read_text() == "delete last cache\n"


async def test_an_operator_that_is_killed_between_the_steps_runs_no_delete_pipeline_twice_and_skips_none(
    site: Site, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = site.start()
    await publish(site, writes("first", log), writes("second", log))
    site.player.hold()
    await delete(site)
    await site.player.waiting()
    process.kill()  # the first Job is made
    process = site.start()
    await site.request(lambda live: delete_phases(live).get("first") == "Running", within=LONG)
    process.kill()
    site.player.release()
    await site.player.finished(1)  # nobody saw it end
    site.player.hold()
    process = site.start()
    await site.request(
        lambda live: delete_phases(live) == {"first": "Succeeded", "second": "Running"}, within=LONG
    )
    await site.player.waiting()
    process.kill()
    for job in await site.player.jobs():
        await site.platform.client.delete(JOB, job["metadata"]["name"], site.namespace)  # of both
    for pod in (await site.platform.client.list(POD, site.namespace)).items:  # there is no garbage collector
        await site.platform.client.delete(POD, pod["metadata"]["name"], site.namespace)
    site.player.release()
    site.start()
    await nothing_is_left(site)
    assert log.read_text() == "delete first cache\ndelete second cache\n"


async def test_a_run_that_was_recorded_before_the_operator_was_killed_is_the_one_that_happens(
    site: Site, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = site.start()
    await publish(site, writes("only", log))
    site.player.hold()
    await delete(site)
    job = await site.player.waiting()
    process.kill()
    await site.platform.client.delete(JOB, job["metadata"]["name"], site.namespace)  # as if it was never made
    await site.platform.gone(JOB, job["metadata"]["name"], namespace=site.namespace)
    site.player.release()
    site.start()
    await nothing_is_left(site)
    assert log.read_text() == "delete only cache\n"
    assert site.player.ran == [job["metadata"]["name"]]


@pytest.mark.parametrize(
    "lost",
    [None, {"delete": {"pipelines": [{"name": "another", "phase": "Succeeded"}]}}],
    ids=["gone", "of other pipelines"],
)
async def test_a_record_that_is_gone_or_of_other_pipelines_has_the_delete_pipelines_run_again_and_never_skipped(
    site: Site, tmp_path: Path, lost: Object | None
) -> None:
    log, mended = tmp_path / "log", tmp_path / "mended"
    process = site.start()
    await publish(site, writes("first", log), containers("second", f"test -e {mended}"))
    await delete(site)
    await site.request(says("Ready", "False", "second", reason="DeleteWorkflowFailed"), within=LONG)
    process.kill()
    mended.touch()
    await site.platform.client.merge_patch(
        api_of(site.name),
        "cache",
        {"status": {"kratix": {"workflows": lost}, "troth": None}},
        namespace=site.namespace,
        subresource="status",
    )
    site.start()
    await nothing_is_left(site)
    assert log.read_text() == "delete first cache\n" * 2


async def test_a_suspended_deletion_goes_on_when_somebody_takes_the_label_off(site: Site, tmp_path: Path) -> None:
    site.start()
    approved = tmp_path / "approved"
    stop = "printf 'suspend: true\\nmessage: waits for a release\\n' > /kratix/metadata/workflow-control.yaml"
    await publish(site, containers("guard", f"test -e {approved} || {stop}"), writes("last", tmp_path / "log"))
    await delete(site)
    live = await site.request(says("Ready", "False", "guard is suspended", "waits for a release"), within=LONG)
    assert condition(live, "DeleteWorkflowCompleted")["reason"] == "DeleteWorkflowSuspended"
    reconciled = condition(live, "Reconciled")
    assert (reconciled["status"], reconciled["reason"]) == ("Unknown", "WorkflowSuspended")
    assert delete_phases(live) == {"guard": "Suspended", "last": "Pending"}
    assert live["metadata"]["labels"][SUSPENDED] == "true"
    assert "rolled.yaml" in await site.files()
    approved.touch()
    await site.label(SUSPENDED, None)
    await nothing_is_left(site)
    assert len(site.player.ran) == 3


async def test_a_delete_pipeline_that_asks_for_it_runs_again_by_itself(site: Site, tmp_path: Path) -> None:
    site.start()
    empty = tmp_path / "empty"
    again = f"touch {empty}; printf 'retryAfter: 2s\\n' > /kratix/metadata/workflow-control.yaml"
    await publish(site, containers("drain", f"test -e {empty} || {{ {again}; }}"))
    await delete(site)
    live = await site.request(lambda live: delete_phases(live) == {"drain": "Suspended"}, within=LONG)
    (entry,) = live["status"]["kratix"]["workflows"]["delete"]["pipelines"]
    assert entry["attempts"] == 1
    assert entry["nextRetryAt"]
    await nothing_is_left(site)
    assert len(site.player.ran) == 2


async def test_whoever_takes_the_finalizer_off_ends_a_deletion_whose_pipeline_fails(site: Site) -> None:
    site.start()
    await publish(site, containers("hopeless", "exit 1"))
    await delete(site)
    live = await site.request(says("Ready", "False", "hopeless", reason="DeleteWorkflowFailed"), within=LONG)
    left_on = [name for name in live["metadata"]["finalizers"] if name != names.DELETE_WORKFLOWS]
    await site.change({"metadata": {"finalizers": left_on}})
    await nothing_is_left(site)
    assert len(site.player.ran) == 1


async def test_a_configure_job_that_is_at_work_is_waited_for_before_the_delete_pipelines_run(
    site: Site, tmp_path: Path
) -> None:
    site.start()
    log = tmp_path / "log"
    made = site.promise(containers("instance", f"{FAREWELL}{log}"))
    made["spec"]["workflows"]["resource"]["delete"] = [writes("last", log)]
    site.player.hold()
    await site.platform.publish(made)
    await site.platform.ask(site.name, "cache", site.namespace, size="small")
    job = await site.player.waiting()
    await site.player.show_running(job, "one")
    await delete(site)
    await site.request(
        says("Ready", "False", "waiting for its pipeline instance to end", job["metadata"]["name"]), within=LONG
    )
    site.player.release()
    await nothing_is_left(site)
    assert log.read_text() == "configure instance cache\ndelete last cache\n"


async def test_a_configure_job_that_has_not_started_a_container_of_the_author_is_removed_at_once(
    site: Site, tmp_path: Path
) -> None:
    site.start()
    log = tmp_path / "log"
    made = site.promise(containers("instance", f"{FAREWELL}{log}"))
    made["spec"]["workflows"]["resource"]["delete"] = [writes("last", log)]
    site.player.hold()
    await site.platform.publish(made)
    await site.platform.ask(site.name, "cache", site.namespace, size="small")
    job = await site.player.waiting()
    await site.player.show_waiting(job, "one")
    await delete(site)
    await site.platform.gone(JOB, job["metadata"]["name"], namespace=site.namespace)
    site.player.release()
    await nothing_is_left(site)
    assert log.read_text() == "delete last cache\n"


# ---- Promises


async def publish_promise(site: Site, *pipelines: Object) -> None:
    """Publishes a Promise with these delete pipelines of its own, and makes a request of it Ready."""
    made = site.promise(jinja("instance"))
    made["spec"]["workflows"]["config"] = {"pipelineNamespace": site.namespace}  # whose Jobs are played
    made["spec"]["workflows"]["promise"] = {"delete": list(pipelines)}
    await site.platform.publish(made)
    await site.platform.ask(site.name, "cache", site.namespace, size="small")
    await site.ready()


async def promise_says(site: Site, *words: str, reason: str) -> Object:
    """Waits until the Promise is not Ready for that reason."""
    return await site.platform.wait(PROMISE, site.name, says("Ready", "False", *words, reason=reason), within=LONG)


async def nothing_is_left_of_the_promise(site: Site) -> None:
    """Waits until the Promise is gone, and looks for what it may have left."""
    await site.platform.gone(PROMISE, site.name, within=LONG)
    for kind in (JOB, POD, WORK, WORK_PLACEMENT):
        assert (await site.platform.client.list(kind, site.namespace)).items == [], kind.kind
    selector = f"{names.PROMISE_NAME}={site.name}"
    for kind in (SERVICE_ACCOUNT, ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP):
        assert (await site.platform.client.list(kind, label_selector=selector)).items == [], kind.kind


async def test_a_promises_delete_pipelines_run_in_order_before_anything_of_it_goes(
    site: Site, tmp_path: Path
) -> None:
    site.start()
    log, mended = tmp_path / "log", tmp_path / "mended"
    second = f"test -e {mended} || {{ echo 'still in use' >&2; exit 4; }}\n{FAREWELL}{log}"
    await publish_promise(site, writes("unregister", log), containers("destroy", second))
    await site.platform.delete(PROMISE, site.name)
    live = await promise_says(site, "destroy", "'one'", "exit code 4", reason="DeleteWorkflowFailed")
    assert condition(live, "DeleteWorkflowCompleted")["reason"] == "DeleteWorkflowFailed"
    assert delete_phases(live) == {"unregister": "Succeeded", "destroy": "Failed"}
    assert "still in use" in live["status"]["troth"]["failure"]["log"]
    assert "deletionTimestamp" not in (await site.request(lambda live: bool(live)))["metadata"]
    assert "rolled.yaml" in await site.files()
    mended.touch()
    await site.platform.client.merge_patch(PROMISE, site.name, {"metadata": {"labels": {MANUAL: "true"}}})
    await nothing_is_left_of_the_promise(site)
    assert log.read_text() == f"delete unregister {site.name}\ndelete destroy {site.name}\n"
    assert len(site.player.ran) == 3


async def test_an_operator_that_is_killed_runs_the_delete_pipeline_of_a_promise_once(
    site: Site, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = site.start()
    await publish_promise(site, writes("only", log))
    site.player.hold()
    await site.platform.delete(PROMISE, site.name)
    await site.player.waiting()
    process.kill()
    site.player.release()
    await site.player.finished(1)
    site.start()
    await nothing_is_left_of_the_promise(site)
    assert log.read_text() == f"delete only {site.name}\n"


async def test_a_promise_whose_delete_pipelines_cannot_be_read_stays_until_they_can_or_its_finalizer_is_off(
    site: Site, tmp_path: Path
) -> None:
    process = site.start()
    await publish_promise(site, writes("only", tmp_path / "log"))
    process.kill()
    unreadable = containers("only", "true", nonsense=True)
    patch = {"spec": {"workflows": {"promise": {"delete": [unreadable]}}}}
    await site.platform.client.merge_patch(PROMISE, site.name, patch)
    await site.platform.delete(PROMISE, site.name)
    site.start()
    live = await promise_says(site, "cannot be run", "nonsense", reason="DeleteWorkflowFailed")
    left_on = [name for name in live["metadata"]["finalizers"] if name != names.DELETE_WORKFLOWS]
    await site.platform.client.merge_patch(PROMISE, site.name, {"metadata": {"finalizers": left_on}})
    await nothing_is_left_of_the_promise(site)
    assert site.player.ran == []
