"""What a pod reports is read back as it was written, and whatever else stands in its place is no report."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from troth.api.step_reports import StepReport, read_step_report, reported_status

FIELDS = ("statusKeys", "conditionTypes", "suspend", "message", "retryAfter", "maxAttempts", "statusMessage")

_texts = st.lists(st.text(min_size=1, max_size=4), max_size=3).map(tuple)
_reports = st.builds(
    StepReport,
    *(_texts, _texts, st.booleans(), st.text(max_size=4), st.sampled_from(["", "10m"])),
    *(st.integers(0, 9), st.text(max_size=4)),
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "type"]), inner, max_size=3),
    max_leaves=6,
)


@given(report=_reports)
def test_a_report_is_read_back_as_it_was_written(report: StepReport) -> None:
    status = {"troth": {"workflows": {"delete": {"p": report.as_status()}}}}
    assert read_step_report(status, "delete", "p") == report
    assert read_step_report(status, "configure", "p") == read_step_report(status, "delete", "q") == StepReport()


@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), _json),
    level=st.integers(0, 3),
    conditions=_json,
)
def test_whatever_stands_in_its_place_is_read_without_an_exception(
    fields: Any, level: int, conditions: Any
) -> None:
    status: Any = fields
    for name in ("p", "configure", "workflows", "troth")[level:]:
        status = {name: status}
    report = read_step_report(status, "configure", "p")
    assert all(isinstance(key, str) for key in (*report.status_keys, *report.condition_types))
    assert isinstance(report.suspend, bool)
    reported_status({**status, "conditions": conditions}, report)
