"""Durations as Go writes them: ``300ms``, ``10m``, ``1h30m``. Kratix's ``retryAfter`` is one."""

from __future__ import annotations

import re
from typing import Any, Final

_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(ns|us|µs|μs|ms|s|m|h)")
_LONGEST: Final = 10 * 365 * 24 * 3600.0


def parse_duration(value: Any) -> float:
    """The seconds of a duration.

    Raises:
        ValueError: it is none, is negative, or is longer than ten years.
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
        raise ValueError(f"{value!r} is no duration")
    if seconds > _LONGEST:
        raise ValueError(f"{value!r} is longer than ten years")
    return seconds
