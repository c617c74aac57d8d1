"""Reduces the OpenAPI that an API server publishes, of version 2 or 3, to what validation needs.

These are types, fields, required fields, formats and enums, together with constraints that only the validation code of
Kubernetes has (`data/fixed.py`). The bundled schemas are made by the same functions, so a cluster's own schemas differ
from them only where the cluster differs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final

from troth.api import InvalidObject
from troth.api.typed import require_list, require_map, require_text
from troth.engine.kinds.data.fixed import FIXED, REQUIRED

_PREFIXES: Final = ("#/definitions/", "#/components/schemas/")
_FORMATS: Final = ("int32", "int64", "byte", "date-time")
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_FREE: Final = "x-kubernetes-preserve-unknown-fields"
_KINDS: Final = "x-kubernetes-group-version-kind"
_DEEPEST: Final = 60
# Types that the published schema describes as text or not at all, with what they are in JSON.
_SPECIAL: Final[Mapping[str, Mapping[str, Any]]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "quantity"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "int-or-string"},
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps": {"type": "object"},
}


def is_openapi(document: Any) -> bool:
    """Whether a document is an OpenAPI document with schemas."""
    return isinstance(document, Mapping) and bool(_published(document))


def check_openapi(document: Mapping[str, Any]) -> None:
    """Checks that a document with schemas can be reduced, since any tool may have made it.

    Raises:
        InvalidObject: a field has another type than in Kubernetes' OpenAPI; the error names the first such field.
    """
    require_map(document.get("info"), "info")
    place = "definitions" if "swagger" in document else "components.schemas"
    for name, schema in _published(document).items():
        field = f"{place}.{name}"
        _check_schema(schema, field, 0)
        listed = f"{field}.{_KINDS}"
        for index, entry in enumerate(require_list(schema.get(_KINDS), listed)):
            for part in ("group", "version", "kind"):
                found = require_map(entry, f"{listed}[{index}]").get(part)
                if not isinstance(found, str):
                    raise InvalidObject(f"{listed}[{index}].{part}", "is not text")


def _check_schema(schema: Any, field: str, depth: int) -> None:
    if depth > _DEEPEST:
        return
    if not isinstance(schema, Mapping):
        raise InvalidObject(field, "is not a map")
    for part in ("type", "format", "$ref"):
        require_text(schema.get(part), f"{field}.{part}")
    require_list(schema.get("enum"), f"{field}.enum")
    for index, name in enumerate(require_list(schema.get("required"), f"{field}.required")):
        require_text(name, f"{field}.required[{index}]")
    children = [
        (f"properties.{name}", child)
        for name, child in require_map(schema.get("properties"), f"{field}.properties").items()
    ]
    children += [
        (f"allOf[{index}]", child)
        for index, child in enumerate(require_list(schema.get("allOf"), f"{field}.allOf"))
    ]
    children += [("items", schema["items"])] if "items" in schema else []
    rest = schema.get("additionalProperties")
    children += [("additionalProperties", rest)] if not isinstance(rest, bool | None) else []
    for name, child in children:
        _check_schema(child, f"{field}.{name}", depth + 1)


def reduce_openapi(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns ``kinds`` (from ``group/version/Kind`` to the name of a definition) and ``definitions``."""
    published: dict[str, Any] = {}
    version = ""
    for document in documents:
        published.update(_published(document))
        version = version or str((document.get("info") or {}).get("version") or "")
    kinds: dict[str, str] = {}
    for name, schema in published.items():
        if _reference(((schema.get("properties") or {}).get("metadata")) or {}) == _META:
            for entry in schema.get(_KINDS) or ():
                group = f"{entry['group']}/" if entry["group"] else ""
                kinds[f"{group}{entry['version']}/{entry['kind']}"] = name
    needed = list(kinds.values())
    definitions: dict[str, Any] = {}
    while needed:
        name = needed.pop()
        if name not in definitions:
            special = _SPECIAL.get(name)
            definitions[name] = dict(special) if special else _reduce(published.get(name) or {}, needed, 0)
    for path, values in FIXED.items():
        fix(definitions, path, values)
    for name, fields in REQUIRED.items():
        if name in definitions:
            definitions[name]["required"] = sorted({*definitions[name].get("required", ()), *fields})
    return {"version": version, "kinds": kinds, "definitions": definitions}


def fix(definitions: Mapping[str, Any], path: str, values: Mapping[str, Any]) -> bool:
    """Adds keywords to the schema of ``DEFINITION/property`` or ``…/property/*``. Returns whether it exists."""
    definition, _, rest = path.partition("/")
    schema = (definitions.get(definition) or {}).get("properties", {}).get(rest.partition("/")[0])
    if schema is not None and rest.endswith("/*"):
        schema = schema.get("items") or schema.get("additionalProperties")
    if schema is None:
        return False
    schema.update(copy.deepcopy(dict(values)))
    return True


def _published(document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "swagger" in document:
        found = document.get("definitions")
    else:
        components = document.get("components") if "openapi" in document else None
        found = components.get("schemas") if isinstance(components, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _reference(schema: Mapping[str, Any]) -> str:
    """Returns the definition that a schema refers to; version 3 wraps it in ``allOf`` when it has a default."""
    parts = schema.get("allOf")
    target = schema.get("$ref") or (parts[0].get("$ref") if isinstance(parts, list) and len(parts) == 1 else None)
    for prefix in _PREFIXES:
        if isinstance(target, str) and target.startswith(prefix):
            return target.removeprefix(prefix)
    return ""


def _reduce(schema: Any, needed: list[str], depth: int) -> dict[str, Any]:
    """Returns a schema without descriptions; adds the definitions that it refers to to ``needed``."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return {}
    reference = _reference(schema)
    if reference:
        needed.append(reference)
        return {"$ref": reference}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": "int-or-string"}
    kept: dict[str, Any] = {key: schema[key] for key in ("type", "required", "enum") if key in schema}
    if schema.get("format") in _FORMATS:
        kept["format"] = schema["format"]
    if isinstance(schema.get("properties"), Mapping) and not schema.get(_FREE):
        properties = schema["properties"]
        kept["properties"] = {name: _reduce(value, needed, depth + 1) for name, value in properties.items()}
    if isinstance(schema.get("additionalProperties"), Mapping):
        kept["additionalProperties"] = _reduce(schema["additionalProperties"], needed, depth + 1)
    if "items" in schema:
        kept["items"] = _reduce(schema["items"], needed, depth + 1)
    return kept
