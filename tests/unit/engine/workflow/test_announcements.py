"""Which Events a change of a status is worth."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.failure import Failure
from troth.engine.status.deletion import deletion_status
from troth.engine.status.facts import PipelineFacts, RequestFacts, WorkflowFacts
from troth.engine.status.request import request_status
from troth.engine.workflow.announcements import Owner, announce

NOW = "2026-11-30T10:00:00Z"
FAILED = Failure(
    "ContainerFailed",
    "the container 'one' ended with exit code 3",
    pipeline="instance",
    container="one",
    exit_code=3,
    log="connecting\n  no such zone: eu-9\n",
)


def facts(*pipelines: PipelineFacts, failure: Failure | None = None) -> WorkflowFacts:
    failed = any(pipeline.phase == "Failed" for pipeline in pipelines)
    return WorkflowFacts(
        pipelines=pipelines,
        failure=failure.as_status() if failure else {},
        failure_message=failure.sentence() if failure and failed else "",
    )


def configured(old: dict[str, Any], *pipelines: PipelineFacts, failure: Failure | None = None) -> dict[str, Any]:
    found = RequestFacts(generation=1, promise_version="", workflow=facts(*pipelines, failure=failure))
    return request_status(old, found, now=NOW)


def deleted(old: dict[str, Any], *pipelines: PipelineFacts, failure: Failure | None = None) -> dict[str, Any]:
    return deletion_status(old, waiting_for="", now=NOW, workflow=facts(*pipelines, failure=failure))


def told(before: dict[str, Any], after: dict[str, Any], owner: Owner = "resource") -> list[tuple[str, str, str]]:
    return [(each.type, each.reason, each.message) for each in announce(before, after, owner)]


def pipeline(phase: Any, message: str = "", run: int = 1, name: str = "instance") -> PipelineFacts:
    return PipelineFacts(name, phase, message, run=run)


STARTED = configured({}, pipeline("Running"), PipelineFacts("second", "Pending"))


def test_each_run_of_a_promises_own_container_pipeline_is_told_once_when_it_starts() -> None:
    assert told({}, STARTED, "promise") == [("Normal", "PipelineStarted", "Configure Pipeline started: instance")]
    waits = configured(STARTED, pipeline("Running", "no node takes its Pod"), PipelineFacts("second", "Pending"))
    assert told(STARTED, waits, "promise") == []
    after = configured(waits, pipeline("Succeeded"), pipeline("Running", name="second"))
    assert told(waits, after, "promise") == [("Normal", "PipelineStarted", "Configure Pipeline started: second")]
    again = configured(after, pipeline("Running", run=2), PipelineFacts("second", "Pending", run=1))
    assert told(after, again, "promise") == [("Normal", "PipelineStarted", "Configure Pipeline started: instance")]


def test_that_a_pipeline_of_a_request_starts_is_said_in_its_status_and_not_worth_an_event() -> None:
    assert told({}, STARTED) == []
    assert told(STARTED, deleted(STARTED, pipeline("Running", name="farewell"))) == []


def test_a_pipeline_of_templates_does_not_start() -> None:
    assert told({}, configured({}, PipelineFacts("instance", "Succeeded", hash="h")), "promise") == []


@pytest.mark.parametrize("owner", ["promise", "resource"])
def test_a_failure_is_told_with_its_cause_and_the_end_of_the_log(owner: Owner) -> None:
    after = configured(STARTED, pipeline("Failed", FAILED.sentence()), failure=FAILED)
    message = (
        f"A {owner}/configure Pipeline has failed: instance: the container 'one' ended with exit code 3; "
        "its log ends with: connecting | no such zone: eu-9"
    )
    assert told(STARTED, after, owner) == [("Warning", "ConfigureWorkflowFailed", message)]


def test_a_container_that_is_tried_again_is_told_and_so_is_another_failure_of_it() -> None:
    tried = Failure("ContainerFailed", "it ended; it is tried again", "instance", container="one", exit_code=3)
    running = configured(STARTED, pipeline("Running", "it ended; it is tried again"), failure=tried)
    assert running["troth"]["failure"]["exitCode"] == 3
    assert told(STARTED, running) == [("Warning", "ContainerFailed", "instance: it ended; it is tried again")]
    assert told(running, configured(running, pipeline("Running", "no node"), failure=tried)) == []
    failed = configured(running, pipeline("Failed", FAILED.sentence()), failure=FAILED)
    assert [reason for _, reason, _ in told(running, failed)] == ["ConfigureWorkflowFailed"]


def test_a_suspension_is_told_in_the_words_of_the_pipeline() -> None:
    after = configured(STARTED, pipeline("Suspended", "waits for an approval"))
    message = "The configure Pipeline instance has suspended its workflow: waits for an approval"
    assert told(STARTED, after) == [("Warning", "WorkflowSuspended", message)]


def test_a_delete_pipeline_that_starts_and_fails_is_told_in_kratixs_words() -> None:
    started = deleted(STARTED, pipeline("Running", name="farewell"))
    assert told(STARTED, started, "promise") == [
        ("Normal", "PipelineStarted", "Delete Pipeline started: farewell")
    ]
    failure = Failure("ContainerFailed", "why", "farewell", container="one", exit_code=1, log="no route")
    failed = deleted(
        {**STARTED, **started}, pipeline("Failed", failure.sentence(), name="farewell"), failure=failure
    )
    message = "The Delete Pipeline has failed: farewell: why; its log ends with: no route"
    assert told({**STARTED, **started}, failed) == [("Warning", "Failed Pipeline", message)]


def test_a_failed_configure_workflow_is_no_news_when_the_object_is_deleted() -> None:
    failed = configured(STARTED, pipeline("Failed", FAILED.sentence()), failure=FAILED)
    started = deleted(failed, pipeline("Running", run=2))
    assert [reason for _, reason, _ in told(failed, started, "promise")] == ["PipelineStarted"]


def test_the_message_of_an_event_has_room_for_the_cause_and_the_end_of_a_long_log() -> None:
    long = Failure(
        "ContainerFailed", "c" * 500, "instance", container="one", exit_code=1, log="x" * 900 + "the end"
    )
    ((_, _, message),) = told(STARTED, configured(STARTED, pipeline("Failed", long.sentence()), failure=long))
    assert len(message.encode()) <= 1024
    assert message.endswith("the end")


def test_a_promise_that_asks_its_requests_for_a_run_tells_it_once() -> None:
    before, after = ({"troth": {"round": time}} for time in ("2026-11-30T10:00:00Z", "2026-11-30T10:00:01Z"))
    event = ("Normal", "ReconcilingResources", "Reconciling all resource requests")
    assert told(before, after, "promise") == [event]
    assert told({}, before, "promise") == [event]
    assert told(after, after, "promise") == []
    assert told(before, after, "resource") == [], "a request notes there which wish it has fulfilled"


PIPELINES = st.builds(
    pipeline,
    st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Suspended"]),
    st.sampled_from(["", "words"]),
    st.integers(0, 3),
)
STATUSES = st.builds(
    lambda status, found, failure: status(
        {}, found, failure=failure if found.phase in ("Running", "Failed") else None
    ),
    st.sampled_from([configured, deleted]),
    PIPELINES,
    st.sampled_from([None, FAILED]),
)


OWNERS: st.SearchStrategy[Owner] = st.sampled_from(["promise", "resource"])


@given(STATUSES, OWNERS)
def test_a_status_that_is_written_again_is_worth_no_event(status: dict[str, Any], owner: Owner) -> None:
    assert told(status, status, owner) == []


@given(STATUSES, STATUSES, OWNERS)
def test_no_change_is_told_twice(before: dict[str, Any], after: dict[str, Any], owner: Owner) -> None:
    whole = {**before, **after}
    reasons = [reason for _, reason, _ in told(before, after, owner)]
    assert len(reasons) == len(set(reasons))
    assert told(whole, after, owner) == []
