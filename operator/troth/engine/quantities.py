"""Quantities of Kubernetes (``250m``, ``1.5Gi``, ``1e3``) as exact numbers, and back in their canonical form.

The arithmetic is decimal, so nothing is lost to binary fractions. As in Kubernetes, results are rounded up to the
smallest unit: to a thousandth for decimal quantities, to a whole byte for binary ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

_BINARY: Final = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60}
_DECIMAL: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
}
_QUANTITY: Final = re.compile(
    r"([+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40}))([KMGTPE]i|[numkMGTPE]?|[eE][+-]?[0-9]{1,2})"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount, and whether it is written in powers of 1024."""

    amount: Decimal
    binary: bool

    def __str__(self) -> str:
        return self._in_binary() if self.binary else self._in_decimal()

    def _in_binary(self) -> str:
        whole = int(self.amount.to_integral_value(ROUND_CEILING))
        for suffix, factor in reversed(_BINARY.items()):
            if whole and whole % factor == 0:
                return f"{whole // factor}{suffix}"
        return str(whole)

    def _in_decimal(self) -> str:
        thousandths = int((self.amount * 1000).to_integral_value(ROUND_CEILING))
        if thousandths % 1000:
            return f"{thousandths}m"
        whole = thousandths // 1000
        for suffix, factor in reversed(_DECIMAL.items()):
            if factor > 1 and whole and whole % int(factor) == 0:
                return f"{whole // int(factor)}{suffix}"
        return str(whole)


def parse_quantity(value: Any) -> Quantity:
    """Reads a quantity from a text or a number.

    Raises:
        ValueError: the value is not a quantity.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Quantity(Decimal(str(value)), binary=False)
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a Kubernetes quantity such as 250m, 1.5Gi or 2")
    number, suffix = match.groups()
    if suffix in _BINARY:
        return Quantity(Decimal(number) * _BINARY[suffix], binary=True)
    if suffix in _DECIMAL:
        return Quantity(Decimal(number) * _DECIMAL[suffix], binary=False)
    return Quantity(Decimal(number + suffix), binary=False)


def number_of(quantity: Quantity) -> int | float:
    """Returns the amount in base units, as an int when it is whole."""
    whole = quantity.amount.to_integral_value()
    return int(whole) if whole == quantity.amount else float(quantity.amount)


# ---- the filters of templates


def quantity(value: Any) -> int | float:
    """A quantity as a number: ``"2Gi" | quantity`` is 2147483648, ``"250m" | quantity`` is 0.25."""
    return number_of(parse_quantity(value))


def quantity_add(value: Any, *others: Any) -> str:
    """The sum of quantities, written like the first."""
    first = parse_quantity(value)
    return str(Quantity(sum((parse_quantity(other).amount for other in others), first.amount), first.binary))


def quantity_sub(value: Any, other: Any) -> str:
    """The difference of two quantities, written like the first."""
    first = parse_quantity(value)
    return str(Quantity(first.amount - parse_quantity(other).amount, first.binary))


def quantity_mul(value: Any, factor: Any) -> str:
    """A quantity times a number, rounded up to the precision of Kubernetes."""
    first = parse_quantity(value)
    return str(Quantity(first.amount * parse_quantity(factor).amount, first.binary))


def quantity_div(value: Any, divisor: Any) -> str:
    """A quantity divided by a number, rounded up to the precision of Kubernetes."""
    first = parse_quantity(value)
    by = parse_quantity(divisor).amount
    if not by:
        raise ZeroDivisionError("division by zero")
    return str(Quantity(first.amount / by, first.binary))


def quantity_max(value: Any, *others: Any) -> Any:
    """The largest of several quantities, as it was written."""
    candidates = [*value, *others] if isinstance(value, (list, tuple)) else [value, *others]
    return max(candidates, key=lambda candidate: parse_quantity(candidate).amount)


def quantity_min(value: Any, *others: Any) -> Any:
    """The smallest of several quantities, as it was written."""
    candidates = [*value, *others] if isinstance(value, (list, tuple)) else [value, *others]
    return min(candidates, key=lambda candidate: parse_quantity(candidate).amount)
