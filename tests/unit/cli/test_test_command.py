"""`troth test` as people use it: what is printed, what is written, exit codes; and the plug-in of pytest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.bench.cases import write_home
from tests.platforms import promise
from troth.cli import main

pytest_plugins = ["pytester"]


def troth(*arguments: str | int | Path) -> Result:
    result = CliRunner().invoke(main, ["test", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def suite(*cases: dict[str, Any]) -> str:
    document = {"apiVersion": "troth.dev/v1alpha1", "kind": "PromiseTest", "spec": {"cases": list(cases)}}
    return yaml.safe_dump(document, sort_keys=False)


def case(name: str, **expect: Any) -> dict[str, Any]:
    return {"name": name, "request": {"spec": {}}, "expect": expect or {"counts": {"ConfigMap": 1}}}


def make(folder: Path, *cases: dict[str, Any], name: str = "things") -> Path:
    (folder / name / "tests").mkdir(parents=True)
    (folder / name / "promise.yaml").write_text(yaml.safe_dump(promise(name)), "utf-8")
    (folder / name / "tests" / "cases.yaml").write_text(suite(*cases), "utf-8")
    return folder / name


def quick(*arguments: str | int | Path) -> Result:
    return troth("--examples", "0", "--jobs", "1", *arguments)


def test_cases_that_pass_are_counted_and_the_exit_code_is_0(tmp_path: Path) -> None:
    home = make(tmp_path, case("first"), case("second"))
    result = quick(home)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"ok   {home}/tests/cases.yaml: 2 passed\n")
    assert result.stderr.startswith("troth test: 2 passed in ")


def test_a_case_that_fails_says_where_and_what_and_the_exit_code_is_1(tmp_path: Path) -> None:
    home = make(tmp_path, case("first"), case("second", counts={"ConfigMap": 2}))
    result = quick(home)
    assert result.exit_code == 1
    assert "  FAIL second\n" in result.stdout
    assert "counts.ConfigMap: expected 2, found 1: ConfigMap/test" in result.stdout
    assert "1 passed, 1 failed" in result.stderr


def test_every_unusable_file_is_told_and_no_case_of_its_promise_runs(tmp_path: Path) -> None:
    home = make(tmp_path, case("first"))
    for name in ("a", "b"):
        (home / "tests" / f"{name}.yaml").write_text(suite({"name": name}), "utf-8")
    result = quick(home)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert [f"{name}.yaml:5: spec.cases[0]: asks for nothing" in result.stderr for name in ("a", "b")] == [
        True
    ] * 2


def test_each_broken_promise_is_named_and_the_others_are_tested(tmp_path: Path) -> None:
    home = make(tmp_path, case("first"), name="good")
    for name, text in (
        ("broken", "spec: ["),
        ("refused", yaml.safe_dump({**promise("refused"), "spec": {"a": 1}})),
    ):
        (make(tmp_path, case("first"), name=name) / "promise.yaml").write_text(text, "utf-8")
    (tmp_path / "empty").mkdir()
    (make(tmp_path, name="untested") / "tests" / "cases.yaml").write_text(suite({"name": "a"}), "utf-8")
    folders = [tmp_path / name for name in ("empty", "broken", "refused", "untested", "good")]
    result = quick(*folders, "--junit", tmp_path / "junit.xml", "--format", "json")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    places = ("empty", "broken/promise.yaml:2", "refused/promise.yaml:", "untested/tests/cases.yaml:5")
    for place, line in zip(places, lines, strict=False):
        assert line.startswith(f"troth test: {tmp_path}/{place}"), line
    assert lines[4].startswith("troth test: 1 passed in ")
    assert lines[4].endswith("; not every Promise could be tested")
    assert [found["file"] for found in json.loads(result.stdout)["cases"]] == [str(home / "tests" / "cases.yaml")]
    assert Xml.parse(tmp_path / "junit.xml").getroot().attrib["tests"] == "1"


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_promise_that_turns_out_to_be_broken_when_it_runs_does_not_end_the_others(
    tmp_path: Path, jobs: int
) -> None:
    refused = promise("refused")
    refused["spec"]["unknown"] = 1
    for name, text in (("refused", yaml.safe_dump(refused)), ("good", yaml.safe_dump(promise("good")))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "promise.yaml").write_text(text, "utf-8")
    result = troth("--jobs", jobs, "--examples", "3", tmp_path)
    assert result.exit_code == 2
    assert f"ok   {tmp_path}/good/promise.yaml: generated inputs: 3 passed\n" in result.stdout
    assert "refused" not in result.stdout
    assert result.stderr.count(f"troth test: {tmp_path}/refused/promise.yaml:") == 1


@pytest.mark.parametrize("arguments", [("-k", "nothing"), ("-k", "("), ("none",)])
def test_nothing_to_run_is_said_and_the_exit_code_is_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    make(tmp_path, case("first"))
    folder = () if arguments == ("none",) else (tmp_path / "things",)
    result = quick(*arguments, *folder)
    assert result.exit_code == 2
    assert result.stderr.startswith("troth test: ")


def test_without_a_folder_all_promises_below_the_current_one_are_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "promises").mkdir()
    make(tmp_path / "promises", case("first"), name="things")
    make(tmp_path / "promises", case("second"), name="others")
    monkeypatch.chdir(tmp_path)
    assert "2 passed" in quick().stderr
    assert "1 passed, 1 not chosen" in quick("-k", "others").stderr
    monkeypatch.chdir(tmp_path / "promises" / "things")
    assert "1 passed in" in quick().stderr


@pytest.mark.slow
def test_processes_share_the_cases_and_the_order_stays(tmp_path: Path) -> None:
    home = make(tmp_path, *(case(f"case {number}") for number in range(60)))
    results = [
        json.loads(troth("--examples", "0", "--jobs", jobs, "--format", "json", home).stdout) for jobs in "12"
    ]
    names = [[found["name"] for found in result["cases"]] for result in results]
    assert names[0] == names[1] == [f"case {number}" for number in range(60)]
    assert results[0]["coverage"] == results[1]["coverage"]


def test_update_says_what_it_writes_and_a_second_update_writes_nothing(tmp_path: Path) -> None:
    home = make(tmp_path, case("first", golden="first"))
    before = quick(home)
    assert before.exit_code == 1
    assert not (home / "tests" / "golden").exists()
    first = quick(home, "--update")
    assert first.exit_code == 0
    written = [path for path in (home / "tests" / "golden" / "first").rglob("*") if path.is_file()]
    assert [f"troth test: will add {path}\n" in first.stderr for path in written] == [True]
    assert "will" not in quick(home, "--update").stderr
    assert quick(home).exit_code == 0
    (home / "tests" / "golden" / "old").mkdir()
    assert f"troth test: {home}/tests/golden/old belongs to no case\n" in quick(home).stderr


def test_two_cases_that_want_something_else_in_one_golden_folder_are_told(tmp_path: Path) -> None:
    other = {**case("second", golden="same"), "request": {"metadata": {"name": "other"}, "spec": {}}}
    home = make(tmp_path, case("first", golden="same"), other)
    result = quick(home, "--update")
    assert result.exit_code == 2
    assert "two cases want something else in it; give each a golden folder of its own" in result.stderr
    assert not (home / "tests" / "golden").exists()


def test_junit_and_github_carry_the_place_and_the_difference(tmp_path: Path) -> None:
    home = make(tmp_path, case("first"), case("sec:ond\x07", counts={"ConfigMap": 2}))
    result = quick(home, "--junit", tmp_path / "junit.xml", "--format", "github")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"::error file={home}/tests/cases.yaml,line=")
    assert "title=sec%3Aond" in result.stdout
    root = Xml.parse(tmp_path / "junit.xml").getroot()
    assert root.attrib["tests"] == "2"
    assert root.attrib["failures"] == "1"
    (failure,) = root.iter("failure")
    assert failure.attrib["message"].startswith("counts.ConfigMap: expected 2")


def test_coverage_that_is_too_low_fails_the_run(tmp_path: Path) -> None:
    home = write_home(tmp_path, 1)
    result = quick(home, "--min-coverage", "100", "--lcov", tmp_path / "coverage.info")
    assert result.exit_code == 1
    assert "troth test: the coverage of environment is 0.0 %, below 100 %\n" in result.stderr
    assert "not reached: line" in result.stdout
    assert (tmp_path / "coverage.info").read_text("utf-8").startswith("TN:\nSF:")
    assert quick(home, "--min-coverage", "0").exit_code == 0


def test_generated_inputs_are_tried_without_being_asked(tmp_path: Path) -> None:
    made = promise(
        "things",
        template='apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: "{{ spec.x }}"}\n',
        spec_schema={"type": "object", "properties": {"x": {"type": "string"}}},
    )
    home = make(tmp_path, case("first", failure=True))
    (home / "promise.yaml").write_text(yaml.safe_dump(made), "utf-8")
    result = troth("--jobs", "1", "--examples", "3", home)
    assert result.exit_code == 1
    assert "promise.yaml: generated inputs: " in result.stdout
    assert "with the request:" in result.stdout


def test_coverage_without_a_case_says_that_only_cases_count(tmp_path: Path) -> None:
    home = make(tmp_path, case("first"))
    assert "only the cases" not in quick(home).stdout
    chosen = troth("-k", "renders", "--examples", "3", "--jobs", "1", "--min-coverage", "0", home)
    assert "(0 of 7); only the cases in tests/ count, and none was chosen\n" in chosen.stdout
    (home / "tests" / "cases.yaml").unlink()
    result = troth("--examples", "3", "--jobs", "1", home)
    assert result.stdout.splitlines() == [
        f"ok   {home}/promise.yaml: generated inputs: 3 passed",
        (
            "things: coverage: 0.0 % of the templates' lines and branches (0 of 7); "
            "only the cases in tests/ count, and there are none"
        ),
    ]
    counted = troth("--examples", "3", "--jobs", "1", "--generated-coverage", home)
    assert "coverage: 100 %" in counted.stdout
    assert "only the cases" not in counted.stdout


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    home = make(tmp_path, case("first"))
    result = quick(home, "--junit", tmp_path / "none" / "junit.xml")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_the_schema_is_printed_for_editors() -> None:
    result = troth("--schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "PromiseTest"


@pytest.mark.slow
def test_what_changes_is_run_again_until_it_is_ended(tmp_path: Path) -> None:
    home = make(tmp_path, case("first"))
    command = [sys.executable, "-m", "troth.cli", "test", str(home), "--examples", "0", "--jobs", "1", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        try:
            assert _said(watching, "waiting for a change")[-2].startswith("troth test: 1 passed")
            (home / "tests" / "cases.yaml").write_text(suite(case("first"), case("second")), "utf-8")
            assert any("2 passed" in line for line in _said(watching, "waiting for a change"))
        finally:
            watching.send_signal(signal.SIGINT)
            code = watching.wait(20)
            rest = watching.stderr.read()
    assert "Traceback" not in rest
    assert code == 0


def _said(process: subprocess.Popen[str], end: str) -> list[str]:
    """What it says until a line with those words; the test's own deadline bounds it."""
    lines: list[str] = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if end in line:
            break
    return lines


@pytest.mark.slow
def test_no_process_is_left_when_it_is_interrupted(tmp_path: Path) -> None:
    home = write_home(tmp_path, 2000)
    command = [sys.executable, "-m", "troth.cli", "test", str(home), "--examples", "0", "--jobs", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        deadline = time.monotonic() + 30
        while len(_members(running.pid)) < 5 and time.monotonic() < deadline and running.poll() is None:
            time.sleep(0.01)
        os.kill(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert errors == "troth test: interrupted\n"
    while _members(running.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _members(running.pid) == []


def _members(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry.name))
    return found


# ---- the plug-in of pytest


@pytest.mark.slow
def test_pytest_runs_cases_and_lends_a_fixture(pytester: pytest.Pytester) -> None:
    home = make(pytester.path, case("first"), case("second", counts={"ConfigMap": 2}))
    (home / "tests" / "data.yaml").write_text("kind: Other\n", "utf-8")
    pytester.makepyfile(
        """
        def test_in_python(troth):
            rendering = troth.render("things", {"spec": {}})
            assert [obj["kind"] for obj in troth.objects(rendering)] == ["ConfigMap"]
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:xdist", "-q", ".")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*cases.yaml:*: counts.ConfigMap: expected 2, found 1: ConfigMap/test"])


def test_pytest_tells_a_file_that_cannot_be_used(pytester: pytest.Pytester) -> None:
    home = make(pytester.path, {"name": "nothing"})
    result = pytester.runpytest_subprocess("-p", "no:xdist", "-q", str(home / "tests"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*spec.cases[[]0[]]: asks for nothing*"])


def test_pytest_writes_golden_folders_when_told_to(pytester: pytest.Pytester) -> None:
    home = make(pytester.path, case("first", golden="first"))
    tests = str(home / "tests")
    pytester.runpytest_subprocess("-p", "no:xdist", "-q", tests).assert_outcomes(failed=1)
    pytester.runpytest_subprocess("-p", "no:xdist", "-q", "--troth-update", tests).assert_outcomes(passed=1)
    pytester.runpytest_subprocess("-p", "no:xdist", "-q", tests).assert_outcomes(passed=1)
