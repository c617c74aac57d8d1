"""What a change of a Promise's API takes away from requests, and from the people and programs that write them.

A stored request is validated again at each write, so what was allowed must stay allowed: removing a field loses data,
and narrowing a field makes the API server refuse the next edit, even of somebody who did not touch that field.
Only schemas are compared here, so a change counts even if no request exists; `breakage` finds the requests that use
what is taken away. Rejected: comparing only requests, which finds nothing but what today's requests happen to use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from typing import Any, Final

from troth.api.typed import read_map, read_maps
from troth.engine.promises.request_paths import Path, path_words

_VERSIONS: Final = "spec.api.spec.versions"
_LOWER: Final = ("minimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
_EXACT: Final = ("pattern", "format", "multipleOf")
_TRUE: Final = ("uniqueItems", "exclusiveMinimum", "exclusiveMaximum")
_JOINING: Final = ("anyOf", "oneOf", "allOf", "not")
_DEEPEST: Final = 60
_WIDER: Final = frozenset((("integer", "number"), ("integer", "int-or-string"), ("string", "int-or-string")))
_ABSENT: Final = object()
_ANYWAY: Final = {("apiVersion",), ("kind",), ("metadata",), ("status",)}
"""The fields that every request has, whether its schema names them or not."""


class ChangeKind(Enum):
    """What is taken away."""

    REMOVED = auto()
    """A field: the API server drops it from requests."""
    NARROWED = auto()
    """Some of the values that a field could have."""
    REQUIRED = auto()
    """The freedom to leave a field out."""
    DEFAULT = auto()
    """What a request means that leaves a field out."""
    RETYPED = auto()
    """All values of a field: it has another type."""
    UNSERVED = auto()
    """A version."""
    RENAMED = auto()
    """The API itself: requests belong to an API of another group, kind, plural or scope."""


@dataclass(frozen=True, slots=True)
class ApiChange:
    """One thing that a change of an API takes away.

    Attributes:
        kind: what is taken away.
        path: the field of a request; empty for a version and for the API as a whole.
        place: the field of the Promise with the new API, such as ``spec.api.spec.versions[0]``.
        message: what was changed, in one sentence without a full stop.
        certain: whether some value that was allowed is refused now; otherwise that depends on the values, such as for a
            new rule.
    """

    kind: ChangeKind
    path: Path
    place: str
    message: str
    certain: bool = True


def compare_apis(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[ApiChange]:
    """Returns what a new API takes away. An API that only allows more takes nothing away.

    Args:
        old: a CustomResourceDefinition, as somebody wrote it or as the API server has it.
        new: the CustomResourceDefinition that takes its place.
    """
    changes: list[ApiChange] = []
    before, after = read_map(old.get("spec")), read_map(new.get("spec"))
    changes.extend(_names(before, after))
    versions = {
        version.get("name"): (index, version) for index, version in enumerate(read_maps(after.get("versions")))
    }
    for version in read_maps(before.get("versions")):
        name = version.get("name")
        found = versions.get(name)
        if found is None or (version.get("served") and not found[1].get("served")):
            if version.get("served"):
                where = f"{_VERSIONS}[{found[0]}].served" if found else _VERSIONS
                message = f"the version {name} is no longer served"
                changes.append(ApiChange(ChangeKind.UNSERVED, (), where, message))
            continue
        root = f"{_VERSIONS}[{found[0]}].schema.openAPIV3Schema"
        changes.extend(_compare(_schema(version), _schema(found[1]), (), root, 0))
    return changes


def _names(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ApiChange]:
    names_before, names_after = read_map(before.get("names")), read_map(after.get("names"))
    for label, field, old, new in (
        ("group", "group", before.get("group"), after.get("group")),
        ("scope", "scope", before.get("scope", "Namespaced"), after.get("scope", "Namespaced")),
        ("kind", "names.kind", names_before.get("kind"), names_after.get("kind")),
        ("plural", "names.plural", names_before.get("plural"), names_after.get("plural")),
    ):
        if old != new:
            message = f"the {label} of the API was {old} and is {new}: existing requests belong to another API"
            yield ApiChange(ChangeKind.RENAMED, (), f"spec.api.spec.{field}", message)


def _schema(version: Mapping[str, Any]) -> Mapping[str, Any]:
    return read_map(read_map(version.get("schema")).get("openAPIV3Schema"))


def _compare(
    old: Mapping[str, Any], new: Mapping[str, Any], path: Path, field: str, depth: int
) -> Iterator[ApiChange]:
    if depth > _DEEPEST or path == ("status",):
        return
    words = _words(path)
    before, after = _type_of(old), _type_of(new)
    if after not in (before, "") and (before, after) not in _WIDER:
        message = f"{words} was {before or 'anything'} and is {after}"
        yield ApiChange(ChangeKind.RETYPED, path, f"{field}.type", message)
        return
    yield from _narrowed(old, new, path, field)
    yield from _default(old, new, path, field)
    yield from _properties(old, new, path, field, depth)
    if isinstance(old.get("items"), Mapping) and isinstance(new.get("items"), Mapping):
        yield from _compare(old["items"], new["items"], (*path, "[]"), f"{field}.items", depth + 1)
    rest_before, rest_after = old.get("additionalProperties"), new.get("additionalProperties")
    if rest_before not in (None, False) and isinstance(rest_after, Mapping):
        where = f"{field}.additionalProperties"
        yield from _compare(read_map(rest_before), rest_after, (*path, "*"), where, depth + 1)
    elif rest_before not in (None, False) and rest_after in (None, False) and not _open(new):
        yield ApiChange(ChangeKind.REMOVED, path, field, f"{words} no longer has fields of any name")


def _properties(
    old: Mapping[str, Any], new: Mapping[str, Any], path: Path, field: str, depth: int
) -> Iterator[ApiChange]:
    properties, now = read_map(old.get("properties")), read_map(new.get("properties"))
    anything = _open(new) or new.get("additionalProperties") not in (None, False)
    for name, child in properties.items():
        here = (*path, str(name))
        if name in now:
            where = f"{field}.properties.{name}"
            yield from _compare(read_map(child), read_map(now[name]), here, where, depth + 1)
        elif not anything and here not in _ANYWAY:
            message = f"{path_words(here)} was removed: the API server drops it from requests that have it"
            yield ApiChange(ChangeKind.REMOVED, here, f"{field}.properties", message)
    for name, child in now.items() if _open(old) else ():
        if name not in properties and (after := _type_of(read_map(child))):
            here, where = (*path, str(name)), f"{field}.properties.{name}"
            message = f"{path_words(here)} could be anything and is {after} now: it may refuse what was allowed"
            yield ApiChange(ChangeKind.NARROWED, here, where, message, certain=False)
    required = old.get("required") or ()
    for name in new.get("required") or ():
        if name not in required and read_map(now.get(name)).get("default", _ABSENT) is _ABSENT:
            message = (
                f"{path_words((*path, str(name)))} is required now: requests without it can no longer be edited"
            )
            yield ApiChange(ChangeKind.REQUIRED, (*path, str(name)), f"{field}.required", message)


def _narrowed(old: Mapping[str, Any], new: Mapping[str, Any], path: Path, field: str) -> Iterator[ApiChange]:
    words = _words(path)
    for place, message in chain(_bounds(old, new, words), _collections(old, new, words)):
        yield ApiChange(ChangeKind.NARROWED, path, f"{field}{place}", message)
    for keyword in _JOINING:
        if new.get(keyword) and new[keyword] != old.get(keyword):
            how = "is different" if old.get(keyword) else "is new"
            message = f"{keyword} of {words} {how}: it may refuse what was allowed"
            yield ApiChange(ChangeKind.NARROWED, path, f"{field}.{keyword}", message, certain=False)
    rules = {rule.get("rule") for rule in read_maps(old.get("x-kubernetes-validations"))}
    for index, rule in enumerate(read_maps(new.get("x-kubernetes-validations"))):
        if rule.get("rule") not in rules:
            place = f"{field}.x-kubernetes-validations[{index}]"
            message = f"the rule {rule.get('rule')} of {words} is new: it may refuse what was allowed"
            yield ApiChange(ChangeKind.NARROWED, path, place, message, certain=False)


def _bounds(old: Mapping[str, Any], new: Mapping[str, Any], words: str) -> Iterator[tuple[str, str]]:
    """Yields the keyword below the schema and what was changed, for keywords that list or limit values."""
    members, now = old.get("enum"), new.get("enum")
    if isinstance(now, list):
        if not isinstance(members, list):
            yield ".enum", f"{words} was free and is one of {_listed(now)} now"
        elif gone := [member for member in members if member not in now]:
            yield ".enum", f"{words} may no longer be {_listed(gone)}"
    for keyword in (*_LOWER, *_UPPER):
        was, limit = old.get(keyword), new.get(keyword)
        if not isinstance(limit, (int, float)):
            continue
        tighter = was is None or (limit > was if keyword in _LOWER else limit < was)
        if tighter and not (keyword in _LOWER and limit <= 0 and keyword != "minimum"):
            yield f".{keyword}", f"{keyword} of {words} was {_or_none(was)} and is {limit}"
    for keyword in _EXACT:
        if new.get(keyword) is not None and new[keyword] != old.get(keyword):
            was = _or_none(old.get(keyword))
            message = f"{keyword} of {words} was {was} and is {new[keyword]}: it may refuse what was allowed"
            yield f".{keyword}", message
    for keyword in _TRUE:
        if new.get(keyword) and not old.get(keyword):
            yield f".{keyword}", f"{keyword} is new for {words}"


def _collections(old: Mapping[str, Any], new: Mapping[str, Any], words: str) -> Iterator[tuple[str, str]]:
    """Yields the same for what a list, a map or null may be."""
    kind, keys = new.get("x-kubernetes-list-type"), new.get("x-kubernetes-list-map-keys")
    if kind in ("set", "map") and (kind, keys) != (
        old.get("x-kubernetes-list-type"),
        old.get("x-kubernetes-list-map-keys"),
    ):
        by = f" by {', '.join(map(str, keys))}" if isinstance(keys, list) else ""
        yield ".x-kubernetes-list-type", f"{words} is a {kind}{by} now: two equal entries are refused"
    if old.get("nullable") and not new.get("nullable"):
        yield "", f"{words} may no longer be null"
    if _open(old) and not _open(new):
        yield "", f"{words} no longer keeps fields that are not declared"


def _default(old: Mapping[str, Any], new: Mapping[str, Any], path: Path, field: str) -> Iterator[ApiChange]:
    was, now = old.get("default", _ABSENT), new.get("default", _ABSENT)
    if was is _ABSENT or (was == now and type(was) is type(now)):
        return
    becomes = "is gone" if now is _ABSENT else f"is {now!r}"
    message = f"the default of {_words(path)} was {was!r} and {becomes}: a new request means something else"
    where = field if now is _ABSENT else f"{field}.default"
    yield ApiChange(ChangeKind.DEFAULT, path, where, message)


def _words(path: Path) -> str:
    return path_words(path) or "the request"


def _type_of(schema: Mapping[str, Any]) -> str:
    return "int-or-string" if schema.get("x-kubernetes-int-or-string") else str(schema.get("type") or "")


def _open(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def _or_none(value: Any) -> str:
    return "not set" if value is None else str(value)


def _listed(members: list[Any]) -> str:
    return ", ".join(map(str, members[:8])) + (", …" if len(members) > 8 else "")
