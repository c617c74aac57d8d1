"""The schema of a field that replaces a value in a manifest.

The type is that of the value. If more is known of the place (a name, a label, an image, a port, what Kubernetes'
schemas say about a map), the field is limited to that: a request that the API allows must give an object that a
cluster accepts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from troth.authoring.starting.fields import QUANTITY
from troth.engine.kinds.kubernetes import Kubernetes

Path = tuple[str | int, ...]
"""The keys and indexes that lead from an object to a value in it."""

LABEL_NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
LABEL_START: Final = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL_VALUE: Final = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_IMAGE: Final = r"^[a-z0-9][-a-z0-9._/:]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$"
_LABELS: Final = ("labels", "matchLabels", "selector", "nodeSelector")
_PORTS: Final = ("port", "containerPort", "targetPort", "hostPort", "nodePort")
_LONGEST_NAMES: Final = {"StatefulSet": 52, "CronJob": 52}
_LARGEST: Final = 2147483647


def schema_of(obj: Mapping[str, Any], path: Path, value: Any, known: Kubernetes) -> dict[str, Any]:
    """The schema of a field in this place of the object, without its default.

    Args:
        obj: the manifest.
        path: the path of the value in it.
        value: the value. If it is a map or a list, the field has the parts that the value has.
        known: the schemas of Kubernetes' own kinds.
    """
    longest = longest_name(obj) if path == ("metadata", "name") else 63
    shape = _shape(known, known.schema_at(obj, path), path, value, longest)
    if obj.get("kind") == "Service" and value != "ExternalName" and path == ("spec", "type"):
        shape["enum"] = [
            word for word in shape.get("enum", (value,)) if word != "ExternalName"
        ]  # a Service of that type needs an externalName, too
    if obj.get("kind") == "Service" and path == ("spec", "ports") and len(value) == 1 and "name" not in value[0]:
        shape["maxItems"] = 1  # if there were several, each would need a name
    return shape


def _shape(known: Kubernetes, schema: Mapping[str, Any], path: Path, value: Any, longest: int) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, (int, float)):
        return _bounded(schema, number_schema(path, value) if isinstance(value, int) else {"type": "number"})
    if isinstance(value, str):
        return _worded(schema, path, value, longest)
    if isinstance(value, list):
        items = schema.get("items")
        inner = known.resolved(items) if isinstance(items, Mapping) else {}
        least = {"minItems": 1} if value and all(isinstance(child, dict) for child in value) else {}
        return {"type": "array", **least, "items": _items(known, inner, path, value, longest)}
    if not isinstance(value, dict):
        return {"x-kubernetes-preserve-unknown-fields": True}
    return _map(known, schema, path, value, longest)


def _map(
    known: Kubernetes, schema: Mapping[str, Any], path: Path, value: Mapping[str, Any], longest: int
) -> dict[str, Any]:
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and value and all(key in properties for key in value):
        wanted = {
            key: _shape(known, known.resolved(properties[key]), (*path, key), child, longest)
            for key, child in value.items()
        }
        required = [key for key in schema.get("required") or () if key in wanted]
        for key in required:
            if wanted[key].get("type") == "string" and "enum" not in wanted[key]:
                wanted[key].setdefault("minLength", 1)
        return {"type": "object", **({"required": required} if required else {}), "properties": wanted}
    if value and all(isinstance(child, str) for child in value.values()):
        rest = schema.get("additionalProperties")
        inner = known.resolved(rest) if isinstance(rest, Mapping) else {}
        least = {"minProperties": 1} if path[-1] in ("matchLabels", "selector") else {}
        text = _worded(inner, (*path, ""), next(iter(value.values())), longest)
        return {"type": "object", **least, "additionalProperties": text}
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _items(
    known: Kubernetes, schema: Mapping[str, Any], path: Path, value: list[Any], longest: int
) -> dict[str, Any]:
    if value and all(isinstance(child, dict) for child in value):
        whole: dict[str, Any] = {}
        for child in value:
            whole |= child
        return _map(known, schema, (*path, 0), whole, longest)
    kinds = {type(child) for child in value}
    if len(kinds) != 1 or value[0] is None:
        return {"x-kubernetes-preserve-unknown-fields": True}
    shapes = [_shape(known, schema, (*path, 0), child, longest) for child in value]
    return shapes[0] if all(shape == shapes[0] for shape in shapes) else {"type": shapes[0]["type"]}


def _bounded(schema: Mapping[str, Any], number: dict[str, Any]) -> dict[str, Any]:
    for bound in ("minimum", "maximum"):
        if isinstance(schema.get(bound), (int, float)):
            number[bound] = schema[bound]
    return number


def _worded(schema: Mapping[str, Any], path: Path, value: str, longest: int) -> dict[str, Any]:
    """The schema of a text, with the limits of Kubernetes' schemas or else of its place."""
    enum = schema.get("enum")
    if isinstance(enum, list) and value in enum:
        return {"type": "string", "enum": [word for word in enum if word or not value]}
    if isinstance(schema.get("pattern"), str):
        longest = min(schema.get("maxLength", 253), 253)
        return {"type": "string", "maxLength": longest, "pattern": f"^({schema['pattern']})$"}
    if schema.get("type") == "quantity":
        return {"type": "string", "pattern": QUANTITY}
    return _text(path, value, longest)


def number_schema(path: Path, value: int) -> dict[str, Any]:
    """The schema of a whole number in this place."""
    if path[-1] in _PORTS and 1 <= value <= 65535:
        return {"type": "integer", "minimum": 1, "maximum": 65535}
    if 0 <= value <= _LARGEST:
        return {"type": "integer", "minimum": 0, "maximum": _LARGEST}
    return {"type": "integer"}


def longest_name(obj: Mapping[str, Any]) -> int:
    """The greatest length of the object's name in characters, with room for the names of its Pods and Jobs."""
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
            {"minLength": 1, "maxLength": longest, "pattern": pattern} for pattern in (LABEL_START, LABEL_NAME)
        ]
        choices.append({"minLength": 1, "maxLength": 253, "pattern": _SUBDOMAIN})
    for choice in choices:
        if len(value) <= choice.get("maxLength", len(value)) and re.search(choice["pattern"], value):
            return {"type": "string", **choice}
    return {"type": "string"}
