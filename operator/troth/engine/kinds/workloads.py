"""Rules of Kubernetes' validation code about several fields together, which mistakes in templates often break.

The API server certainly refuses an object that breaks one. Source: `pkg/apis/{apps,batch,core,autoscaling}/validation`
of Kubernetes 1.36.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Problem = tuple[str, str]

_SELECTING: Final = {
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
}
_PODS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("v1", "Pod"): (),
    ("batch/v1", "Job"): ("spec", "template"),
    ("batch/v1", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(_SELECTING, ("spec", "template")),
}


def broken_rules(obj: Mapping[str, Any]) -> Iterator[Problem]:
    """Yields the field and the problem of each rule that an object with correct types breaks."""
    kind = (str(obj.get("apiVersion")), str(obj.get("kind")))
    if kind in _PODS:
        path = _PODS[kind]
        pod = _map(obj, *path, "spec")
        where = ".".join((*path, "spec"))
        yield from _selector(obj) if kind in _SELECTING else ()
        yield from _restart(kind, pod, where)
        yield from _containers(obj, pod, where)
    elif kind == ("v1", "Service"):
        yield from _service(_map(obj, "spec"))
    elif kind == ("autoscaling/v2", "HorizontalPodAutoscaler"):
        least, most = _map(obj, "spec").get("minReplicas"), _map(obj, "spec").get("maxReplicas")
        if isinstance(least, int) and isinstance(most, int) and most < least:
            yield "spec.maxReplicas", f"is {most}, less than minReplicas, {least}"


def _selector(obj: Mapping[str, Any]) -> Iterator[Problem]:
    labels = _map(obj, "spec", "template", "metadata", "labels")
    selector = _map(obj, "spec", "selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield "spec.selector", "selects nothing, but must select the Pods of the template"
    for name, value in _map(selector, "matchLabels").items():
        if labels.get(name) != value:
            has = f"is {labels[name]!r}" if name in labels else "is missing"
            yield "spec.template.metadata.labels", f"{name} {has}, but the selector needs {value!r}"


def _restart(kind: tuple[str, str], pod: Mapping[str, Any], where: str) -> Iterator[Problem]:
    policy = pod.get("restartPolicy")
    if kind[0] == "batch/v1" and policy in (None, "", "Always"):
        yield f"{where}.restartPolicy", f"of a {kind[1]} must be OnFailure or Never"
    elif kind in _SELECTING and policy not in (None, "", "Always"):
        yield f"{where}.restartPolicy", f"of a {kind[1]} must be Always"


def _containers(obj: Mapping[str, Any], pod: Mapping[str, Any], where: str) -> Iterator[Problem]:
    containers = _list(pod.get("containers"))
    if isinstance(pod.get("containers"), list) and not containers:
        yield f"{where}.containers", "is empty, but a Pod needs a container"
    everyone = [*_list(pod.get("initContainers")), *containers]
    yield from _twice((each.get("name") for each in everyone), f"{where}.containers", "containers")
    yield from _twice((each.get("name") for each in _list(pod.get("volumes"))), f"{where}.volumes", "volumes")
    volumes = {each.get("name") for each in _list(pod.get("volumes"))}
    claims = _list(_map(obj, "spec").get("volumeClaimTemplates"))
    volumes |= {_map(claim, "metadata").get("name") for claim in claims}
    for container in everyone:
        name = container.get("name")
        for mount in _list(container.get("volumeMounts")):
            if mount.get("name") not in volumes:
                yield (
                    f"{where}.containers",
                    f"{name} mounts the volume {mount.get('name')!r}, which does not exist",
                )
        mounted = (mount.get("mountPath") for mount in _list(container.get("volumeMounts")))
        yield from _twice(mounted, f"{where}.containers", f"mounts of {name}")


def _service(spec: Mapping[str, Any]) -> Iterator[Problem]:
    ports = _list(spec.get("ports"))
    if len(ports) > 1 and not all(port.get("name") for port in ports):
        yield "spec.ports", "has several ports, so each of them needs a name"
    yield from _twice((port.get("name") for port in ports), "spec.ports", "ports")
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield "spec.ports", "is required"
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        yield "spec.externalName", "is required"


def _twice(names: Iterator[Any], field: str, what: str) -> Iterator[Problem]:
    for name, count in Counter(name for name in names if isinstance(name, str) and name).items():
        if count > 1:
            yield field, f"{count} {what} are called {name!r}"


def _map(value: Any, *path: str) -> Mapping[str, Any]:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
