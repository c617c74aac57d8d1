"""CustomResourceDefinitions of v1beta1, which Kubernetes removed in 1.22 and many projects still ship.

They can be expressed in v1: a single schema for all versions is copied into each, and unknown fields are kept unless
the definition says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.api.errors import InvalidObject
from troth.api.typed import require_list, require_map

FORMER: Final = "apiextensions.k8s.io/v1beta1"
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"


def in_version_1(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Converts a definition to v1. One that is of v1 already is returned unchanged.

    Raises:
        InvalidObject: a part that v1 has in another place is missing, or is not a map or a list.
    """
    if definition.get("apiVersion") != FORMER:
        return definition
    spec = dict(require_map(definition.get("spec"), "spec"))
    listed = require_list(spec.get("versions"), "spec.versions")
    if not listed and not spec.get("version"):
        raise InvalidObject("spec.version", "is missing")
    listed = listed or [{"name": spec["version"], "served": True, "storage": True}]
    keeps = spec.get("preserveUnknownFields", True)
    spec["versions"] = [
        _version(require_map(version, f"spec.versions[{index}]"), spec, index, keeps=keeps is not False)
        for index, version in enumerate(listed)
    ]
    return {**definition, "apiVersion": "apiextensions.k8s.io/v1", "spec": spec}


def _version(version: Mapping[str, Any], spec: Mapping[str, Any], index: int, *, keeps: bool) -> dict[str, Any]:
    field = f"spec.versions[{index}].schema" if version.get("schema") else "spec.validation"
    validation = require_map(version.get("schema") or spec.get("validation"), field)
    schema = dict(require_map(validation.get("openAPIV3Schema"), f"{field}.openAPIV3Schema"))
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
