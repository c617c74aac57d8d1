"""The page on which somebody decides to move from Kratix names tests that exist, and code cites what is there."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import ROOT
from tests.unit.docs.test_docs import anchors

PAGE = ROOT / "docs" / "reference" / "kratix-compatibility.md"
NAMED = re.compile(r"`((?:unit|integration|hostile|node)/[\w/]+\.py)(?:::(test_\w+))?`")
CITED = re.compile(r"kratix-compatibility\.md((?:(?:,? |, and )?#[\w-]+)+)")
NOWHERE = re.compile(r"kratix-(?:api|baseline)|\bdesign(?:\.md| \d)", re.IGNORECASE)
"""Texts that are not in the tree, which nobody who reads the code could look up."""
ANSWERS = ("same", "different", "not yet", "not applicable", "added")
ROWS = [
    line
    for line in PAGE.read_text("utf-8").splitlines()
    if line.count(" | ") == 2 and line.startswith("| ") and not line.startswith(("|---", "| Kratix |"))
]


def read_by_people() -> Iterator[Path]:
    for folder, suffixes in (
        ("operator", (".py",)),
        ("tests", (".py",)),
        ("docs", (".md",)),
        ("crds", (".yaml",)),
    ):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path != Path(__file__):
                yield path


@functools.cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("named", sorted(set(NAMED.findall(PAGE.read_text("utf-8")))), ids="::".join)
def test_each_test_that_is_named_exists(named: tuple[str, str]) -> None:
    file, function = named
    assert function in functions(file) if function else functions(file)


def test_each_line_has_an_answer_and_names_a_test_or_says_that_there_is_none() -> None:
    assert len(ROWS) > 150
    for row in ROWS:
        _, answer, held_by = (cell.strip() for cell in row.strip("| ").split(" | "))
        assert answer.startswith(ANSWERS), f"begins with none of {', '.join(ANSWERS)}: {row}"
        named = NAMED.findall(held_by)
        assert held_by == "no test" or named, f"names neither a test nor that there is none: {row}"
        assert not NAMED.sub("", held_by).strip(", ") or not named, (
            f"not of the form unit/FILE.py::test_NAME: {row}"
        )


def test_only_headings_of_the_page_are_cited() -> None:
    cited = {
        (anchor, path.relative_to(ROOT))
        for path in read_by_people()
        for found in CITED.findall(path.read_text("utf-8"))
        for anchor in re.findall(r"#([\w-]+)", found)
    }
    assert len(cited) > 20
    assert not {(anchor, path) for anchor, path in cited if anchor not in anchors(PAGE)}


def test_nothing_is_cited_that_is_not_in_the_tree() -> None:
    for path in read_by_people():
        found = NOWHERE.search(path.read_text("utf-8"))
        assert found is None, f"{path.relative_to(ROOT)} cites {found}"


def test_what_mirrors_kubernetes_names_the_version_that_it_is_compared_with() -> None:
    """Each rule of the API server that is repeated here says where it is from; a newer Kubernetes is read anew."""
    modules = (ROOT / "operator" / "troth" / "dev" / "modules" / "controlplane" / "go.mod").read_text("utf-8")
    versions = dict(re.findall(r"(?:k8s\.io|github\.com/google)/([\w-]+) (v[\w.-]+)", modules))
    mirrors = sorted((ROOT / "operator" / "troth" / "engine" / "admission").glob("*.py"))
    naming = [
        path for path in mirrors if "Upstream" in (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")
    ]
    assert len(naming) > 8
    for path in naming:
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        said = re.findall(r"([\w-]+)\s(v\d[\w.]*\d)", docstring)
        assert said, path
        for module, version in said:
            real = versions["kubernetes" if module == "Kubernetes" else module]
            assert version == real, f"{path.name}: {module} is {real} by now"
