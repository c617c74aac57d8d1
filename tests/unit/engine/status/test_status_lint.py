"""What lint said of a Promise stands in its status, and changes nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troth.api.conditions import find_condition
from troth.engine.admission.unfit import Unfit
from troth.engine.lint_report import LintError, LintReport
from troth.engine.status.facts import PromiseFacts
from troth.engine.status.patch import apply_patch, status_patch
from troth.engine.status.promise import promise_status

ERROR = LintError("T101", "instance/x.yaml:2", "the API has no spec.sise", "did you mean size?")


def settle(old: Mapping[str, Any], **facts: Any) -> Mapping[str, Any]:
    new = promise_status(old, PromiseFacts(1, **facts), now="2026-01-01T00:00:00Z")
    return apply_patch(old, status_patch(old, new) or {})


def linted(status: Mapping[str, Any]) -> tuple[str, str, str]:
    found = find_condition(status["conditions"], "Linted") or {}
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def test_errors_are_said_with_code_place_and_fix_and_the_promise_is_ready() -> None:
    status = settle({}, lint=LintReport((ERROR,), 1))
    assert linted(status) == (
        "False",
        "LintErrors",
        "instance/x.yaml:2: T101: the API has no spec.sise; did you mean size?",
    )
    assert status["troth"]["findings"] == [
        {
            "code": "T101",
            "place": "instance/x.yaml:2",
            "message": "the API has no spec.sise",
            "fix": "did you mean size?",
        }
    ]
    ready = find_condition(status["conditions"], "Ready") or {}
    assert (ready["status"], status["status"]) == ("True", "Available")


def test_many_errors_are_cut_short_and_counted() -> None:
    status = settle({}, lint=LintReport((ERROR,) * 10, 14))
    assert linted(status)[2].endswith("And 11 more: see status.troth.findings")
    assert len(status["troth"]["findings"]) == 10


def test_what_was_said_goes_when_it_is_mended() -> None:
    before = settle({}, lint=LintReport((ERROR,), 1))
    status = settle(before, lint=LintReport())
    assert linted(status)[:2] == ("True", "NoLintErrors")
    assert "findings" not in status["troth"]


def test_what_is_not_known_yet_changes_nothing() -> None:
    before = settle({}, lint=LintReport((ERROR,), 1))
    assert settle(before) == before
    assert linted(settle({})) == ("", "", "")


def test_what_was_not_finished_is_neither_right_nor_wrong() -> None:
    assert linted(settle({}, lint=LintReport(unfinished="too large"))) == (
        "Unknown",
        "LintUnfinished",
        "too large",
    )


def test_a_promise_without_errors_says_what_was_not_checked() -> None:
    report = LintReport(unknown="the pipeline resource.configure/shell runs in containers")
    status, reason, message = linted(settle({}, lint=report))
    assert (status, reason) == ("True", "NoLintErrors")
    assert message.endswith(". Not checked: the pipeline resource.configure/shell runs in containers")


def test_an_invalid_promise_says_nothing_of_lint() -> None:
    before = settle({}, lint=LintReport((ERROR,), 1))
    status = settle(before, problem="spec.api: is wrong")
    assert linted(status) == ("", "", "")
    assert "findings" not in status["troth"]


def test_requests_that_do_not_fit_are_counted_and_named_and_the_promise_stays_ready() -> None:
    misfits = tuple(Unfit("team", f"r{number}", "spec: Required value", number == 3) for number in range(5))
    status = settle({}, misfits=misfits)
    found = find_condition(status["conditions"], "RequestsFit") or {}
    assert (found["status"], found["reason"]) == ("False", "RequestsDoNotFit")
    assert found["message"].startswith("5 requests do not fit the API: team/r3 (spec: Required value), team/r0 ")
    assert "refuses every write of 1 of them" in found["message"]
    assert (find_condition(status["conditions"], "Ready") or {})["status"] == "True"
    assert find_condition(settle(status, misfits=None)["conditions"], "RequestsFit") == found
    assert find_condition(settle(status, misfits=())["conditions"], "RequestsFit") is None
