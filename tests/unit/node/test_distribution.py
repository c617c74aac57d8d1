"""Which tests on a node run in one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import ROOT
from tests.node.distribution import group_of

_INSTALLED = sorted(Path(ROOT, "tests/node/installed").glob("test_*.py"))


@pytest.mark.parametrize("file", _INSTALLED, ids=lambda file: file.name)
def test_all_tests_that_install_the_chart_run_in_one_process_and_start_one_more_node(file: Path) -> None:
    assert group_of(f"{file.relative_to(ROOT)}::test_one") == "release"


def test_tests_that_hold_times_run_in_one_process_and_others_wherever_one_is_free() -> None:
    assert group_of("tests/node/test_obstacles.py::test_one") == "timed"
    assert group_of("tests/node/test_container_failures.py::test_two[a::b]") == "timed"
    assert group_of("tests/node/test_pods.py::test_one") != group_of("tests/node/test_pods.py::test_two")
