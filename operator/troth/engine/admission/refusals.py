"""Why an object is refused, in the API server's words.

The texts are the API server's, so that people who see them without a cluster recognise them on one. Values are
formatted as Go does.

Upstream: `pkg/util/validation/field/errors.go` of k8s.io/apimachinery v0.36.3, and `pkg/validation/errors/schema.go` of
k8s.io/kube-openapi as Kubernetes v1.36.3 uses it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

NOT_SUPPORTED: Final = "FieldValueNotSupported"
REQUIRED: Final = "FieldValueRequired"
TOO_LONG: Final = "FieldValueTooLong"
TOO_MANY: Final = "FieldValueTooMany"
TYPE_INVALID: Final = "FieldValueTypeInvalid"
INVALID: Final = "FieldValueInvalid"
DUPLICATE: Final = "FieldValueDuplicate"
FORBIDDEN: Final = "FieldValueForbidden"

# After one of these the API server does not evaluate CEL rules, which may rely on the field that is wrong.
BLOCKING: Final = frozenset({NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID})


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why the API server would refuse an object.

    Attributes:
        field: the path of the field, such as ``spec.ports[0].name``.
        message: what is wrong with it, as the API server says it, without the field.
        reason: the machine-readable reason of the API server's cause, such as ``FieldValueRequired``.
    """

    field: str
    message: str
    reason: str = INVALID

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def shown(value: Any) -> str:
    """Returns a value as the API server shows it in a message."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float):
        return shown_float(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def quoted(text: str) -> str:
    """Returns a string as Go quotes it."""
    return '"' + "".join(_QUOTED.get(one) or (one if one.isprintable() else _escaped(one)) for one in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_QUOTED: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def shown_float(value: float) -> str:
    """Returns a floating-point number as Go writes it; whole numbers have no fraction."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e21 else repr(float(value))


def invalid(field: str, value: Any, detail: str, reason: str = INVALID) -> Refusal:
    """Returns the refusal of a wrong value."""
    return Refusal(field, f"Invalid value: {shown(value)}: {detail}", reason)


def invalid_without_value(field: str, detail: str) -> Refusal:
    """Returns the refusal of a wrong value that is too large to be shown."""
    return Refusal(field, f"Invalid value: {detail}")


def required(field: str, detail: str = "") -> Refusal:
    """Returns the refusal for a required field that is missing."""
    return Refusal(field, "Required value" + (f": {detail}" if detail else ""), REQUIRED)


def forbidden(field: str, detail: str) -> Refusal:
    """Returns the refusal of a field that must not be set."""
    return Refusal(field, f"Forbidden: {detail}", FORBIDDEN)


def duplicate(field: str, value: Any) -> Refusal:
    """Returns the refusal of a value that occurs a second time."""
    return Refusal(field, f"Duplicate value: {shown(value)}", DUPLICATE)


def not_supported(field: str, value: Any, supported: Iterable[Any]) -> Refusal:
    """Returns the refusal of a value that is not one of the supported ones."""
    names = ", ".join(shown(item if isinstance(item, str) else shown(item)) for item in supported)
    return Refusal(field, f"Unsupported value: {shown(value)}: supported values: {names}", NOT_SUPPORTED)


def too_long(field: str, limit: int) -> Refusal:
    """Returns the refusal of a string that is longer than ``limit``."""
    return Refusal(field, f"Too long: may not be more than {limit} {'byte' if limit == 1 else 'bytes'}", TOO_LONG)


def too_many(field: str, size: int, limit: int) -> Refusal:
    """Returns the refusal of a list or a map with more than ``limit`` entries."""
    return Refusal(
        field, f"Too many: {size}: must have at most {limit} {'item' if limit == 1 else 'items'}", TOO_MANY
    )
