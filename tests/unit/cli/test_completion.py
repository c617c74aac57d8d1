"""Every command explains itself, and a shell completes it fast."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from troth.cli import COMMANDS, main

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "exit-codes.md"
TROTH = Path(sys.executable).with_name("troth")


def completed(words: str, shell: str = "bash") -> list[str]:
    """What a shell is told for a line; the last word is the one that is being typed."""
    environment = {**os.environ, "_TROTH_COMPLETE": f"{shell}_complete", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split(" ")) - 1) if shell != "fish" else words.rpartition(" ")[2]
    done = subprocess.run(
        [sys.executable, "-c", "from troth.cli import main; main(prog_name='troth')"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_completes_commands_and_flags(shell: str) -> None:
    names = set(re.findall(r"[\w-]+", " ".join(completed("troth ", shell))))
    assert set(COMMANDS) <= names
    flags = " ".join(completed("troth init --from", shell))
    assert "--from-crd" in flags
    assert "--from-manifests" in flags


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_gives_a_script_that_the_shell_understands(shell: str) -> None:
    assert f"_TROTH_COMPLETE={shell}_source troth" in PAGE.read_text("utf-8")
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("there is no bash")
    environment = {**os.environ, "_TROTH_COMPLETE": f"{shell}_source"}
    program = "from troth.cli import main; main(prog_name='troth')"
    script = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert f"_TROTH_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_bash_completes_for_real(tmp_path: Path) -> None:
    if shutil.which("bash") is None or not TROTH.exists():
        pytest.skip("there is no bash, or no installed command")
    script = (
        'eval "$(_TROTH_COMPLETE=bash_source troth)"; COMP_WORDS=(troth li); COMP_CWORD=1; '
        '_troth_completion troth li troth; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{TROTH.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "lint"


@pytest.mark.parametrize(
    "words", ["troth ", "troth lint --f", "troth render --d", "troth init --", "troth test -"]
)
def test_a_completion_imports_no_engine_and_is_fast(words: str) -> None:
    program = (
        "import sys, time; start = time.process_time(); from troth.cli import main\n"
        "try:\n  main(prog_name='troth')\n"
        "except SystemExit: pass\n"
        "print(time.process_time() - start, *sys.modules, file=sys.stderr)"
    )
    environment = {**os.environ, "_TROTH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "1"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert time.monotonic() - began < 20
    seconds, *modules = done.stderr.split()
    assert float(seconds) < 0.5  # of the processor; 0.1 on a machine of today
    assert not {"jinja2", "yaml", "kopf", "aiohttp", "kubernetes", "asyncio", "hypothesis", "rich"} & set(modules)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_two_examples_and_says_its_exit_codes(name: str) -> None:
    text = CliRunner().invoke(main, [name, "--help"]).output
    examples = re.search(r"^ *Examples:\n((?: +.+\n)+)", text, re.MULTILINE)
    assert examples, text
    assert examples.group(1).count(f"troth {name}") >= 2
    codes = re.search(r"^ *Exit codes:\n((?: +.+\n)+)", text, re.MULTILINE)
    assert codes, text
    documented = set(re.findall(r"^ +(\d+) +\S", codes.group(1), re.MULTILINE))
    assert {"0", "2"} <= documented
    assert documented <= set(re.findall(r"^\| (\d+) \|", PAGE.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_flag_that_does_not_exist_is_exit_code_two(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--no-such-flag"])
    assert result.exit_code == 2
    assert "No such option" in result.stderr
    assert result.stdout == ""
