"""The functions that Kubernetes adds to CEL, and corrections of the few in cel-python that differ from CEL.

A function that is missing here is unknown to the evaluator, and a rule that needs it counts as unchecked. So a function
that would only be nearly right is left out: URLs, semantic versions, formatting, and the accessors of IP addresses.
Functions take the receiver first. A ValueError is an error of the rule, as in CEL; a TypeError means that there is no
overload for the arguments.

Upstream: `pkg/cel/library` of k8s.io/apiserver v0.36.3, and `ext` and `common/stdlib` of cel-go v0.26.0.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import re2
from celpy import celtypes
from celpy.evaluation import CELEvalError

from troth.engine.admission.refusals import shown_float
from troth.engine.quantities import parse_quantity

Bool = celtypes.BoolType
Int = celtypes.IntType
String = celtypes.StringType


class CelQuantity:
    """A Kubernetes quantity in a rule; quantities are compared by value."""

    __slots__ = ("number",)

    def __init__(self, number: Decimal) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CelQuantity):
            raise TypeError("no such overload")
        return self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


class UnorderedList(celtypes.ListType):
    """A list of type set or map: compared without regard to order, and merged by key (the right side wins)."""

    keys: tuple[str, ...] = ()

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, list):
            raise TypeError("no such overload")
        return len(self) == len(other) and all(any(one == item for item in self) for one in other)

    def __ne__(self, other: Any) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> UnorderedList:  # type: ignore[override]
        if not isinstance(other, list):
            raise TypeError("no such overload")
        joined = UnorderedList(list(self))
        joined.keys = self.keys
        places = {self._key(item): index for index, item in enumerate(self)}
        for item in other:
            place = places.setdefault(self._key(item), len(joined))
            if place < len(joined):
                joined[place] = item
            else:
                joined.append(item)
        return joined

    def _key(self, item: Any) -> Any:
        if not self.keys:
            return item
        return tuple(item.get(String(key)) for key in self.keys)


def _strings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function whose first argument must be a string."""

    @functools.wraps(function)
    def checked(text: Any, *arguments: Any) -> Any:
        if not isinstance(text, str):
            raise TypeError("no such overload")
        return function(text, *arguments)

    return checked


def _ascii(text: str, change: Callable[[str], str]) -> celtypes.StringType:
    return String("".join(change(one) if one.isascii() else one for one in text))


def _split(text: str, separator: str, limit: int = -1) -> celtypes.ListType:
    if limit == 0:
        return celtypes.ListType([])
    if limit == 1:
        return celtypes.ListType([String(text)])
    most = limit - 1 if limit > 0 else -1
    if not separator:
        parts = list(text) if most < 0 or len(text) <= most else [*text[:most], text[most:]]
    else:
        parts = text.split(separator, most)
    return celtypes.ListType([String(part) for part in parts])


def _join(parts: Any, separator: str = "") -> celtypes.StringType:
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise TypeError("no such overload")
    return String(separator.join(parts))


def _substring(text: str, start: int, end: int | None = None) -> celtypes.StringType:
    stop = len(text) if end is None else int(end)
    if not 0 <= start <= stop <= len(text):
        raise ValueError("index out of range")
    return String(text[start:stop])


def _char_at(text: str, index: int) -> celtypes.StringType:
    if not 0 <= index <= len(text):
        raise ValueError("index out of range")
    return String(text[index : index + 1])


def _replace(text: str, old: str, new: str, limit: int = -1) -> celtypes.StringType:
    return String(text.replace(old, new, int(limit)))


def _trim(text: str) -> celtypes.StringType:
    return String(text.strip())


def _index_of(value: Any, sought: Any, start: int | None = None) -> celtypes.IntType:
    if isinstance(value, str):
        if start is not None and not 0 <= start <= len(value):
            raise ValueError("index out of range")
        return Int(value.find(sought, int(start or 0)))
    if not isinstance(value, list) or start is not None:
        raise TypeError("no such overload")
    return Int(next((index for index, item in enumerate(value) if item == sought), -1))


def _last_index_of(value: Any, sought: Any) -> celtypes.IntType:
    if isinstance(value, str):
        return Int(value.rfind(sought))
    if not isinstance(value, list):
        raise TypeError("no such overload")
    return Int(next((index for index in reversed(range(len(value))) if value[index] == sought), -1))


def _pattern(pattern: Any) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"the pattern {pattern!r} is invalid") from error


def _matches(text: str, pattern: str) -> celtypes.BoolType:
    return Bool(_pattern(pattern).search(text) is not None)


def _find(text: str, pattern: str) -> celtypes.StringType:
    found = _pattern(pattern).search(text)
    return String(found.group(0) if found else "")


def _find_all(text: str, pattern: str, limit: int = -1) -> celtypes.ListType:
    found = [String(match.group(0)) for match in _pattern(pattern).finditer(text)]
    return celtypes.ListType(found if limit < 0 else found[: int(limit)])


def _is_sorted(values: Any) -> celtypes.BoolType:
    items = _comparable(values)
    return Bool(all(bool(one <= two) for one, two in itertools.pairwise(items)))


def _sum(values: Any) -> Any:
    items = _comparable(values)
    if not items:
        return Int(0)
    return functools.reduce(lambda one, two: one + two, items)


def _max(values: Any) -> Any:
    items = _comparable(values)
    if not items:
        raise ValueError("max called on empty list")
    return functools.reduce(max, items)


def _comparable(values: Any) -> list[Any]:
    if not isinstance(values, list) or len({type(value) for value in values}) > 1:
        raise TypeError("no such overload")
    return list(values)


def cel_string(value: Any) -> Any:
    """Converts a value to a string as CEL does; cel-python does it as Python does."""
    if isinstance(value, celtypes.BoolType):
        return String("true" if value else "false")
    if isinstance(value, float):
        return String(shown_float(value))
    if isinstance(value, int | str):
        return String(str(value))
    return CELEvalError("no matching overload")


def _item(container: Any, key: Any) -> Any:
    for part in (container, key):
        if isinstance(part, CELEvalError):
            return part
    if isinstance(container, list) and isinstance(key, int) and key < 0:
        raise IndexError("index out of bounds")
    return container[key]


def is_unknown(error: CELEvalError) -> bool:
    """Whether an error means that the evaluator lacks something, and not that the rule fails."""
    text = str(error.args)
    return any(sign in text for sign in ("undeclared reference", "no matching overload", "not implemented"))


def _either(one: Any, other: Any) -> Any:
    return _decided(one, other, by=True)


def _both(one: Any, other: Any) -> Any:
    return _decided(one, other, by=False)


def _decided(one: Any, other: Any, *, by: bool) -> Any:
    """Combines two operands of which either may decide the result alone; otherwise an error in one is the result."""
    for side in (one, other):
        if isinstance(side, Bool) and bool(side) is by:
            return side
    errors = [side for side in (one, other) if isinstance(side, CELEvalError)]
    if errors:
        return next((error for error in errors if is_unknown(error)), errors[0])
    if not isinstance(one, Bool) or not isinstance(other, Bool):
        raise TypeError("no such overload")
    return Bool(not by)


def _conditional(condition: Any, one: Any, other: Any) -> Any:
    if isinstance(condition, CELEvalError):
        return condition
    if not isinstance(condition, Bool):
        raise TypeError("no such overload")
    return one if condition else other


def _parses_as(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def check(text: Any) -> celtypes.BoolType:
        try:
            parse(text)
        except ValueError:
            return Bool(False)
        return Bool(True)

    return check


def _ip(text: Any) -> Any:
    if not isinstance(text, str):
        raise TypeError("no such overload")
    if "%" in text or "/" in text or text.lower().startswith("::ffff:"):
        raise ValueError("not an IP address")
    return ipaddress.ip_address(text)


def _cidr(text: Any) -> Any:
    if not isinstance(text, str):
        raise TypeError("no such overload")
    address, slash, bits = text.partition("/")
    if not slash or not bits.isascii() or not bits.isdigit() or (len(bits) > 1 and bits[0] == "0"):
        raise ValueError("not a CIDR")
    return ipaddress.ip_network(f"{_ip(address)}/{bits}", strict=False)


def _quantity(text: Any) -> CelQuantity:
    if not isinstance(text, str):
        raise TypeError("no such overload")
    return CelQuantity(parse_quantity(str(text)).amount)


def _compared(test: Callable[[Decimal, Decimal], Any]) -> Callable[[Any, Any], Any]:
    def compare(one: Any, other: Any) -> Any:
        if not isinstance(one, CelQuantity) or not isinstance(other, CelQuantity):
            raise TypeError("no such overload")
        return test(one.number, other.number)

    return compare


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "_||_": _either,
    "_&&_": _both,
    "_?_:_": _conditional,
    "_[_]": _item,
    "matches": _strings(_matches),
    "lowerAscii": _strings(lambda text: _ascii(text, str.lower)),
    "upperAscii": _strings(lambda text: _ascii(text, str.upper)),
    "split": _strings(_split),
    "join": _join,
    "substring": _strings(_substring),
    "charAt": _strings(_char_at),
    "replace": _strings(_replace),
    "trim": _strings(_trim),
    "find": _strings(_find),
    "findAll": _strings(_find_all),
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "isSorted": _is_sorted,
    "sum": _sum,
    "max": _max,
    "isIP": _parses_as(_ip),
    "isCIDR": _parses_as(_cidr),
    "isQuantity": _parses_as(_quantity),
    "quantity": _quantity,
    "isGreaterThan": _compared(lambda one, other: Bool(one > other)),
    "isLessThan": _compared(lambda one, other: Bool(one < other)),
    "compareTo": _compared(lambda one, other: Int((one > other) - (one < other))),
}
