"""Durations as Go writes them: ``300ms``, ``10m``, ``1h30m``. Kratix's ``retryAfter`` is one.

A request may contain more: an API with ``format: duration`` accepts days and weeks, and words such as ``3 weeks``. So
the filters of templates read everything that this format allows, and write what Go can read, whose largest unit is the
hour. The arithmetic is decimal, as for quantities.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from troth.engine.admission.formats import duration_unit

_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(ns|us|µs|μs|ms|s|m|h)")
_LONGEST: Final = 10 * 365 * 24 * 3600.0


def parse_duration(value: Any) -> float:
    """Returns a duration in seconds.

    Raises:
        ValueError: the value is not a duration, is negative, or is longer than ten years.
    """
    if value in ("0", 0) and not isinstance(value, bool):
        return 0.0
    seconds = 0.0
    position = 0
    text = value if isinstance(value, str) else ""
    while match := _PART.match(text, position):
        seconds += float(match.group(1)) * _SECONDS[match.group(2)]
        position = match.end()
    if not text or position != len(text):
        raise ValueError(f"{value!r} is not a duration")
    if seconds > _LONGEST:
        raise ValueError(f"{value!r} is longer than ten years")
    return seconds


# ---- the filters of templates


_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 24 * 3600 * 10**9,
    "w": 7 * 24 * 3600 * 10**9,
}
_WRITTEN: Final = re.compile(r"\s*(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})\s*([A-Za-zµμ]{1,20})", re.ASCII)
_MOST: Final = 2**63 - 1
"""The longest duration in Go, which counts nanoseconds in 64 bits: 292 years."""


def duration(value: Any, unit: str = "s") -> int | float:
    """The number of seconds of a duration, or of another unit: 90 for ``1h30m`` in minutes."""
    known = duration_unit(unit) if isinstance(unit, str) else ""
    if not known:
        raise ValueError(f"there is no unit {unit!r}; use one of {', '.join(_NANOSECONDS)}")
    amount = Decimal(_nanoseconds(value)) / _NANOSECONDS[known]
    whole = amount.to_integral_value()
    return int(whole) if whole == amount else float(amount)


def duration_text(value: Any) -> str:
    """A duration, or a number of seconds, in Go's form: ``5400`` and ``"90m"`` become ``1h30m``."""
    left = _nanoseconds(value)
    sign, left = "-" if left < 0 else "", abs(left)
    if left < _NANOSECONDS["s"]:
        name = next((name for name in ("ms", "us") if left >= _NANOSECONDS[name]), "ns")
        return f"{sign}{_plain(left, name)}{name}" if left else "0s"
    parts = []
    for name in ("h", "m"):
        count, left = divmod(left, _NANOSECONDS[name])
        parts.append(f"{count}{name}" if count else "")
    seconds = f"{_plain(left, 's')}s" if left else ""
    return sign + "".join((*parts, seconds))


def _plain(nanoseconds: int, unit: str) -> str:
    return f"{Decimal(nanoseconds) / _NANOSECONDS[unit]:f}"


def _nanoseconds(value: Any) -> int:
    """Returns a duration in nanoseconds; a bare number means seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        amount = Decimal(str(value)) * _NANOSECONDS["s"]
        if not amount.is_finite():
            raise ValueError(f"{value!r} is not a duration")
    else:
        amount = _amount(value)
    if abs(amount) > _MOST:
        raise ValueError(f"{value!r} is longer than the 292 years that Go can hold")
    return int(amount.to_integral_value())


def _amount(value: Any) -> Decimal:
    text = value.strip() if isinstance(value, str) else ""
    sign, rest = (-1 if text[:1] == "-" else 1), text.lstrip("+-") if text[1:2] not in ("+", "-") else text
    amount, position = Decimal(0), 0
    while match := _WRITTEN.match(rest, position):
        unit = duration_unit(match[2])
        if not unit:
            break
        amount += Decimal(match[1]) * _NANOSECONDS[unit]
        position = match.end()
    if rest == "0":
        return amount
    if not rest or position != len(rest):
        hint = f"; it has no unit: write {rest}s for seconds" if re.fullmatch(r"\d{1,18}", rest, re.ASCII) else ""
        raise ValueError(f"{value!r} is not a duration such as 300ms, 90s, 1h30m or 2d{hint}")
    return sign * amount
