"""The API of a Promise that is going: whatever is still there may be written, so that its finalizers can come off.

The API server holds a whole object against its schema at each write, also when nothing but a finalizer leaves it. What
did not change is let through since Kubernetes 1.30, except at the root: a field that is required there, a rule of the
root and a rule that compares with the old object refuse every write. So a definition that is going away loses all that
can refuse. Types, defaults and what is pruned stay: pipelines that run at deletion see the requests that they know.
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
    """The JSON merge patch after which no version of a definition refuses anything, or None if none does."""
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
    """A schema with the same fields, types and defaults, that refuses no value of those types."""
    relaxed: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if schema.get("properties"):
        relaxed["properties"] = {name: relaxed_schema(child) for name, child in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            relaxed[key] = relaxed_schema(schema[key])
        elif schema.get(key) is not None:
            relaxed[key] = schema[key]
    return relaxed
