"""Cases of a Promise with containers: the templates are tested, and what was not run is said and counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.container_site import containers
from tests.platforms import promise
from troth.cli import main

TEMPLATE = """apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ name }}"}
{% if spec.size | default('small') == 'large' %}
data: {size: large}
{% endif %}
"""
WHY = (
    "the pipeline shell runs in containers: the files, the status and the destinations that it writes are only known "
    "when it has run, and a test does not run them"
)


def written(folder: Path, *pipelines: Mapping[str, Any], **expect: Any) -> Path:
    """A Promise whose requests are carried out by these pipelines, with one case."""
    obj = promise("caches", template=TEMPLATE, pipeline={"status": {"size": "{{ spec.size | default('small') }}"}})
    (folder / "object.yaml.j2").write_text(TEMPLATE)
    (templates,) = obj["spec"]["workflows"]["resource"]["configure"]
    templates["spec"]["files"][0]["template"] = {"from": "object.yaml.j2"}
    obj["spec"]["workflows"]["resource"]["configure"] = [*pipelines, templates] if pipelines else [templates]
    case = {
        "name": "one",
        "request": {"metadata": {"name": "cache"}, "spec": {"size": "small"}},
        "expect": expect or {"status": {}},
    }
    suite = {"apiVersion": "troth.dev/v1alpha1", "kind": "PromiseTest", "spec": {"cases": [case]}}
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    (folder / "tests" / "cases.yaml").write_text(yaml.safe_dump(suite))
    return folder


def test(folder: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["test", str(folder), "--jobs", "1", "--examples", "3", *map(str, arguments)])


test.__test__ = False  # type: ignore[attr-defined]


def test_a_case_about_what_templates_write_passes_and_the_summary_counts_what_was_not_run(tmp_path: Path) -> None:
    known = {"objects": [{"kind": "ConfigMap"}], "status": {"size": "small"}, "files": ["object.yaml"]}
    result = test(written(tmp_path, containers("shell"), containers("second"), **known))
    assert result.exit_code == 0, result.output
    assert "caches: not run, since they need containers: shell (in 1 case), second (in 1 case)\n" in result.stdout
    assert "4 passed, 2 container steps not run in " in result.stderr
    plain = test(written(tmp_path, **known))
    assert (plain.exit_code, "not run" in plain.output) == (0, False)


@pytest.mark.parametrize(
    ("expect", "what"),
    [
        ({"objects": [{"kind": "Made"}]}, "objects[0]: there is no Made"),
        ({"counts": {"Made": 1}}, "counts.Made: expected 1, found 0"),
        ({"files": ["object.yaml", "made.yaml"]}, "files: missing: made.yaml"),
        (
            {"destinations": {"anywhere": ["object.yaml", "made.yaml"]}},
            "destinations.anywhere: missing: made.yaml",
        ),
        ({"status": {"url": "https://cache.example.com"}}, "status.url: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_case_that_expects_what_a_container_writes_fails_and_says_why_it_is_not_known(
    tmp_path: Path, expect: Mapping[str, Any], what: str
) -> None:
    result = test(written(tmp_path, containers("shell"), **expect))
    assert result.exit_code == 1
    assert what in result.stdout
    assert f"; {WHY}\n" in result.stdout
    plain = test(written(tmp_path, **expect))
    assert (plain.exit_code, "containers" in plain.output) == (1, False)


def test_a_golden_folder_with_a_file_of_a_container_says_why_it_is_missing(tmp_path: Path) -> None:
    folder = written(tmp_path, containers("shell"), golden="one")
    assert test(folder, "--update").exit_code == 0
    assert test(folder).exit_code == 0
    (kept,) = [path for path in folder.rglob("object.yaml") if "golden" in str(path) or "one" in path.parts]
    (kept.parent / "made.yaml").write_text("kind: Made\n")
    result = test(folder)
    assert result.exit_code == 1
    assert f"made.yaml is no longer rendered; {WHY}" in result.stdout


def test_programs_are_told_what_was_not_run(tmp_path: Path) -> None:
    folder = written(tmp_path, containers("shell"))
    document = json.loads(test(folder, "--format", "json", "--junit", tmp_path / "junit.xml").stdout)
    assert document["notRun"] == 1
    assert [case["notRun"] for case in document["cases"] if case["name"] == "one"] == [["shell"]]
    said = [element.text for element in Xml.parse(tmp_path / "junit.xml").iter("system-out")]
    assert said == ["not run: shell"]


def test_coverage_is_that_of_the_templates_at_their_own_lines(tmp_path: Path) -> None:
    folder = written(tmp_path, containers("shell"))
    result = test(folder, "--lcov", tmp_path / "lcov.info")
    measured = (tmp_path / "lcov.info").read_text()
    assert f"SF:{folder / 'object.yaml.j2'}\n" in measured, result.output
    assert "DA:5,0\n" in measured, result.output


def test_a_promise_of_nothing_but_containers_has_no_generated_inputs_that_would_seem_to_pass(
    tmp_path: Path,
) -> None:
    folder = written(tmp_path, containers("shell"))
    obj = yaml.safe_load((folder / "promise.yaml").read_text())
    del obj["spec"]["workflows"]["resource"]["configure"][1]
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj))
    result = test(folder)
    assert "caches: no inputs are generated, since all of its pipelines need containers" in result.stderr
    assert "1 passed, 1 container step not run in " in result.stderr
