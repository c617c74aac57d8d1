"""Findings are silenced with a reason, and written for people and for programs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.documents import ROOT
from tests.unit.authoring.lint.linted import promise
from troth.authoring.lint import CODES, Finding, lint
from troth.authoring.lint.report import as_github, as_json, as_sarif, as_text
from troth.cli import main

TEMPLATE = "a: {{ spec.size }}\nb: {{ spec.owner }}\n"
SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {"size": {"type": "string"}, "owner": {"type": "string"}},
}


def home(folder: Path, template: str = TEMPLATE, **pipeline: Any) -> Path:
    """A Promise whose template stands in a file of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "x.j2").write_text(template)
    obj = promise({"files": [{"path": "x.txt", "template": {"from": "x.j2"}}], **pipeline}, SPEC)
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    return folder


def codes(folder: Path) -> list[str]:
    return sorted({finding.code for finding in lint(folder)})


def troth(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["lint", *map(str, arguments)])


def test_a_finding_is_in_the_file_that_its_author_wrote(tmp_path: Path) -> None:
    finding = lint(home(tmp_path))[0]
    assert (finding.code, finding.file, finding.line, finding.column) == ("T102", str(tmp_path / "x.j2"), 2, 7)


@pytest.mark.parametrize(
    "line",
    [
        "b: {{ spec.owner }} {# troth:ignore T102 old requests have it #}\n",
        "{# troth:ignore T102 old requests have it #}\nb: {{ spec.owner }}\n",
        "b: {{ spec.owner }} # troth:ignore T102 old requests have it\n",
    ],
)
def test_a_comment_with_a_reason_silences_one_code_on_one_line(tmp_path: Path, line: str) -> None:
    template = "a: {{ spec.size }}\n" + line
    assert "T102" not in codes(home(tmp_path, template))
    assert "T101" in codes(home(tmp_path, template.replace("spec.owner", "spec.ownr")))
    assert "T102" in codes(home(tmp_path, f"c: {{{{ spec.owner }}}}\n{template}"))


def test_a_comment_without_a_reason_or_with_an_unknown_code_silences_nothing(tmp_path: Path) -> None:
    assert codes(home(tmp_path, TEMPLATE.rstrip() + " # troth:ignore T102\n")) == ["T002", "T102"]
    assert codes(home(tmp_path, TEMPLATE.rstrip() + " # troth:ignore T999 why\n")) == ["T002", "T102"]


def test_a_comment_that_silences_nothing_is_found(tmp_path: Path) -> None:
    template = "a: {{ spec.size }} {# troth:ignore T102 no more #}\nb: {{ spec.owner | default('x') }}\n"
    assert codes(home(tmp_path, template)) == ["T003"]
    # Without a comparison nobody knows whether something would have been found.
    template = template.replace("T102", "T301")
    assert codes(home(tmp_path, template)) == []


def test_a_promise_that_the_operator_refuses_is_a_finding_with_its_line(tmp_path: Path) -> None:
    [finding] = lint(home(tmp_path, "a: {{ spec.size }}\n{% if %}\n"))
    assert (finding.code, finding.file, finding.line) == ("T001", str(tmp_path / "x.j2"), 2)


FINDING = Finding("T101", "a,b/x.j2", 3, 5, "there is no a\nhere \x1b[31m", "write b", "error")


def test_text_has_a_line_for_each_finding_and_nothing_that_a_terminal_obeys() -> None:
    assert as_text([FINDING]) == "a,b/x.j2:3:5: error T101: there is no a here ?[31m; write b\n"
    assert "\x1b[31merror T101\x1b[0m" in as_text([FINDING], colour=True)


def test_json_sarif_and_annotations_say_the_same() -> None:
    [entry] = json.loads(as_json([FINDING]))
    assert (entry["code"], entry["line"], entry["severity"]) == ("T101", 3, "error")
    sarif = json.loads(as_sarif([FINDING], "0.1.0"))
    [run] = sarif["runs"]
    [result] = run["results"]
    assert sarif["version"] == "2.1.0"
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "T101"
    location = result["locations"][0]["physicalLocation"]
    assert location["region"] == {"startLine": 3, "startColumn": 5}
    assert as_github([FINDING]).startswith("::error file=a%2Cb/x.j2,line=3,col=5,title=T101::there is no a here")


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("promises/web/x.j2", "promises/web/x.j2"),
        ("my platform/a,b: é%20#x/x.j2", "my%20platform/a%2Cb%3A%20%C3%A9%2520%23x/x.j2"),
        ("../other/x?.j2", "../other/x%3F.j2"),
        ("/home/me/my platform/x.j2", "file:///home/me/my%20platform/x.j2"),
    ],
)
def test_a_place_in_sarif_is_a_reference_that_leads_to_the_file(file: str, uri: str) -> None:
    [run] = json.loads(as_sarif([replace(FINDING, file=file)], "0.1.0"))["runs"]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_a_name_of_a_file_that_is_no_text_is_written_all_the_same() -> None:
    odd = replace(FINDING, file=os.fsdecode(b"bad\xff/x.j2"))
    for written in (as_json([odd]), as_sarif([odd], "0.1.0")):
        assert json.loads(written)


def test_the_command_ends_with_one_when_something_is_found_and_with_two_when_it_cannot_look(
    tmp_path: Path,
) -> None:
    result = troth(home(tmp_path))
    assert result.exit_code == 1
    assert "x.j2:2:7: error T102: " in result.stdout
    assert result.stderr.startswith("troth lint: ")
    assert troth(home(tmp_path, "a: {{ spec }}\n")).exit_code == 0
    missing = troth(tmp_path / "nothing")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "does not exist" in missing.stderr or "cannot be read" in missing.stderr


@pytest.mark.parametrize("style", ["json", "sarif"])
def test_what_programs_read_is_whole_even_when_nothing_is_found(tmp_path: Path, style: str) -> None:
    result = troth(home(tmp_path, "a: {{ spec }}\n"), "--format", style)
    assert result.exit_code == 0
    json.loads(result.stdout)


@pytest.mark.parametrize("content", [b"\xff\x00" * 4000, b"[" * 100_000, b"a: &a [*a]\n", b"kind: Promise\n", b""])
def test_hostile_input_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "promise.yaml").write_bytes(content)
    result = troth(tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_template_that_never_ends_or_includes_itself_ends(tmp_path: Path) -> None:
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}{{ spec }}\n"
    assert "T208" in codes(home(tmp_path, endless))
    partials = {"a": "{% include 'a' %}{{ spec }}{% include 'a' %}"}
    assert "T004" in codes(home(tmp_path, "{% include 'a' %}", partials=partials))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.parent.name for path in (ROOT / "promises").glob("*/promise.yaml")))
def test_the_library_is_clean(name: str) -> None:
    found = [finding for finding in lint(ROOT / "promises" / name) if finding.severity != "note"]
    assert found == []


PAGE = ROOT / "docs" / "reference" / "lint.md"


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_explained_with_an_example_and_a_fix(code: str) -> None:
    sections = PAGE.read_text("utf-8").split("\n### ")
    [section] = [section for section in sections if section.startswith(f"{code}\n")]
    assert f"**{CODES[code].title}** ({CODES[code].severity})" in section
    for part in ("Why:", "Example:", "Fix:"):
        assert part in section, part


def test_the_page_explains_no_code_that_does_not_exist() -> None:
    named = [line.removeprefix("### ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("### ")]
    assert named == sorted(CODES)
