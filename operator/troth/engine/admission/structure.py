"""How the API server changes an object by its structural schema, before it validates it.

In the API server's own order: a missing field, or a null where null is not allowed, gets its default; unknown fields
are pruned; a null that is not allowed and has no default is removed. Rejected: doing all three in one walk. A default
may bring fields that are pruned afterwards, and pruning may remove what held a null.

Every function changes the object in place, so callers pass a copy of their own. Schemas are read as they are in the
definition: compiling them is not worthwhile, because most of an object is known and needs no change.

Upstream: `pkg/apiserver/schema/defaulting/algorithm.go`, `pkg/apiserver/schema/pruning/algorithm.go` and
`pkg/apiserver/schema/defaulting/prunenulls.go` of k8s.io/apiextensions-apiserver v0.36.3.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

TYPE_META: Final = frozenset({"apiVersion", "kind", "metadata"})
_NOTHING: Final[Schema] = {}
_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1
_WIDEST: Final = 2**64


def wire_value(value: Any) -> Any:
    """Returns a deep copy of a value as an API server reads it: plain maps and lists, integers of 64 bits.

    An integer that does not fit into 64 bits is read as a floating-point number.
    """
    kind = type(value)
    if kind is int:
        return value if _SMALLEST <= value <= _LARGEST else float(value)
    if kind is str or kind is bool or kind is float or value is None:
        return value
    if isinstance(value, Mapping):
        return {key: wire_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [wire_value(item) for item in value]
    return value


def settle_numbers(value: Any) -> Any:
    """Turns whole numbers into integers, in place, as an API server returns them. Returns the value."""
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = settle_numbers(item)
    elif isinstance(value, list):
        value[:] = [settle_numbers(item) for item in value]
    elif type(value) is float and value.is_integer() and _SMALLEST <= value < _WIDEST:
        return int(value)
    return value


def apply_defaults(value: Any, schema: Schema | None) -> None:
    """Gives every missing field its default, and also every null where null is not allowed.

    This includes the fields of an object that came from a default itself.
    """
    if schema is None:
        return
    if isinstance(value, dict):
        properties: Schema = schema.get("properties") or _NOTHING
        for name, item in properties.items():
            default = item.get("default")
            if default is None:
                continue
            if name not in value or (value[name] is None and not item.get("nullable")):
                value[name] = copy.deepcopy(default)
        additional = _additional(schema)
        for name, item in value.items():
            known = properties.get(name)
            if known is not None:
                apply_defaults(item, known)
            elif additional is not None:
                if item is None and not additional.get("nullable"):
                    value[name] = copy.deepcopy(additional.get("default"))
                apply_defaults(value[name], additional)
    elif isinstance(value, list):
        items = schema.get("items")
        if items is None:
            return
        for index, item in enumerate(value):
            if item is None and not items.get("nullable"):
                value[index] = copy.deepcopy(items.get("default"))
            apply_defaults(value[index], items)


def prune(value: Any, schema: Schema | None, *, is_root: bool = False) -> None:
    """Removes the fields that the schema does not know, except where it says that unknown fields are kept.

    Args:
        value: the value to prune, in place.
        schema: its schema; None when no field is known.
        is_root: whether apiVersion, kind and metadata stay, as in an embedded resource.
    """
    if schema is not None and schema.get("x-kubernetes-preserve-unknown-fields"):
        _prune_known(value, schema, is_root=is_root)
        return
    if isinstance(value, dict):
        if schema is None:
            value.clear()
            return
        properties: Schema = schema.get("properties") or _NOTHING
        embedded = is_root or schema.get("x-kubernetes-embedded-resource")
        additional = schema.get("additionalProperties")
        gone = []
        for name, item in value.items():
            if embedded and name in TYPE_META:
                continue
            known = properties.get(name)
            if known is not None:
                prune(item, known)
            elif additional is not None and additional is not False:
                prune(item, _additional(schema))
            else:
                gone.append(name)
        for name in gone:
            del value[name]
    elif isinstance(value, list):
        items = None if schema is None else schema.get("items")
        for item in value:
            prune(item, items)


def _prune_known(value: Any, schema: Schema | None, *, is_root: bool = False) -> None:
    if schema is None:
        return
    if isinstance(value, dict):
        properties: Schema = schema.get("properties") or _NOTHING
        embedded = is_root or schema.get("x-kubernetes-embedded-resource")
        additional = schema.get("additionalProperties")
        for name, item in value.items():
            if embedded and name in TYPE_META:
                continue
            if name in properties:
                prune(item, properties[name])
            elif additional is not None and additional is not False:
                prune(item, _additional(schema))
    elif isinstance(value, list):
        for item in value:
            _prune_known(item, schema.get("items"))


def drop_nulls(value: Any, schema: Schema | None) -> None:
    """Removes every null field that must not be null and has no default. A null in a list stays."""
    if isinstance(value, dict):
        gone = []
        for name, item in value.items():
            known = _field(schema, name)
            if item is None:
                if known is not None and not known.get("nullable") and known.get("default") is None:
                    gone.append(name)
            else:
                drop_nulls(item, known)
        for name in gone:
            del value[name]
    elif isinstance(value, list):
        items = None if schema is None else schema.get("items")
        for item in value:
            drop_nulls(item, items)


def _field(schema: Schema | None, name: str) -> Schema | None:
    if schema is None:
        return None
    known: Schema | None = (schema.get("properties") or _NOTHING).get(name)
    return known if known is not None else _additional(schema)


def _additional(schema: Schema) -> Schema | None:
    found = schema.get("additionalProperties")
    return found if isinstance(found, Mapping) else None


def dropped_fields(given: Any, kept: Any, path: str = "") -> list[str]:
    """Returns the paths of the fields that pruning removed from an object, without its status and without nulls."""
    if isinstance(given, Mapping) and isinstance(kept, Mapping):
        found = []
        for name, value in given.items():
            here = f"{path}.{name}" if path else str(name)
            if name in kept:
                found.extend(dropped_fields(value, kept[name], here))
            elif value is not None and here != "status":
                found.append(here)
        return found
    if isinstance(given, list) and isinstance(kept, list):
        found = []
        for index, (before, after) in enumerate(zip(given, kept, strict=False)):
            found.extend(dropped_fields(before, after, f"{path}[{index}]"))
        return found
    return []
