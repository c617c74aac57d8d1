"""Relaxes the API of a Promise that is being deleted, so that finalizers can be removed from all of its requests.

The API server validates a whole object at each write, even if only a finalizer is removed. Since Kubernetes 1.30 it
accepts faults that did not change, except at the root: a required field there, a rule of the root and a rule that
compares with the old object can refuse every write. So a definition that is being deleted loses everything that can
refuse a value. Types, defaults and pruning stay, so that delete pipelines see the requests in the usual form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.engine.promises.definition_changes import stored_version
from troth.engine.promises.definitions import Definition

_KEPT: Final = (
    "type",
    "description",
    "default",
    "nullable",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-embedded-resource",
)


def relaxing_patch(live: Definition) -> dict[str, Any] | None:
    """Returns the JSON merge patch that relaxes all versions of a definition, or None if none refuses anything."""
    versions = [_relaxed_version(version) for version in live.spec.get("versions") or ()]
    if [stored_version(version) for version in live.spec.get("versions") or ()] == [
        *map(stored_version, versions)
    ]:
        return None
    return {"spec": {"versions": versions}}


def _relaxed_version(version: Mapping[str, Any]) -> dict[str, Any]:
    root = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
    relaxed = relaxed_schema(root)
    if "metadata" in relaxed.get("properties", {}):
        relaxed["properties"]["metadata"] = {"type": "object"}
    return {**version, "schema": {"openAPIV3Schema": relaxed}}


def relaxed_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema with the same fields, types and defaults that accepts all values of those types."""
    relaxed: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if schema.get("properties"):
        relaxed["properties"] = {name: relaxed_schema(child) for name, child in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            relaxed[key] = relaxed_schema(schema[key])
        elif schema.get(key) is not None:
            relaxed[key] = schema[key]
    return relaxed
