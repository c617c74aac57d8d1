"""Amounts that one version counts in a unit and another version has as a quantity, or counts in another unit.

The arithmetic is exact. A number that is written in the unit of a suffix becomes the quantity that people would write:
10 in Gi is ``10Gi``.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from troth.engine.promises.conversion.declarations import Unit, Units
from troth.engine.quantities import parse_quantity

_LONGEST: Final = 40
_FARTHEST: Final = 10**30


def convert_amount(value: Any, units: Units, side: int, *, whole: bool, round_up: bool) -> Any:
    """Returns an amount as the other version has it.

    Args:
        value: the amount in the version ``side``.
        units: the units of both versions.
        side: 0 for the first version, 1 for the second.
        whole: whether the other version has whole numbers only.
        round_up: whether an amount that is not a whole number there is rounded up.

    Raises:
        ValueError: it cannot be converted; the message says why, as the end of a sentence.
    """
    here, there = units.units[side], units.units[1 - side]
    if here is not None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{_shown(value)} is not a number")
        if abs(value) > _FARTHEST:
            raise ValueError(f"{_shown(value)} is too large")
        if there is None and here.suffix:
            text = f"{Decimal(str(value)):f}"
            if len(text) <= _LONGEST:
                return text + here.suffix
        amount = Fraction(Decimal(str(value))) * here.size
    else:
        if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{_shown(value)} is not a quantity such as 10Gi")
        try:
            amount = Fraction(parse_quantity(value).amount)
        except (ValueError, ArithmeticError):
            raise ValueError(f"{_shown(value)} is not a quantity such as 10Gi") from None
    if there is None:
        return _quantity(amount)
    return _count(amount / there.size, there, whole=whole, round_up=round_up)


def _quantity(amount: Fraction) -> str:
    if abs(amount) > _FARTHEST:
        raise ValueError("the amount is too large")
    thousandths = amount * 1000
    if thousandths.denominator != 1:
        thousandths = Fraction(math.ceil(thousandths))
    return str(int(amount)) if thousandths % 1000 == 0 else f"{int(thousandths)}m"


def _count(count: Fraction, unit: Unit, *, whole: bool, round_up: bool) -> int | float:
    if abs(count) > _FARTHEST:
        raise ValueError("the amount is too large")
    if count.denominator == 1:
        return int(count)
    if not whole:
        return float(count)
    if round_up:
        return math.ceil(count)
    raise ValueError(f"the amount is not a whole number of {unit.suffix or float(unit.size)}")


def _shown(value: Any) -> str:
    return repr(value)[:60]
