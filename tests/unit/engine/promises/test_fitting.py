"""Requests are held against a changed API in a process of their own, some at a time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.authoring.lint.linted import SPEC, definition
from troth.engine.admission.unfit import Unfit, consequence, named
from troth.engine.promises.definitions import build_definition
from troth.engine.promises.fitting import Fitting
from troth.engine.rendering.limits import Limits
from troth.engine.workers.inspection import PromiseInspector


def request(name: str, **spec: Any) -> dict[str, Any]:
    api = definition(SPEC)["spec"]
    return {
        "apiVersion": f"{api['group']}/{api['versions'][0]['name']}",
        "kind": api["names"]["kind"],
        "metadata": {"name": name, "namespace": "team"},
        "spec": spec,
        "status": {"message": "x" * 2000},
    }


def unfit(number: int, *, held: bool = False) -> Unfit:
    return Unfit("team", f"r{number}", "spec: Required value", held)


@pytest.mark.slow
async def test_of_a_thousand_requests_those_that_do_not_fit_are_found() -> None:
    built = build_definition("things", definition(SPEC))
    requests = [request(f"r{number}", size="small" if number % 100 else "odd") for number in range(1000)]
    inspector = PromiseInspector(Limits())
    found = await inspector.find_unfit("one", built, requests)
    assert sorted(one.name for one in found) == sorted(f"r{number}" for number in range(0, 1000, 100))
    assert found == Fitting(built).unfit(requests)
    other = build_definition("things", definition({"type": "object"}))
    assert await inspector.find_unfit("two", other, requests) == []


def test_three_are_named_those_first_that_cannot_be_written() -> None:
    found = [unfit(1), unfit(2), unfit(3), unfit(4, held=True)]
    assert named(found).startswith("team/r4 (spec: Required value), team/r1")
    assert named(found).endswith(", and 1 more")
    assert "1 of them" in consequence(found)
    assert consequence(found[:3]) == ""
