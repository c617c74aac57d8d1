"""Validates single values of Kubernetes objects by their schema: enums, formats, ranges, patterns."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from troth.api.strict import close_match

_INTEGERS: Final[Mapping[str, int]] = {"int32": 2**31, "int64": 2**63}
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_MOST_MEMBERS: Final = 8


def wrong_value(value: Any, schema: Mapping[str, Any]) -> str:
    """Returns what is wrong with a value of the right type, or ""."""
    if isinstance(value, str):
        return _wrong_text(value, schema)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _wrong_number(value, schema)
    return ""


def _wrong_text(value: str, schema: Mapping[str, Any]) -> str:
    if not value:
        return ""  # counts as absent: a default takes its place, or a missing field is reported elsewhere
    shown = repr(value[:60])
    members: Sequence[str] | None = schema.get("enum")
    if members is not None and value not in members:
        meant = close_match(value, members)
        listed = ", ".join(members[:_MOST_MEMBERS]) + (", …" if len(members) > _MOST_MEMBERS else "")
        return f"is {shown}, which is not one of {listed}" + (f"; did you mean {meant}?" if meant else "")
    if len(value) > schema.get("maxLength", len(value)):
        return f"has {len(value)} characters, and at most {schema['maxLength']} are allowed"
    pattern = schema.get("pattern")
    if pattern is not None and re.fullmatch(pattern, value) is None:
        return f"is {shown}, which does not look like {pattern}"
    if schema.get("format") == "date-time" and not _MOMENT.fullmatch(value):
        return f"is {shown}, and not a time such as 2026-01-31T12:00:00Z"
    if schema.get("format") == "byte" and not _is_base64(value):
        return f"is {shown}, and not base64; write | b64encode"
    return ""


def _wrong_number(value: float, schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and value < low:
        return f"is {value}, and at least {low} is allowed"
    if high is not None and value > high:
        return f"is {value}, and at most {high} is allowed"
    bound = _INTEGERS.get(str(schema.get("format")))
    if bound is not None and not -bound <= value < bound:
        return f"is {value}, which does not fit into {schema['format']}"
    return ""


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
