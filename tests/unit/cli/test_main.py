"""The command starts fast and lists what there is."""

from __future__ import annotations

import errno
import os
import pty
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from troth.cli import BUG_EXIT_CODE, CLOSED_EXIT_CODE, COMMANDS, INTERRUPTED_EXIT_CODE, LazyGroup, main

REDIS = Path(__file__).parents[3] / "promises" / "redis"
TROTH = f"{sys.executable} -m troth.cli"


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
    assert "Error: No such command 'nonsense'.\n" in result.output


@pytest.mark.parametrize(("typed", "meant"), [("rendr", "render"), ("Test", "test"), ("adaptr", "")])
def test_a_misspelled_command_is_a_usage_error_with_a_suggestion(typed: str, meant: str) -> None:
    result = CliRunner().invoke(main, [typed, "promises"])
    assert result.exit_code == 2
    said = f" Did you mean {meant}?" if meant else ""
    assert f"Error: No such command {typed!r}.{said}\n" in result.output


def test_print_env_without_a_running_plane_says_how_to_start_one() -> None:
    result = CliRunner().invoke(main, ["dev", "--print-env", "--data", "/nowhere"])
    assert result.exit_code == 2
    assert "start it with: troth dev --data /nowhere" in result.output


def _fail_with(error: BaseException) -> click.Group:
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


def _asked_and_interrupted() -> click.Abort:
    """What click raises when Ctrl-C is pressed at a question."""
    abort = click.Abort()
    abort.__context__ = KeyboardInterrupt()
    return abort


@pytest.mark.parametrize("error", [KeyboardInterrupt(), _asked_and_interrupted()])
def test_a_command_that_is_interrupted_says_so_with_the_exit_code_of_a_shell(error: BaseException) -> None:
    result = CliRunner().invoke(_fail_with(error), ["fails"])
    assert (result.exit_code, result.output) == (INTERRUPTED_EXIT_CODE, "troth fails: interrupted\n")


def test_the_end_of_the_input_at_a_question_is_no_interrupt() -> None:
    assert CliRunner().invoke(_fail_with(click.Abort()), ["fails"]).exit_code == 1


def test_an_interrupt_while_modules_are_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "troth", "lint"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (INTERRUPTED_EXIT_CODE, "")


def test_a_disk_that_is_full_is_said_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TROTH_DEBUG", raising=False)
    full = OSError(errno.ENOSPC, "No space left on device", "rendered/a.yaml")
    result = CliRunner().invoke(_fail_with(full), ["fails"])
    assert (result.exit_code, result.stderr) == (2, "troth fails: rendered/a.yaml: No space left on device\n")


@pytest.mark.parametrize("command", ["--help", "--version", "lint --help", "test --schema", f"build {REDIS}"])
def test_standard_output_that_is_full_or_closed_is_no_traceback(command: str) -> None:
    def run(script: str) -> tuple[int, str]:
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stderr

    name = "troth" if command.startswith("-") else f"troth {command.split()[0]}"
    assert run(f"{TROTH} {command} > /dev/full") == (2, f"{name}: No space left on device\n")
    assert run(f"{TROTH} {command} >&-") == (0, "")
    assert run(f"({TROTH} {command}; echo $? >&2) | :") == (0, f"{CLOSED_EXIT_CODE}\n")


def test_a_stream_that_is_closed_harms_no_rendering() -> None:
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        script = f"{TROTH} test {REDIS} --examples 0 {closed}"
        assert subprocess.run(["sh", "-c", script], capture_output=True, check=False, timeout=60).returncode == 0


def test_a_file_that_cannot_be_written_in_full_is_left_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "redis.yaml"
    target.write_text("what was there", "utf-8")

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    command = [sys.executable, "-m", "troth.cli", "build", str(REDIS), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, preexec_fn=bound)
    assert (done.returncode, done.stderr) == (2, f"troth build: {target}: cannot be written: File too large\n")
    assert [path.name for path in tmp_path.iterdir()] == ["redis.yaml"]
    assert target.read_text("utf-8") == "what was there"


def test_what_is_no_file_is_written_to_and_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    link.symlink_to(real)
    for target in (link, Path("/dev/stdout")):
        command = [sys.executable, "-m", "troth.cli", "build", str(REDIS), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert link.is_symlink()
    assert real.read_text("utf-8") == done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.yaml", "real.yaml"]


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(variables: dict[str, str], coloured: bool, tmp_path: Path) -> None:
    tests = tmp_path / "promise" / "tests"
    tests.mkdir(parents=True)
    built = subprocess.run(
        [sys.executable, "-m", "troth.cli", "build", str(REDIS)], capture_output=True, check=True
    )
    (tmp_path / "promise" / "promise.yaml").write_bytes(built.stdout)
    (tests / "cases.yaml").write_text(
        "{apiVersion: troth.dev/v1alpha1, kind: PromiseTest, metadata: {name: a}, spec: {cases: "
        "[{name: b, request: {}, expect: {refused: true}}]}}",
        "utf-8",
    )
    terminal, inside = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "TERM"}}
    command = [sys.executable, "-m", "troth.cli", "test", str(tmp_path / "promise"), "--examples", "0"]
    try:
        subprocess.run(command, stdout=inside, stderr=subprocess.DEVNULL, env=environment | variables, timeout=60)
        assert (b"\x1b[" in os.read(terminal, 10_000)) == coloured
    finally:
        os.close(inside)
        os.close(terminal)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
def test_what_is_built_is_the_same_in_every_locale(encoding: str, tmp_path: Path) -> None:
    text = (REDIS / "promise.yaml").read_text("utf-8")
    shutil.copytree(REDIS / "templates", tmp_path / "redis" / "templates")
    (tmp_path / "redis" / "promise.yaml").write_text(
        text.replace("description: ", "description: déjà 名 ", 1), "utf-8"
    )
    command = [sys.executable, "-m", "troth.cli", "build", str(tmp_path / "redis")]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    built = subprocess.run(command, capture_output=True, check=True, timeout=60, env=environment).stdout
    assert "déjà 名" in built.decode()


def test_a_name_that_is_no_utf8_harms_no_report(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    tests = folder / "tests"
    tests.mkdir(parents=True)
    shutil.copy(REDIS / "promise.yaml", folder)
    shutil.copytree(REDIS / "templates", folder / "templates")
    (tests / "cases.yaml").write_text(
        "{apiVersion: troth.dev/v1alpha1, kind: PromiseTest, metadata: {name: a}, spec: {cases: "
        "[{name: b, request: {}, expect: {refused: true}}]}}",
        "utf-8",
    )
    files = [str(tmp_path / name) for name in ("junit.xml", "coverage.info")]
    for style in ("text", "json", "github"):
        command = [sys.executable, "-m", "troth.cli", "test", str(folder), "--examples", "0", "--format", style]
        done = subprocess.run(
            [*command, "--junit", files[0], "--lcov", files[1]], capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 1, done.stderr
    for file in files:
        assert Path(file).read_text("utf-8")
