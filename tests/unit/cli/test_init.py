"""`troth init` as people use it: what it says, what it asks, what it writes, and the exit codes."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from troth.cli import main


def troth(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def test_it_says_what_it_will_write_writes_it_and_what_to_do_next(tmp_path: Path) -> None:
    result = troth("init", tmp_path / "cache", "--field", "size:string:enum=small,large:default=small")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    said = result.stderr.splitlines()
    assert said[0] == f"This will be written to {tmp_path / 'cache'}:"
    listed = [line.strip() for line in said if line.startswith("  ")]
    assert listed == [
        "CHANGELOG.md",
        "README.md",
        "examples/example.yaml",
        "examples/smallest.yaml",
        "promise.yaml",
        "templates/config.yaml.j2",
        "tests/cases.yaml",
    ]
    folder = tmp_path / "cache"
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == sorted(listed)
    assert troth("lint", folder).exit_code == 0
    assert troth("render", folder, "-f", folder / "examples").exit_code == 0
    assert said[-1] == f"next: troth test {folder} && troth lint {folder}"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    result = troth("init", tmp_path / "cache", "--dry-run")
    assert result.exit_code == 0
    assert "promise.yaml" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["Cache"],
        ["cache", "--field", "size"],
        ["cache", "--kind", "cache"],
        ["cache", "--group", "x"],
        ["cache", "--plural", "X"],
        ["cache", "--param", "a=b"],
        ["cache", "--from-crd", "nowhere.yaml"],
        ["cache", "--from-manifests", "nowhere"],
        ["cache", "--from-manifests", ".", "--from-crd", "x"],
        ["cache", "--from-manifests", ".", "--field", "a:string"],
    ],
)
def test_what_cannot_be_made_is_exit_code_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = troth("init", *arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(("troth init: ", "Error: "))
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_no_cluster_takes_is_exit_code_one_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "sepc": {}}
    (tmp_path / "in" / "service.yaml").write_text(json.dumps(service))
    result = troth("init", tmp_path / "new", "--from-manifests", tmp_path / "in")
    assert result.exit_code == 1
    assert "T202: Service: sepc: is not a field of it" in result.stderr
    assert not (tmp_path / "new").exists()


def on_a_terminal(folder: Path, answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Exit code and screen of `troth init cache` when each question gets its answer."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "troth.cli", "init", "cache"],
        cwd=folder,
        stdin=child,
        stdout=child,
        stderr=child,
        close_fds=True,
    )
    os.close(child)
    screen, end = "", time.monotonic() + 60
    waiting = list(answers)
    seen = 0
    try:
        while time.monotonic() < end:
            if not select.select([parent], [], [], 0.1)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                part = os.read(parent, 4096).decode("utf-8", "replace")
            except OSError:
                break
            if not part:
                break
            screen += part
            if waiting and waiting[0][0] in screen[seen:]:
                seen = len(screen)
                os.write(parent, (waiting.pop(0)[1] + "\n").encode())
        assert not waiting, screen
        return process.wait(timeout=30), screen
    finally:
        process.kill()
        process.wait()
        os.close(parent)


def test_on_a_terminal_it_asks_and_asks_again_when_an_answer_makes_no_sense(tmp_path: Path) -> None:
    code, screen = on_a_terminal(
        tmp_path,
        [
            ("(kind)?", "redis"),
            ("(kind)?", "Redis"),
            ("group?", ""),
            ("Field:", "size:strin"),
            ("Field:", "size:string:default=small"),
            ("Field:", ""),
            ("Write these files?", "y"),
        ],
    )
    assert code == 0, screen
    assert "did you mean string?" in screen
    text = (tmp_path / "cache" / "promise.yaml").read_text("utf-8")
    assert "kind: Redis\n" in text
    assert "group: platform.example.com\n" in text
    assert "default: small\n" in text


def test_no_is_an_answer(tmp_path: Path) -> None:
    questions = [("(kind)?", ""), ("group?", ""), ("Field:", ""), ("Write these files?", "n")]
    code, screen = on_a_terminal(tmp_path, questions)
    assert code == 1, screen
    assert list(tmp_path.iterdir()) == []
