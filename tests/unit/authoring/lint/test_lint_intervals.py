"""A reconciliation interval that does not count is told where it stands, in files and in the condition of a Promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.authoring.lint.linted import SPEC, promise
from troth.api.objects import read_promise
from troth.authoring.lint import lint
from troth.engine.lint_report import LintReport
from troth.engine.linting.intervals import add_interval
from troth.engine.yaml.manifests import dump_document

ANNOTATION = "kratix.io/reconciliation-interval"


def annotated(value: str) -> dict[str, object]:
    found = promise({"files": [{"path": "x.yaml", "template": "a: {{ spec.size }}"}]}, SPEC)
    found["metadata"]["annotations"] = {ANNOTATION: value}
    return found


@pytest.mark.parametrize("value", ["30s", "soon"])
def test_an_annotation_that_does_not_count_is_told_with_its_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "promise.yaml"
    path.write_text(dump_document(annotated(value)))
    [finding] = [finding for finding in lint(tmp_path) if finding.code == "T007"]
    assert value in finding.message
    assert ANNOTATION in path.read_text().split("\n")[finding.line - 1]


def test_an_annotation_that_counts_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "promise.yaml").write_text(dump_document(annotated("2h")))
    assert [finding for finding in lint(tmp_path) if finding.code == "T007"] == []


def test_the_report_of_the_operator_has_it_as_soon_as_there_is_one() -> None:
    seen = read_promise(annotated("30s"))
    assert add_interval(None, seen) is None
    report = add_interval(LintReport(unfinished="a worker ended"), seen)
    assert report is not None
    assert (report.count, report.errors[0].code, report.unfinished) == (1, "T007", "a worker ended")
    without = replace(seen, metadata=replace(seen.metadata, annotations={}))
    assert add_interval(LintReport(), without) == LintReport()
