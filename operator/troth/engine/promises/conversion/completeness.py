"""Finds what is lost between the versions of an API.

Without a conversion, the API server changes nothing but the name of the version, and then drops the fields that the
schema of that version does not declare. So a client that reads a request in one version does not see the fields that
only another version has, and a client that writes it in that version removes them without a warning. With declared
conversions, a field is carried if it is the same in both versions or if it is named; every other field would be lost
in the same way.

The author of a Promise and the operator have the same judgement: lint shows everything that is found, and the operator
refuses the Promise because of the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from troth.api import InvalidObject
from troth.api.strict import close_match
from troth.api.typed import Object, read_list, read_map
from troth.engine.admission.shapes import unreadable_part
from troth.engine.admission.validation import Validator
from troth.engine.promises.conversion.declarations import (
    FIELD,
    Conversion,
    Entries,
    Lone,
    Rule,
    Same,
    Units,
    Values,
    read_conversions,
)
from troth.engine.promises.conversion.json_values import ABSENT, scalar_identity
from troth.engine.promises.request_paths import Path, path_words

_VERSIONS: Final = "spec.api.spec.versions"
_FIX: Final = "declare it in both versions, or declare in spec.api.conversions what becomes of it"
_ANYWAY: Final = frozenset({("apiVersion",), ("kind",), ("metadata",), ("status",)})
_DEEPEST: Final = 60

Sides = tuple[Object, Object]


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that does not survive between two versions.

    Attributes:
        kind: whether a field is lost, or a declared conversion cannot carry all values.
        field: the path in the Promise of what is to be changed.
        problem: what is lost, in a sentence without a full stop.
        remedy: what to do about it.
    """

    kind: Literal["field", "conversion"]
    field: str
    problem: str
    remedy: str


def check_conversions(api: Object | None, *, is_served: bool = True) -> None:
    """Checks that nothing is lost between the versions of a Promise's API.

    Args:
        api: the value of ``spec.api``.
        is_served: whether there is a webhook that converts as it is declared.

    Raises:
        InvalidObject: a declaration cannot be used, something is lost, or conversions are declared and not served.
    """
    conversions = read_conversions(api)
    for loss in find_losses(api, conversions):
        raise InvalidObject(loss.field, loss.problem, loss.remedy)
    if conversions and not is_served:
        raise InvalidObject(
            FIELD,
            "is declared, but this operator does not convert between versions",
            "switch its webhook on (setting conversionService; chart: conversion.enabled)",
        )


def find_losses(api: Object | None, conversions: Sequence[Conversion]) -> Iterator[Loss]:
    """Finds everything that is lost between the versions of an API; nothing in an API that cannot be read.

    Args:
        api: the value of ``spec.api``.
        conversions: what it declares (`read_conversions`).
    """
    spec = read_map(read_map(api).get("spec"))
    versions = [read_map(version) for version in read_list(spec.get("versions"))]
    if read_map(spec.get("conversion")).get("strategy", "None") != "None":
        if conversions:
            yield Loss(
                "conversion",
                FIELD,
                "cannot be used together with a webhook of the Promise (spec.api.spec.conversion)",
                "keep one of the two",
            )
        return
    stored = next((index for index, version in enumerate(versions) if version.get("storage") is True), None)
    if stored is None or any(unreadable_part(_schema(version), "") for version in versions):
        return
    names = [str(version.get("name")) for version in versions]
    yield from _misplaced(conversions, names, names[stored])
    for index, version in enumerate(versions):
        if index == stored:
            continue
        pair = _Pair(
            index,
            stored,
            (names[index], names[stored]),
            next((one for one in conversions if set(one.versions) == {names[index], names[stored]}), None),
        )
        yield from pair.losses((_schema(version), _schema(versions[stored])), served=bool(version.get("served")))


def _misplaced(conversions: Sequence[Conversion], names: Sequence[str], stored: str) -> Iterator[Loss]:
    for conversion in conversions:
        for name in conversion.versions:
            if name not in names:
                meant = close_match(name, names)
                remedy = f"did you mean {meant}?" if meant else f"versions: {', '.join(names)}"
                yield Loss(
                    "conversion", f"{conversion.field}.between", f"{name} is not a version of the API", remedy
                )
        if all(name in names and name != stored for name in conversion.versions):
            yield Loss(
                "conversion",
                f"{conversion.field}.between",
                f"names two versions, and neither of them is {stored}, which is stored",
                f"declare what differs between each of them and {stored}: objects are converted by way of it",
            )


class _Pair:
    """A version (side 0) and the stored version (side 1)."""

    def __init__(self, index: int, stored: int, names: tuple[str, str], conversion: Conversion | None) -> None:
        self._places = (index, stored)
        self._names = names
        self._conversion = conversion
        self._rules: tuple[Rule, ...] = ()
        if conversion is not None:
            turned = conversion.versions[0] != names[0]
            self._rules = tuple(_turned(rule) for rule in conversion.rules) if turned else conversion.rules

    def losses(self, schemas: Sides, *, served: bool) -> Iterator[Loss]:
        """Yields what is lost from the version to the stored one, and back if it is served."""
        sides = (0, 1) if served else (0,)  # requests may still be stored in a version that is not served
        places = tuple(f"{_VERSIONS}[{place}].schema.openAPIV3Schema" for place in self._places)
        yield from self._scope(self._rules, schemas, (places[0], places[1]), ((), ()), sides)

    def _scope(
        self,
        rules: Sequence[Rule],
        schemas: Sides,
        places: tuple[str, str],
        above: tuple[Path, Path],
        sides: Sequence[int],
    ) -> Iterator[Loss]:
        for rule in rules:
            yield from self._rule(rule, schemas, places, above, sides)
        for side in sides:
            named = _Named(rules, side, (self._names[side], self._names[1 - side]), above[side])
            walk = _lost(schemas[side], schemas[1 - side], (), "", 0, types=side == 0, named=named)
            for where, said in walk:
                yield self._lost_field(side, f"{places[side]}{where}", said)

    def _lost_field(self, side: int, field: str, said: str) -> Loss:
        here, there = self._names[side], self._names[1 - side]
        if self._conversion is not None:
            consequence = "no conversion names it: what requests have there is lost"
            fix = f"name it in {self._conversion.field}.fields, or declare it in both versions"
            return Loss("field", field, f"{said}, and {consequence}", fix)
        if side == 0:
            reason = f"{there} is the stored version, and nothing converts from {here}"
            return Loss("field", field, f"{said}; {reason}: what requests have there is lost", _FIX)
        reason = f"clients that read {there} do not see it, and clients that write {there} remove it"
        return Loss("field", field, f"{said}, and nothing converts between them: {reason}", _FIX)

    # ---- one declared field

    def _rule(
        self, rule: Rule, schemas: Sides, places: tuple[str, str], above: tuple[Path, Path], sides: Sequence[int]
    ) -> Iterator[Loss]:
        found: list[Object] = []
        for side in (0, 1):
            path = rule.paths[side]
            schema = _schema_at(schemas[side], path) if path is not None else {}
            if schema is None:
                name = self._names[side]
                meant = _meant(schemas[side], path or ())
                yield Loss(
                    "conversion",
                    f"{rule.field}.{name}",
                    f"{name} has no field {path_words((*above[side], *(path or ())))}",
                    f"did you mean {meant}?" if meant else f"write the path of a field that {name} has",
                )
                return
            found.append(schema)
        yield from self._missing(rule, schemas, sides)
        if any(
            path is not None and _is_open(schema) and "type" not in schema
            for path, schema in zip(rule.paths, found, strict=True)
        ):
            return  # nothing is known of its values
        both = (found[0], found[1])
        carry = rule.carry
        if isinstance(carry, Lone):
            yield from self._default(rule, carry, both)
        elif isinstance(carry, Same):
            inner = tuple((*above[side], *(rule.paths[side] or ())) for side in (0, 1))
            where = tuple(places[side] + _where(rule.paths[side] or ()) for side in (0, 1))
            yield from self._scope((), both, (where[0], where[1]), (inner[0], inner[1]), sides)
        elif isinstance(carry, Values):
            yield from self._values(rule, carry, both, sides)
        elif isinstance(carry, Units):
            yield from self._units(rule, carry, both)
        else:
            yield from self._entries(rule, carry, both, places, above, sides)

    def _missing(self, rule: Rule, schemas: Sides, sides: Sequence[int]) -> Iterator[Loss]:
        """Yields a version that needs a value that the other version may lack."""
        for side in sides:
            here, there = rule.paths[side], rule.paths[1 - side]
            if there is None or not _always(schemas[1 - side], there, by_default=False):
                continue
            name = self._names[side]
            needs = f"{self._names[1 - side]} requires {path_words(there)}"
            if isinstance(rule.carry, Lone):
                if rule.carry.default is ABSENT:
                    problem = f"{needs}, which {name} does not have"
                    yield Loss("conversion", rule.field, problem, "give it a default")
            elif here is not None and not _always(schemas[side], here, by_default=True):
                problem = f"{needs}, but {path_words(here)} may be missing in {name}"
                remedy = f"give {path_words(here)} a default in the schema of {name}, or require it there, too"
                yield Loss("conversion", rule.field, problem, remedy)

    def _default(self, rule: Rule, carry: Lone, schemas: Sides) -> Iterator[Loss]:
        side = 0 if rule.paths[0] is not None else 1
        if carry.default is ABSENT:
            return
        problems = Validator(schemas[side]).check(carry.default, "default")
        if problems:
            name = path_words(rule.paths[side] or ())
            yield Loss(
                "conversion",
                f"{rule.field}.default",
                f"{self._names[side]} does not allow it for {name}: {problems[0].message}",
                f"write a value that {name} may have",
            )

    def _values(self, rule: Rule, carry: Values, schemas: Sides, sides: Sequence[int]) -> Iterator[Loss]:
        for side in (0, 1):
            name, path = self._names[side], path_words(rule.paths[side] or ())
            allowed = Validator(schemas[side])
            for index, pair in enumerate(carry.pairs):
                if allowed.check(pair[side], ""):
                    field = f"{rule.field}.values[{index}].{name}"
                    yield Loss(
                        "conversion", field, f"{pair[side]!r} is not a value of {path} in {name}", "correct it"
                    )
            if side not in sides:
                continue
            members = (
                [True, False] if schemas[side].get("type") == "boolean" else read_list(schemas[side].get("enum"))
            )
            if not members:
                problem = f"{path} has no enum in {name}, so it may have values that no pair is for"
                yield Loss(
                    "conversion", f"{rule.field}.values", problem, f"give it an enum in the schema of {name}"
                )
            paired = {scalar_identity(pair[side]) for pair in carry.pairs}
            for member in members:
                if member is None:
                    continue
                if isinstance(member, dict | list) or scalar_identity(member) not in paired:
                    problem = f"{path} may be {member!r} in {name}, and no pair is for that"
                    yield Loss("conversion", f"{rule.field}.values", problem, f"add a pair with {name}: {member}")

    def _units(self, rule: Rule, carry: Units, schemas: Sides) -> Iterator[Loss]:
        for side in (0, 1):
            kind, name = _kind(schemas[side]), self._names[side]
            counts = carry.units[side] is not None
            if kind in (("integer", "number") if counts else ("string", "int-or-string")):
                continue
            wanted = "a number" if counts else "a quantity, which is a string or int-or-string"
            problem = f"{path_words(rule.paths[side] or ())} is {kind} in {name}, and has to be {wanted}"
            fix = f"remove the unit of {name}" if counts else f"name the unit in which {name} counts"
            yield Loss("conversion", f"{rule.field}.unit", problem, f"{fix}, or change its type")

    def _entries(
        self,
        rule: Rule,
        carry: Entries,
        schemas: Sides,
        places: tuple[str, str],
        above: tuple[Path, Path],
        sides: Sequence[int],
    ) -> Iterator[Loss]:
        inner: list[Object] = []
        where: list[str] = []
        paths: list[Path] = []
        for side in (0, 1):
            path, key, schema = rule.paths[side] or (), carry.keys[side], schemas[side]
            is_list = schema.get("type") == "array"
            entry = read_map(schema.get("items" if is_list else "additionalProperties"))
            problem = _unfit_for_keys(schema, entry, key, is_list=is_list)
            if problem:
                said = f"{path_words((*above[side], *path))} in {self._names[side]} {problem}"
                yield Loss("conversion", f"{rule.field}.key", said, "correct the schema, or name another key")
                return
            properties = {name: child for name, child in read_map(entry.get("properties")).items() if name != key}
            required = [name for name in read_list(entry.get("required")) if name != key]
            inner.append({**entry, "properties": properties, "required": required})
            where.append(places[side] + _where(path) + (".items" if is_list else ".additionalProperties"))
            paths.append((*above[side], *path, "[]" if is_list else "*"))
        yield from self._scope(
            carry.rules, (inner[0], inner[1]), (where[0], where[1]), (paths[0], paths[1]), sides
        )


def _unfit_for_keys(schema: Object, entry: Object, key: str, *, is_list: bool) -> str:
    """Returns why entries cannot be told apart by a key, as the end of a sentence; "" when they can."""
    if not is_list and not (schema.get("type") == "object" and entry):
        return "is neither a list nor a map with entries of any name"
    if entry.get("type") != "object":
        return "has entries that are not maps"
    declared = read_map(entry.get("properties")).get(key)
    if not is_list:
        return f"has a field {key!r} in its entries, which is the key" if declared is not None else ""
    keys = read_list(schema.get("x-kubernetes-list-map-keys"))
    if schema.get("x-kubernetes-list-type") != "map" or list(keys) != [key]:
        return (
            f"may have two entries with the same {key!r}: it needs x-kubernetes-list-type: map with this one key"
        )
    return "" if read_map(declared).get("type") == "string" else f"has no text {key!r} in its entries"


def _turned(rule: Rule) -> Rule:
    """Returns a rule with the versions exchanged."""
    carry = rule.carry
    if isinstance(carry, Values):
        carry = Values(tuple((second, first) for first, second in carry.pairs))
    elif isinstance(carry, Units):
        carry = Units((carry.units[1], carry.units[0]))
    elif isinstance(carry, Entries):
        carry = Entries((carry.keys[1], carry.keys[0]), tuple(_turned(inner) for inner in carry.rules))
    return Rule((rule.paths[1], rule.paths[0]), carry, rule.field)


# ---- schemas


class _Named:
    """The fields that are declared, as seen from one of the two versions."""

    def __init__(self, rules: Sequence[Rule], side: int, names: tuple[str, str], above: Path) -> None:
        self.names = names
        self._above = above
        self.anyway = frozenset[Path]() if above else _ANYWAY
        self.here = frozenset(path for rule in rules if (path := rule.paths[side]) is not None)
        self.there = frozenset(path for rule in rules if (path := rule.paths[1 - side]) is not None)
        self.leading = frozenset(path[:length] for path in self.here for length in range(1, len(path)))

    def words(self, path: Path) -> str:
        """Returns the whole path of a field in the version that is looked at."""
        return path_words((*self._above, *path)) or "the request"


def _lost(
    here: Object, there: Object | None, path: Path, where: str, depth: int, *, types: bool, named: _Named
) -> Iterator[tuple[str, str]]:
    """Yields the place and the problem of what an object has with one schema and loses with another.

    ``there`` is None for a map that the other version does not have and that leads to declared fields.
    """
    if depth > _DEEPEST or path in named.anyway:
        return
    one, other = named.names
    if there is not None and _kind(here) != _kind(there):
        if types:
            yield where, f"{named.words(path)} is {_kind(here)} in {one} and {_kind(there)} in {other}"
        return
    is_open = there is not None and _is_open(there)
    if _is_open(here) and not is_open:
        yield where, f"{named.words(path)} allows fields of any name in {one}, but not in {other}"
        return
    others = read_map(there.get("properties")) if there is not None else {}
    for name, child in read_map(here.get("properties")).items():
        inner, place = (*path, str(name)), f"{where}.properties.{name}"
        if inner in named.here or inner in named.anyway:
            continue
        is_another = inner in named.there
        if name in others and not is_another:
            yield from _lost(child, others[name], inner, place, depth + 1, types=types, named=named)
        elif inner in named.leading and _kind(child) == "object":
            yield from _lost(child, None, inner, place, depth + 1, types=types, named=named)
        elif is_another:
            yield place, f"{one} has {named.words(inner)}, and {other} has another field in its place"
        elif not is_open:
            yield place, f"{one} has {named.words(inner)}, but {other} does not"
    for key, step in (("items", "[]"), ("additionalProperties", "*")):
        child, opposite = here.get(key), there.get(key) if there is not None else None
        if isinstance(child, Mapping) and isinstance(opposite, Mapping):
            yield from _lost(child, opposite, (*path, step), f"{where}.{key}", depth + 1, types=types, named=named)


def _always(schema: Object, path: Path, *, by_default: bool) -> bool:
    """Whether an object that has the first name of a path has the whole path."""
    for depth, name in enumerate(path):
        child = read_map(read_map(schema.get("properties")).get(name))
        is_there = name in read_list(schema.get("required")) or (by_default and child.get("default") is not None)
        if depth > 0 and not is_there:
            return False
        if len(path) == 1:
            return is_there
        schema = child
    return True


def _schema_at(schema: Object, path: Path) -> Object | None:
    """Returns the schema of a field; None when it cannot exist."""
    for name in path:
        declared = read_map(schema.get("properties")).get(name)
        if isinstance(declared, Mapping):
            schema = declared
        elif _is_open(schema):
            additional = schema.get("additionalProperties")
            schema = (
                additional if isinstance(additional, Mapping) else {"x-kubernetes-preserve-unknown-fields": True}
            )
        else:
            return None
    return schema


def _meant(schema: Object, path: Path) -> str:
    """Returns the path that was probably meant; "" when none is close."""
    for depth, name in enumerate(path):
        properties = read_map(schema.get("properties"))
        if not isinstance(properties.get(name), Mapping):
            meant = close_match(name, properties)
            return path_words((*path[:depth], meant, *path[depth + 1 :])) if meant else ""
        schema = properties[name]
    return ""


def _where(path: Path) -> str:
    return "".join(f".properties.{name}" for name in path)


def _schema(version: Object) -> Object:
    return read_map(read_map(version.get("schema")).get("openAPIV3Schema"))


def _kind(schema: Object) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "int-or-string"
    return str(schema.get("type") or ("anything" if _is_open(schema) else "object"))


def _is_open(schema: Object) -> bool:
    declared: Any = schema.get("additionalProperties")
    return bool(schema.get("x-kubernetes-preserve-unknown-fields")) or declared is True or bool(declared)
