"""What the API server refuses in a CustomResourceDefinition outside its schemas: fields, versions, columns and more.

The operator applies the definition with server-side apply, which refuses any unknown field: a misspelled ``minLenght``
is found here, and not only when the Promise is published.

Upstream: the fields of `pkg/apis/apiextensions/v1/types.go` and the rules of
`pkg/apis/apiextensions/validation/validation.go` in k8s.io/apiextensions-apiserver v0.36.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.api.strict import close_match
from troth.engine.admission.refusals import (
    Refusal,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)

_SPEC: Final = ("group", "names", "scope", "versions", "conversion", "preserveUnknownFields")
_NAMES: Final = ("plural", "singular", "shortNames", "kind", "listKind", "categories")
_VERSION: Final = (
    "name",
    "served",
    "storage",
    "deprecated",
    "deprecationWarning",
    "schema",
    "subresources",
    "additionalPrinterColumns",
    "selectableFields",
)
_COLUMN: Final = ("name", "type", "format", "description", "priority", "jsonPath")
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_CONVERSION: Final = ("strategy", "webhook")
_STRATEGIES: Final = ("None", "Webhook")
_SUBRESOURCES: Final = ("status", "scale")
_SCALE: Final = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
_SELECTABLE: Final = ("string", "boolean", "integer")
_MOST_SELECTABLE: Final = 8
_LONGEST_WARNING: Final = 256


def unknown_words(obj: Mapping[str, Any], known: tuple[str, ...], field: str) -> Iterator[Refusal]:
    """Yields a refusal for each key of a part of a definition that the API server does not know."""
    for word in obj:
        if word not in known:
            meant = close_match(str(word), known)
            said = f"field not declared in schema{f'; did you mean {meant}?' if meant else ''}"
            yield Refusal(f"{field}.{word}", said)


def outline_refusals(spec: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yields what is wrong with a definition's spec, apart from its names and its schemas."""
    yield from unknown_words(spec, _SPEC, "spec")
    yield from unknown_words(spec["names"], _NAMES, "spec.names")
    if spec.get("preserveUnknownFields"):
        said = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid("spec.preserveUnknownFields", spec["preserveUnknownFields"], said)
    if spec.get("conversion") is not None:
        yield from _conversion(spec["conversion"])
    for index, version in enumerate(spec["versions"]):
        field = f"spec.versions[{index}]"
        yield from unknown_words(version, _VERSION, field)
        yield from unknown_words(version["schema"], ("openAPIV3Schema",), f"{field}.schema")
        yield from _deprecation(version, field)
        yield from _columns(version.get("additionalPrinterColumns") or [], f"{field}.additionalPrinterColumns")
        yield from _selectable(version, f"{field}.selectableFields")
        yield from _subresources(version.get("subresources") or {}, f"{field}.subresources")


def _conversion(conversion: Any) -> Iterator[Refusal]:
    if not isinstance(conversion, Mapping):
        yield invalid("spec.conversion", conversion, "must be a map")
        return
    yield from unknown_words(conversion, _CONVERSION, "spec.conversion")
    strategy = conversion.get("strategy")
    if not strategy:
        yield required("spec.conversion.strategy")
    elif strategy not in _STRATEGIES:
        yield not_supported("spec.conversion.strategy", strategy, _STRATEGIES)
    elif strategy == "Webhook" and not conversion.get("webhook"):
        yield required("spec.conversion.webhookClientConfig", "required when strategy is set to Webhook")


def _deprecation(version: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    if not version.get("deprecated"):
        yield invalid(f"{field}.deprecationWarning", warning, "can only be set for deprecated versions")
    elif not isinstance(warning, str) or not warning:
        yield invalid(f"{field}.deprecationWarning", warning, "must not be an empty string")
    elif len(warning) > _LONGEST_WARNING or not all(one.isprintable() for one in warning):
        said = f"must only contain printable UTF-8 characters, at most {_LONGEST_WARNING}"
        yield invalid(f"{field}.deprecationWarning", warning, said)


def _columns(columns: Any, field: str) -> Iterator[Refusal]:
    if not isinstance(columns, list):
        yield invalid(field, columns, "must be a list")
        return
    for index, column in enumerate(columns):
        where = f"{field}[{index}]"
        if not isinstance(column, Mapping):
            yield invalid(where, column, "must be a map")
            continue
        yield from unknown_words(column, _COLUMN, where)
        if not column.get("name"):
            yield required(f"{where}.name")
        for word in ("name", "description"):
            if column.get(word) and not isinstance(column[word], str):
                yield invalid(f"{where}.{word}", column[word], "must be a text")
        if column.get("type") not in _COLUMN_TYPES:
            yield not_supported(f"{where}.type", column.get("type"), _COLUMN_TYPES)
        if column.get("format") and column["format"] not in _COLUMN_FORMATS:
            yield invalid(f"{where}.format", column["format"], f"must be one of {','.join(_COLUMN_FORMATS)}")
        priority = column.get("priority", 0)
        if not isinstance(priority, int) or isinstance(priority, bool):
            yield invalid(f"{where}.priority", priority, "must be a whole number")
        yield from _path(column.get("jsonPath"), f"{where}.jsonPath")


def _path(path: Any, field: str, *, under: tuple[str, ...] = ()) -> Iterator[Refusal]:
    if not path:
        yield required(field)
    elif not isinstance(path, str) or not path.startswith("."):
        yield invalid(field, path, "must be a simple json path starting with .")
    elif under and not path.startswith(tuple(f"{name}." for name in under)):
        yield invalid(field, path, f"should be a json path under {' or '.join(under)}")


def _selectable(version: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    fields = version.get("selectableFields")
    if fields is None:
        return
    if not isinstance(fields, list):
        yield invalid(field, fields, "must be a list")
        return
    if len(fields) > _MOST_SELECTABLE:
        yield too_many(field, len(fields), _MOST_SELECTABLE)
    seen: set[str] = set()
    for index, selectable in enumerate(fields):
        where = f"{field}[{index}].jsonPath"
        path = selectable.get("jsonPath") if isinstance(selectable, Mapping) else None
        if not isinstance(path, str) or not path:
            yield required(where)
        elif path in seen:
            yield duplicate(where, path)
        elif path.startswith(".metadata"):
            yield invalid(where, path, "must not point to fields in metadata")
        else:
            yield from _points_to_scalar(path, version["schema"]["openAPIV3Schema"], where)
        seen.add(str(path))


def _points_to_scalar(path: str, schema: Any, field: str) -> Iterator[Refusal]:
    for name in path.removeprefix(".").split("."):
        properties = schema.get("properties") if isinstance(schema, Mapping) else None
        schema = properties.get(name) if isinstance(properties, Mapping) else None
    if not path.startswith(".") or not isinstance(schema, Mapping):
        yield invalid(field, path, "is an invalid path: does not refer to a valid field")
    elif schema.get("type") not in _SELECTABLE:
        said = "must point to a field of type string, boolean or integer"
        yield invalid(field, path, f"{said}. Enum string fields and strings with formats are allowed.")


def _subresources(subresources: Any, field: str) -> Iterator[Refusal]:
    if not isinstance(subresources, Mapping):
        yield invalid(field, subresources, "must be a map")
        return
    yield from unknown_words(subresources, _SUBRESOURCES, field)
    scale = subresources.get("scale")
    if scale is None:
        return
    if not isinstance(scale, Mapping):
        yield invalid(f"{field}.scale", scale, "must be a map")
        return
    yield from unknown_words(scale, _SCALE, f"{field}.scale")
    yield from _path(scale.get("specReplicasPath"), f"{field}.scale.specReplicasPath", under=(".spec",))
    yield from _path(scale.get("statusReplicasPath"), f"{field}.scale.statusReplicasPath", under=(".status",))
    if scale.get("labelSelectorPath"):
        under = (".spec", ".status")
        yield from _path(scale["labelSelectorPath"], f"{field}.scale.labelSelectorPath", under=under)


def top_level_refusals(schema: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    """Yields what a schema must not say about a whole object, and about the fields that every object has."""
    for word in ("default", "x-kubernetes-embedded-resource", "x-kubernetes-map-type"):
        if schema.get(word) is not None:
            yield forbidden(f"{field}.{word}", "must not be set at the root")
    properties = schema.get("properties") or {}
    for name in ("apiVersion", "kind", "metadata"):
        child = properties.get(name) or {}
        for path, node in ((name, child), *(((f"{name}.properties.{key}", value)) for key, value in _of(child))):
            if isinstance(node, Mapping) and node.get("default") is not None:
                yield forbidden(f"{field}.properties.{path}.default", f"must not be set in top-level {name}")


def _of(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from (schema.get("properties") or {}).items()
