"""Finds fields that are lost between versions of an API, and declared conversions that cannot carry every value.

The judgement is that of the operator, which refuses such a Promise: `troth.engine.promises.conversion.completeness`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from troth.api import InvalidObject
from troth.engine.linting.remarks import Remark
from troth.engine.promises.conversion.completeness import find_losses
from troth.engine.promises.conversion.declarations import read_conversions


def check_versions(promise: Mapping[str, Any]) -> Iterator[Remark]:
    """Finds what is lost between the versions of a Promise's API.

    Args:
        promise: a built Promise. What is declared in a way that cannot be read is not looked at; the operator refuses
            it (T001).
    """
    api = promise["spec"].get("api")
    try:
        conversions = read_conversions(api)
    except InvalidObject:
        return
    for loss in find_losses(api, conversions):
        yield Remark("T005" if loss.kind == "field" else "T008", loss.field, loss.problem, loss.remedy)
