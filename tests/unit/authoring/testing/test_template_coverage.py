"""Template coverage: each line and branch that a rendering reaches, and none that it does not."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.documents import ROOT
from tests.unit.engine import pipelines as engine
from troth.authoring.home import Home, load_home
from troth.authoring.input_files import read_objects
from troth.authoring.rendering.requests import Requests
from troth.authoring.testing.coverage import CoverageReport, FileCoverage, TemplateCoverage
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.rendering.coverage import CoveringEnvironment
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Rendered, render_pipeline

PROMISE = """\
apiVersion: platform.kratix.io/v1alpha1
kind: Promise
metadata: {name: thing}
spec:
  api:
    apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {name: things.example.com}
    spec:
      group: example.com
      names: {kind: Thing, plural: things}
      scope: Namespaced
      versions:
      - name: v1
        served: true
        storage: true
        schema:
          openAPIV3Schema:
            type: object
            properties:
              spec:
                type: object
                x-kubernetes-preserve-unknown-fields: true
  workflows:
    resource:
      configure:
      - apiVersion: troth.dev/v1alpha1
        kind: JinjaPipeline
        metadata: {name: main}
        spec:
          values:
            mode: "{{ 'big' if spec.ha else 'small' }}"
          partials:
            labels: {from: templates/labels.j2}
          files:
          - path: thing.yaml
            template: {from: templates/thing.yaml.j2}
          - path: extra.yaml
            when: "{{ spec.extra }}"
            template: |
              a: 1

              b: 2
          - path: "{{ item }}.yaml"
            forEach: "{{ spec.users | default([]) }}"
            template: |
              user: {{ item }}
"""
THING = """\
{% from "labels" import labels, unused %}
{% if spec.ha %}
ha: true
{% elif spec.old %}
old: true
{% endif %}
users:
{% for user in spec.users %}
- {{ user }}
{% else %}
  []
{% endfor %}
{{ labels() }}
{% if spec.bad %}
  {{ fail("no") }}
{% endif %}
end: {{ mode }}
"""
LABELS = """\
{% macro labels() %}
labels: 1
{% endmacro %}
{% macro unused() %}
never: 1
{% endmacro %}
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "templates").mkdir()
    (tmp_path / "promise.yaml").write_text(PROMISE)
    (tmp_path / "templates" / "thing.yaml.j2").write_text(THING)
    (tmp_path / "templates" / "labels.j2").write_text(LABELS)
    return load_home(tmp_path)


def measured(home: Home, *specs: Mapping[str, Any]) -> CoverageReport:
    coverage = TemplateCoverage(home)
    with BoundedWorker(coverage=True) as worker:
        requests = Requests(home, destinations=None)
        for spec in specs:
            request = {
                "apiVersion": "example.com/v1",
                "kind": "Thing",
                "metadata": {"name": "a"},
                "spec": dict(spec),
            }
            requests.render_with(worker.render_now, request)
        coverage.observe(worker.hits())
    return coverage.report()


def file_of(report: CoverageReport, name: str) -> FileCoverage:
    return next(file for file in report.files if file.path.name == name)


def words(file: FileCoverage) -> list[str]:
    return [str(branch) for branch in file.missed_branches]


SMALL: dict[str, Any] = {"ha": False, "old": False, "users": [], "bad": False, "extra": False}


def test_what_no_case_reached_is_said_in_lines_of_the_authors_files(home: Home) -> None:
    report = measured(home, SMALL)
    thing = file_of(report, "thing.yaml.j2")
    assert thing.missed_lines == (3, 5, 9, 15)
    assert words(thing) == [
        "line 2: the body of if spec.ha",
        "line 4: the body of if spec.old",
        "line 8: the loop body",
        "line 14: the body of if spec.bad",
    ]
    assert file_of(report, "labels.j2").missed_lines == (5,)
    assert words(file_of(report, "labels.j2")) == ["line 4: the macro unused"]
    promise = file_of(report, "promise.yaml")
    lines = PROMISE.splitlines()
    assert [lines[line - 1].strip() for line in promise.missed_lines] == [
        "a: 1",
        "b: 2",
        '- path: "{{ item }}.yaml"',
        "user: {{ item }}",
    ]
    assert [branch.words for branch in promise.missed_branches] == [
        "the value if spec.ha",
        "when is true",
        "an item of forEach",
    ]


def test_nothing_is_covered_by_no_case(home: Home) -> None:
    report = measured(home)
    assert report.percent == 0
    for file in report.files:
        assert file.missed_lines == file.lines
        assert file.missed_branches == file.branches


def test_cases_add_up_to_everything(home: Home) -> None:
    cases = [
        SMALL,
        {**SMALL, "ha": True, "users": ["x"], "extra": True},
        {**SMALL, "old": True},
        {**SMALL, "bad": True},
    ]
    (home.folder / "templates" / "labels.j2").write_text(LABELS.split("{% macro unused")[0])
    thing = home.folder / "templates" / "thing.yaml.j2"
    thing.write_text(THING.replace(", unused", ""))
    report = measured(load_home(home.folder), *cases)
    assert report.as_text() == "coverage: 100 % of the templates' lines and branches (35 of 35)\n"
    assert report.percent == 100


def test_what_stands_behind_a_failure_is_not_covered(home: Home) -> None:
    thing = file_of(measured(home, {**SMALL, "bad": True}), "thing.yaml.j2")
    assert 15 in thing.lines
    assert 15 not in thing.missed_lines
    assert 17 in thing.missed_lines
    assert "line 14: else of if spec.bad" in words(thing)


def test_lcov_counts_what_the_report_counts(home: Home) -> None:
    report = measured(home, SMALL)
    for file, text in zip(report.files, report.as_lcov().split("end_of_record\n"), strict=False):
        lines = text.splitlines()
        assert lines[:2] == ["TN:", f"SF:{file.path}"]
        assert f"LF:{len(file.lines)}" in lines
        assert f"LH:{len(file.lines) - len(file.missed_lines)}" in lines
        assert sum(line.startswith("BRDA:") and line.endswith(",1") for line in lines) == len(file.branches) - len(
            file.missed_branches
        )
        assert {
            int(line[3:].split(",")[0]) for line in lines if line.startswith("DA:") and line.endswith(",0")
        } == set(file.missed_lines)


def test_the_text_says_what_to_reach(home: Home) -> None:
    text = measured(home, SMALL).as_text()
    assert "thing.yaml.j2" in text
    assert "    not reached: lines 3, 5, 9, 15\n" in text
    assert "    never taken: line 4: the body of if spec.old\n" in text


TEMPLATES = [
    "a: {{ 1 if spec.size == 'small' else 2 }}{% set x %}b{% endset %}\nc: {{ x }}",
    (
        "{% for d in spec.databases if d.name != 'x' %}{{ loop.index }}: {{ d.name }}\n"
        "{% if loop.last %}{% break %}{% endif %}{% endfor %}"
    ),
    (
        "{% macro m(a, b=1 if spec.size else 2) %}x: [{{ a }}, {{ b }}{{ caller() }}]{% endmacro %}"
        "{% call m(3) %}, {{ name }}{% endcall %}"
    ),
    "{%- if not spec.size -%} a {%- elif spec.size is defined and (1 if name else 0) -%} a: 1 {%- endif %}",
    "{% filter upper %}a: {{ name if name }}{% endfilter %}\n{% with q = [1, 2] %}b: {{ q }}{% endwith %}",
    "{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}n: {{ ns.n }}",
    (
        "{% for x in [1, [2, 3]] recursive %}{% if x is iterable %}{{ loop(x) }}"
        "{% else %}- {{ x }}\n{% endif %}{% endfor %}"
    ),
    "a: {{ spec.nothing }}",
    "a: 1\n{% if spec.nothing.deep %}b{% endif %}",
    "{% block one %}a: {{ self.two() }}{% endblock %}{% block two %}{% if spec.size %}2{% endif %}{% endblock %}",
]


@pytest.mark.parametrize("template", TEMPLATES, ids=range(len(TEMPLATES)))
def test_measuring_changes_nothing_of_what_is_rendered(template: str) -> None:
    pipeline = engine.pipeline(template, partials={"p": "x"})
    plain = engine.render(pipeline)
    environment = CoveringEnvironment()
    environment.recorder.pipeline = "main"
    covered = render_pipeline(pipeline, engine.context(), limits=Limits(), nonce="abc123", environment=environment)
    assert covered == plain
    outline = environment.outline(template)
    assert outline.lines
    if isinstance(plain, Rendered):
        known = {point for points in outline.lines.values() for point in points}
        known |= {branch.point for branch in outline.branches}
        assert {point for _, _, point in environment.recorder.take()} <= known
        assert environment.recorder.take() == []


def test_a_failure_has_the_same_words_when_coverage_is_measured(home: Home) -> None:
    thing = home.folder / "templates" / "thing.yaml.j2"
    thing.write_text(textwrap.dedent("a: 1\n{% if spec.nothing %}\nb: 1\n{% endif %}\n"))
    again = load_home(home.folder)
    complaints = []
    for coverage in (False, True):
        with BoundedWorker(coverage=coverage) as worker:
            requests = Requests(again, destinations=None)
            request = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": SMALL}
            complaints.append(requests.render_with(worker.render_now, request).complaint)
    assert complaints[0] == complaints[1]
    assert "thing.yaml.j2:2" in complaints[0]


def test_included_and_extended_partials_are_covered_where_they_are_written(home: Home) -> None:
    base = "a: 1\n{% block more %}\nb: 1\n{% endblock %}\n{% include 'part' %}\n"
    base += "{% block other %}\nd: 1\n{% endblock %}\n"
    part = "{% if spec.ha %}\nc: 1\n{% endif %}\n"
    thing = "{% extends 'base' %}\n{% block more %}\nb: {{ 2 if spec.ha else 3 }}\n{% endblock %}\n"
    templates = home.folder / "templates"
    for name, text in (("base.j2", base), ("part.j2", part), ("thing.yaml.j2", thing)):
        (templates / name).write_text(text)
    text = PROMISE.replace(
        "labels: {from: templates/labels.j2}",
        "base: {from: templates/base.j2}\n            part: {from: templates/part.j2}",
    )
    (home.folder / "promise.yaml").write_text(text)
    report = measured(load_home(home.folder), {**SMALL, "ha": True})
    assert words(file_of(report, "thing.yaml.j2")) == ["line 3: the value unless spec.ha"]
    assert words(file_of(report, "part.j2")) == ["line 1: else of if spec.ha"]
    assert file_of(report, "part.j2").missed_lines == ()
    assert file_of(report, "base.j2").missed_lines == (3,)


def test_a_child_that_was_killed_loses_only_what_its_last_job_reached(home: Home) -> None:
    coverage = TemplateCoverage(home)
    with BoundedWorker(coverage=True) as worker:
        requests = Requests(home, destinations=None)
        for name in ("a", "b"):
            request = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name}, "spec": SMALL}
            requests.render_with(worker.render_now, request)
            before = worker.hits()
            worker.close()
            assert worker.hits() == before != frozenset()
        coverage.observe(worker.hits())
    assert file_of(coverage.report(), "thing.yaml.j2").missed_lines == (3, 5, 9, 15)


def test_what_is_measured_can_be_observed_in_parts(home: Home) -> None:
    whole, parts = TemplateCoverage(home), TemplateCoverage(home)
    with BoundedWorker(coverage=True) as worker:
        requests = Requests(home, destinations=None)
        for spec in (SMALL, {**SMALL, "ha": True}, {**SMALL, "users": ["x"]}):
            request = {
                "apiVersion": "example.com/v1",
                "kind": "Thing",
                "metadata": {"name": "a"},
                "spec": dict(spec),
            }
            requests.render_with(worker.render_now, request)
            parts.observe(worker.hits())
        whole.observe(worker.hits())
    assert whole.report() == parts.report()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["environment", "postgresql"])
def test_the_librarys_examples_render_the_same_when_coverage_is_measured(name: str) -> None:
    library = load_home(ROOT / "promises" / name)
    found = []
    for coverage in (False, True):
        with BoundedWorker(coverage=coverage) as worker:
            requests = Requests(library, destinations=None)
            found.append(
                [
                    requests.render_with(worker.render_now, request).files
                    for path in library.examples
                    for request in read_objects(path)
                ]
            )
    assert found[0] == found[1]
    assert any(found[0])
