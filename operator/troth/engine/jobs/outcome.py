"""Whether a run is still running, has failed or has succeeded, from its Job and the Job's Pods.

A Job itself does not say why it makes no progress: an image that does not exist, a Pod that no node takes, a quota. Its
Pods say that or, if no Pod could be created, an Event, and it is reported in words for as long as it lasts. The words
for one obstacle stay the same while it lasts, although the kubelet alternates between trying and waiting, because each
change of the words is a write.

Events cost a call each time that they are looked at, and they stay after what they report is over. So they count only
while the status of the Job and of its newest Pod leaves it open why nothing happens (`find_silent`).

The Job controller removes the Pod of a Job that has failed too often, and with it goes the reason. So what an earlier
look saw of a failed container is handed in again (`JobRunning.failure`).

Rejected: *asking for logs* (`troth.engine.jobs.pods` says why), *taking a Job that waits for an image for one that has
failed* (the image may come; a deadline is the pipeline's to set).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from troth.engine.failure import Failure
from troth.engine.jobs.observation import ContainerEnd, ContainerState, JobState, PodState, WarningEvent
from troth.engine.workflow.outcomes import Kept, Running

_PULLING: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_STARTING: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "PostStartHookError",
        "PreCreateHookError",
        "RunContainerError",
    }
)
_NOT_MADE: Final = "FailedCreate"
_POD_WAITS: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"})
_RECENT: Final = 300.0  # seconds; the kubelet tries to mount a volume again at least every two minutes
_NAMED: Final = re.compile(r'^.*?\bpods? "[^"]*" is (?:forbidden|invalid): ', re.IGNORECASE)
_IDENTIFIER: Final = re.compile(r"\b[0-9a-f]{32,}\b")
_BACK_OFF: Final = "ErrImagePull: "  # what the kubelet puts before the cause while it waits to pull again
_DEADLINE: Final = "DeadlineExceeded"
_MEANINGS: Final = {
    "OOMKilled": "it needed more memory than its limit allows",
    "StartError": "it could not be started",
    "ContainerCannotRun": "it could not be started",
}
_LONGEST_DETAIL: Final = 400
_LOG_LINES: Final = 10


@dataclass(frozen=True, slots=True)
class JobRunning:
    """A run that has not ended.

    Attributes:
        message: what keeps it from getting on; "" when nothing does.
        failure: how a container of it failed that is tried again; to be handed in with the next look.
    """

    message: str = ""
    failure: ContainerEnd | None = None


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A run that has failed and is not tried again.

    Attributes:
        message: why, without a full stop.
        failure: how the container failed that is the reason; None when it was no container.
    """

    message: str
    failure: ContainerEnd | None = None


@dataclass(frozen=True, slots=True)
class JobSucceeded:
    """A run of which every container has ended well."""


JobOutcome = JobRunning | JobFailed | JobSucceeded


def judge_job(
    job: JobState,
    pods: Iterable[PodState],
    warnings: Sequence[WarningEvent] = (),
    *,
    seen: ContainerEnd | None = None,
) -> JobOutcome:
    """Returns whether a run is still running, has failed or has succeeded.

    Args:
        job: its Job.
        pods: of that Job, in any order.
        warnings: Events about the object that `find_silent` returns.
        seen: `JobRunning.failure` of an earlier look; it counts only when no Pod is left.
    """
    newest = _newest_first(pods)
    failure = _last_failure(newest) if newest else seen
    if job.end == "Complete":
        return JobSucceeded()
    if job.end == "Failed":
        return _failed(job, newest, failure)
    if job.suspended:
        return JobFailed("its Job was suspended")
    return JobRunning(_obstacle([pod for pod in newest if not pod.deleting], warnings, failure), failure)


def find_silent(job: JobState, pods: Iterable[PodState]) -> Literal["Job"] | PodState | None:
    """Returns the object of which only Events say why it makes no progress; None if its status says enough.

    It is the Job while it has no Pod, or else its newest Pod while no container of it has started.
    """
    if job.end or job.suspended or job.deleting:
        return None
    standing = [pod for pod in _newest_first(pods) if not pod.deleting]
    if not standing:
        return "Job"
    pod = standing[0]
    return pod if _may_wait(pod) and not _obstacle(standing, (), None) else None


def step_outcome(pipeline: str, outcome: JobOutcome, *, again: float | None = None) -> Running | Failure | Kept:
    """Returns the same in the terms of a workflow. The results of a run are in the cluster, so its step is kept.

    ``again`` says after how many seconds to look at a Job that is running (`Running.again`).
    """
    match outcome:
        case JobRunning(message, failure):
            tried = _as_failure(pipeline, _tried_again(failure), failure) if failure else None
            return Running(pipeline, message, again=again, failure=tried)
        case JobSucceeded():
            return Kept(pipeline)
        case JobFailed(message, failure):
            if failure is None:
                return Failure("JobFailed", message).within(pipeline)
            return _as_failure(pipeline, message, failure)


def _as_failure(pipeline: str, message: str, failure: ContainerEnd) -> Failure:
    return Failure(
        "ContainerFailed",
        message,
        container=failure.container,
        exit_code=failure.exit_code,
        log="\n".join(failure.log.strip().splitlines()[-_LOG_LINES:]),
    ).within(pipeline)


def _failed(job: JobState, newest: Sequence[PodState], failure: ContainerEnd | None) -> JobFailed:
    if job.reason == _DEADLINE:
        return JobFailed(f"it did not end within {job.deadline} seconds", failure)
    if failure is not None:
        return JobFailed(_words_of(failure), failure)
    for pod in newest:
        if pod.reason:
            return JobFailed(f"its Pod was ended: {_detail(pod.reason, pod.message)}")
    return JobFailed(f"its Job failed: {_detail(job.reason, job.message)}")


def _obstacle(pods: Sequence[PodState], warnings: Sequence[WarningEvent], failure: ContainerEnd | None) -> str:
    if not pods:
        cause = _why_not_made(warnings)
        return f"its Pod cannot be created: {cause}" if cause else _tried_again(failure)
    pod = pods[0]
    if pod.unschedulable:
        return f"no node takes its Pod: {_cut(pod.unschedulable)}"
    for container in pod.containers:
        words = _waiting(container)
        if words:
            return words
    cause = _why_not_started(warnings) if _may_wait(pod) else ""
    return f"its Pod cannot be started: {cause}" if cause else _tried_again(failure)


def _newest_first(pods: Iterable[PodState]) -> list[PodState]:
    return sorted(pods, key=lambda pod: (pod.created, pod.name), reverse=True)


def _may_wait(pod: PodState) -> bool:
    """Whether a Pod may be waiting for its volumes or its network."""
    return pod.phase == "Pending" and not pod.started


def _why_not_made(warnings: Sequence[WarningEvent]) -> str:
    """The newest cause, without the name of the Pod, which is another one at each attempt."""
    refused = [warning for warning in warnings if warning.reason == _NOT_MADE]
    if not refused:
        return ""
    return _cut(_NAMED.sub("", max(refused, key=lambda warning: warning.last).message))


def _why_not_started(warnings: Sequence[WarningEvent]) -> str:
    """Of the causes that still last the one that was there first: others often follow from it, and come and go."""
    waits = [warning for warning in warnings if warning.reason in _POD_WAITS]
    newest = max((warning.last for warning in waits), default=0.0)
    lasting = [warning for warning in waits if warning.last >= newest - _RECENT]
    first = min(lasting, key=lambda warning: warning.first, default=None)
    return _cut(_IDENTIFIER.sub("…", first.message)) if first else ""


def _waiting(container: ContainerState) -> str:
    if container.waiting in _PULLING:
        # Of the two sentences between which the kubelet goes back and forth, the cause is the same.
        cause = container.message.rpartition(_BACK_OFF)[2]
        if cause.startswith("Back-off "):
            cause = ""
        ending = f": {_cut(cause)}" if cause else ""
        return f"the image {container.image!r} of the container {container.name!r} cannot be pulled{ending}"
    if container.waiting in _STARTING:
        return (
            f"the container {container.name!r} cannot be started: {_cut(container.message or container.waiting)}"
        )
    return ""


def _tried_again(failure: ContainerEnd | None) -> str:
    return f"{_words_of(failure)}; it is tried again" if failure else ""


def _words_of(failure: ContainerEnd) -> str:
    words = f"the container {failure.container!r} ended with exit code {failure.exit_code}"
    if not failure.reason:
        return words
    meaning = _MEANINGS.get(failure.reason, "")
    return f"{words} ({failure.reason}: {meaning})" if meaning else f"{words} ({failure.reason})"


def _last_failure(newest: Iterable[PodState]) -> ContainerEnd | None:
    for pod in newest:
        for container in pod.containers:
            if container.failure is not None:
                return container.failure
    return None


def _detail(reason: str, message: str) -> str:
    return _cut(": ".join(part for part in (reason, message) if part) or "no reason is given")


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_DETAIL else text[: _LONGEST_DETAIL - 1] + "…"
