"""What a file keeps for itself is imported by no other: a name with an underscore changes with its own file alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.documents import ROOT

OURS = frozenset({"image", "troth", "tests"})
# An import that may have a private name. Few files have one, and only those are parsed, which takes ten times as long.
MAYBE = re.compile(
    r"""\bimport\b(?:[^\n(\\]|\\\n)*(?:\((?:[^)#]|\#[^\n]*+)*)?(?<!\w)_(?!_)
      | \b(?:from|import)\b[^\n]*\._(?!_)""",
    re.VERBOSE,
)


def private_imports(text: str) -> Iterator[str]:
    """The private names of our own files that a file imports, as ``line: name``."""
    if not MAYBE.search(text):
        return
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
        ("from tests.waiting import (\n    a,  # (as it was)\n    _b,\n)", ["1: tests.waiting._b"]),
        ("from tests.waiting import a, \\\n    _b", ["1: tests.waiting._b"]),
        ("from tests import a; from tests._waiting import b", ["1: tests._waiting.b"]),
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
