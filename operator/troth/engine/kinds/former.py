"""CustomResourceDefinitions of v1beta1, which Kubernetes removed in 1.22 and many projects still ship.

They can be expressed in v1: a single schema for all versions is copied into each, and unknown fields are kept unless
the definition says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FORMER: Final = "apiextensions.k8s.io/v1beta1"
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"


def in_version_1(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Converts a definition to v1. One that is of v1 already is returned unchanged.

    Raises:
        KeyError, TypeError, ValueError: it is not a definition.
    """
    if definition.get("apiVersion") != FORMER:
        return definition
    spec = dict(definition["spec"])
    listed = spec.get("versions") or [{"name": spec["version"], "served": True, "storage": True}]
    keeps = spec.get("preserveUnknownFields", True)
    spec["versions"] = [_version(dict(version), spec, keeps=keeps is not False) for version in listed]
    return {**definition, "apiVersion": "apiextensions.k8s.io/v1", "spec": spec}


def _version(version: dict[str, Any], spec: Mapping[str, Any], *, keeps: bool) -> dict[str, Any]:
    validation = version.get("schema") or spec.get("validation") or {}
    schema = dict(validation.get("openAPIV3Schema") or {})
    schema.setdefault("type", "object")
    if keeps or "properties" not in schema:
        schema = _opened(schema)
    return {**version, "schema": {"openAPIV3Schema": schema}}


def _opened(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the schema with unknown fields allowed in every map, since v1beta1 kept them."""
    found = dict(schema)
    if isinstance(found.get("properties"), Mapping):
        found["properties"] = {
            name: _opened(child) if isinstance(child, Mapping) else child
            for name, child in found["properties"].items()
        }
    if isinstance(found.get("items"), Mapping):
        found["items"] = _opened(found["items"])
    if isinstance(found.get("additionalProperties"), Mapping):
        found["additionalProperties"] = _opened(found["additionalProperties"])
    elif found.get("type") == "object":
        found[_OPEN] = True
    return found
