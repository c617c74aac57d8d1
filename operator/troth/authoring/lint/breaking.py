"""Finds changes of a Promise's API that break existing requests, or the people and programs that write them.

A stored request is validated again at each write, so what was allowed must stay allowed: removing a field loses data,
and narrowing a field makes the API server refuse the next edit, even of somebody who did not touch that field.
Rejected: comparing requests instead of schemas, which only finds what the examples happen to use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.engine.linting.remarks import Remark
from troth.engine.linting.shapes import path_words

_VERSIONS: Final = "spec.api.spec.versions"
_LOWER: Final = ("minimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
_EXACT: Final = ("pattern", "format", "multipleOf")
_TRUE: Final = ("uniqueItems", "exclusiveMinimum", "exclusiveMaximum")
_JOINING: Final = ("anyOf", "oneOf", "allOf", "not")
_HOLD: Final = "make sure that all requests keep it"
_DEEPEST: Final = 60
_WIDER: Final = frozenset((("integer", "number"), ("integer", "int-or-string"), ("string", "int-or-string")))
_KEEP: Final = "keep what was allowed, or serve the new shape as a new version"
_KEEP_FIELD: Final = (
    "keep it: a new version cannot drop it either as long as nothing converts between versions (T005)"
)
_ABSENT: Final = object()
_ANYWAY: Final = {("apiVersion",), ("kind",), ("metadata",), ("status",)}
"""The fields that every request has, whether its schema names them or not."""


def compare_apis(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Remark]:
    """What breaks between two CustomResourceDefinitions. The places are in the Promise with the new one."""
    remarks: list[Remark] = []
    before, after = _mapping(old.get("spec")), _mapping(new.get("spec"))
    remarks.extend(_names(before, after))
    versions = {
        version.get("name"): (index, version) for index, version in enumerate(_maps(after.get("versions")))
    }
    for version in _maps(before.get("versions")):
        name = version.get("name")
        found = versions.get(name)
        if found is None or (version.get("served") and not found[1].get("served")):
            if version.get("served"):
                where = f"{_VERSIONS}[{found[0]}].served" if found else _VERSIONS
                fix = "serve it until nobody uses it any more"
                remarks.append(Remark("T305", where, f"the version {name} is no longer served", fix))
            continue
        root = f"{_VERSIONS}[{found[0]}].schema.openAPIV3Schema"
        remarks.extend(_compare(_schema(version), _schema(found[1]), (), root, 0))
    return remarks


def _names(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Remark]:
    names_before, names_after = _mapping(before.get("names")), _mapping(after.get("names"))
    for label, field, old, new in (
        ("group", "group", before.get("group"), after.get("group")),
        ("scope", "scope", before.get("scope", "Namespaced"), after.get("scope", "Namespaced")),
        ("kind", "names.kind", names_before.get("kind"), names_after.get("kind")),
        ("plural", "names.plural", names_before.get("plural"), names_after.get("plural")),
    ):
        if old != new:
            message = f"the {label} of the API was {old} and is {new}: existing requests belong to another API"
            yield Remark("T307", f"spec.api.spec.{field}", message, "make a new Promise, and move requests over")


def _schema(version: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(_mapping(version.get("schema")).get("openAPIV3Schema"))


def _compare(
    old: Mapping[str, Any], new: Mapping[str, Any], path: tuple[str, ...], field: str, depth: int
) -> Iterator[Remark]:
    if depth > _DEEPEST or path == ("status",):
        return
    words = path_words(path) or "the request"
    before, after = _type_of(old), _type_of(new)
    if before != after and (before, after) not in _WIDER:
        if after:
            yield Remark(
                "T306", f"{field}.type", f"{words} was {before or 'anything'} and is {after}", _KEEP_FIELD
            )
        return
    yield from _narrowed(old, new, words, field)
    yield from _default(old, new, words, field)
    yield from _properties(old, new, path, field, depth)
    if isinstance(old.get("items"), Mapping) and isinstance(new.get("items"), Mapping):
        yield from _compare(old["items"], new["items"], (*path, "[]"), f"{field}.items", depth + 1)
    rest_before, rest_after = old.get("additionalProperties"), new.get("additionalProperties")
    if isinstance(rest_before, Mapping) and isinstance(rest_after, Mapping):
        where = f"{field}.additionalProperties"
        yield from _compare(rest_before, rest_after, (*path, "*"), where, depth + 1)
    elif rest_before not in (None, False) and rest_after in (None, False) and not _open(new):
        yield Remark("T301", field, f"{words} no longer has fields of any name", _KEEP_FIELD)


def _properties(
    old: Mapping[str, Any], new: Mapping[str, Any], path: tuple[str, ...], field: str, depth: int
) -> Iterator[Remark]:
    properties, now = _mapping(old.get("properties")), _mapping(new.get("properties"))
    anything = _open(new) or new.get("additionalProperties") not in (None, False)
    for name, child in properties.items():
        here = (*path, str(name))
        if name in now:
            where = f"{field}.properties.{name}"
            yield from _compare(_mapping(child), _mapping(now[name]), here, where, depth + 1)
        elif not anything and here not in _ANYWAY:
            message = f"{path_words(here)} was removed: the API server drops it from requests that have it"
            yield Remark("T301", f"{field}.properties", message, _KEEP_FIELD)
    required = old.get("required") or ()
    for name in new.get("required") or ():
        if name not in required and _mapping(now.get(name)).get("default", _ABSENT) is _ABSENT:
            message = (
                f"{path_words((*path, str(name)))} is required now: requests without it can no longer be edited"
            )
            yield Remark("T303", f"{field}.required", message, "give it a default, or leave it optional")


def _narrowed(old: Mapping[str, Any], new: Mapping[str, Any], words: str, field: str) -> Iterator[Remark]:
    members, now = old.get("enum"), new.get("enum")
    if isinstance(now, list):
        if not isinstance(members, list):
            yield Remark("T302", f"{field}.enum", f"{words} was free and is one of {_listed(now)} now", _KEEP)
        elif gone := [member for member in members if member not in now]:
            yield Remark("T302", f"{field}.enum", f"{words} may no longer be {_listed(gone)}", _KEEP)
    for keyword in (*_LOWER, *_UPPER):
        was, limit = old.get(keyword), new.get(keyword)
        if not isinstance(limit, (int, float)):
            continue
        tighter = was is None or (limit > was if keyword in _LOWER else limit < was)
        if tighter and not (keyword in _LOWER and limit <= 0 and keyword != "minimum"):
            yield Remark(
                "T302", f"{field}.{keyword}", f"{keyword} of {words} was {_or_none(was)} and is {limit}", _KEEP
            )
    for keyword in _EXACT:
        if new.get(keyword) is not None and new[keyword] != old.get(keyword):
            was = _or_none(old.get(keyword))
            message = f"{keyword} of {words} was {was} and is {new[keyword]}: it may refuse what was allowed"
            yield Remark("T302", f"{field}.{keyword}", message, _KEEP)
    for keyword in _JOINING:
        if new.get(keyword) and new[keyword] != old.get(keyword):
            how = "is different" if old.get(keyword) else "is new"
            message = f"{keyword} of {words} {how}: it may refuse what was allowed"
            yield Remark("T302", f"{field}.{keyword}", message, _HOLD, severity="warning")
    kind, keys = new.get("x-kubernetes-list-type"), new.get("x-kubernetes-list-map-keys")
    if kind in ("set", "map") and (kind, keys) != (
        old.get("x-kubernetes-list-type"),
        old.get("x-kubernetes-list-map-keys"),
    ):
        by = f" by {', '.join(map(str, keys))}" if isinstance(keys, list) else ""
        message = f"{words} is a {kind}{by} now: two equal entries are refused"
        yield Remark("T302", f"{field}.x-kubernetes-list-type", message, _KEEP)
    for keyword in _TRUE:
        if new.get(keyword) and not old.get(keyword):
            yield Remark("T302", f"{field}.{keyword}", f"{keyword} is new for {words}", _KEEP)
    if old.get("nullable") and not new.get("nullable"):
        yield Remark("T302", field, f"{words} may no longer be null", _KEEP)
    if _open(old) and not _open(new):
        yield Remark("T302", field, f"{words} no longer keeps fields that are not declared", _KEEP)
    rules = {rule.get("rule") for rule in _maps(old.get("x-kubernetes-validations"))}
    for index, rule in enumerate(_maps(new.get("x-kubernetes-validations"))):
        if rule.get("rule") not in rules:
            where = f"{field}.x-kubernetes-validations[{index}]"
            message = f"the rule {rule.get('rule')} of {words} is new: it may refuse what was allowed"
            yield Remark("T302", where, message, _HOLD, severity="warning")


def _default(old: Mapping[str, Any], new: Mapping[str, Any], words: str, field: str) -> Iterator[Remark]:
    was, now = old.get("default", _ABSENT), new.get("default", _ABSENT)
    if was is _ABSENT or (was == now and type(was) is type(now)):
        return
    becomes = "is gone" if now is _ABSENT else f"is {now!r}"
    message = f"the default of {words} was {was!r} and {becomes}: a new request means something else"
    where = field if now is _ABSENT else f"{field}.default"
    yield Remark("T304", where, message, "keep the default, or mention it in the changelog")


def _type_of(schema: Mapping[str, Any]) -> str:
    return "int-or-string" if schema.get("x-kubernetes-int-or-string") else str(schema.get("type") or "")


def _open(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def _or_none(value: Any) -> str:
    return "not set" if value is None else str(value)


def _listed(members: list[Any]) -> str:
    return ", ".join(map(str, members[:8])) + (", …" if len(members) > 8 else "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
