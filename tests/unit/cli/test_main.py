"""The command starts fast and lists what there is."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from troth.cli import COMMANDS, main


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
