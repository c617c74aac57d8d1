"""The schema of a request's status, which ``kubectl explain`` shows: Troth's fields and those of the Promise.

Troth's own fields are in `troth.engine.status.own_schema`.

Kratix replaces what an author declares for the status by a schema of its own that lets every field through. Ours lets
every field through as well, but keeps the descriptions and types that the API declares, and those that follow from the
``status`` of the pipelines. Constraints (an enum, a pattern, a default, a required field, a rule) are left out, because
a status that the API server can refuse or change is not reliable.

A derived type must be certain, because the API server would refuse any other value: a field that consists of a single
expression does not get a type. Rejected: the types that lint infers, which are right in all but rare cases, and would
need parsing templates on the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from troth.api.pipelines import JinjaPipeline
from troth.api.typed import read_text
from troth.engine.status.author import OWNED_KEYS
from troth.engine.status.own_schema import OPEN, own_schema

OPENERS: Final = ("{{", "{%", "{#")
_CLOSERS: Final = ("}}", "%}", "#}")
_EITHER: Final = "x-kubernetes-int-or-string"
_OURS: Final = OWNED_KEYS | {"conditions", "message"}
_DEEPEST: Final = 30
_WORDS: Final[Mapping[str, str]] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
}


def request_status_schema(declared: Any, derived: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the schema of ``status`` for one version of an API.

    Args:
        declared: the author's schema of ``status``.
        derived: the result of `derived_fields`.
    """
    schema = own_schema()
    fields = schema["properties"]
    author = _mapping(declared)
    if isinstance(author.get("description"), str):
        schema["description"] = author["description"]
    for name, field in {**(derived or {}), **_joined(_mapping(author.get("properties")), derived or {})}.items():
        if name not in fields:
            fields[name] = _loosened(field, 0)
        elif name not in OWNED_KEYS and isinstance(_mapping(field).get("description"), str):
            fields[name]["description"] = field["description"]
    return schema


def derived_fields(pipelines: Iterable[JinjaPipeline]) -> dict[str, Any]:
    """Returns the schemas of the fields of ``status`` that the pipelines of a request write."""
    found: dict[str, Any] = {}
    for pipeline in pipelines:
        said = f"Written by the pipeline {pipeline.name}."
        for name, value in pipeline.status.items():
            if name in _OURS or _is_template(str(name)) or value is None:
                continue
            field = {"description": said, **_derived(value, 0)}
            found[str(name)] = _either(found[str(name)], field) if name in found else field
    return found


def misfit(declared: Any, status: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns the first field of a type that the author did not declare, and what is wrong with it; or None.

    Args:
        declared: the author's schema of ``status``.
        status: the status from the pipelines.
    """
    fields = _mapping(_mapping(declared).get("properties"))
    mine = {name: field for name, field in fields.items() if name not in _OURS}
    return _misfit({"type": "object", "properties": mine}, status, "status", 0)


def _misfit(schema: Any, value: Any, where: str, depth: int) -> tuple[str, str] | None:
    schema = _mapping(schema)
    kind = _type_of(schema)
    if value is None or depth > _DEEPEST:
        return None
    if kind in _WORDS and not _is_of(kind, value):
        return where, f"is {_said(value)}, and the API declares {_WORDS[kind]}"
    if schema.get(_EITHER) is True and not (_is_of("integer", value) or _is_of("string", value)):
        return where, f"is {_said(value)}, and the API declares a whole number or text"
    if isinstance(value, Mapping):
        fields, rest = _mapping(schema.get("properties")), schema.get("additionalProperties")
        children = [(fields.get(key, rest), item, f"{where}.{key}") for key, item in value.items()]
    elif isinstance(value, list | tuple):
        children = [(schema.get("items"), item, f"{where}[{index}]") for index, item in enumerate(value)]
    else:
        return None
    return next(filter(None, (_misfit(*child, depth + 1) for child in children)), None)


def _is_of(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float):
        return kind == "number" or (kind == "integer" and value.is_integer())
    if isinstance(value, int):
        return kind in ("integer", "number")
    if isinstance(value, str):
        return kind == "string"
    return kind == ("object" if isinstance(value, Mapping) else "array")


def _said(value: Any) -> str:
    return next(
        _WORDS[kind]
        for kind in ("boolean", "integer", "number", "string", "array", "object")
        if _is_of(kind, value)
    )


# ---- the declared schema


def _loosened(schema: Any, depth: int) -> dict[str, Any]:
    """Returns a schema with the same descriptions and types, which only refuses other types and changes nothing."""
    schema = _mapping(schema)
    loose: dict[str, Any] = {}
    if isinstance(schema.get("description"), str):
        loose["description"] = schema["description"]
    kind = _type_of(schema)
    if depth > _DEEPEST or kind not in _WORDS:
        return {**loose, **({_EITHER: True} if schema.get(_EITHER) else OPEN)}
    loose["type"] = kind
    if schema.get("nullable") is True:
        loose["nullable"] = True
    if kind == "array":
        loose["items"] = _loosened(schema.get("items"), depth + 1)
    if kind == "object":
        fields, rest = schema.get("properties"), schema.get("additionalProperties")
        if isinstance(rest, Mapping) and not fields:
            loose["additionalProperties"] = _loosened(rest, depth + 1)
        else:
            loose.update(OPEN)
            if _mapping(fields):
                loose["properties"] = {
                    name: _loosened(child, depth + 1) for name, child in _mapping(fields).items()
                }
    return loose


def _joined(declared: Mapping[str, Any], derived: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the declared schema, completed with the derived one."""
    joined: dict[str, Any] = {}
    for name, field in declared.items():
        own, other = _mapping(field), _mapping(derived.get(name))
        is_typed = any(word in own for word in ("type", *OPEN, _EITHER))
        kept = {"description": other["description"]} if "description" in other else {}
        joined[name] = {**(kept if is_typed else other), **own}
        fields, more = _mapping(own.get("properties")), _mapping(other.get("properties"))
        if more and joined[name].get("type") == "object" and "additionalProperties" not in own:
            joined[name]["properties"] = {**more, **_joined(fields, more)}
    return joined


# ---- the derived schema


def _derived(value: Any, depth: int) -> dict[str, Any]:
    if isinstance(value, str):
        return {"type": "string"} if _is_text(value) else dict(OPEN)
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer"}
    if isinstance(value, float):
        return {"type": "number"}
    if depth > _DEEPEST:
        return dict(OPEN)
    if isinstance(value, Mapping):
        fields = {
            str(key): _derived(child, depth + 1)
            for key, child in value.items()
            if child is not None and not _is_template(str(key))
        }
        return {"type": "object", **OPEN, **({"properties": fields} if fields else {})}
    if isinstance(value, list | tuple):
        items = [_derived(child, depth + 1) for child in value]
        same = items and all(item == items[0] for item in items)
        return {"type": "array", "items": items[0] if same and None not in value else dict(OPEN)}
    return dict(OPEN)


def _either(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is certain about a field that two pipelines write: maps are merged, else the last one wins."""
    said = " ".join(dict.fromkeys(filter(None, (one.get("description"), other.get("description")))))
    words = {"description": said} if said else {}
    if one.get("type") != other.get("type") or "type" not in one:
        return {**words, **OPEN}
    if one["type"] == "object":
        fields, more = _mapping(one.get("properties")), _mapping(other.get("properties"))
        both = {name: _either(fields[name], more[name]) for name in fields if name in more}
        joined = {**fields, **more, **both}
        return {**words, "type": "object", **OPEN, **({"properties": joined} if joined else {})}
    if one.get("items") != other.get("items"):
        return {**words, "type": "array", "items": dict(OPEN)}
    return {**other, **words}


def _is_text(source: str) -> bool:
    """Whether a leaf is text whatever its expressions give, because it has text of its own before or after them."""
    first = min((at for at in map(source.find, OPENERS) if at >= 0), default=-1)
    if first < 0:
        return True
    last = max(map(source.rfind, _CLOSERS))
    return bool(source[:first].strip() or (last > first and source[last + 2 :].strip()))


def _is_template(source: str) -> bool:
    return any(opener in source for opener in OPENERS)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _type_of(schema: Mapping[str, Any]) -> str:
    return read_text(schema.get("type"))
