"""Which Promises `troth lint` looks at."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from troth.cli import main

LIBRARY = Path(__file__).parents[3] / "promises"


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    """A folder of two Promises and something else, the second with a value that nothing reads."""
    for name in ("environment", "cron-job"):
        shutil.copytree(LIBRARY / name, tmp_path / "promises" / name)
    (tmp_path / "promises" / "README.md").write_text("ours")
    file = tmp_path / "promises" / "cron-job" / "promise.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("          values:\n", "          values:\n            unread: 1\n", 1), "utf-8")
    return tmp_path


@pytest.mark.parametrize("given", [[], ["."], ["promises"]])
def test_a_folder_of_promises_stands_for_all_in_it(
    platform: Path, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(platform)
    result = CliRunner().invoke(main, ["lint", *given])
    assert result.exit_code == 1, result.output
    assert result.stdout.startswith("promises/cron-job/promise.yaml:")
    assert "T106" in result.stdout
    assert result.stderr == "troth lint: 1 warning\n"


def test_a_folder_without_any_promise_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["lint", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "has no Promise" in result.stderr


@pytest.mark.parametrize("style", ["text", "json", "sarif", "github"])
def test_each_broken_promise_is_named_and_the_others_are_linted(platform: Path, style: str) -> None:
    promises = platform / "promises"
    for name in ("bucket", "redis"):
        shutil.copytree(LIBRARY / name, promises / name)
        (next((promises / name / "templates").iterdir())).unlink()
    (platform / "empty").mkdir()
    result = CliRunner().invoke(main, ["lint", str(platform / "empty"), str(promises), "--format", style])
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0] == f"troth lint: {platform}/empty: has no Promise; name a folder with a promise.yaml"
    for name, line in zip(("bucket", "redis"), lines[1:3], strict=True):
        assert re.match(rf"troth lint: {promises}/{name}/promise\.yaml:\d+: .*there is no file 'templates/", line)
    assert lines[3:] == ["troth lint: 1 warning; not every Promise could be checked"]
    assert "T106" in result.stdout
    if style in ("json", "sarif"):
        json.loads(result.stdout)


def test_a_comparison_with_nothing_is_said(platform: Path) -> None:
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "nothing"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *command], cwd=platform, check=True, capture_output=True, timeout=60)
    folder = platform / "promises" / "environment"
    result = CliRunner().invoke(main, ["lint", str(folder), "--against", "HEAD"])
    assert result.exit_code == 0
    said = f"troth lint: {folder / 'promise.yaml'} has no API at HEAD: nothing to compare with\n"
    assert result.stderr == f"{said}troth lint: nothing found\n"
    empty = CliRunner().invoke(main, ["lint", str(folder), "--against", ""])
    assert empty.exit_code == 2
    assert "--against is empty" in empty.stderr
