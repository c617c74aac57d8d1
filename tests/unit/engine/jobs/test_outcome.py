"""What a Job, its Pods and the Events about them say of a run, as Kubernetes writes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.failure import Failure
from troth.engine.jobs.observation import (
    ContainerEnd,
    JobState,
    PodState,
    WarningEvent,
    end_by_pods,
    read_job,
    read_pod,
    read_warning,
)
from troth.engine.jobs.outcome import (
    JobFailed,
    JobOutcome,
    JobRunning,
    JobSucceeded,
    find_silent,
    judge_job,
    step_outcome,
)
from troth.engine.workflow.outcomes import Kept, Running

IMAGE = "registry.example.com/first:1"
NOT_FOUND = f"failed to pull and unpack image {IMAGE!r}: not found"


def job(*conditions: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "kratix-redis-cache-instance-1",
            "creationTimestamp": "2026-11-30T10:00:00Z",
            "labels": {"kratix.io/pipeline-name": "instance", "kratix.io/hash": "h"},
        },
        "spec": spec,
        "status": {
            "active": 0 if conditions else 1,
            "conditions": [{"status": "True", **each} for each in conditions],
        },
    }


def pod(
    first: dict[str, Any] | None = None, *, name: str = "a", created: str = "10:00:00", **status: Any
) -> dict[str, Any]:
    statuses = [{"name": "reader", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]
    if first is not None:
        statuses.append({"name": "first", **first})
    return {
        "metadata": {"name": name, "creationTimestamp": f"2026-11-30T{created}Z"},
        "spec": {
            "initContainers": [{"name": "reader", "image": "troth"}, {"name": "first", "image": IMAGE}],
            "containers": [{"name": "status-writer", "image": "troth"}],
        },
        "status": {"phase": "Pending", "initContainerStatuses": statuses, **status},
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": code, "reason": reason, "message": message}}}


def judge(
    found: dict[str, Any],
    *pods: dict[str, Any],
    events: tuple[WarningEvent, ...] = (),
    seen: ContainerEnd | None = None,
) -> JobOutcome:
    return judge_job(read_job(found), [read_pod(each) for each in pods], events, seen=seen)


NOT_STARTED = {
    **pod(),
    "metadata": {"name": "b", "creationTimestamp": "2026-11-30T10:00:00Z"},
    "status": {"phase": "Pending", "initContainerStatuses": [{"name": "reader", **waiting("PodInitializing")}]},
}
FAILED = job({"type": "Failed", "reason": "BackoffLimitExceeded", "message": "too often"})


def test_a_complete_job_has_succeeded_whatever_its_pods_say() -> None:
    assert judge(job({"type": "Complete"}), pod(ended(1))) == JobSucceeded()


@pytest.mark.parametrize("pods", [(), (pod(),), (pod({"state": {"running": {}}}),)])
def test_a_job_that_gets_on_runs_without_words(pods: tuple[dict[str, Any], ...]) -> None:
    assert judge(job(), *pods) == JobRunning()


def test_a_condition_that_is_not_true_ends_no_job() -> None:
    assert judge(job({"type": "Failed", "status": "False"})) == JobRunning()


@pytest.mark.parametrize(
    "state",
    [
        waiting("ErrImagePull", NOT_FOUND),
        waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {NOT_FOUND}'),
    ],
)
def test_an_image_that_cannot_be_pulled_is_said_in_the_same_words_all_the_time(state: dict[str, Any]) -> None:
    assert judge(job(), pod(state)) == JobRunning(
        f"the image {IMAGE!r} of the container 'first' cannot be pulled: {NOT_FOUND}"
    )


def test_an_image_that_cannot_be_pulled_is_said_without_a_cause_when_the_kubelet_names_none() -> None:
    found = judge(job(), pod(waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')))
    assert found == JobRunning(f"the image {IMAGE!r} of the container 'first' cannot be pulled")


def test_a_name_that_no_image_can_have_is_said() -> None:
    found = judge(job(), pod(waiting("InvalidImageName", "couldn't parse image name")))
    assert isinstance(found, JobRunning)
    assert found.message.endswith("cannot be pulled: couldn't parse image name")


def test_a_container_that_cannot_be_started_is_said() -> None:
    found = judge(job(), pod(waiting("CreateContainerConfigError", 'secret "s" not found')))
    assert found == JobRunning("the container 'first' cannot be started: secret \"s\" not found")


def test_a_pod_that_no_node_takes_is_said() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
    }
    found = judge(job(), pod(conditions=[condition]))
    assert found == JobRunning("no node takes its Pod: 0/1 nodes are available: 1 Insufficient cpu.")


def test_a_quota_that_lets_no_pod_be_made_is_said_from_the_event() -> None:
    event = {
        "type": "Warning",
        "reason": "FailedCreate",
        "note": 'Error creating: pods "x" is forbidden: exceeded quota: q',
    }
    warning = read_warning(event)
    assert warning
    assert judge(job(), events=(warning,)) == JobRunning("its Pod cannot be created: exceeded quota: q")


@given(st.from_regex(r"[a-z]([a-z0-9-]{0,60}[a-z0-9])?", fullmatch=True), st.booleans())
def test_the_words_about_a_quota_are_the_same_for_each_pod_that_is_refused(name: str, combined: bool) -> None:
    said = f'Error creating: pods "{name}" is forbidden: exceeded quota: q'
    event = WarningEvent("FailedCreate", f"(combined from similar events): {said}" if combined else said)
    assert judge(job(), events=(event,)) == JobRunning("its Pod cannot be created: exceeded quota: q")


def test_of_several_reasons_for_which_no_pod_is_made_the_newest_is_said() -> None:
    events = (WarningEvent("FailedCreate", "new", last=2.0), WarningEvent("FailedCreate", "old", last=1.0))
    assert judge(job(), events=events) == JobRunning("its Pod cannot be created: new")


def test_a_quota_is_forgotten_once_there_is_a_pod() -> None:
    events = (WarningEvent("FailedCreate", "exceeded quota"),)
    assert judge(job(), pod(), events=events) == JobRunning()


def test_a_volume_that_cannot_be_mounted_is_said_from_the_event_that_was_first_of_those_that_still_come() -> None:
    events = (
        WarningEvent("FailedMount", "a volume that is there by now", first=0.0, last=100.0),
        WarningEvent("FailedMount", "timed out", first=400.0, last=900.0),
        WarningEvent("FailedMount", 'configmap "c" not found', first=300.0, last=800.0),
    )
    assert judge(job(), NOT_STARTED, events=events) == JobRunning(
        'its Pod cannot be started: configmap "c" not found'
    )


def test_a_network_that_cannot_be_made_is_said_without_the_id_of_the_attempt() -> None:
    events = (WarningEvent("FailedCreatePodSandBox", f"no network for {'0a' * 32}: no bridge"),)
    assert judge(job(), NOT_STARTED, events=events) == JobRunning(
        "its Pod cannot be started: no network for …: no bridge"
    )


@pytest.mark.parametrize("first", [{"state": {"running": {}}}, waiting("PodInitializing")])
def test_what_kept_a_pod_from_starting_is_over_once_a_container_has_started(first: dict[str, Any]) -> None:
    events = (WarningEvent("FailedMount", "no such Secret"),)
    assert judge(job(), pod(first), events=events) == JobRunning()


@pytest.mark.parametrize(
    ("found", "pods", "silent"),
    [
        (job(), (), "Job"),
        (job(), (NOT_STARTED,), "Pod"),
        (job(), (pod(), NOT_STARTED | {"metadata": {"name": "a"}}), None),
        (job(), (pod(),), None),
        (job(), (pod({"state": {"running": {}}}, phase="Running"),), None),
        (job(), (pod(waiting("ErrImagePull", NOT_FOUND)),), None),
        (job({"type": "Complete"}), (), None),
        (FAILED, (NOT_STARTED,), None),
        (job({"type": "Suspended"}, suspend=True), (), None),
    ],
)
def test_events_are_only_asked_for_while_the_statuses_leave_it_open_why_nothing_happens(
    found: dict[str, Any], pods: tuple[dict[str, Any], ...], silent: str | None
) -> None:
    about = find_silent(read_job(found), [read_pod(each) for each in pods])
    assert ("Pod" if isinstance(about, PodState) else about) == silent


def test_an_event_that_warns_of_nothing_is_no_warning() -> None:
    assert read_warning({"type": "Normal", "reason": "FailedCreate"}) is None
    assert read_warning({"type": "Warning", "reason": "r", "message": "m"}) == WarningEvent("r", "m")


@pytest.mark.parametrize(
    "counted",
    [
        {"deprecatedLastTimestamp": "1970-01-01T00:01:00Z"},
        {"lastTimestamp": "1970-01-01T00:01:00Z"},
        {"series": {"count": 2, "lastObservedTime": "1970-01-01T00:01:00.000000Z"}},
    ],
)
def test_an_event_says_when_it_was_first_and_last_seen_in_either_api(counted: dict[str, Any]) -> None:
    meta = {"creationTimestamp": "1970-01-01T00:00:10Z"}
    warning = read_warning({"type": "Warning", "reason": "r", "note": "n", "metadata": meta, **counted})
    assert warning == WarningEvent("r", "n", first=10.0, last=60.0)


def test_a_container_that_is_tried_again_is_said_with_its_exit_code() -> None:
    again = {**waiting("CrashLoopBackOff"), "lastState": ended(3, message="no such host")["state"]}
    assert judge(job(), pod(again)) == JobRunning(
        "the container 'first' ended with exit code 3; it is tried again",
        ContainerEnd("first", 3, "", "no such host"),
    )


def test_a_container_that_went_well_in_the_end_is_not_said_to_be_tried_again() -> None:
    well = {**ended(0, "Completed"), "lastState": ended(3)["state"]}
    assert judge(job(), pod(well), seen=ContainerEnd("first", 3)) == JobRunning()


def test_the_failed_container_is_named_with_its_exit_code_and_its_log() -> None:
    found = judge(FAILED, pod(ended(2, message="line 1\nline 2\n")))
    assert found == JobFailed(
        "the container 'first' ended with exit code 2", ContainerEnd("first", 2, "", "line 1\nline 2\n")
    )


def test_a_container_that_needed_too_much_memory_is_said_to_have() -> None:
    found = judge(FAILED, pod(ended(137, "OOMKilled")))
    assert found == JobFailed(
        "the container 'first' ended with exit code 137 (OOMKilled: it needed more memory than its limit allows)",
        ContainerEnd("first", 137, "OOMKilled"),
    )


def test_of_several_pods_the_newest_failure_counts() -> None:
    found = judge(FAILED, pod(ended(1), name="z"), pod(ended(2), name="b", created="10:05:00"))
    assert isinstance(found, JobFailed)
    assert found.failure == ContainerEnd("first", 2)


def test_what_was_seen_of_a_container_counts_when_its_pod_is_gone() -> None:
    seen = ContainerEnd("first", 4, "", "why")
    assert judge(FAILED, seen=seen) == JobFailed("the container 'first' ended with exit code 4", seen)


def test_a_job_that_took_too_long_is_said_to_have() -> None:
    late = job({"type": "Failed", "reason": "DeadlineExceeded", "message": "m"}, activeDeadlineSeconds=60)
    assert judge(late) == JobFailed("it did not end within 60 seconds")


def test_a_pod_that_was_evicted_is_said_to_have_been() -> None:
    evicted = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    assert judge(FAILED, evicted) == JobFailed("its Pod was ended: Evicted: The node was low on resource: memory.")


def test_a_failure_of_which_nothing_is_known_has_the_words_of_the_job_controller() -> None:
    assert judge(FAILED) == JobFailed("its Job failed: BackoffLimitExceeded: too often")


def test_a_suspended_job_has_failed() -> None:
    assert judge(job({"type": "Suspended"}, suspend=True)) == JobFailed("its Job was suspended")


def test_a_job_that_goes_on_after_a_suspension_runs() -> None:
    assert judge(job({"type": "Suspended"}, suspend=False)) == JobRunning()
    assert judge(job(suspend=True)) == JobRunning()


def test_outcomes_are_those_of_a_workflows_step() -> None:
    assert step_outcome("p", JobRunning("words")) == Running("p", "words")
    assert step_outcome("p", JobSucceeded()) == Kept("p")
    assert step_outcome("p", JobFailed("why")) == Failure("JobFailed", "why", pipeline="p")
    lines = "\n".join(str(number) for number in range(30))
    failed = step_outcome("p", JobFailed("why", ContainerEnd("first", 2, "", lines)))
    assert isinstance(failed, Failure)
    assert failed.as_status() == {
        "reason": "ContainerFailed",
        "pipeline": "p",
        "message": "why",
        "container": "first",
        "exitCode": 2,
        "log": "\n".join(str(number) for number in range(20, 30)),
    }


def test_an_exit_code_of_nought_with_a_reason_is_kept_in_the_status() -> None:
    failed = step_outcome("p", JobFailed("why", ContainerEnd("first", 0, "ContainerStatusUnknown")))
    assert isinstance(failed, Failure)
    assert failed.as_status()["exitCode"] == 0


def test_the_end_of_a_long_line_of_a_log_is_kept() -> None:
    failed = step_outcome("p", JobFailed("why", ContainerEnd("first", 2, "", "a" * 5000 + "the end")))
    assert isinstance(failed, Failure)
    assert failed.log.startswith("…")
    assert failed.log.endswith("the end")
    assert len(failed.log) <= 1024


def test_a_job_is_read_as_its_labels_say() -> None:
    assert read_job(job(activeDeadlineSeconds=9)) == JobState(
        "kratix-redis-cache-instance-1",
        pipeline="instance",
        created="2026-11-30T10:00:00Z",
        deadline=9,
    )


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, whole: dict[str, Any]) -> Any:
    """An object with anything at all in one of its places."""
    if not draw(st.integers(0, 3)) or not whole:
        return draw(ANYTHING)
    key = draw(st.sampled_from(sorted(whole)))
    inner = whole[key]
    if isinstance(inner, list) and inner and isinstance(inner[0], dict):
        return {**whole, key: [draw(damaged(inner[0])), *inner[1:]]}
    return {**whole, key: draw(damaged(inner) if isinstance(inner, dict) else ANYTHING)}


@pytest.mark.slow
@given(
    damaged(FAILED).filter(lambda found: isinstance(found, dict)),
    damaged(pod({**waiting("ErrImagePull", "m"), "lastState": ended(1)["state"]})).filter(
        lambda found: isinstance(found, dict)
    ),
)
def test_whatever_stands_in_a_job_and_a_pod_there_is_an_outcome(
    found: dict[str, Any], beside: dict[str, Any]
) -> None:
    for each in (found, job()):
        outcome = step_outcome("p", judge(each, beside))
        assert isinstance(outcome, Running | Failure | Kept)


@pytest.mark.parametrize("phase", ["Pending", "Running", "Failed", "Unknown", ""])
def test_a_pod_that_has_not_succeeded_ends_no_job(phase: str) -> None:
    running = read_job(job())
    assert end_by_pods(running, [read_pod(pod(phase=phase))]) == running
    assert end_by_pods(running, []) == running


def test_a_job_has_ended_when_one_of_its_pods_has_succeeded() -> None:
    pods = [read_pod(pod(phase="Failed")), read_pod(pod(name="b", phase="Succeeded"))]
    assert end_by_pods(read_job(job()), pods).end == "Complete"
    assert judge_job(end_by_pods(read_job(job()), pods), pods) == JobSucceeded()


def test_a_job_that_says_how_it_ended_is_believed() -> None:
    failed = read_job(job({"type": "Failed", "reason": "DeadlineExceeded"}))
    assert end_by_pods(failed, [read_pod(pod(phase="Succeeded"))]) == failed
