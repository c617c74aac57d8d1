"""When a workflow that has not ended is looked at again."""

from __future__ import annotations

from datetime import datetime

from troth.controllers.result import After
from troth.controllers.workflow import Produced, Run, after_run
from troth.engine.rendering.render import Control
from troth.engine.status.author import AuthorStatus
from troth.engine.workflow.retries import NextRun

DUE = "2026-03-01T08:10:00Z"


def seconds_at(now: str) -> float:
    """In how many seconds a step that is due at `DUE` is run again, if its outcome is known at another time."""
    output = Produced("p", (), Control(False, "", 600.0), next_run=NextRun(DUE, 1))
    result = after_run(Run(("p",), (output,), None, AuthorStatus()), now=datetime.fromisoformat(now).timestamp())
    assert isinstance(result, After)
    return result.seconds


def test_a_retry_is_due_when_its_record_says_so_and_not_later_because_the_operator_was_restarted() -> None:
    assert seconds_at("2026-03-01T08:00:00Z") == 600
    assert seconds_at("2026-03-01T08:07:00Z") == 180


def test_a_retry_that_was_due_while_no_operator_ran_begins_in_a_moment() -> None:
    assert 0 < seconds_at("2026-03-01T09:00:00Z") <= 1
