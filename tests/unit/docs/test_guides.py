"""The examples of the pages that need no cluster: their commands run, and what they show is what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import ROOT, blocks, matches, needs_cluster, pages
from tests.guides import SHOWN, results

GUIDES = [
    page
    for page in pages()
    if not needs_cluster(page) and any(block.comment in SHOWN | {"run"} for block in blocks(page))
]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_is_what_comes_out(page: Path) -> None:
    wrong = [shown for shown in results(page) if not shown.agrees]
    told = "\n\n".join(f"{shown.block.where} shows\n{shown.block.text}and it is\n{shown.real}" for shown in wrong)
    command = f"python -m tests.guides {page.relative_to(ROOT)}"
    assert not wrong, f"{told}\n`{command}` writes what it is into the page"


@pytest.mark.parametrize(
    ("shown", "real", "so"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nd\n", True),
        ("in … s\n", "in 0.31 s\n", True),
        ("in … s\n", "in\n0.31 s\n", False),
        ("a\n", "a\nb\n", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_dots_stand_for_what_varies_and_nothing_else_does(shown: str, real: str, *, so: bool) -> None:
    assert matches(shown, real) is so
