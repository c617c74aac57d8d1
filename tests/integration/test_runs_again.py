"""What makes a workflow run again: its interval, labels, and the end of a pause; with containers and with templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.container_site import MANUAL, SUSPENDED, Site, containers, jinja, phases
from tests.platforms import api_of, condition
from troth.api.resources import PROMISE

pytestmark = pytest.mark.integration

FROM_START = "internal.workflows.kratix.io/run-from-start"
RECONCILE = "kratix.io/reconcile-resources"
PAUSED = "kratix.io/paused"
INTERVAL = "kratix.io/reconciliation-interval"
LONG_AGO = "2026-01-01T00:00:00Z"
SUCCEEDED = "lastSuccessfulConfigureWorkflowTime"

Object = dict[str, Any]
KINDS: dict[str, Callable[[str], Object]] = {"containers": containers, "templates": jinja}
both_kinds = pytest.mark.parametrize("kind", KINDS)


def success(live: Object) -> tuple[str, str, str]:
    """When the workflow last succeeded, in the three places that tell it."""
    status = live["status"]
    completed = condition(live, "ConfigureWorkflowCompleted")["lastTransitionTime"]
    return status[SUCCEEDED], status["kratix"]["workflows"][SUCCEEDED], completed


def aged(live: Object) -> Object:
    """The patch that makes what a status records of a workflow old."""
    status = live["status"]
    conditions = [
        {**each, "lastTransitionTime": LONG_AGO} if each["type"] == "ConfigureWorkflowCompleted" else each
        for each in status["conditions"]
    ]
    workflows = status["kratix"]["workflows"]

    def old(record: Object) -> Object:
        entries = [{**entry, "lastTransitionTime": LONG_AGO} for entry in record.get("pipelines") or ()]
        return {"pipelines": entries} if entries else {}

    patch = {**old(workflows), SUCCEEDED: LONG_AGO}
    if keyed := workflows.get("configure"):
        patch["configure"] = {**old(keyed), "lastSuccessfulTime": LONG_AGO}
    return {"status": {"conditions": conditions, SUCCEEDED: LONG_AGO, "kratix": {"workflows": patch}}}


async def age(site: Site) -> None:
    """Makes what the request's status records of its workflow old."""
    client = site.platform.client
    live = await client.get(api_of(site.name), "cache", site.namespace)
    await client.merge_patch(
        api_of(site.name), "cache", aged(live), namespace=site.namespace, subresource="status"
    )


async def annotate(site: Site, interval: str) -> None:
    """Gives the Promise a reconciliation interval."""
    patch = {"metadata": {"annotations": {INTERVAL: interval}}}
    await site.platform.client.merge_patch(PROMISE, site.name, patch)


async def label_promise(site: Site, label: str, value: str | None) -> None:
    """Sets a label of the Promise, or takes it off."""
    await site.platform.client.merge_patch(PROMISE, site.name, {"metadata": {"labels": {label: value}}})


def taken_off(label: str, number: int) -> Callable[[Object], bool]:
    """Whether a label was taken off for the run with this number."""

    def test(live: Object) -> bool:
        meta = live["metadata"]
        noted = meta.get("annotations", {}).get("troth.dev/wishes")
        return label not in meta["labels"] and noted == str(number)

    return test


def runs_since(site: Site, before: int) -> int:
    return len(site.player.ran) - before


@both_kinds
@pytest.mark.parametrize("label", [MANUAL, FROM_START])
async def test_a_label_runs_the_workflow_once_and_is_taken_off_afterwards(
    site: Site, kind: str, label: str
) -> None:
    site.start()
    await site.ask(KINDS[kind]("instance"))
    await site.ready()
    await age(site)
    for number in (1, 2):
        await site.label(label, "true")
        await site.request(taken_off(label, number))
        live = await site.ready()
        assert len(set(success(live))) == 1
        assert LONG_AGO not in success(live)
    assert len(site.player.ran) == (3 if kind == "containers" else 0)


@both_kinds
async def test_a_workflow_whose_interval_has_passed_runs_again_and_its_last_success_moves(
    site: Site, kind: str
) -> None:
    process = site.start()
    await site.ask(KINDS[kind]("instance"))
    await site.ready()
    process.kill()
    await age(site)
    await annotate(site, "1m")
    site.start()
    live = await site.request(
        lambda live: LONG_AGO not in success(live) and phases(live) == {"instance": "Succeeded"}
    )
    assert len(set(success(live))) == 1
    assert len(site.player.ran) == (2 if kind == "containers" else 0)


async def test_an_interval_of_the_promise_that_changes_counts_at_once_for_requests_that_exist(site: Site) -> None:
    site.start()
    await site.ask(containers("instance"))
    await site.ready()
    await age(site)
    await annotate(site, "87000h")
    await annotate(site, "1m")
    await site.request(lambda live: LONG_AGO not in success(live) and phases(live) == {"instance": "Succeeded"})
    assert len(site.player.ran) == 2


async def test_an_interval_resumes_a_suspended_workflow_from_its_first_pipeline(site: Site) -> None:
    site.start()
    stop = "test -e /kratix/go || printf 'suspend: true\n' > /kratix/metadata/workflow-control.yaml"
    await site.ask(containers("first", "true"), containers("guard", stop))
    await site.player.finished(2)
    await site.request(lambda live: phases(live).get("guard") == "Suspended")
    before = len(site.player.ran)
    await annotate(site, "1m")
    await age(site)
    await site.player.finished(before + 2)
    assert ["-first-" in name for name in site.player.ran[before : before + 2]] == [True, False]


@both_kinds
async def test_a_request_that_was_paused_runs_once_from_the_start(site: Site, kind: str) -> None:
    process = site.start()
    await site.ask(KINDS[kind]("instance"))
    await site.ready()
    before = len(site.player.ran)
    await site.label(PAUSED, "true")
    await site.request(lambda live: condition(live, "Reconciled").get("reason") == "PausedReconciliation")
    await age(site)
    process.kill()
    await site.label(PAUSED, None)
    site.start()
    live = await site.request(
        lambda live: LONG_AGO not in success(live) and condition(live, "Ready").get("status") == "True"
    )
    assert "paused" not in live["status"]["troth"]
    assert runs_since(site, before) == (1 if kind == "containers" else 0)


@both_kinds
async def test_a_promise_that_is_asked_to_runs_all_its_requests_once_and_so_does_the_end_of_its_pause(
    site: Site, kind: str
) -> None:
    site.start()
    await site.ask(KINDS[kind]("instance"))
    await site.platform.ask(site.name, "other", site.namespace, size="large")
    await site.ready()
    await site.ready("other")
    before = len(site.player.ran)
    await age(site)
    await label_promise(site, RECONCILE, "true")
    await site.platform.wait(PROMISE, site.name, lambda live: RECONCILE not in live["metadata"].get("labels", {}))
    await site.request(lambda live: LONG_AGO not in success(live) and phases(live) == {"instance": "Succeeded"})
    await site.ready("other")
    await age(site)
    await label_promise(site, PAUSED, "true")
    await site.request(lambda live: condition(live, "Reconciled").get("reason") == "PausedReconciliation")
    await label_promise(site, PAUSED, None)
    await site.request(
        lambda live: LONG_AGO not in success(live) and condition(live, "Ready").get("status") == "True"
    )
    await site.ready("other")
    if kind == "containers":
        await site.player.finished(before + 4)
    assert runs_since(site, before) == (4 if kind == "containers" else 0)


@both_kinds
async def test_another_spec_of_the_promise_runs_its_requests_again(site: Site, kind: str) -> None:
    site.start()
    await site.ask(KINDS[kind]("instance"))
    await site.ready()
    await age(site)
    patch = {"spec": {"dependencies": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "more"}}]}}
    await site.platform.client.merge_patch(PROMISE, site.name, patch)
    await site.request(lambda live: LONG_AGO not in success(live) and phases(live) == {"instance": "Succeeded"})
    assert len(site.player.ran) == (2 if kind == "containers" else 0)


@pytest.mark.parametrize("second", KINDS)
async def test_the_label_stops_a_workflow_before_its_next_pipeline_until_somebody_takes_it_off(
    site: Site, second: str
) -> None:
    process = site.start()
    site.player.hold()
    await site.ask(containers("first"), KINDS[second]("second"))
    await site.player.waiting()
    await site.label(SUSPENDED, "true")
    process.kill()
    site.player.release()
    await site.player.finished(1)
    site.start()
    stopped = {"first": "Succeeded", "second": "Suspended"}
    live = await site.request(lambda live: phases(live) == stopped)
    assert condition(live, "Ready")["reason"] == "WorkflowSuspended"
    assert SUSPENDED in condition(live, "Ready")["message"]
    assert set(await site.files()) <= {"made.yaml"}
    await site.label(SUSPENDED, None)
    live = await site.ready()
    assert set(phases(live).values()) == {"Succeeded"}
    assert len(site.player.ran) == (2 if second == "containers" else 1)


async def test_a_label_whose_run_was_recorded_before_a_kill_is_taken_off_and_runs_nothing(site: Site) -> None:
    process = site.start()
    await site.ask(containers("instance"))
    await site.ready()
    process.kill()
    await site.label(MANUAL, "true")
    recorded = {"status": {"troth": {"wishes": {"number": 1, "labels": [MANUAL]}}}}
    await site.platform.client.merge_patch(
        api_of(site.name), "cache", recorded, namespace=site.namespace, subresource="status"
    )
    site.start()
    await site.request(taken_off(MANUAL, 1))
    await site.platform.ask(site.name, "other", site.namespace, size="large")
    await site.ready("other")
    assert len(site.player.ran) == 2, "one for each of the two requests"


async def test_a_template_that_suspends_its_workflow_puts_the_label_on_and_takes_it_off_again(site: Site) -> None:
    site.start()
    guard = jinja("guard")
    guard["spec"]["control"] = {"suspend": "{{ spec.size == 'small' }}", "message": "waits for a larger size"}
    await site.ask(guard)
    await site.request(
        lambda live: (
            live["metadata"].get("labels", {}).get(SUSPENDED) == "true" and phases(live) == {"guard": "Suspended"}
        )
    )
    await site.change({"spec": {"size": "large"}})
    await site.request(
        lambda live: SUSPENDED not in live["metadata"].get("labels", {}) and phases(live) == {"guard": "Succeeded"}
    )
