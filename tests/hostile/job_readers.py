"""The readers of container pipelines, of Jobs, of their Pods and of Events about them, for test_readers.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from tests.unit.engine.jobs.sample import RUN, SETTINGS
from troth.api.container_pipelines import ContainerPipeline
from troth.api.pipelines import parse_pipelines
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.observation import JobState, WarningEvent, read_job, read_pod, read_warning
from troth.engine.jobs.outcome import judge_job, step_outcome
from troth.engine.jobs.planning import find_spare_jobs, plan_jobs

Object = dict[str, Any]

CONDITION: Object = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "it fails"}
METADATA: Object = {
    "name": "it",
    "creationTimestamp": "2026-03-01T08:00:00Z",
    "annotations": {"troth.dev/attempt": "2"},
    "labels": {"kratix.io/pipeline-name": "i", "kratix.io/hash": "h"},
    "deletionTimestamp": "2026-03-01T08:00:00Z",
}
CONTAINERS: Object = {
    "apiVersion": "platform.kratix.io/v1alpha1",
    "kind": "Pipeline",
    "metadata": {
        "name": "instance",
        "labels": {"team": "a"},
        "annotations": {
            "troth.dev/affinity": '{"nodeAffinity": {}}',
            "troth.dev/pod-security-context": '{"fsGroup": 1}',
            "troth.dev/priority-class": "high",
            "troth.dev/active-deadline-seconds": "60",
        },
    },
    "spec": {
        "containers": [
            {
                "name": "first",
                "image": "i",
                "command": ["sh"],
                "args": ["-c"],
                "env": [{"name": "A", "value": "b"}],
                "envFrom": [{"secretRef": {"name": "s"}}],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                "imagePullPolicy": "Always",
                "securityContext": {"runAsUser": 1},
                "resources": {"limits": {"cpu": "1"}},
            }
        ],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "imagePullSecrets": [{"name": "pull"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "restartPolicy": "Never",
        "jobOptions": {"backoffLimit": 0},
        "rbac": {
            "serviceAccount": "runner",
            "permissions": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNamespace": "*"}
            ],
        },
    },
}
JOB: Object = {
    "metadata": METADATA,
    "spec": {"suspend": True, "activeDeadlineSeconds": 60},
    "status": {"conditions": [CONDITION, CONDITION | {"type": "Suspended"}]},
}
POD: Object = {
    "metadata": METADATA,
    "spec": {"initContainers": [{"name": "first", "image": "i"}], "containers": [{"name": "last", "image": "i"}]},
    "status": {
        "phase": "Pending",
        "reason": "Evicted",
        "message": "low on memory",
        "conditions": [CONDITION | {"type": "PodScheduled", "status": "False"}],
        "initContainerStatuses": [
            {
                "name": "first",
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off: ErrImagePull: why"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "OOMKilled", "message": "log"}},
            }
        ],
        "containerStatuses": [{"name": "last", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}],
    },
}
WARNING: Object = {
    "type": "Warning",
    "reason": "FailedCreate",
    "note": "exceeded quota",
    "message": "m",
    "metadata": {"creationTimestamp": "2026-11-30T10:00:00Z"},
    "deprecatedLastTimestamp": "2026-11-30T10:00:00Z",
    "series": {"lastObservedTime": "2026-11-30T10:00:00.000000Z"},
}


def see_containers(obj: Any) -> None:
    (parsed,) = parse_pipelines([obj], "spec", action="configure")
    if isinstance(parsed, ContainerPipeline):
        orjson.dumps([placed[1] for placed in make_objects(replace(RUN, pipeline=parsed), SETTINGS).in_order])


def see_job(obj: Any) -> None:
    job, pod = read_job(obj), read_pod(POD)
    plan_jobs([job], "j"), find_spare_jobs([job], 0)
    orjson.dumps([repr(step_outcome("p", judge_job(job, [pod]))), repr(step_outcome("p", judge_job(job, ())))])


def see_pod(obj: Any) -> None:
    pod = read_pod(obj)
    for job in (JobState("j"), JobState("j", end="Failed")):
        orjson.dumps(repr(step_outcome("p", judge_job(job, [pod], (WarningEvent("FailedMount", "m"),)))))


def see_warning(obj: Any) -> None:
    warning = read_warning(obj)
    judge_job(JobState("j"), (), [warning] if warning else ())


JOB_READERS: Mapping[str, tuple[Callable[[Any], object], Any]] = {
    "containers": (see_containers, CONTAINERS),
    "job": (see_job, JOB),
    "pod": (see_pod, POD),
    "warning": (see_warning, WARNING),
}
"""Each reader with something sound to read."""
