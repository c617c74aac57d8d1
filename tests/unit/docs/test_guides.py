"""The examples of the pages that need no cluster: their commands run, and what they show is what comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.documents import ROOT, Block, blocks, matches, needs_cluster, pages
from tests.guides import RENDERED, SHOWN, Guide, results, told
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.cli import main

GUIDE = list(blocks(ROOT / "docs" / "how-to" / "write-templates.md"))

GUIDES = [
    page
    for page in pages()
    if not needs_cluster(page) and any(block.comment in SHOWN | {"run"} for block in blocks(page))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_is_what_comes_out(page: Path) -> None:
    wrong = told(results(page))
    assert not wrong, wrong


def lessons() -> Iterator[tuple[int, Block]]:
    for index, block in enumerate(GUIDE):
        shown = next((later for later in GUIDE[index + 1 :] if later.comment in RENDERED), None)
        if block.comment in {"pipeline", "template"} and shown is not None and shown.comment != "fails":
            yield index, block


@pytest.mark.slow
@pytest.mark.parametrize("index", [pytest.param(index, id=str(block.line)) for index, block in lessons()])
def test_lint_finds_no_error_in_what_the_guide_teaches(index: int, tmp_path: Path) -> None:
    with BoundedWorker() as worker:
        guide = Guide(tmp_path, worker)
        for block in GUIDE[: index + 1]:
            guide.take(block)
    result = CliRunner().invoke(main, ["lint", str(guide.write()), "--format", "json"])
    errors = [finding for finding in json.loads(result.stdout) if finding["severity"] == "error"]
    assert not errors, f"{GUIDE[index].where}: {errors}"


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
