"""Converts a map by the rules for its fields, and says what the converted map cannot hold.

What one version cannot express is kept beside the converted object, together with the value that was written in its
place. On the way back it is restored if that value is still there, and forgotten when somebody has changed it since.
So for each field, there and back is what it was, whatever the rule does to values; and an edit in the other version
always counts. This is why there are no two functions per rule that would have to be inverse to each other.

Two directions differ. A value that the stored version cannot express is refused, since templates are rendered with the
stored version and would render something else. A value that another version cannot express is left out there and kept:
if that were refused, one object could make all objects unreadable in that version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth.api.typed import Object, read_list, read_map
from troth.engine.admission.validation import Validator
from troth.engine.promises.conversion.amounts import convert_amount
from troth.engine.promises.conversion.declarations import Entries, Lone, Rule, Units, Values
from troth.engine.promises.conversion.json_values import ABSENT, alike, can_put, copied, find, put, take
from troth.engine.promises.request_paths import Path, path_words

Kept = dict[str, Any]

_WAS: Final = "was"
_GONE: Final = "gone"
_AS: Final = "as"


class Unfit(Exception):
    """A value cannot be expressed in the other version. The message says which and why.

    It never leaves this package: `troth.engine.promises.conversion.converting` returns it as a value.
    """


@dataclass(slots=True)
class Result:
    """A converted map.

    Attributes:
        value: the map in the other version.
        kept: what the other version cannot express, as the way back needs it; empty when it can express everything.
        left_out: why some values are left out, in sentences without a full stop.
    """

    value: dict[str, Any]
    kept: Kept = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


class Scope:
    """Converts maps of one schema in each version.

    Args:
        rules: the fields that differ.
        schemas: the schemas of the map in the two versions.
        stored: which of the two is the stored version: 0 or 1.
    """

    def __init__(self, rules: Iterable[Rule], schemas: tuple[Object, Object], stored: int) -> None:
        self._stored = stored
        self._steps = tuple(_Step(rule, schemas, stored) for rule in rules)
        placed = [
            frozenset(path for step in self._steps if (path := step.paths[side]) is not None) for side in (0, 1)
        ]
        self._common: tuple[dict[Path, bool], dict[Path, bool]] = ({}, {})
        for side in (0, 1):
            for path in placed[side]:
                for length in range(1, len(path)):
                    above = path[:length]
                    self._common[side][above] = _is_map_at(schemas[1 - side], above) and not any(
                        above[:part] in placed[1 - side] for part in range(1, length + 1)
                    )

    def convert(self, source: dict[str, Any], side: int, kept: Object) -> Result:
        """Converts a map, which it changes on the way.

        Args:
            source: the map in the version ``side``.
            side: 0 for the first version, 1 for the second.
            kept: what is kept of the version that it is converted to.

        Raises:
            Unfit: the stored version cannot express it.
        """
        there = 1 - side
        shape = self._shape(source, side)
        taken = [take(source, path) if (path := step.paths[side]) is not None else ABSENT for step in self._steps]
        led = {
            path[:length]
            for step, value in zip(self._steps, taken, strict=True)
            if value is not ABSENT and (path := step.paths[side]) is not None
            for length in range(1, len(path))
        }
        self._fold(source, side, kept, led)
        result = Result(source)
        fields: Kept = {}
        known = read_map(kept.get("fields"))
        for step, value in zip(self._steps, taken, strict=True):
            target, origin = step.paths[there], step.paths[side]
            entry = read_map(known.get(_kept_name(target))) if target is not None else {}
            outcome = step.convert(value, side, entry)
            if target is not None and outcome.value is not ABSENT:
                if can_put(source, target):
                    self._note_absent(source, target, there, shape)
                    put(source, target, outcome.value)
                else:
                    problem = f"{path_words(target)} cannot be set, because something else is in its place"
                    if there == self._stored:
                        raise Unfit(problem)
                    outcome = _Outcome(ABSENT, step.kept(value, ABSENT, side), [problem])
            result.left_out += outcome.left_out
            if origin is not None and outcome.kept:
                fields[_kept_name(origin)] = outcome.kept
        self._unfold(source, there, kept)
        result.kept = {key: part for key, part in (("fields", fields), *shape.items()) if part}
        return result

    # ---- maps that only lead to fields

    def _shape(self, source: Object, side: int) -> dict[str, Any]:
        """Returns the maps of this version alone that are empty or null, and a list for those that the other adds."""
        empty = {}
        for above, common in self._common[side].items():
            if not common and _is_hollow(value := find(source, above)):
                empty[_kept_name(above)] = value
        return {"empty": empty, "absent": []}

    def _note_absent(self, source: Object, target: Path, there: int, shape: dict[str, Any]) -> None:
        for length in range(1, len(target)):
            above = target[:length]
            if self._common[there].get(above) and find(source, above) is ABSENT:
                shape["absent"].append(_kept_name(above))

    def _fold(self, source: dict[str, Any], side: int, kept: Object, led: set[Path]) -> None:
        """Removes the maps that only led to fields. A map of both versions stays unless ``led`` has it.

        Args:
            source: the map, without the fields.
            side: its version.
            kept: what is kept of the other version, with the names of the maps that were not there.
            led: the maps out of which a field was taken. All others were empty before, and somebody wants them.
        """
        absent = {text for text in read_list(kept.get("absent")) if isinstance(text, str)}
        for above in sorted(self._common[side], key=len, reverse=True):
            value = find(source, above)
            if self._common[side][above]:
                if _kept_name(above) in absent and value == {} and above in led:
                    take(source, above)
            elif _is_hollow(value):
                take(source, above)

    def _unfold(self, source: dict[str, Any], there: int, kept: Object) -> None:
        """Puts back the maps that were empty or null in the version that it is converted to."""
        empty = read_map(kept.get("empty"))
        for above, common in self._common[there].items():
            if common or _kept_name(above) not in empty:
                continue
            lengths = (length for length in range(len(above) - 1, 0, -1) if self._common[there][above[:length]])
            leads_to_it = find(source, above[: next(lengths, 0)])
            if isinstance(leads_to_it, dict) and can_put(source, above):
                put(source, above, None if empty[_kept_name(above)] is None else {})


@dataclass(slots=True)
class _Outcome:
    value: Any
    kept: Kept = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


class _Step:
    """One rule, with what the schemas say about its field."""

    def __init__(self, rule: Rule, schemas: tuple[Object, Object], stored: int) -> None:
        self.paths = rule.paths
        self._carry = rule.carry
        self._stored = stored
        found = tuple(
            _schema_at(schema, path) if path is not None else None
            for schema, path in zip(schemas, rule.paths, strict=True)
        )
        self._schemas = found
        self._validators = tuple(Validator(schema) if schema else None for schema in found)
        self._keys, self._entries = ("", ""), None
        if isinstance(rule.carry, Entries):
            inner = [_entry_schema(schema or {}) for schema in found]
            self._keys = rule.carry.keys
            self._entries = Scope(rule.carry.rules, (inner[0], inner[1]), stored)

    def convert(self, value: Any, side: int, entry: Object) -> _Outcome:
        """Converts a value.

        Args:
            value: the value in the version ``side``, or ABSENT.
            side: that version.
            entry: what is kept of the field in the other version.

        Raises:
            Unfit: the stored version cannot express it.
        """
        there = 1 - side
        if (_WAS in entry or _GONE in entry) and alike(entry.get(_AS, ABSENT), value):
            was = entry.get(_WAS, ABSENT)
            return _Outcome(was, self.kept(value, was, side))
        try:
            if self._entries is not None and isinstance(value, dict | list):
                return self._convert_entries(self._entries, copied(value), side, entry)
            found = self._translate(value, side)
        except Unfit as problem:
            path = self.paths[side] or self.paths[there] or ()
            said = f"{path_words(path)} cannot be converted: {problem}"
            if there == self._stored:
                raise Unfit(said) from None
            return _Outcome(ABSENT, self.kept(value, ABSENT, side), [said])
        return _Outcome(found, self.kept(value, found, side))

    def kept(self, value: Any, found: Any, side: int) -> Kept:
        """Returns what has to be kept of ``value``, which became ``found``, so that it comes back as it was."""
        try:
            if self._entries is not None and isinstance(found, dict | list):
                back = self._convert_entries(self._entries, copied(found), 1 - side, {}).value
            else:
                back = self._translate(found, 1 - side)
        except Unfit:
            back = ABSENT
        if alike(back, value):
            return {}
        entry: Kept = {_GONE: True} if value is ABSENT else {_WAS: value}
        return entry if found is ABSENT else {**entry, _AS: copied(found)}

    def _translate(self, value: Any, side: int) -> Any:
        """Returns a value as the other version has it. Raises Unfit."""
        carry, there = self._carry, 1 - side
        if isinstance(carry, Lone):
            return copied(carry.default) if self.paths[there] is not None else ABSENT
        if value is ABSENT:
            return ABSENT
        if value is None:
            found = None
        elif isinstance(carry, Values):
            found = next((pair[there] for pair in carry.pairs if alike(pair[side], value)), ABSENT)
            if found is ABSENT:
                raise Unfit(f"the conversion has no pair for {repr(value)[:60]}")
        elif isinstance(carry, Units):
            schema = self._schemas[there] or {}
            try:
                found = convert_amount(
                    value, carry, side, whole=schema.get("type") == "integer", round_up=there != self._stored
                )
            except ValueError as error:
                raise Unfit(str(error)) from None
        elif isinstance(carry, Entries):
            raise Unfit(f"{repr(value)[:60]} is neither a list nor a map")
        else:
            found = value
        self._check(value, found, side)
        return found

    def _check(self, value: Any, found: Any, side: int) -> None:
        """Raises Unfit if the other version does not allow a value, unless its own version does not allow it either."""
        there, here = self._validators[1 - side], self._validators[side]
        if there is None or not (problems := there.check(found, path_words(self.paths[1 - side] or ()))):
            return
        if here is not None and here.check(value, ""):
            return
        raise Unfit(problems[0].message[:300])

    # ---- lists and maps of entries

    def _convert_entries(self, scope: Scope, value: Any, side: int, entry: Object) -> _Outcome:
        there = 1 - side
        kept, outcome = read_map(entry.get("items")), _Outcome(ABSENT)
        converted: dict[str, dict[str, Any]] = {}
        items: Kept = {}
        for key, item in _items(value, self._keys[side], is_list=_is_list(self._schemas[side])):
            result = scope.convert(item, side, read_map(kept.get(key)))
            converted[key] = result.value
            outcome.left_out += result.left_out
            if result.kept:
                items[key] = result.kept
        if items:
            outcome.kept["items"] = items
        order = list(converted)
        if not _is_list(self._schemas[there]):
            outcome.value = converted
            if isinstance(value, list) and order != sorted(order):
                outcome.kept["order"] = order
            return outcome
        if isinstance(value, dict):
            order = _ordered(converted, entry.get("order"))
        name = self._keys[there]
        for item in converted.values():
            if name in item:
                raise Unfit(f"an entry has a field {name!r}, which is the key")
        outcome.value = [{name: key, **converted[key]} for key in order]
        return outcome


def _items(value: Any, name: str, *, is_list: bool) -> list[tuple[str, dict[str, Any]]]:
    """Returns the entries of a list or a map by their keys, without the field of the key. Raises Unfit."""
    if isinstance(value, list) is not is_list:
        raise Unfit("it is a map and not a list" if is_list else "it is a list and not a map")
    found: dict[str, dict[str, Any]] = {}
    for item in value if is_list else value.values():
        if not isinstance(item, dict):
            raise Unfit("an entry is not a map")
    if not is_list:
        return [(key, dict(item)) for key, item in value.items()]
    for item in value:
        key = item.get(name)
        if not isinstance(key, str):
            raise Unfit(f"an entry has no text as its key {name!r}")
        if key in found:
            raise Unfit(f"two entries have the key {key[:60]!r}")
        found[key] = {field: part for field, part in item.items() if field != name}
    return list(found.items())


def _ordered(entries: Mapping[str, Any], kept: Any) -> list[str]:
    """Returns the keys in the order that was kept, and then those that are new, sorted."""
    known = [
        key for key in dict.fromkeys(text for text in read_list(kept) if isinstance(text, str)) if key in entries
    ]
    seen = frozenset(known)
    return known + sorted(key for key in entries if key not in seen)


def _kept_name(path: Path) -> str:
    """Returns the name of a field in what is kept. Requests have it in their annotations, so it does not change."""
    return ".".join(path)


def _is_hollow(value: Any) -> bool:
    return value is None or value == {}


# ---- schemas


def _schema_at(schema: Object, path: Path) -> Object | None:
    """Returns the schema of a field, or None when it is not declared."""
    found: Any = schema
    for name in path:
        found = read_map(read_map(found).get("properties")).get(name)
    return found if isinstance(found, Mapping) else None


def _is_map_at(schema: Object, path: Path) -> bool:
    found = _schema_at(schema, path)
    return found is not None and found.get("type", "object") == "object"


def _is_list(schema: Object | None) -> bool:
    return (schema or {}).get("type") == "array"


def _entry_schema(schema: Object) -> Object:
    return read_map(schema.get("items") if _is_list(schema) else schema.get("additionalProperties"))
