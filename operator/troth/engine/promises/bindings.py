"""Which version of its Promise a request uses (kratix-compatibility.md#revisions-and-bindings).

The ResourceBinding of a request names a version, or ``latest``. Without a binding, the version counts that the
request's status says it had in a binding, and then the operator's setting: new requests follow the Promise, or stay on
the version that is the latest one when they are made.

Only requests of a Promise with a version get a binding: without a version there is nothing to choose from, and
thousands of bindings would say the same. A binding that somebody makes counts in any case.

What is here is pure. `troth.engine.judgement` says what follows for a request, and
`troth.controllers.request_bindings` writes what is to be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from troth.api import Condition, Promise, Request, merge_conditions
from troth.api import conditions as types
from troth.api import labels as names
from troth.api.naming import deterministic_name
from troth.api.resources import PLATFORM_API_VERSION, RESOURCE_BINDING
from troth.api.revisions import PromiseRevision, ResourceBinding
from troth.api.typed import read_text
from troth.engine.promises.revisions import version_of
from troth.engine.status.facts import WorkflowState

Object = Mapping[str, Any]

_NOT_MIRRORED: Final = frozenset({names.MANUAL_RECONCILIATION, names.RUN_FROM_START})


@dataclass(frozen=True, slots=True)
class Versions:
    """What the version of a request depends on, besides the request and its Promise.

    Attributes:
        bindings: the bindings of the request. There should be one at most.
        revisions: the revisions of the Promise.
        pinned: whether a new request stays on the version that is the latest one when it is made.
    """

    bindings: tuple[ResourceBinding, ...] = ()
    revisions: tuple[PromiseRevision, ...] = ()
    pinned: bool = False

    @property
    def binding(self) -> ResourceBinding | None:
        """The binding of the request, if it is the only one."""
        return self.bindings[0] if len(self.bindings) == 1 else None


def asked_version(promise: Promise, request: Request, versions: Versions) -> str:
    """Returns the version that a request asks for: that of a revision, or ``latest``."""
    if versions.binding is not None:
        return versions.binding.version
    told = read_text(request.status.get("resourceBindingVersion"))
    if told:
        return told
    if not versions.pinned or not promise.version:
        return names.VERSION_LATEST
    return next((each.version for each in versions.revisions if each.is_latest), version_of(promise))


def applied_version(promise: Promise, request: Request, versions: Versions) -> str:
    """Returns the version with which a request was carried out last; that of the Promise before the first time."""
    binding = versions.binding
    told = read_text(request.status.get("promiseVersion"))
    return told or (binding.applied if binding else "") or version_of(promise)


def as_of_revision(promise: Promise, revision: PromiseRevision) -> Promise:
    """Returns a Promise as it was at a revision. The API stays that of the newest version: a cluster has only one."""
    meta = promise.metadata
    annotations = dict(meta.annotations)
    annotations.pop(names.RECONCILIATION_INTERVAL, None)
    if interval := revision.metadata.annotations.get(names.RECONCILIATION_INTERVAL):
        annotations[names.RECONCILIATION_INTERVAL] = interval
    labels = {**meta.labels, names.PROMISE_VERSION: revision.version}
    if revision.version == names.VERSION_NOT_SET:
        del labels[names.PROMISE_VERSION]
    return replace(
        promise,
        metadata=replace(
            meta,
            uid=revision.metadata.uid,
            generation=revision.metadata.generation,
            labels=labels,
            annotations=annotations,
        ),
        spec=replace(revision.spec, api=promise.spec.api),
        raw={**promise.raw, "spec": revision.raw_spec},
    )


def known_versions(revisions: tuple[PromiseRevision, ...]) -> str:
    """Returns the versions that `find_usable_revision` finds, in words."""
    return ", ".join(sorted({each.version for each in revisions if not each.metadata.deleting})) or "none"


# ---- what is written


def binding_name(promise: str, request: str) -> str:
    """Returns the name of a binding that the operator makes: Kratix's deterministic name."""
    return deterministic_name(f"{request}-{promise}")


def new_binding(promise: str, request: Request, version: str) -> Object:
    """Returns the binding that a request gets."""
    meta = request.metadata
    mirrored = _mirrored(request)
    return {
        "apiVersion": PLATFORM_API_VERSION,
        "kind": RESOURCE_BINDING.kind,
        "metadata": {
            "name": binding_name(promise, meta.name),
            "namespace": meta.namespace,
            "labels": {**mirrored, **_found_by(promise, meta.name)},
            **({"annotations": {names.MIRRORED_LABELS: _list(mirrored)}} if mirrored else {}),
        },
        "spec": {
            "version": version,
            "promiseRef": {"name": promise},
            "resourceRef": {"name": meta.name, "namespace": meta.namespace, "generation": meta.generation},
        },
    }


def binding_patch(promise: str, request: Request, binding: ResourceBinding) -> Object | None:
    """Returns the merge patch that gives a binding the labels of its request; None when it has them.

    Labels of the binding that the request never had stay.
    """
    meta = binding.metadata
    mirrored = _mirrored(request)
    before = set(filter(None, meta.annotations.get(names.MIRRORED_LABELS, "").split(",")))
    wanted = {**mirrored, **_found_by(promise, request.metadata.name)}
    labels: dict[str, str | None] = {key: text for key, text in wanted.items() if meta.labels.get(key) != text}
    labels |= {key: None for key in sorted(before - wanted.keys()) if key in meta.labels}
    noted = _list(mirrored)
    if not labels and noted == meta.annotations.get(names.MIRRORED_LABELS, ""):
        return None
    patch: dict[str, Any] = {"annotations": {names.MIRRORED_LABELS: noted or None}}
    return {"metadata": {**patch, "labels": labels} if labels else patch}


def binding_status(binding: ResourceBinding, *, version: str, outcome: WorkflowState, now: str) -> dict[str, Any]:
    """Returns the status of a binding after its request was rendered; None stands for what is removed.

    An upgrade is a change to another version than the one that was applied last, so the first deployment is not one.
    What failed stays said until the request succeeds or moves to another version. The function gives the same answer
    again and again for the same outcome, so nothing goes back and forth.

    Args:
        binding: the binding.
        version: the version with which the request was rendered.
        outcome: what became of its workflow.
        now: RFC 3339; only used where something changes.
    """
    status = binding.status
    applied = binding.applied
    told = types.find_condition(status.get("conditions"), types.UPGRADE_SUCCEEDED)
    upgrades = bool(applied) and applied != version
    condition: Condition | None = None
    found: dict[str, Any] = {
        "lastAppliedVersion": applied or None,
        "failedVersion": read_text(status.get("failedVersion")) or None,
    }
    kind = types.UPGRADE_SUCCEEDED
    match outcome:
        case "Succeeded":
            found = {"lastAppliedVersion": version, "failedVersion": None}
            if upgrades or told is not None:
                condition = Condition(kind, "True", "UpgradeComplete", f"Resource is at version {version}")
        case "Failed" if applied != version:
            found["failedVersion"] = version
            if upgrades:
                message = f"Upgrade to version {version} failed: the request says why; it stays at {applied}"
                condition = Condition(kind, "False", "UpgradeFailed", message)
        case "Pending" | "Suspended" if upgrades and found["failedVersion"] != version:
            found["failedVersion"] = None
            message = f"Upgrade to version {version} is in progress"
            condition = Condition(kind, "Unknown", "UpgradeInProgress", message)
        case _:
            pass
    conditions = merge_conditions(status.get("conditions"), () if condition is None else (condition,), now=now)
    return {
        **found,
        "observedGeneration": binding.metadata.generation,
        **({"conditions": conditions} if conditions else {}),
    }


def _mirrored(request: Request) -> dict[str, str]:
    own = {names.PROMISE_NAME, names.RESOURCE_NAME}
    return {key: text for key, text in request.metadata.labels.items() if key not in _NOT_MIRRORED | own}


def _found_by(promise: str, request: str) -> dict[str, str]:
    return {names.PROMISE_NAME: promise, names.RESOURCE_NAME: request}


def _list(labels: Mapping[str, str]) -> str:
    return ",".join(sorted(labels))
