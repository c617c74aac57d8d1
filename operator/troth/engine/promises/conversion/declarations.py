"""Reads ``spec.api.conversions``: which field of one version of an API is which field of another.

```yaml
conversions:
- between: [v1, v2]
  fields:
  - {v1: spec.owner, v2: spec.contact.team}                       # renamed or moved
  - {v1: spec.storageGB, v2: spec.storage, unit: {v1: Gi}}        # v1 counts Gi, v2 has a quantity
  - {v2: spec.tls, default: true}                                 # only v2 has it
  - {v1: spec.legacy}                                             # only v1 has it
  - v1: spec.size
    v2: spec.profile
    values: [{v1: small, v2: S}, {v1: large, v2: L}]
  - {v1: spec.users, v2: spec.accounts, key: name, fields: [{v1: role, v2: kind}]}
```

A field that is not named has the same name in both versions. Each declaration is read in both directions, so it cannot
say one thing there and another thing back.

The declarations stand within ``spec.api``, which both Troth and Kratix store as it is: Kratix reads a
CustomResourceDefinition out of it and ignores the rest, and a PromiseRevision has a copy of it.

Rejected: *an annotation* (YAML within a text, without lines for messages, and a revision would not have it); *a field
of the Promise's spec* (Kratix' definition of Promise does not have it, so its API server would drop it without a word);
*``x-troth-…`` keywords in the schemas* (each version would have one half, and the API server refuses unknown keywords);
*a program, such as CEL or a template* (it has one direction, and nobody can tell what it loses).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from troth.api import InvalidObject
from troth.api.strict import refuse_unknown_fields
from troth.api.typed import Object, name_type, require_list, require_map, require_text, require_type
from troth.engine.promises.conversion.json_values import ABSENT, scalar_identity
from troth.engine.promises.request_paths import Path, path_words
from troth.engine.quantities import parse_quantity

FIELD: Final = "spec.api.conversions"

_MOST_CONVERSIONS: Final = 50
_MOST_FIELDS: Final = 500
_MOST_VALUES: Final = 1000
_DEEPEST: Final = 5
_LONGEST: Final = 1000
_OPTIONS: Final = ("default", "values", "unit", "key", "fields")
_FIXED: Final = ("apiVersion", "kind", "metadata", "status")
_UNIT: Final = re.compile(r"[KMGTPE]i|[numkMGTPE]")


@dataclass(frozen=True, slots=True)
class Same:
    """The value is the same in both versions."""


@dataclass(frozen=True, slots=True)
class Lone:
    """Only one version has the field.

    Attributes:
        default: its value in objects that come from the other version and have no value kept; ABSENT for none.
    """

    default: Any = ABSENT


@dataclass(frozen=True, slots=True)
class Values:
    """The value is translated by a list of pairs, the first of which that fits counts.

    Attributes:
        pairs: the value in the first version and in the second.
    """

    pairs: tuple[tuple[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit in which a number counts: its suffix, if it has one, and its size."""

    suffix: str
    size: Fraction


@dataclass(frozen=True, slots=True)
class Units:
    """The value is an amount.

    Attributes:
        units: the unit in which each version counts; None for a version that has a quantity such as ``10Gi``.
    """

    units: tuple[Unit | None, Unit | None]


@dataclass(frozen=True, slots=True)
class Entries:
    """The value is a list of maps with a key, or a map by that key.

    Attributes:
        keys: the field of a list's items that is the key, in each version.
        rules: the fields of an entry that differ.
    """

    keys: tuple[str, str]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One declared field.

    Attributes:
        paths: its path in each of the two versions; None in a version that does not have it.
        carry: what becomes of the value.
        field: where it is declared, for messages.
    """

    paths: tuple[Path | None, Path | None]
    carry: Same | Lone | Values | Units | Entries
    field: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is declared for two versions.

    Attributes:
        versions: their names.
        rules: the fields that differ.
        field: where it is declared.
    """

    versions: tuple[str, str]
    rules: tuple[Rule, ...]
    field: str


def read_conversions(api: Object | None) -> tuple[Conversion, ...]:
    """Returns the conversions that an API declares; none if it declares nothing.

    Args:
        api: the value of ``spec.api``.

    Raises:
        InvalidObject: one of them cannot be used; the error names the field and the remedy.
    """
    declared = require_list((api or {}).get("conversions"), FIELD)
    if len(declared) > _MOST_CONVERSIONS:
        raise InvalidObject(FIELD, f"has {len(declared)} conversions", f"declare at most {_MOST_CONVERSIONS}")
    found: list[Conversion] = []
    for index, entry in enumerate(declared):
        conversion = _conversion(entry, f"{FIELD}[{index}]")
        for other in found:
            if set(other.versions) == set(conversion.versions):
                pair = " and ".join(conversion.versions)
                raise InvalidObject(
                    f"{conversion.field}.between", f"is the second conversion between {pair}", "make them one"
                )
        found.append(conversion)
    return tuple(found)


def _conversion(entry: Any, field: str) -> Conversion:
    require_type(entry, dict, field)
    refuse_unknown_fields(entry, ("between", "fields"), field)
    between = entry.get("between")
    if (
        not isinstance(between, list)
        or len(between) != 2
        or not all(isinstance(name, str) and name for name in between)
        or between[0] == between[1]
    ):
        raise InvalidObject(
            f"{field}.between", "does not name two versions", "write the names of two versions, such as [v1, v2]"
        )
    versions = (between[0], between[1])
    for name in versions:
        if name in _OPTIONS:
            raise InvalidObject(
                f"{field}.between",
                f"names a version {name!r}, which is a word of conversions",
                "rename the version",
            )
    rules = _rules(entry.get("fields"), f"{field}.fields", versions, 0)
    if _count(rules) > _MOST_FIELDS:
        raise InvalidObject(f"{field}.fields", f"has {_count(rules)} fields", f"declare at most {_MOST_FIELDS}")
    return Conversion(versions, rules, field)


def _count(rules: Sequence[Rule]) -> int:
    return sum(1 + (_count(rule.carry.rules) if isinstance(rule.carry, Entries) else 0) for rule in rules)


def _rules(value: Any, field: str, versions: tuple[str, str], depth: int) -> tuple[Rule, ...]:
    entries = require_list(value, field)
    if len(entries) > _MOST_FIELDS:
        raise InvalidObject(field, f"has {len(entries)} fields", f"declare at most {_MOST_FIELDS}")
    if depth > _DEEPEST:
        raise InvalidObject(
            field, f"is more than {_DEEPEST} levels of fields deep", "declare the inner fields less deeply"
        )
    rules = tuple(_rule(entry, f"{field}[{index}]", versions, depth) for index, entry in enumerate(entries))
    for side in (0, 1):
        _check_apart(rules, side, versions[side])
    return rules


def _check_apart(rules: Sequence[Rule], side: int, version: str) -> None:
    """Refuses two rules for one field, or for a field and a part of it."""
    placed = sorted(
        ((path, rule) for rule in rules if (path := rule.paths[side]) is not None), key=lambda entry: entry[0]
    )
    for (outer, first), (inner, second) in pairwise(placed):
        if inner == outer:
            raise InvalidObject(
                f"{second.field}.{version}",
                f"names {path_words(inner)}, as {first.field} does",
                "declare each field once in each version",
            )
        if inner[: len(outer)] == outer:
            raise InvalidObject(
                f"{second.field}.{version}",
                f"names {path_words(inner)}, which is a part of {path_words(outer)} in {first.field}",
                "declare either the whole field or its parts",
            )


def _rule(entry: Any, field: str, versions: tuple[str, str], depth: int) -> Rule:
    require_type(entry, dict, field)
    refuse_unknown_fields(entry, (*versions, *_OPTIONS), field)
    first, second = (
        _path(entry[name], f"{field}.{name}", top=depth == 0) if name in entry else None for name in versions
    )
    if first is None and second is None:
        raise InvalidObject(
            field, "names no field", f"write its path in {versions[0]}, in {versions[1]} or in both of them"
        )
    is_pair = first is not None and second is not None
    for option in ("values", "unit", "key", "fields"):
        if option in entry and not is_pair:
            missing = versions[0] if first is None else versions[1]
            raise InvalidObject(
                f"{field}.{option}", "needs a field in both versions", f"write {missing}: and its path"
            )
    if "default" in entry and is_pair:
        raise InvalidObject(
            f"{field}.default",
            "is only for a field that one version does not have",
            "give the field a default in the schema of a version, which counts before anything is converted",
        )
    used = [option for option in ("values", "unit", "key") if option in entry]
    if len(used) > 1:
        raise InvalidObject(f"{field}.{used[1]}", f"cannot be used together with {used[0]}", "remove one of them")
    if "fields" in entry and "key" not in entry:
        raise InvalidObject(
            f"{field}.fields",
            "needs a key, by which an entry is recognised in the other version",
            "write key: and the field that tells the entries apart, such as name",
        )
    carry: Same | Lone | Values | Units | Entries
    if not is_pair:
        carry = Lone(entry.get("default", ABSENT))
    elif "values" in entry:
        carry = _values(entry["values"], f"{field}.values", versions)
    elif "unit" in entry:
        carry = _units(entry["unit"], f"{field}.unit", versions)
    elif "key" in entry:
        keys = _keys(entry["key"], f"{field}.key", versions)
        carry = Entries(keys, _entry_rules(entry, field, versions, keys, depth))
    else:
        carry = Same()
    return Rule((first, second), carry, field)


def _entry_rules(
    entry: Mapping[str, Any], field: str, versions: tuple[str, str], keys: tuple[str, str], depth: int
) -> tuple[Rule, ...]:
    rules = _rules(entry.get("fields"), f"{field}.fields", versions, depth + 1)
    for rule in rules:
        for path, key, version in zip(rule.paths, keys, versions, strict=True):
            if path is not None and path[0] == key:
                raise InvalidObject(
                    f"{rule.field}.{version}",
                    f"names {key}, which is the key",
                    f"name the key of each version in {field}.key",
                )
    return rules


def _path(value: Any, field: str, *, top: bool) -> Path:
    text = require_text(value, field)
    path = tuple(text.split("."))
    if not text or "" in path or "[" in text or "*" in text or len(text) > _LONGEST:
        raise InvalidObject(
            field,
            f"is {text[:60]!r}, not the path of a field",
            "write names with dots between them, such as spec.size",
        )
    if top and path[0] in _FIXED:
        raise InvalidObject(
            field,
            f"is {text!r}, but {path[0]} is the same in all versions",
            "declare fields of the request, such as spec.size",
        )
    return path


def _values(value: Any, field: str, versions: tuple[str, str]) -> Values:
    require_type(value, list, field)
    if not value or len(value) > _MOST_VALUES:
        raise InvalidObject(field, f"has {len(value)} pairs", f"write between 1 and {_MOST_VALUES} pairs")
    pairs: list[tuple[Any, Any]] = []
    seen = set()
    for index, pair in enumerate(value):
        where = f"{field}[{index}]"
        require_type(pair, dict, where)
        refuse_unknown_fields(pair, versions, where)
        for name in versions:
            if name not in pair:
                raise InvalidObject(f"{where}.{name}", "is missing", f"write the value that it has in {name}")
            if isinstance(pair[name], dict | list) or pair[name] is None:
                raise InvalidObject(
                    f"{where}.{name}", f"is {name_type(pair[name])}", "write a text, a number, true or false"
                )
        found = (pair[versions[0]], pair[versions[1]])
        identity = tuple(map(scalar_identity, found))
        if identity in seen:
            raise InvalidObject(where, "is the same pair as one before", "remove it")
        seen.add(identity)
        pairs.append(found)
    return Values(tuple(pairs))


def _units(value: Any, field: str, versions: tuple[str, str]) -> Units:
    require_type(value, dict, field)
    refuse_unknown_fields(value, versions, field)
    if not value:
        raise InvalidObject(
            field, "names no version", f"write the unit in which a version counts, such as {{{versions[0]}: Gi}}"
        )
    first, second = (_unit(value[name], f"{field}.{name}") if name in value else None for name in versions)
    return Units((first, second))


def _unit(value: Any, field: str) -> Unit:
    if isinstance(value, str) and _UNIT.fullmatch(value):
        return Unit(value, Fraction(parse_quantity(f"1{value}").amount))
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**18:
        return Unit("", Fraction(Decimal(str(value))))
    raise InvalidObject(
        field,
        f"is {str(value)[:60]!r}, not a unit",
        "write a suffix of quantities, such as Gi or m, or a number above 0",
    )


def _keys(value: Any, field: str, versions: tuple[str, str]) -> tuple[str, str]:
    found: dict[str, Any] = (
        dict.fromkeys(versions, value) if isinstance(value, str) else dict(require_map(value, field))
    )
    refuse_unknown_fields(found, versions, field)
    for name in versions:
        if not isinstance(found.get(name), str) or not found[name]:
            raise InvalidObject(
                f"{field}.{name}" if isinstance(value, dict) else field,
                "is not the name of a field",
                "write the field that tells the entries apart, such as name",
            )
    return found[versions[0]], found[versions[1]]
