"""CONTRIBUTING says where a change goes: in files that exist, and in few of them."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.documents import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MOST_FILES = 4
ROWS = [
    tuple(cell.strip() for cell in line.strip("| ").split(" | "))
    for line in PAGE.partition("## Where does it go?")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| Change |")
]


def paths(cell: str) -> list[str]:
    """The paths that a cell names."""
    return re.findall(r"`((?:operator|docs|tests|crds|charts|promises)/[^`]*)`", cell)


def test_every_package_of_the_layers_has_a_row_that_says_what_it_is() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    house, engine, *_ = (
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    *wings, loose = engine
    assert "failure" in loose, "the loose modules of engine share a row"
    packages = {name.strip().removeprefix("troth.") for layer in (*house, *wings) for name in layer.split("|")}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ", PAGE, re.MULTILINE)
    assert packages == {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_ten_changes_have_a_row() -> None:
    assert len(ROWS) == 10
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_change_touches_few_files_and_has_a_page_and_a_test(row: tuple[str, str, str]) -> None:
    change, files, beside = row
    assert 0 < len(paths(files)) <= MOST_FILES, change
    assert any(path.startswith("docs/") for path in paths(beside)), f"{change}: no page"
    assert any(path.startswith("tests/") for path in paths(beside)), f"{change}: no test"


@pytest.mark.parametrize("path", sorted({path for row in ROWS for cell in row[1:] for path in paths(cell)}))
def test_each_file_that_is_named_exists(path: str) -> None:
    known, made, _ = path.partition("<")  # a new file is named with its place only
    place = ROOT / known
    assert place.is_dir() if made else place.exists(), f"CONTRIBUTING.md names {path}, which does not exist"
