"""Validation of an object by the OpenAPI schema of its definition, as the API server does it.

The rules are those of kube-openapi, with its peculiarities: the bounds of a whole number are truncated to whole
numbers, a list passes where a formatted string is expected, null is never in an enum. A fault that existed before an
update, in a part that the update leaves as it was, does not count (ratcheting). Rejected: the `jsonschema` package. It
does not know `nullable`, int-or-string or ratcheting, its formats and regular expressions are not the API server's, and
Python's `re` can take for ever for a hostile pattern.

A schema is compiled once into a tree of `Validator` objects; checking then needs no look-ups in the schema.

Upstream: `pkg/validation/validate` of k8s.io/kube-openapi as Kubernetes v1.36.3 uses it, and
`pkg/apiserver/validation/ratcheting.go` and `pkg/apiserver/schema/listtype/validation.go` of
k8s.io/apiextensions-apiserver v0.36.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import re2

from troth.engine.admission.formats import format_check
from troth.engine.admission.refusals import (
    TYPE_INVALID,
    Refusal,
    duplicate,
    invalid,
    not_supported,
    quoted,
    required,
    shown_float,
    too_long,
    too_many,
)
from troth.engine.admission.structure import Schema

# Stands for an old value that does not exist.
ABSENT: Final = object()

_FLOAT32_MAX: Final = 3.4028234663852886e38
_JSON_INTEGER_MAX: Final = float(2**53 - 1)


class Validator:
    """One node of a schema, compiled."""

    __slots__ = (
        "_additional",
        "_all_of",
        "_any_of",
        "_atomic",
        "_closed",
        "_enum",
        "_format",
        "_format_name",
        "_has_string_checks",
        "_items",
        "_list_keys",
        "_max_items",
        "_max_length",
        "_max_properties",
        "_maximum",
        "_min_items",
        "_min_length",
        "_min_properties",
        "_minimum",
        "_multiple_of",
        "_not",
        "_nullable",
        "_one_of",
        "_pattern",
        "_pattern_problem",
        "_pattern_text",
        "_properties",
        "_required",
        "_types",
    )

    def __init__(self, schema: Schema) -> None:
        kind = schema.get("type")
        self._types: tuple[str, ...] = (kind,) if kind else ()
        if schema.get("x-kubernetes-int-or-string"):
            self._types = ("integer", "string")
        self._nullable = bool(schema.get("nullable"))
        self._format_name = _enforced_format(str(schema.get("format") or ""), self._types)
        self._format = format_check(self._format_name) if self._format_name else None
        self._enum: list[Any] | None = schema.get("enum") or None
        self._max_length: int | None = schema.get("maxLength")
        self._min_length: int | None = schema.get("minLength")
        self._pattern_text: str = schema.get("pattern") or ""
        self._pattern, self._pattern_problem = compile_pattern(self._pattern_text)
        self._has_string_checks = bool(
            self._pattern_text or self._max_length is not None or self._min_length is not None or self._format
        )
        self._maximum = _bound(schema, "maximum", "exclusiveMaximum")
        self._minimum = _bound(schema, "minimum", "exclusiveMinimum")
        multiple = schema.get("multipleOf")
        self._multiple_of: float | None = None if multiple is None else float(multiple)
        self._max_items: int | None = schema.get("maxItems")
        self._min_items: int | None = schema.get("minItems")
        self._max_properties: int | None = schema.get("maxProperties")
        self._min_properties: int | None = schema.get("minProperties")
        self._required: tuple[str, ...] = tuple(schema.get("required") or ())
        self._properties = {name: Validator(item) for name, item in (schema.get("properties") or {}).items()}
        additional = schema.get("additionalProperties")
        self._additional = Validator(additional) if isinstance(additional, Mapping) else None
        self._closed = additional is False
        items = schema.get("items")
        self._items = Validator(items) if isinstance(items, Mapping) else None
        self._all_of = tuple(Validator(item) for item in schema.get("allOf") or ())
        self._any_of = tuple(Validator(item) for item in schema.get("anyOf") or ())
        self._one_of = tuple(Validator(item) for item in schema.get("oneOf") or ())
        self._not = Validator(schema["not"]) if schema.get("not") else None
        self._atomic = schema.get("x-kubernetes-map-type") == "atomic"
        self._list_keys: tuple[str, ...] = (
            tuple(schema.get("x-kubernetes-list-map-keys") or ())
            if schema.get("x-kubernetes-list-type") == "map"
            else ()
        )

    def check(self, value: Any, path: str, old: Any = ABSENT) -> list[Refusal]:
        """Returns everything that is wrong with a value and its members.

        Args:
            value: the value, of plain maps, lists and scalars.
            path: its path, for the messages.
            old: the value before an update, or `ABSENT`.
        """
        found: list[Refusal] = []
        kind = type(value)
        if value is None:
            if self._types and not self._nullable:
                found.append(_wrong_type(path, ",".join(self._types), "null"))
            self._check_enum(value, path, found)
            return found
        if self._types or self._format_name:
            self._check_type(value, kind, path, found)
        if self._all_of or self._any_of or self._one_of or self._not is not None:
            self._check_combinations(value, path, old, found)
        if kind is str:
            if self._has_string_checks:
                self._check_string(value, path, found)
        elif kind is int or kind is float:
            self._check_number(value, path, found)
        elif kind is list:
            self._check_list(value, path, old, found)
        if self._enum is not None:
            self._check_enum(value, path, found)
        if kind is dict:
            self._check_object(value, path, old, found)
        if found and old is not ABSENT and same(value, old):
            return []
        return found

    def _check_type(self, value: Any, kind: type, path: str, found: list[Refusal]) -> None:
        name = _TYPE_NAMES.get(kind, "object")
        types = self._types
        if name in types and not (self._format_name and (kind is str or kind is list)):
            return
        fits = (
            name in types
            or (kind is float and "integer" in types and _is_whole(value))
            or (kind is int and "number" in types)
        )
        if self._format_name:
            if kind is not str and kind is not list:
                own = _FORMAT_NAMES.get(kind, "")
                if not fits and own != self._format_name:
                    found.append(_wrong_type(path, self._format_name, own))
                    return
            elif "number" not in types and "integer" not in types:
                return
        if not fits:
            found.append(_wrong_type(path, ",".join(types), name))

    def _check_enum(self, value: Any, path: str, found: list[Refusal]) -> None:
        if self._enum is None:
            return
        if value is not None:
            for member in self._enum:
                if same(value, member) or _same_converted(value, member):
                    return
        found.append(not_supported(path, value, self._enum))

    def _check_string(self, value: str, path: str, found: list[Refusal]) -> None:
        if self._max_length is not None and len(value) > self._max_length:
            found.append(too_long(path, self._max_length))
        elif self._min_length is not None and len(value) < self._min_length:
            found.append(invalid(path, value, f"{path} in body should be at least {self._min_length} chars long"))
        elif self._pattern_text and (self._pattern is None or not self._pattern(value)):
            detail = f"{path} in body should match '{self._pattern_text}{self._pattern_problem}'"
            found.append(invalid(path, value, detail))
        if self._format is not None and not self._format(value):
            detail = f"{path} in body must be of type {self._format_name}: {quoted(value)}"
            found.append(invalid(path, value, detail, TYPE_INVALID))

    def _check_number(self, value: int | float, path: str, found: list[Refusal]) -> None:
        whole = len(self._types) == 1 and self._types[0] == "integer"
        bits = self._format_name if len(self._types) == 1 else ""
        if not _in_range(value, whole=whole, bits=bits):
            found.append(_out_of_range(path, "Checked", whole=whole, bits=bits))
        if self._multiple_of is not None:
            factor: float = self._multiple_of
            if not _in_range(factor, whole=whole, bits=bits):
                found.append(_out_of_range(path, "MultipleOf", whole=whole, bits=bits))
            elif isinstance(value, int) and factor < 1:
                detail = f"factor MultipleOf declared for {path} must be positive: 0"
                found.append(invalid(path, 0, detail))
            elif not _is_multiple(value, factor):
                found.append(invalid(path, value, f"{path} in body should be a multiple of {shown_float(factor)}"))
        for bound, name, words, sign in (
            (self._maximum, "Maximum", ("less than or equal to", "less than"), 1),
            (self._minimum, "Minimum", ("greater than or equal to", "greater than"), -1),
        ):
            if bound is None:
                continue
            limit, exclusive = bound
            if not _in_range(limit, whole=whole, bits=bits):
                found.append(_out_of_range(path, f"{name} boundary", whole=whole, bits=bits))
            elif isinstance(value, int):
                limit = float(math.trunc(limit))
            beyond = (value - limit) * sign
            if beyond > 0 or (exclusive and beyond == 0):
                detail = f"{path} in body should be {words[exclusive]} {shown_float(limit)}"
                found.append(invalid(path, value, detail))

    def _check_list(self, value: list[Any], path: str, old: Any, found: list[Refusal]) -> None:
        items = self._items
        if items is not None:
            before = self._old_items(old) if old is not ABSENT else None
            for index, item in enumerate(value):
                belongs = before(item) if before is not None else ABSENT
                found += items.check(item, f"{path}[{index}]", belongs)
        if self._min_items is not None and len(value) < self._min_items:
            detail = f"{path} in body should have at least {self._min_items} items"
            found.append(invalid(path, len(value), detail))
        if self._max_items is not None and len(value) > self._max_items:
            found.append(too_many(path, len(value), self._max_items))

    def _old_items(self, old: Any) -> Callable[[Any], Any] | None:
        """Returns a function that finds the old item with the same keys; None for a list that is not of type map."""
        return old_items(old, self._list_keys)

    def _check_object(self, value: dict[str, Any], path: str, old: Any, found: list[Refusal]) -> None:
        if self._min_properties is not None and len(value) < self._min_properties:
            detail = f"{path} in body should have at least {self._min_properties} properties"
            found.append(invalid(path, len(value), detail))
        if self._max_properties is not None and len(value) > self._max_properties:
            found.append(too_many(path, len(value), self._max_properties))
        before = old if isinstance(old, dict) and not self._atomic else None
        prefix = f"{path}." if path else ""
        for name, item in value.items():
            validator = self._properties.get(name)
            if validator is None:
                if self._closed:
                    found.append(invalid(path, name, f"{prefix}{name} in body is a forbidden property"))
                    continue
                validator = self._additional
                if validator is None:
                    continue
            found += validator.check(item, prefix + name, ABSENT if before is None else before.get(name, ABSENT))
        for name in self._required:
            if name not in value:
                found.append(required(prefix + name))

    def _check_combinations(self, value: Any, path: str, old: Any, found: list[Refusal]) -> None:
        shown = f'"{path}"'
        if self._any_of:
            failures = _failures(self._any_of, value, path, old)
            if all(failures):
                found.append(invalid(path, "", f"{shown} must validate at least one schema (anyOf)"))
                found += _fewest(failures)
        if self._one_of:
            failures = _failures(self._one_of, value, path, old)
            valid = sum(1 for failure in failures if not failure)
            if valid != 1:
                what = f"Found {valid} valid alternatives" if valid else "Found none valid"
                found.append(invalid(path, "", f"{shown} must validate one and only one schema (oneOf). {what}"))
                if not valid:
                    found += _fewest(failures)
        if self._all_of:
            failures = _failures(self._all_of, value, path, old)
            for failure in failures:
                found += failure
            if any(failures):
                none = ". None validated" if all(failures) else ""
                found.append(invalid(path, "", f"{shown} must validate all the schemas (allOf){none}"))
        if self._not is not None and not self._not.check(value, path, old):
            found.append(invalid(path, "", f"{shown} must not validate the schema (not)"))


def compile_pattern(pattern: str) -> tuple[Callable[[str], bool] | None, str]:
    """Returns a search for a pattern in RE2's syntax; or None and, for an invalid pattern, what is wrong with it."""
    if not pattern:
        return None, ""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        words = error.args[0] if error.args else ""
        return None, f", but pattern is invalid: {words.decode() if isinstance(words, bytes) else words}"
    search = compiled.search
    return (lambda text: search(text) is not None), ""


def old_items(old: Any, keys: tuple[str, ...]) -> Callable[[Any], Any] | None:
    """Returns a function from an item to the old item with the same keys; None when items have no keys."""
    if not keys or not isinstance(old, list):
        return None
    known: dict[tuple[Any, ...], Any] = {}
    for item in old:
        identity = _identity(item, keys)
        if identity is not None:
            known.setdefault(identity, item)

    def find(item: Any) -> Any:
        identity = _identity(item, keys)
        return ABSENT if identity is None else known.get(identity, ABSENT)

    return find


def _identity(item: Any, keys: tuple[str, ...]) -> tuple[Any, ...] | None:
    if not isinstance(item, dict):
        return None
    values = tuple(item.get(key) for key in keys)
    return None if any(isinstance(value, dict | list) for value in values) else values


def check_list_types(value: Any, schema: Schema | None, path: str) -> list[Refusal]:
    """Returns a refusal for each duplicate in a list that is a set or a map."""
    if schema is None:
        return []
    found: list[Refusal] = []
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        additional = schema.get("additionalProperties")
        for name, item in value.items():
            if not isinstance(item, dict | list):
                continue
            if name in properties:
                found += check_list_types(item, properties[name], f"{path}.{name}" if path else name)
            elif isinstance(additional, Mapping):
                found += check_list_types(item, additional, f"{path}[{name}]")
    elif isinstance(value, list):
        kind = schema.get("x-kubernetes-list-type")
        if kind == "set":
            found += [duplicate(f"{path}[{index}]", value[index]) for index in _repeated(value)]
        elif kind == "map":
            found += _check_list_map(value, tuple(schema.get("x-kubernetes-list-map-keys") or ()), path)
        items = schema.get("items")
        for index, item in enumerate(value):
            found += check_list_types(item, items, f"{path}[{index}]")
    return found


def _check_list_map(value: list[Any], keys: tuple[str, ...], path: str) -> list[Refusal]:
    for index, item in enumerate(value):
        if item is not None and not isinstance(item, dict):
            return [invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map")]
    identities = [{key: item[key] for key in keys if item is not None and key in item} for item in value]
    return [duplicate(f"{path}[{index}]", identities[index]) for index in _repeated(identities)]


def _repeated(values: list[Any]) -> list[int]:
    """Returns the index of the second occurrence of each value that occurs more than once."""
    seen: dict[Any, int] = {}
    found = []
    for index, value in enumerate(values):
        identity = _hashable(value)
        seen[identity] = seen.get(identity, 0) + 1
        if seen[identity] == 2:
            found.append(index)
    return found


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return ("map", frozenset((name, _hashable(item)) for name, item in value.items()))
    if isinstance(value, list):
        return ("list", tuple(_hashable(item) for item in value))
    return (type(value), value)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal and of the same types: true is not 1, and 1 is not 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(item, other[name]) for name, item in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(same(item, other[index]) for index, item in enumerate(one))
    return bool(one == other)


def _same_converted(value: Any, member: Any) -> bool:
    """Whether a value equals a member of an enum as in Go, which converts numbers to the member's type."""
    if type(value) is float and type(member) is int:
        return math.isfinite(value) and math.trunc(value) == member
    return type(value) is int and type(member) is float and float(value) == member


def _failures(validators: tuple[Validator, ...], value: Any, path: str, old: Any) -> list[list[Refusal]]:
    # The node that combines them compares with the old value itself; only the nodes below may ratchet here.
    return [validator.check(value, path, old) for validator in validators]


def _fewest(failures: list[list[Refusal]]) -> list[Refusal]:
    return min(failures, key=lambda failure: len(failure))


def _enforced_format(name: str, types: tuple[str, ...]) -> str:
    only = types[0] if len(types) == 1 else ""
    if only in ("", "string"):
        return name if name and format_check(name) is not None else ""
    if only == "integer":
        return name if name in ("int32", "int64") else ""
    return name if only == "number" and name in ("float", "double") else ""


def _bound(schema: Schema, name: str, exclusive: str) -> tuple[float, bool] | None:
    limit = schema.get(name)
    return None if limit is None else (float(limit), bool(schema.get(exclusive)))


def _wrong_type(path: str, wanted: str, actual: str) -> Refusal:
    return invalid(path, actual, f"{path} in body must be of type {wanted}: {quoted(actual)}", TYPE_INVALID)


def _is_whole(value: float) -> bool:
    return abs(value) <= _JSON_INTEGER_MAX and value.is_integer()


def _is_multiple(value: int | float, factor: float) -> bool:
    if isinstance(value, int):
        whole = math.trunc(factor)
        return whole > 0 and value % whole == 0
    ratio = 1 / factor * value if factor < 1 else value / factor
    nearest = round(ratio) if math.isfinite(ratio) else 0
    return math.isfinite(ratio) and abs(ratio - nearest) <= 1e-9 * max(abs(ratio) + abs(nearest), 1e-300)


def _in_range(value: float, *, whole: bool, bits: str) -> bool:
    if not whole:
        return bits != "float" or abs(value) <= _FLOAT32_MAX
    if not math.isfinite(value) or value != math.trunc(value):
        return False
    limit = 2**31 if bits == "int32" else 2**63
    return -limit <= value < limit


def _out_of_range(path: str, what: str, *, whole: bool, bits: str) -> Refusal:
    kind = "integer" if whole else "number"
    detail = f"with format {bits}" if bits else "(default format)"
    return invalid(path, "", f"{what} value must be of type {kind} {detail} in {path}")


_TYPE_NAMES: Final[Mapping[type, str]] = {
    bool: "boolean",
    str: "string",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}
_FORMAT_NAMES: Final[Mapping[type, str]] = {int: "int64", float: "float64"}
