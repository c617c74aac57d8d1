"""The completion of a shell: what the reference tells people to put into their shell's file works."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

TROTH = Path(sysconfig.get_path("scripts")) / "troth"
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def complete(*words: str) -> set[str]:
    """What bash would offer for the last word."""
    asked = {"_TROTH_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [TROTH], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60, check=False
    )
    return {line.partition(",")[2] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_of_the_reference_prints_a_script_for_the_shell(shell: str) -> None:
    (variable,) = re.findall(rf"(_TROTH_COMPLETE={shell}_source) troth", PAGE.read_text("utf-8"))
    name, _, value = variable.partition("=")
    environment = {**os.environ, name: value}
    if shell == "bash":  # click asks bash for its version
        environment["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), os.defpath])
    done = subprocess.run([TROTH], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "_TROTH_COMPLETE" in done.stdout
    assert "Traceback" not in done.stderr


def test_commands_and_options_are_completed() -> None:
    assert complete("troth", "re") == {"render"}
    assert "--status" in complete("troth", "render", "--st")
    assert complete("troth", "lint", "--format", "sa") == {"sarif"}
