"""What a field may hold that takes the place of a value in a manifest.

The type is the value's own. Where the place says more (a name, a label, an image, a port, what Kubernetes' schemas
know of a map) the API says it as well: a request that the API lets in must give an object that a cluster takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from troth.authoring.starting.fields import QUANTITY

Path = tuple[str | int, ...]
"""Keys and indexes from an object to a value in it."""

_LABEL_NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_LABEL_START: Final = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL_VALUE: Final = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_IMAGE: Final = r"^[a-z0-9][-a-z0-9._/:]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$"
_LABELS: Final = ("labels", "matchLabels", "selector", "nodeSelector")
_PORTS: Final = ("port", "containerPort", "targetPort", "hostPort", "nodePort")
_LONGEST_NAMES: Final = {"StatefulSet": 52, "CronJob": 52}
_LARGEST: Final = 2147483647


def schema_of(obj: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The schema of a field in that place of the object, without its default."""
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return _number(path, value)
    if isinstance(value, float):
        return {"type": "number"}
    if isinstance(value, str):
        if path == ("metadata", "name"):
            return _text(path, value, longest_name(obj))
        return _text(path, value)
    if isinstance(value, list):
        return {"type": "array", "items": _items(obj, path, value)}
    if value and all(isinstance(child, str) for child in value.values()):
        child = _text((*path, ""), next(iter(value.values())))
        return {"type": "object", "additionalProperties": child}
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _items(obj: Mapping[str, Any], path: Path, value: list[Any]) -> dict[str, Any]:
    kinds = {type(child) for child in value}
    if len(kinds) != 1 or value[0] is None:
        return {"x-kubernetes-preserve-unknown-fields": True}
    schemas = [schema_of(obj, (*path, 0), child) for child in value]
    return schemas[0] if all(schema == schemas[0] for schema in schemas) else {"type": schemas[0]["type"]}


def _number(path: Path, value: int) -> dict[str, Any]:
    if path[-1] in _PORTS and 1 <= value <= 65535:
        return {"type": "integer", "minimum": 1, "maximum": 65535}
    if 0 <= value <= _LARGEST:
        return {"type": "integer", "minimum": 0, "maximum": _LARGEST}
    return {"type": "integer"}


def longest_name(obj: Mapping[str, Any]) -> int:
    """Characters that the object's name may have, its pods' and jobs' included."""
    return _LONGEST_NAMES.get(str(obj.get("kind")), 63)


def _text(path: Path, value: str, longest: int = 63) -> dict[str, Any]:
    last, before = path[-1], path[-2] if len(path) > 1 else ""
    choices: list[dict[str, Any]] = []
    if before in _LABELS:
        choices.append({"maxLength": 63, "pattern": _LABEL_VALUE})
    elif last == "image":
        choices.append({"maxLength": 255, "pattern": _IMAGE})
    elif before in ("requests", "limits", "hard", "capacity"):
        choices.append({"pattern": QUANTITY})
    elif last in ("name", "namespace", "serviceName", "serviceAccountName", "secretName", "claimName"):
        choices += [
            {"minLength": 1, "maxLength": longest, "pattern": pattern} for pattern in (_LABEL_START, _LABEL_NAME)
        ]
        choices.append({"minLength": 1, "maxLength": 253, "pattern": _SUBDOMAIN})
    for choice in choices:
        if len(value) <= choice.get("maxLength", len(value)) and re.search(choice["pattern"], value):
            return {"type": "string", **choice}
    return {"type": "string"}
