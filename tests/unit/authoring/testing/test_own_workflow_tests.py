"""A Promise's own workflow and dependencies are tested like what its requests render, with an API or without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.platforms import promise
from troth.authoring.home import load_home
from troth.authoring.testing.reading import read_suites
from troth.cli import main

OWN = """apiVersion: v1
kind: ConfigMap
metadata:
  name: zone-{{ item }}
data:
  team: {{ promise.metadata.labels.team }}
{% if item == 'b' %}
  last: here
{% endif %}
"""
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "baseline"}}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a Promise with its own workflow, without an API unless one is asked for, and its cases."""

    def put(*cases: Any, api: bool = False, template: str = OWN, zones: Any = ("a", "b")) -> Path:
        made = promise("baseline", template="apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n")
        own = {
            "apiVersion": "troth.dev/v1alpha1",
            "kind": "JinjaPipeline",
            # The same name as that of the pipeline for requests: what one reaches is not what the other does.
            "metadata": {"name": made["spec"]["workflows"]["resource"]["configure"][0]["metadata"]["name"]},
            "spec": {
                "values": {"zones": list(zones)},
                "files": [{"path": "{{ item }}.yaml", "forEach": "{{ zones }}", "template": template}],
            },
        }
        made["metadata"]["labels"] = {"team": "platform"}
        made["spec"]["dependencies"] = [NAMESPACE]
        made["spec"]["workflows"]["promise"] = {"configure": [own]}
        if not api:
            del made["spec"]["api"], made["spec"]["workflows"]["resource"]
        (tmp_path / "promise.yaml").write_text(yaml.safe_dump(made), "utf-8")
        (tmp_path / "tests").mkdir(exist_ok=True)
        document = {"apiVersion": "troth.dev/v1alpha1", "kind": "PromiseTest", "spec": {"cases": list(cases)}}
        if cases:
            (tmp_path / "tests" / "own.yaml").write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
        return tmp_path

    return put


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["test", str(folder), "--jobs", "1", *arguments])


def own(**expect: Any) -> dict[str, Any]:
    return {"name": "own", "promise": True, "expect": expect}


@pytest.mark.slow
@pytest.mark.parametrize("api", [False, True])
def test_expectations_hold_of_the_promise_itself(write: Write, api: bool) -> None:
    folder = write(own(counts={"ConfigMap": 2, "Namespace": 1}), api=api)
    assert run(folder).exit_code == 0
    wrong = run(write(own(counts={"ConfigMap": 3}), api=api))
    assert wrong.exit_code == 1
    assert "own.yaml:" in wrong.stdout
    assert "counts.ConfigMap" in wrong.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ({"objects": [{"kind": "ConfigMap", "metadata": {"name": "zone-b"}, "data": {"last": "here"}}]}, "zone-c"),
        ({"status": {"status": "Available"}}, "Unavailable"),
        ({"files": ["dependencies/static/baseline-dependencies.yaml", "instance/a.yaml", "instance/b.yaml"]}, "x"),
    ],
    ids=["objects", "status", "files"],
)
def test_each_expectation_that_is_wrong_is_told(write: Write, right: Mapping[str, Any], wrong: str) -> None:
    assert run(write(own(**right))).exit_code == 0, run(write(own(**right))).output
    (key, value), *_ = right.items()
    spoiled = yaml.safe_load(
        yaml.safe_dump({key: value})
        .replace("zone-b", wrong)
        .replace("Available", wrong)
        .replace("instance/a.yaml", wrong)
    )
    assert run(write(own(**spoiled))).exit_code == 1


@pytest.mark.slow
def test_golden_folders_hold_what_the_promise_brings(write: Write) -> None:
    folder = write(own(golden="baseline"))
    assert run(folder).exit_code == 1
    assert run(folder, "--update").exit_code == 0
    assert run(folder).exit_code == 0
    written = {path.name for path in (folder / "tests" / "golden" / "baseline").rglob("*.yaml")}
    assert written == {"a.yaml", "b.yaml", "baseline-dependencies.yaml"}


def test_a_failure_of_its_own_templates_is_expected_like_any_other(write: Write) -> None:
    template = OWN + "{{ fail('no zone ' ~ item) }}\n"
    assert run(write(own(failure={"reason": "Refused", "message": "no zone a"}), template=template)).exit_code == 0
    failed = run(write(own(counts={}), template=template))
    assert failed.exit_code == 1
    assert "no zone a" in failed.stdout


@pytest.mark.slow
def test_coverage_counts_its_own_templates_and_no_others_of_that_name(write: Write) -> None:
    covered = run(write(own(counts={"ConfigMap": 2})))
    assert "coverage: 100 %" in covered.stdout
    half = run(write(own(counts={"ConfigMap": 1}), zones=["a"]))
    assert "never taken: line" in half.stdout
    with_api = run(write(own(counts={"ConfigMap": 2}), api=True))
    assert "coverage: 100 %" not in with_api.stdout  # no case asks for a request
    request = {"name": "request", "request": {"spec": {}}, "expect": {"counts": {"Secret": 1}}}
    assert "coverage: 100 %" in run(write(own(counts={"ConfigMap": 2}), request, api=True)).stdout


def test_without_any_case_it_is_held_against_what_every_promise_promises(write: Write) -> None:
    assert run(write()).exit_code == 0
    failed = run(write(template=OWN + "x: {{ promise.spec.nothing }}\n"))
    assert failed.exit_code == 1
    assert "renders" in failed.stdout
    assert "nothing" in failed.stdout
    invalid = run(write(template=OWN.replace("team: {{ promise.metadata.labels.team }}", "team: {a: b}")))
    assert invalid.exit_code == 1
    assert "valid-objects" in invalid.stdout
    assert "data.team" in invalid.stdout


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"name": "a", "promise": False, "expect": {"counts": {}}}, "is false"),
        ({"name": "a", "promise": "yes", "expect": {"counts": {}}}, "promise"),
        ({"name": "a", "promise": True, "request": {}, "expect": {"counts": {"A": 1}}}, "stands beside promise"),
        ({"name": "a", "promise": True, "steps": []}, "stands beside promise"),
        ({"name": "a", "promise": True}, "expects nothing"),
        ({"name": "a", "promise": True, "expect": {"refused": True}}, "is for requests"),
        ({"name": "a", "promise": True, "expect": {"changed": "nothing"}}, "is for requests"),
        ({"name": "a", "request": {}, "expect": {"counts": {"A": 1}}}, "has no spec.api"),
    ],
    ids=["false", "text", "request", "steps", "nothing", "refused", "changed", "no-api"],
)
def test_what_cannot_be_meant_is_refused_with_its_line(write: Write, case: Any, words: str) -> None:
    (problem,) = read_suites(load_home(write(case)))[1]
    assert problem.line is not None
    assert words in str(problem)
    assert run(write(case)).exit_code == 2
