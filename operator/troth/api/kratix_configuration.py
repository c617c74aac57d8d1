"""Kratix's own configuration: the document in the ConfigMap ``kratix`` (kratix-compatibility.md#configuration).

Whoever comes from Kratix has this ConfigMap, so what it says about container pipelines, about how often workflows run
again and about the versions of new requests applies here as well. Its other
keys are about parts that Troth does not have, or that it configures elsewhere; they are accepted and have no effect.

Kratix ignores keys that it does not know. Here they are reported, because a misspelt one would be ignored in silence,
but they are not refused: a newer Kratix may have more of them. A value that cannot be used makes the document as a
whole unusable, so that what applies is never half of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api.container_pipelines import RESOURCES_FIELDS, SECURITY_CONTEXT_FIELDS
from troth.api.errors import InvalidObject
from troth.api.strict import close_match, refuse_unknown_fields
from troth.api.typed import name_type, require_map, require_text

Object = Mapping[str, Any]

NAME: Final = "kratix"
"""The name of the ConfigMap."""

KEY: Final = "config"
"""Its key with the document."""

_PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
_STRATEGIES: Final = ("floating", "pinned")
_MOST: Final = 2**31 - 1

_KNOWN: Final[Mapping[str, Sequence[str]]] = {
    "": (
        "workflows",
        "numberOfJobsToKeep",
        "reconciliationInterval",
        "stateStoreReconciliationInterval",
        "selectiveCache",
        "controllerLeaderElection",
        "logging",
        "telemetry",
        "resourceBindingVersionStrategy",
        "git",
        "featureFlags",
    ),
    "workflows": (
        "defaultContainerSecurityContext",
        "defaultImagePullPolicy",
        "defaultContainerResources",
        "jobOptions",
        "reconcileAfterFailure",
    ),
    "workflows.jobOptions": ("defaultBackoffLimit", "podTTLSecondsAfterFinished"),
}


@dataclass(frozen=True, slots=True)
class KratixConfiguration:
    """What the document says. None where it says nothing.

    Attributes:
        security_context: of a container that has none.
        pull_policy: of a container that has none.
        resources: of a container that has none.
        backoff_limit: of a pipeline that has none.
        pod_ttl: seconds after which the Pods of a Job that has ended are deleted.
        jobs_kept: how many Jobs of each pipeline are kept.
        reconciliation_interval: after how long a workflow runs again, as Go writes durations.
        reconcile_after_failure: whether one that has failed runs again after that, too.
        pins_requests: whether a new request stays on the version of its Promise that is the latest one then.
        unknown: the paths of keys that are not known, with what was probably meant.
    """

    security_context: Object | None = None
    pull_policy: str | None = None
    resources: Object | None = None
    backoff_limit: int | None = None
    pod_ttl: int | None = None
    jobs_kept: int | None = None
    reconciliation_interval: str | None = None
    reconcile_after_failure: bool | None = None
    pins_requests: bool | None = None
    unknown: tuple[str, ...] = ()


def read_kratix_configuration(document: Any) -> KratixConfiguration:
    """Reads the document, as YAML has read it.

    Raises:
        InvalidObject: a value has another type than it must have, or cannot be used.
    """
    root = require_map(document, KEY)
    workflows = require_map(root.get("workflows"), "workflows")
    options = require_map(workflows.get("jobOptions"), "workflows.jobOptions")
    found = {"": root, "workflows": workflows, "workflows.jobOptions": options}
    return KratixConfiguration(
        security_context=_fields(
            workflows, "defaultContainerSecurityContext", SECURITY_CONTEXT_FIELDS, "workflows"
        ),
        pull_policy=_one_of(
            _PULL_POLICIES,
            "a pull policy",
            workflows.get("defaultImagePullPolicy"),
            "workflows.defaultImagePullPolicy",
        ),
        resources=_fields(workflows, "defaultContainerResources", RESOURCES_FIELDS, "workflows"),
        backoff_limit=_count(options, "defaultBackoffLimit", "workflows.jobOptions."),
        pod_ttl=_count(options, "podTTLSecondsAfterFinished", "workflows.jobOptions."),
        jobs_kept=_count(root, "numberOfJobsToKeep", "", least=1),
        reconciliation_interval=require_text(root.get("reconciliationInterval"), "reconciliationInterval") or None,
        reconcile_after_failure=_flag(workflows, "reconcileAfterFailure", "workflows."),
        pins_requests=_pins_requests(root.get("resourceBindingVersionStrategy")),
        unknown=tuple(problem for path, entries in found.items() for problem in _unknown(entries, path)),
    )


def _unknown(entries: Object, path: str) -> Iterator[str]:
    for name in entries:
        if name not in _KNOWN[path]:
            meant = close_match(str(name), _KNOWN[path])
            where = f"{path}.{name}" if path else str(name)
            yield f"{where} (did you mean {meant}?)" if meant else where


def _fields(entries: Object, name: str, known: Sequence[str], path: str) -> Object | None:
    if entries.get(name) is None:
        return None
    found = require_map(entries[name], f"{path}.{name}")
    refuse_unknown_fields(found, known, f"{path}.{name}")
    return found


def _one_of(known: Sequence[str], what: str, value: Any, field: str) -> str | None:
    found = require_text(value, field)
    if found and found not in known:
        raise InvalidObject(field, f"{found!r} is not {what}", f"write one of {', '.join(known)}")
    return found or None


def _pins_requests(value: Any) -> bool | None:
    found = _one_of(_STRATEGIES, "a strategy", value, "resourceBindingVersionStrategy")
    return None if found is None else found == "pinned"


def _flag(entries: Object, name: str, path: str) -> bool | None:
    value = entries.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidObject(f"{path}{name}", f"is {name_type(value)}, not true or false", "write true or false")
    return value


def _count(entries: Object, name: str, path: str, *, least: int = 0) -> int | None:
    value = entries.get(name)
    if value is None:
        return None
    remedy = f"write a whole number from {least} on"
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidObject(f"{path}{name}", f"is {name_type(value)}, not a whole number", remedy)
    if not least <= value <= _MOST:
        raise InvalidObject(f"{path}{name}", f"{value} is out of range", remedy)
    return value
