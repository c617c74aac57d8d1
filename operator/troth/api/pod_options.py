"""What Kratix's Pipeline has no field for: how its Pod is made and ended, in annotations of the Pipeline.

Kratix decodes a Pipeline strictly, so a further field would make it refuse the Promise. It copies annotations to the
Pod and reads none of them; a Promise that has these runs there as it did before. An annotation below ``troth.dev/``
that is not known here is refused, because a misspelt one would be ignored in silence.

The two that hold a structure are JSON, as such annotations of Kubernetes were: one text has one meaning. Rejected:
YAML, whose words mean different things to different readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from troth.api.errors import InvalidObject
from troth.api.nesting import nests_within
from troth.api.strict import refuse_unknown_fields
from troth.api.typed import require_type

Object = Mapping[str, Any]

SECURITY_CONTEXT: Final = "troth.dev/pod-security-context"
AFFINITY: Final = "troth.dev/affinity"
PRIORITY_CLASS: Final = "troth.dev/priority-class"
RUNTIME_CLASS: Final = "troth.dev/runtime-class"
ACTIVE_DEADLINE: Final = "troth.dev/active-deadline-seconds"
MAX_ATTEMPTS: Final = "troth.dev/max-attempts"

_PREFIX: Final = "troth.dev/"
_KNOWN: Final = (SECURITY_CONTEXT, AFFINITY, PRIORITY_CLASS, RUNTIME_CLASS, ACTIVE_DEADLINE, MAX_ATTEMPTS)
_SECURITY_CONTEXT_FIELDS: Final = (
    "appArmorProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxChangePolicy",
    "seLinuxOptions",
    "seccompProfile",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "sysctls",
    "windowsOptions",
)
_AFFINITY_FIELDS: Final = ("nodeAffinity", "podAffinity", "podAntiAffinity")
_DEEPEST: Final = 40
_LARGEST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class PodOptions:
    """How the Pod of a pipeline is made and ended, beyond what Kratix has fields for.

    Attributes:
        security_context: of the Pod, with the names that Kubernetes gives its fields; None for none.
        affinity: likewise.
        priority_class: the name of a PriorityClass; "" for the cluster's default.
        runtime_class: the name of a RuntimeClass; "" for the cluster's default.
        active_deadline: seconds after which the Job has failed; None for no limit.
        max_attempts: how often the pipeline may start at all, first start included, when it asks for retries; None for
            no limit.
    """

    security_context: Object | None = None
    affinity: Object | None = None
    priority_class: str = ""
    runtime_class: str = ""
    active_deadline: int | None = None
    max_attempts: int | None = None


def read_pod_options(annotations: Mapping[str, str], field: str) -> PodOptions:
    """Reads the options among the annotations of a Pipeline; ``field`` is the path of the annotations in the Promise.

    Raises:
        InvalidObject: an annotation below ``troth.dev/`` is unknown or has a value that cannot be used.
    """
    ours = {name: value for name, value in annotations.items() if name.startswith(_PREFIX)}
    refuse_unknown_fields(ours, _KNOWN, field)
    return PodOptions(
        security_context=_read_map(ours, SECURITY_CONTEXT, _SECURITY_CONTEXT_FIELDS, field),
        affinity=_read_map(ours, AFFINITY, _AFFINITY_FIELDS, field),
        priority_class=ours.get(PRIORITY_CLASS, ""),
        runtime_class=ours.get(RUNTIME_CLASS, ""),
        active_deadline=_read_count(ours, ACTIVE_DEADLINE, field),
        max_attempts=_read_count(ours, MAX_ATTEMPTS, field),
    )


def _read_map(annotations: Mapping[str, str], name: str, known: Sequence[str], field: str) -> Object | None:
    if name not in annotations:
        return None
    where = f"{field}.{name}"
    try:
        value = orjson.loads(annotations[name])
    except ValueError as error:
        raise InvalidObject(where, "is not JSON", 'write a map, such as {"runAsUser": 1000}') from error
    require_type(value, dict, where)
    if not nests_within([value], _DEEPEST):
        raise InvalidObject(where, f"nests deeper than {_DEEPEST} levels", "write what Kubernetes has a field for")
    refuse_unknown_fields(value, known, where)
    found: Object = value
    return found


def _read_count(annotations: Mapping[str, str], name: str, field: str) -> int | None:
    if name not in annotations:
        return None
    text = annotations[name]
    count = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_LARGEST)) else 0
    if not 0 < count <= _LARGEST:
        raise InvalidObject(
            f"{field}.{name}", f"{text[:40]!r} is not a count", "write a whole number from 1 on, in quotes"
        )
    return count
