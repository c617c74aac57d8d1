"""The tutorial is followed literally: every command, in order, from an empty folder to a request that is Ready."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.documents import ROOT, blocks
from tests.guides import SHOWN, programs, results, told

PAGE = ROOT / "docs" / "tutorial" / "your-first-promise.md"
TEN_MINUTES = 600.0


@pytest.mark.timeout(TEN_MINUTES)
def test_the_tutorial_ends_with_the_authors_own_request_ready(
    record_property: Callable[[str, object], None],
) -> None:
    commands = "".join(block.text for block in blocks(PAGE) if block.comment == "run")
    assert "kubectl wait --for=condition=Ready cache/sessions" in commands
    start = time.monotonic()
    shown = list(results(PAGE, **programs()))
    took = time.monotonic() - start
    wrong = told(shown)
    assert not wrong, wrong
    assert len(shown) == sum(block.comment in SHOWN for block in blocks(PAGE))
    assert took < TEN_MINUTES
    record_property("told", f"the commands of the tutorial took {took:.1f} s; the request was Ready")
