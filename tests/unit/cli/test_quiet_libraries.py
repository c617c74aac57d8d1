"""What libraries warn programmers of does not stand in the output of a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from troth.cli import main

PROGRAM = "from troth.cli import main; main()"
PATTERNS = ("[[a-z]]+", "[a--z]+", "[a&&b]+", r"\\Aa")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_that_python_finds_odd_is_no_warning(tmp_path: Path, pattern: str) -> None:
    made = CliRunner().invoke(
        main, ["init", str(tmp_path / "a"), "--yes", "--field", "a:string", "--field", "b:string"]
    )
    assert made.exit_code == 0, made.output
    promise = tmp_path / "a" / "promise.yaml"
    text = promise.read_text().replace(
        "a:\n                    type: string\n",
        "a:\n                    type: string\n                    pattern: '" + pattern + "'\n",
        1,
    )
    assert pattern in text
    promise.write_text(text)
    template = tmp_path / "a" / "templates" / "config.yaml.j2"
    template.write_text(template.read_text() + f"# {{{{ spec.b | default('') | regex_search('{pattern}') }}}}\n")
    for command in (["test", "a"], ["lint", "a"], ["render", "a", "-f", "a/examples/example.yaml"]):
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "Warning" not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr


def test_who_asks_for_warnings_gets_them() -> None:
    program = (
        "import warnings; from troth.cli import main, LazyGroup\n"
        "LazyGroup.main = lambda self: warnings.warn('odd')\nmain()"
    )
    for flags, said in (([], False), (["-W", "default"], True)):
        ran = subprocess.run([sys.executable, *flags, "-c", program], capture_output=True, text=True, check=False)
        assert ("odd" in ran.stderr) == said
