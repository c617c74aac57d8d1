"""The type of a word without quotes in YAML, as kubectl and the API server read it.

They use go-yaml v2: YAML 1.1's booleans (``y`` and ``n``, too), numbers as Go's `strconv` reads them, and no dates. An
integer of more than 64 bits is a fraction, as long as it is decimal; what is too large even for that is text. After
JSON a number is whole if it can be: ``1.0`` and ``1e3`` are.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Final

TRUE: Final = frozenset(
    ("y", "Y", *(f(word) for word in ("true", "yes", "on") for f in (str, str.title, str.upper)))
)
FALSE: Final = frozenset(
    ("n", "N", *(f(word) for word in ("false", "no", "off") for f in (str, str.title, str.upper)))
)
NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
NUMERIC: Final = frozenset("-+.0123456789")
"""The characters that a number can begin with."""

_WHOLE: Final = re.compile(
    r"(?P<sign>[-+]?)"
    r"(?:0[bB](?P<two>[01]+)|0[xX](?P<sixteen>[0-9a-fA-F]+)|0[oO]?(?P<eight>[0-7]+)|(?P<ten>0|[1-9][0-9]*))"
    r"|0b(?P<inner>[-+][01]+)"
)
_REAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_FRACTION: Final = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_BASES: Final = {"two": 2, "sixteen": 16, "eight": 8, "ten": 10, "inner": 2}
_SURELY_64_BITS: Final = 19
_LEAST_POWER: Final = -4
_POWER_TOO_LARGE: Final = 6
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def is_not_finite(word: str) -> bool:
    """Whether a word stands for infinity or NaN, which JSON does not have."""
    return _NOT_FINITE.fullmatch(word) is not None


def number(word: str) -> int | float | None:
    """Returns the number that a word stands for; None when it is text. The word begins with one of `NUMERIC`."""
    if word.isdecimal() and word.isascii() and word[0] != "0" and len(word) < _SURELY_64_BITS:
        return int(word)  # most numbers are whole
    if word[0] == ".":
        return _finite(word.replace("_", "")) if _FRACTION.fullmatch(word) else None
    plain = word.replace("_", "") if "_" in word else word
    match = _WHOLE.fullmatch(plain)
    if match and match.lastgroup and len(plain) <= 80:  # long enough for 64 binary digits
        value = int((match["sign"] or "") + match[match.lastgroup], _BASES[match.lastgroup])
        if -(1 << 63) <= value < 1 << 64:
            return value
    return _finite(plain) if _REAL.fullmatch(plain) else None


def as_json_has_it(value: int | float) -> int | float:
    """Returns a number as it is after JSON: an int if it is whole and fits into 64 bits."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and -(2.0**63) <= value < 2.0**63 else value
    return value if -(1 << 63) <= value < 1 << 63 else float(value)


def key_of_fraction(value: float) -> str:
    """Returns the text of a fraction as a key, as kubectl writes it: with the digits that a number of 32 bits needs.

    Raises:
        OverflowError: the number is too large for 32 bits.
    """
    short = struct.unpack("f", struct.pack("f", value))[0]
    exact = next(text for text in (f"{short:.{digits}e}" for digits in range(9)) if _fits(text, short))
    mantissa, _, exponent = exact.partition("e")
    power = int(exponent)
    if _LEAST_POWER <= power < _POWER_TOO_LARGE:
        digits = len(mantissa.lstrip("-").replace(".", ""))
        return f"{short:.{max(digits - 1 - power, 0)}f}"
    return f"{mantissa}e{power:+03}"


def _fits(text: str, short: float) -> bool:
    return bool(struct.unpack("f", struct.pack("f", float(text)))[0] == short)


def _finite(plain: str) -> float | None:
    value = float(plain)
    return value if math.isfinite(value) else None
