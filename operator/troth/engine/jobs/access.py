"""Which account a pipeline has, and what it may do (kratix-compatibility.md#container-pipelines).

An account may read and write the requests of its Promise and its Works, and it may do what the pipeline asks for. All
of these objects belong to one version of the Promise by their names and by a label (`runs`), so a run for another
version neither changes nor removes them. They stay when requests are deleted, and are deleted with the Promise.

A role reference cannot be changed once it is written. So the name of a binding follows from the name of the role that
it refers to and from the account, and two bindings with different roles never share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from troth.api import labels as names
from troth.api.keys import Key, key_of
from troth.api.resources import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    PLATFORM_GROUP,
    PROMISE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    WORK,
    Resource,
)
from troth.api.typed import read_map, read_texts
from troth.engine.jobs.runs import (
    PipelineRun,
    bounded_name,
    label_value,
    pipeline_id,
    promise_labels,
    suffixed_name,
    workflow_labels,
)

Object = Mapping[str, Any]
Placed = tuple[Resource, Object]
"""An object and its kind, as a client applies it."""

_RBAC: Final = "rbac.authorization.k8s.io"
_EVERYWHERE: Final = "*"
_EVERYWHERE_IN_NAMES: Final = "kratix-all-namespaces"
_VERBS: Final = ("get", "list", "update", "create", "patch")


def account_name(run: PipelineRun) -> str:
    """Returns the name of the Pod's ServiceAccount: the one that the pipeline names, or its own."""
    return run.pipeline.service_account or pipeline_id(run)


def make_account(run: PipelineRun) -> Placed:
    """Returns the ServiceAccount. One that a pipeline names may be shared by versions, so it has no version label."""
    own = promise_labels(run)
    labels = {names.PROMISE_NAME: own[names.PROMISE_NAME]} if run.pipeline.service_account else own
    return _make(SERVICE_ACCOUNT, account_name(run), run.namespace, labels)


def may_write_account(run: PipelineRun, existing: Object | None) -> bool:
    """Says whether a run may write its ServiceAccount: it does not exist, or has the label of this Promise."""
    labels = read_texts(read_map(read_map(existing).get("metadata")).get("labels"))
    return existing is None or labels.get(names.PROMISE_NAME) == promise_labels(run)[names.PROMISE_NAME]


def make_own_access(run: PipelineRun) -> tuple[Placed, ...]:
    """Returns the roles and bindings that every pipeline has, whatever it asks for."""
    name, labels = pipeline_id(run), promise_labels(run)
    if run.type == "promise":
        rule = _rule(PLATFORM_GROUP, (PROMISE.plural, f"{PROMISE.plural}/status", WORK.plural), _VERBS)
        return _cluster_wide(run, name, labels, [rule])
    requests = _rule(run.resource.group, (run.resource.plural, f"{run.resource.plural}/status"), _VERBS)
    works = _rule(PLATFORM_GROUP, (WORK.plural,), ("*",))
    access = (
        _make(ROLE, name, run.namespace, labels, rules=[requests, works]),
        _bind(run, ROLE_BINDING, name, run.namespace, labels, ROLE, name),
    )
    if run.namespace == run.object_namespace:
        return access
    return access + _cluster_wide(run, bounded_name(f"{name}-{run.object_namespace}"), labels, [requests])


def make_asked_access(run: PipelineRun) -> tuple[Placed, ...]:
    """Returns the roles and bindings that a pipeline asks for in ``rbac.permissions``, one role for each namespace."""
    rules: dict[str, list[Object]] = {}
    for permission in run.pipeline.permissions:
        rules.setdefault(permission.namespace, []).append(permission.rule)
    return tuple(chain.from_iterable(_asked(run, where, rules[where]) for where in sorted(rules)))


def asked_access_labels(run: PipelineRun) -> dict[str, str]:
    """Returns the labels of everything that this version of the pipeline asks for, or has asked for before."""
    return {**workflow_labels(run), names.PIPELINE_NAMESPACE: label_value(run.namespace)}


def find_surplus(run: PipelineRun, existing: Iterable[Key]) -> tuple[Key, ...]:
    """Returns the roles and bindings to delete, because the pipeline does not ask for them any more.

    Args:
        run: the run that is about to start.
        existing: roles and bindings with the labels `asked_access_labels`.
    """
    wanted = {key_of(resource, obj) for resource, obj in make_asked_access(run)}
    return tuple(sorted(set(existing) - wanted))


def _asked(run: PipelineRun, where: str, rules: list[Object]) -> Iterator[Placed]:
    base, labels = pipeline_id(run), asked_access_labels(run)
    if not where:
        name = suffixed_name(base)
        yield _make(ROLE, name, run.namespace, labels, rules=rules)
        yield _bind(run, ROLE_BINDING, name, run.namespace, labels, ROLE, name)
        return
    everywhere = where == _EVERYWHERE
    labels[names.RESOURCE_NAMESPACE] = names.ALL_NAMESPACES if everywhere else label_value(where)
    role = suffixed_name(f"{base}-{_EVERYWHERE_IN_NAMES if everywhere else where}")
    binding = suffixed_name(f"{base}-{run.namespace}")
    yield _make(CLUSTER_ROLE, role, "", labels, rules=rules)
    if everywhere:
        yield _bind(run, CLUSTER_ROLE_BINDING, binding, "", labels, CLUSTER_ROLE, role)
    else:
        yield _bind(run, ROLE_BINDING, binding, where, labels, CLUSTER_ROLE, role)


def _cluster_wide(
    run: PipelineRun, name: str, labels: Mapping[str, str], rules: list[Object]
) -> tuple[Placed, ...]:
    return (
        _make(CLUSTER_ROLE, name, "", labels, rules=rules),
        _bind(run, CLUSTER_ROLE_BINDING, name, "", labels, CLUSTER_ROLE, name),
    )


def _bind(
    run: PipelineRun,
    resource: Resource,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    role: Resource,
    role_name: str,
) -> Placed:
    return _make(
        resource,
        name,
        namespace,
        labels,
        roleRef={"apiGroup": _RBAC, "kind": role.kind, "name": role_name},
        subjects=[{"kind": SERVICE_ACCOUNT.kind, "name": account_name(run), "namespace": run.namespace}],
    )


def _make(resource: Resource, name: str, namespace: str, labels: Mapping[str, str], **rest: Any) -> Placed:
    metadata: dict[str, Any] = {"name": name, "labels": dict(labels)}
    if namespace:
        metadata["namespace"] = namespace
    return resource, {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **rest}


def _rule(group: str, resources: Iterable[str], verbs: Iterable[str]) -> Object:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
