"""The command starts fast and lists what there is."""

from __future__ import annotations

import errno
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from troth.cli import BUG_EXIT_CODE, COMMANDS, LazyGroup, main


def test_help_lists_every_command_without_importing_any() -> None:
    program = (
        "import sys; from troth.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for name in COMMANDS:
        assert f"\n  {name}" in output
    imported = output.split()
    assert not {f"troth.cli.{name}" for name in COMMANDS} & set(imported)
    assert not {"kopf", "aiohttp", "kubernetes", "yaml", "rich"} & set(imported)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself_with_examples(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.count(f"troth {name} ") >= 2  # examples


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["nonsense"])
    assert result.exit_code == 2
    assert "No such command" in result.output


def test_print_env_without_a_running_plane_says_how_to_start_one() -> None:
    result = CliRunner().invoke(main, ["dev", "--print-env", "--data", "/nowhere"])
    assert result.exit_code == 2
    assert "start it with: troth dev --data /nowhere" in result.output


def _fail_with(error: Exception) -> click.Group:
    @click.command("fails")
    def fails() -> None:
        raise error

    class Failing(LazyGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return fails

    return Failing("troth")


def test_a_bug_is_one_line_with_an_exit_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TROTH_DEBUG", raising=False)
    result = CliRunner().invoke(_fail_with(KeyError("spec")), ["fails"])
    assert result.exit_code == BUG_EXIT_CODE
    assert result.stdout == ""
    assert result.stderr.startswith("troth fails: this is a bug in troth: KeyError: 'spec' (cli/test_main.py:")
    assert result.stderr.count("\n") == 1


def test_a_bug_shows_its_traceback_to_who_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROTH_DEBUG", "1")
    assert isinstance(CliRunner().invoke(_fail_with(KeyError("spec")), ["fails"]).exception, KeyError)


def test_a_disk_that_is_full_is_said_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TROTH_DEBUG", raising=False)
    full = OSError(errno.ENOSPC, "No space left on device", "rendered/a.yaml")
    result = CliRunner().invoke(_fail_with(full), ["fails"])
    assert (result.exit_code, result.stderr) == (2, "troth fails: rendered/a.yaml: No space left on device\n")
