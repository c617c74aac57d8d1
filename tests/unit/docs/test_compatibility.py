"""The page on which somebody decides to move from Kratix names only tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.documents import ROOT

PAGE = ROOT / "docs" / "reference" / "kratix-compatibility.md"
NAMED = re.compile(r"`((?:unit|integration|hostile)/[\w/]+\.py)(?:::(test_\w+))?`")
CITED = re.compile(r"kratix-compatibility\.md((?:(?:, )?#[\w-]+)+)")
ROWS = [
    line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and not line.startswith("|---")
]


@pytest.mark.parametrize("named", sorted(set(NAMED.findall(PAGE.read_text("utf-8")))), ids="::".join)
def test_each_test_that_is_named_exists(named: tuple[str, str]) -> None:
    file, function = named
    source = (ROOT / "tests" / file).read_text("utf-8")
    assert re.search(rf"^(async )?def {function}\(", source, re.MULTILINE) if function else source


def test_each_line_names_a_test_or_says_that_there_is_none() -> None:
    rows = [row for row in ROWS if row.count(" | ") == 2 and not row.startswith("| Kratix |")]
    assert len(rows) > 60
    for row in rows:
        held_by = row.rstrip(" |").rpartition(" | ")[2]
        assert held_by == "—" or NAMED.search(held_by), row


def test_the_code_cites_headings_of_the_page_that_exist() -> None:
    headings = {
        line.lstrip("# ").lower().replace(" ", "-").replace("'", "").replace(",", "")
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("## ")
    }
    cited = {
        anchor
        for file in (ROOT / "operator").rglob("*.py")
        for found in CITED.findall(file.read_text("utf-8"))
        for anchor in re.findall(r"#([\w-]+)", found)
    }
    assert cited
    assert cited <= headings
