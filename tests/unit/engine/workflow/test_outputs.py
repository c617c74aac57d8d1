"""What a workflow of several steps comes to, whatever kinds they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from troth.engine.failure import Failure
from troth.engine.rendering.render import Control, Rendered, RenderedFile
from troth.engine.status.author import AuthorStatus
from troth.engine.status.facts import PipelineFacts
from troth.engine.workflow.outcomes import Kept, Running, StepOutcome, Suspended
from troth.engine.workflow.outputs import WorkflowOutput, judge_outcomes, status_left, workflow_facts
from troth.engine.workflow.progress import Progress, StepRecord

NOW = "2026-01-01T00:00:00Z"


def judge(*outcomes: StepOutcome) -> WorkflowOutput:
    return judge_outcomes(outcomes, selectors={}, source="resource-workflow", now=NOW)


def rendered(name: str, **status: Any) -> Rendered:
    return Rendered(name, files=(RenderedFile("a.yaml", b"a: 1\n"),), status=status)


class Ran:
    """A run of three steps."""

    pipelines = ("a", "b", "c")

    def __init__(self, output: WorkflowOutput) -> None:
        self.outputs = output.outputs
        self.failure = output.failure
        self.author = output.author


def report(output: WorkflowOutput, progress: Progress) -> list[tuple[str, str, str, str]]:
    facts = workflow_facts(Ran(output), {}, generation=1, progress=progress)
    return [(each.name, each.phase, each.message, each.hash) for each in facts.pipelines]


def test_a_step_that_has_not_ended_stops_the_workflow_without_a_failure() -> None:
    found = judge(rendered("a", color="red"), Running("b", "its image is being pulled"), rendered("c"))
    assert [output.pipeline for output in found.outputs] == ["a"]
    assert (found.failure, found.running, found.stopped) == (None, Running("b", "its image is being pulled"), True)
    assert found.author.fields == {"color": "red"}
    assert report(found, Progress("h", running=found.running)) == [
        ("a", "Succeeded", "", "h"),
        ("b", "Running", "its image is being pulled", "h"),
        ("c", "Pending", "", ""),
    ]


def test_a_workflow_with_a_running_step_is_pending() -> None:
    found = judge(rendered("a"), Running("b"))
    facts = workflow_facts(Ran(found), {}, generation=1, progress=Progress("h", running=found.running))
    assert facts.state == "Pending"


def test_a_suspended_step_says_what_a_suspended_template_says() -> None:
    found = judge(rendered("a"), Suspended("b", "waits for approval", None, {"stage": 2}), rendered("c"))
    assert found.stopped
    assert found.author.fields == {"stage": 2}
    assert report(found, Progress("h")) == [
        ("a", "Succeeded", "", "h"),
        ("b", "Suspended", "waits for approval", "h"),
        ("c", "Pending", "", ""),
    ]
    template = judge(rendered("a"), Rendered("b", control=Control(True, "waits for approval", None)))
    assert report(template, Progress("h")) == report(found, Progress("h"))


def test_a_step_that_is_kept_counts_as_ended_and_produces_nothing_anew() -> None:
    found = judge(Kept("a"), rendered("b"), Kept("c"))
    assert [(output.pipeline, output.kept) for output in found.outputs] == [("a", True), ("b", False), ("c", True)]
    assert not found.stopped
    assert [phase for _, phase, _, _ in report(found, Progress("h"))] == ["Succeeded"] * 3


def test_what_a_kept_step_has_said_stays_and_a_key_of_the_operators_is_refused() -> None:
    found = judge(Kept("a", {"url": "https://a.example.com"}), Kept("b"))
    assert found.author.fields == {"url": "https://a.example.com"}
    refused = judge(Kept("a", {"kratix": {}}), Kept("b"))
    assert isinstance(refused.failure, Failure)
    assert (refused.failure.reason, refused.failure.pipeline) == ("InvalidStatus", "a")


def test_what_a_suspended_step_may_not_say_is_a_failure() -> None:
    found = judge(Suspended("a", status={"kratix": {}}))
    assert found.failure is not None
    assert found.failure.reason == "InvalidStatus"


def test_a_record_that_stands_is_reported_although_templates_in_front_of_it_failed() -> None:
    found = judge(Failure("TemplateTimeout", "took too long", pipeline="a"))
    held = {"b": StepRecord("b", "Succeeded", "h")}
    assert [entry[:2] for entry in report(found, Progress("h", held=held))] == [
        ("a", "Failed"),
        ("b", "Succeeded"),
        ("c", "Pending"),
    ]


def test_a_later_step_finds_in_the_status_what_earlier_ones_left() -> None:
    status = {"color": "blue", "other": 1, "conditions": [{"type": "Ready", "status": "False"}]}
    said = AuthorStatus({"color": "red"}, ({"type": "Made", "status": "True", "reason": "Made", "message": ""},))
    left = status_left(status, said, now=NOW)
    assert (left["color"], left["other"]) == ("red", 1)
    assert [condition["type"] for condition in left["conditions"]] == ["Ready", "Made"]
    assert status["color"] == "blue"


def entry(name: str, output: WorkflowOutput, progress: Progress) -> PipelineFacts:
    """What is reported of one step."""
    return next(
        each
        for each in workflow_facts(Ran(output), {}, generation=1, progress=progress).pipelines
        if each.name == name
    )


def test_the_attempts_of_a_step_stay_while_it_runs_again_and_go_when_it_succeeds() -> None:
    progress = Progress("h", attempts={"b": 2})
    running = judge(rendered("a"), Running("b"))
    assert entry("b", running, replace(progress, running=running.running)).attempts == 2
    assert entry("b", judge(rendered("a"), Kept("b")), progress).attempts == 0
    failed = judge(rendered("a"), Failure("ContainerFailed", "broken", pipeline="b"))
    assert entry("b", failed, progress).attempts == 2


def test_a_step_that_asks_for_another_run_is_suspended_until_then_whatever_kind_it_is() -> None:
    recorded = {"b": StepRecord("b", "Running", "h", attempts=1)}
    for asks in (
        Suspended("b", "waits for a volume", 600.0),
        Rendered("b", control=Control(False, "waits for a volume", 600.0)),
    ):
        found = judge_outcomes([asks], selectors={}, source="resource-workflow", now=NOW, started=recorded)
        fact = entry("b", found, Progress("h", attempts={"b": 1}))
        assert (fact.phase, fact.attempts, fact.retry_at) == ("Suspended", 2, "2026-01-01T00:10:00Z")


def test_a_step_that_asks_after_its_last_attempt_has_failed_whatever_kind_it_is() -> None:
    recorded = {"b": StepRecord("b", "Running", "h", attempts=2)}
    for asks in (
        Suspended("b", "waits for a volume", 600.0, max_attempts=3),
        Rendered("b", control=Control(False, "waits for a volume", 600.0, 3)),
    ):
        found = judge_outcomes([asks], selectors={}, source="resource-workflow", now=NOW, started=recorded)
        fact = entry("b", found, Progress("h", attempts={"b": 2}))
        assert (fact.phase, fact.attempts, fact.retry_at) == ("Failed", 3, "")
        assert "3 attempts" in fact.message
        assert "waits for a volume" in fact.message


def test_a_record_that_stands_keeps_the_time_and_the_number_of_its_retry() -> None:
    held = {"b": StepRecord("b", "Suspended", "h", "waits", "2026-01-01T00:10:00Z", attempts=2)}
    found = judge(Failure("TemplateTimeout", "took too long", pipeline="a"))
    fact = entry("b", found, Progress("h", held=held))
    assert (fact.phase, fact.retry_at, fact.attempts) == ("Suspended", "2026-01-01T00:10:00Z", 2)
