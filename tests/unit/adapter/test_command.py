"""The command line in a pod: exit codes, one line that says what is wrong, and nothing imported for nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from troth.adapter.__main__ import main
from troth.certificates import Authority
from troth.cli import BUG_EXIT_CODE, COMMANDS, UNLISTED
from troth.cli import main as troth

SUBJECT = {
    "KRATIX_WORKFLOW_ACTION": "configure",
    "KRATIX_WORKFLOW_TYPE": "resource",
    "KRATIX_PROMISE_NAME": "redis",
    "KRATIX_PIPELINE_NAME": "instance",
    "KRATIX_OBJECT_KIND": "Redis",
    "KRATIX_OBJECT_GROUP": "cache.example.com",
    "KRATIX_OBJECT_VERSION": "v1",
    "KRATIX_OBJECT_NAME": "cache",
    "KRATIX_OBJECT_NAMESPACE": "default",
    "KRATIX_CRD_PLURAL": "redises",
    "KRATIX_CLUSTER_SCOPED": "false",
}
SERVER = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}


@pytest.mark.parametrize("name", sorted(SUBJECT.keys() - {"KRATIX_OBJECT_GROUP"}))
def test_a_missing_variable_is_named_and_is_a_mistake_of_who_made_the_pod(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {key: value for key, value in {**SUBJECT, **SERVER}.items() if key != name}
    assert main(["reader"], environ) == 2
    assert capsys.readouterr().err.startswith(f"reader: the variable {name} is ")


def test_a_pod_without_an_account_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reader", "--account-directory", str(tmp_path)], {**SUBJECT, **SERVER}) == 2
    assert "reader: the account of this pod cannot be read from" in capsys.readouterr().err
    assert main(["reader", "--account-directory", str(tmp_path)], SUBJECT) == 2
    assert "do not say where the API server is" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["status-writer"], ["reader", "--out", "x"]])
def test_wrong_arguments_are_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments, {})
    assert end.value.code == 2


def test_the_command_is_left_out_of_the_list_of_commands_and_explains_itself() -> None:
    listed = CliRunner().invoke(troth, ["--help"]).output
    assert "adapter" not in listed
    assert UNLISTED.isdisjoint(COMMANDS)
    for command in UNLISTED:
        assert isinstance(troth.get_command(click.Context(troth), command), click.Command)
    assert "Exit codes:" in CliRunner().invoke(troth, ["adapter", "--help"]).output


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("module", ["reader", "work_writing", "status_writer"])
def test_a_program_loads_neither_the_command_line_nor_the_operators_client_nor_a_parser_it_may_not_need(
    module: str,
) -> None:
    done = run(f"import sys, troth.__main__, troth.adapter.{module}; print(*sys.modules)")
    loaded = done.stdout.split()
    assert f"troth.adapter.{module}" in loaded
    unwanted = {"click", "aiohttp", "kopf", "kubernetes", "asyncio", "yaml", "jinja2", "re2", "rich"}
    assert not unwanted & set(loaded)
    assert not [name for name in loaded if name.startswith(("troth.kube", "troth.controllers", "troth.cli"))]


@pytest.mark.parametrize("launch", ["troth.__main__", "troth.cli.__main__"])
def test_both_ways_to_start_it_are_the_same_program(launch: str) -> None:
    program = f"import runpy, sys; sys.argv[0] = 'troth'; runpy.run_module('{launch}', run_name='__main__')"
    done = run(program, "adapter", "reader")
    assert done.returncode == 2
    assert done.stderr.startswith("reader: the variable KRATIX_CLUSTER_SCOPED is ''")
    assert done.stderr.count("\n") == 1


def test_what_strangers_wrote_stays_on_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token")
    (tmp_path / "ca.crt").write_bytes(Authority.create("nobody").pair.certificate)
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "workflow-control.yaml").write_text('retryAfter: "a\\nb\\u001b[31m"\n')
    arguments = ["--input-directory", str(tmp_path), "--account-directory", str(tmp_path)]
    assert main(["status-writer", "--namespace", "n", *arguments], {**SUBJECT, **SERVER}) == 1
    written = capsys.readouterr().err
    assert written.startswith("status-writer: /kratix/metadata/workflow-control.yaml: retryAfter: ")
    assert written.count("\n") == 1
    assert "\x1b" not in written


def test_a_bug_is_one_line_with_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("spec\nmore")

    monkeypatch.setattr("troth.adapter.server.open_server", fail)
    assert main(["reader"], SUBJECT) == BUG_EXIT_CODE
    assert capsys.readouterr().err.startswith("reader: this is a bug in troth: KeyError: ")
    with pytest.raises(KeyError):
        main(["reader"], {**SUBJECT, "TROTH_DEBUG": "1"})
