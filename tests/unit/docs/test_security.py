"""SECURITY.md says who can reach what, and each of its rows names the test that holds it: a test that there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
WHO = PAGE.partition("## Who may do what")[2].partition("\n## How")[0]
UNHELD = "*no test yet*"
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
    for line in WHO.splitlines()
    if line.startswith("| ") and not line.startswith(("| What", "|---"))
]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_each_of_those_who_touch_troth_has_a_table() -> None:
    assert re.findall(r"^### \((\w)\)", WHO, flags=re.MULTILINE) == list("abcdef")
    for part in re.split(r"^### ", WHO, flags=re.MULTILINE)[1:]:
        assert len(re.findall(r"^\| (?!What)", part, flags=re.MULTILINE)) >= 2, part.splitlines()[0]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_each_row_names_what_holds_it_or_says_that_nothing_does(row: list[str]) -> None:
    assert len(row) == 3
    _, reached, held = row
    assert reached
    assert held == UNHELD or re.fullmatch(r"`tests/[\w/]+\.py::\w+`(, `tests/[\w/]+\.py::\w+`)*", held), held


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_each_test_that_is_named_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}
