"""The commands of "Start a Promise" do what the page says."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.documents import ROOT, blocks
from tests.platforms import promise
from tests.unit.authoring.starting.test_starting import DEPLOYMENT
from troth.cli import main

PAGE = ROOT / "docs" / "how-to" / "start-a-promise.md"
COMMANDS = [
    command
    for block in blocks(PAGE)
    if block.language == "sh"
    for command in block.text.replace("\\\n", " ").splitlines()
    if command.strip()
]


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) == 6


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crds").mkdir()
    (tmp_path / "deploy").mkdir()
    (tmp_path / "crds" / "queues.yaml").write_text(yaml.safe_dump(promise("queues")["spec"]["api"]), "utf-8")
    (tmp_path / "deploy" / "web.yaml").write_text(yaml.safe_dump(dict(DEPLOYMENT)), "utf-8")
    troth, *arguments = shlex.split(command)
    assert troth == "troth"
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    for name in ("lint", "test"):
        result = CliRunner().invoke(main, [name, arguments[1]])
        assert result.exit_code == 0, result.output
