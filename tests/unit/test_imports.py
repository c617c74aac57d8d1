"""What a file keeps for itself is imported by no other: a name with an underscore changes with its own file alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.documents import ROOT

OURS = frozenset({"troth", "tests"})


def private_imports(text: str) -> Iterator[str]:
    """The private names of our own files that a file imports, as ``line: name``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            paths = [[*(node.module or "").split("."), alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            paths = [alias.name.split(".") for alias in node.names]
        else:
            continue
        for path in paths:
            if path[0] in OURS and any(part.startswith("_") and not part.startswith("__") for part in path):
                yield f"{node.lineno}: {'.'.join(path)}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from troth.api import _private", ["1: troth.api._private"]),
        ("def f():\n    from tests.waiting import a, _b as b", ["2: tests.waiting._b"]),
        ("import troth._module", ["1: troth._module"]),
        ("from troth import __version__\nfrom re import _parser\nimport _thread", []),
    ],
)
def test_a_private_import_is_found_wherever_it_stands(text: str, found: list[str]) -> None:
    assert list(private_imports(text)) == found


def test_no_file_imports_a_private_name_of_another() -> None:
    files = [file for folder in ("operator", "tests", "promises") for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > len(OURS)
    wrong = [
        f"{file.relative_to(ROOT)}:{name}" for file in files for name in private_imports(file.read_text("utf-8"))
    ]
    assert not wrong, "give the name a public one, or test what its file promises"
