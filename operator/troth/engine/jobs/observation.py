"""What the API server says of a Job, of its Pods and of what went wrong with them, as far as an outcome depends on it.

Read leniently: another controller wrote it, and what has another type than expected is taken for missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from troth.api import labels as names
from troth.api.objects import read_metadata
from troth.api.typed import read_map, read_maps, read_text, read_whole

Object = Mapping[str, Any]
_LONGEST_COUNT: Final = 9
JobEnd = Literal["", "Complete", "Failed"]


@dataclass(frozen=True, slots=True)
class JobState:
    """A Job.

    Attributes:
        name: of the Job.
        pipeline: which pipeline it runs.
        attempt: which run of its pipeline it is (`troth.engine.jobs.runs.PipelineRun`); 0 when it does not say.
        created: RFC 3339, to the second.
        end: how it ended; "" while it has not.
        reason: why it failed, in the Job controller's word, such as ``BackoffLimitExceeded``.
        message: the same in its sentence.
        deadline: seconds after which it fails; 0 for none.
        suspended: somebody has suspended it, and its Pods are gone, or were told to go.
        deleting: it is being deleted.
        ended: when it ended, in RFC 3339; "" while it has not.
    """

    name: str
    pipeline: str = ""
    attempt: int = 0
    created: str = ""
    end: JobEnd = ""
    reason: str = ""
    message: str = ""
    deadline: int = 0
    suspended: bool = False
    deleting: bool = False
    ended: str = ""

    @property
    def is_running(self) -> bool:
        """Whether something of it may still run: it has not ended, and is not suspended."""
        return not self.end and not self.suspended


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How a container ended that failed.

    Attributes:
        container: its name.
        exit_code: of its process.
        reason: the kubelet's word when it knows more than the code says, such as ``OOMKilled``; else "".
        log: the end of what it wrote, or its own message.
    """

    container: str
    exit_code: int
    reason: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container of a Pod.

    Attributes:
        name: of the container.
        image: as the Pod names it.
        waiting: the kubelet's word for what it waits for, such as ``ImagePullBackOff``; "" when it does not wait.
        message: the same in the kubelet's sentence.
        failure: how it failed, or how its last run failed when it is tried again; None when neither did.
        started: whether it runs, or has run.
    """

    name: str
    image: str = ""
    waiting: str = ""
    message: str = ""
    failure: ContainerEnd | None = None
    started: bool = False


@dataclass(frozen=True, slots=True)
class PodState:
    """A Pod of a Job.

    Attributes:
        name: of the Pod.
        created: RFC 3339, to the second.
        phase: as Kubernetes has it.
        reason: why the Pod as a whole ended, such as ``Evicted``.
        message: the same in a sentence.
        unschedulable: why no node takes it; "" when one has.
        containers: in the order in which they run.
        started: a container of it has run, so its volumes are mounted and its network is there.
        uid: its uid.
        deleting: it is being deleted.
    """

    name: str
    created: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    unschedulable: str = ""
    containers: tuple[ContainerState, ...] = ()
    started: bool = False
    uid: str = ""
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class WarningEvent:
    """An Event of the type Warning about a Job or a Pod, such as ``FailedCreate``.

    It is the only place where some things stand: that a quota is exceeded, or that a volume cannot be mounted.

    Attributes:
        reason: in CamelCase.
        message: the sentence.
        first: when it was written first, in seconds since 1970; 0 when it does not say.
        last: when it was seen last, in the same form.
    """

    reason: str
    message: str
    first: float = 0.0
    last: float = 0.0


def read_job(obj: Object) -> JobState:
    """Returns the view of a Job."""
    metadata, spec = read_metadata(obj), read_map(obj.get("spec"))
    true = {
        read_text(entry.get("type")): entry
        for entry in read_maps(read_map(obj.get("status")).get("conditions"))
        if entry.get("status") == "True"
    }
    end: JobEnd = "Complete" if "Complete" in true else "Failed" if "Failed" in true else ""
    return JobState(
        name=metadata.name,
        pipeline=metadata.labels.get(names.PIPELINE_NAME, ""),
        attempt=_read_count(metadata.annotations.get(names.ATTEMPT, "")),
        created=metadata.creation_timestamp,
        end=end,
        reason=read_text(true[end].get("reason")) if end else "",
        message=read_text(true[end].get("message")) if end else "",
        deadline=read_whole(spec.get("activeDeadlineSeconds")),
        suspended="Suspended" in true and spec.get("suspend") is True,
        deleting=metadata.deleting,
        ended=read_text(true[end].get("lastTransitionTime")) if end else "",
    )


def end_by_pods(job: JobState, pods: Iterable[PodState]) -> JobState:
    """Returns a Job as ended well if one of its Pods has succeeded, although its own status does not say so yet.

    The Job controller gathers for a second what happens to Pods before it writes the status of their Job. A Job of one
    Pod is Complete when that Pod has succeeded, unless its deadline passes within that second.

    Args:
        job: the Job.
        pods: of that Job.
    """
    if job.end or all(pod.phase != "Succeeded" for pod in pods):
        return job
    return replace(job, end="Complete")


def read_pod(obj: Object) -> PodState:
    """Returns the view of a Pod."""
    metadata, spec, status = read_metadata(obj), read_map(obj.get("spec")), read_map(obj.get("status"))
    found = {
        read_text(entry.get("name")): entry
        for kind in ("initContainerStatuses", "containerStatuses")
        for entry in read_maps(status.get(kind))
    }
    declared = [entry for kind in ("initContainers", "containers") for entry in read_maps(spec.get(kind))] or list(
        found.values()
    )
    return PodState(
        name=metadata.name,
        created=metadata.creation_timestamp,
        phase=read_text(status.get("phase")),
        reason=read_text(status.get("reason")),
        message=read_text(status.get("message")),
        unschedulable=_unschedulable(status),
        containers=tuple(_read_container(entry, found) for entry in declared),
        started=any(map(_has_run, found.values())),
        uid=metadata.uid,
        deleting=metadata.deleting,
    )


def read_warning(obj: Object) -> WarningEvent | None:
    """Returns the view of an Event of either API; None if it is not a Warning."""
    if obj.get("type") != "Warning":
        return None
    first = _read_time(read_map(obj.get("metadata")).get("creationTimestamp"))
    series = read_map(obj.get("series"))
    # The Job controller and the kubelet count in the fields of the older API, and Troth in a series.
    seen = (series.get("lastObservedTime"), obj.get("deprecatedLastTimestamp"), obj.get("lastTimestamp"))
    return WarningEvent(
        reason=read_text(obj.get("reason")),
        message=read_text(obj.get("note")) or read_text(obj.get("message")),
        first=first,
        last=max(first, *map(_read_time, seen)),
    )


def _read_count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_COUNT else 0


def _unschedulable(status: Object) -> str:
    for entry in read_maps(status.get("conditions")):
        if entry.get("type") == "PodScheduled" and entry.get("status") == "False":
            return read_text(entry.get("message")) or read_text(entry.get("reason"))
    return ""


def _has_run(status: Object) -> bool:
    states = (read_map(status.get("state")), read_map(status.get("lastState")))
    return any(kind in state for state in states for kind in ("running", "terminated"))


def _read_time(value: Any) -> float:
    try:
        return datetime.fromisoformat(read_text(value)).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _read_container(declared: Object, statuses: Mapping[str, Object]) -> ContainerState:
    name = read_text(declared.get("name"))
    status = statuses.get(name, {})
    state = read_map(status.get("state"))
    waiting = read_map(state.get("waiting"))
    ended = read_map(state.get("terminated")) or read_map(read_map(status.get("lastState")).get("terminated"))
    return ContainerState(
        name=name,
        image=read_text(declared.get("image")),
        waiting=read_text(waiting.get("reason")),
        message=read_text(waiting.get("message")),
        failure=_read_end(name, ended),
        started=bool(ended) or "running" in state,
    )


def _read_end(name: str, ended: Object) -> ContainerEnd | None:
    code, reason = read_whole(ended.get("exitCode")), read_text(ended.get("reason"))
    if not ended or (code == 0 and reason in ("", "Completed")):
        return None
    return ContainerEnd(
        name, code, "" if reason in ("Error", "Completed") else reason, read_text(ended.get("message"))
    )
