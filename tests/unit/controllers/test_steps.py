"""The steps of one workflow are run by the runners of their kinds, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from troth.api import Key
from troth.api.container_pipelines import Container, ContainerPipeline
from troth.api.pipelines import JinjaPipeline, Pipeline
from troth.controllers.steps import Runners, Visit, Workflow, run_steps
from troth.engine.rendering.render import RenderContext, Rendered
from troth.engine.workflow.outcomes import Kept, Running, StepOutcome
from troth.engine.workflow.outputs import WorkflowOutput
from troth.engine.workflow.progress import Progress, StepAction

NOW = "2026-01-01T00:00:00Z"


@dataclass
class Runner:
    """Answers for one kind of steps; those that were started before `done` are still running."""

    repeatable: bool
    done: frozenset[str] = frozenset()
    at_once: int = 100
    asked: list[tuple[list[str], list[StepAction], Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    async def run(self, steps: Sequence[Any], visit: Visit) -> Sequence[StepOutcome]:
        actions = [visit.actions[step.name] for step in steps]
        self.asked.append(([step.name for step in steps], actions, visit.status.get("said")))
        found: list[StepOutcome] = []
        for step, action in list(zip(steps, actions, strict=True))[: self.at_once]:
            if action == "keep":
                found.append(Kept(step.name))
            elif self.repeatable or step.name in self.done:
                found.append(Rendered(step.name, status={"said": step.name}))
            else:
                return [*found, Running(step.name)]
        return found

    async def leave(self, workflow: Workflow) -> None:
        self.left.append(workflow.action)


def jinja(name: str) -> Pipeline:
    return JinjaPipeline(name)


def containers(name: str) -> Pipeline:
    return ContainerPipeline(name, (Container("one", "image"),))


def recorded(**phases: str) -> dict[str, Any]:
    entries = [{"name": name, "phase": phase, "hash": "h"} for name, phase in phases.items()]
    return {"kratix": {"workflows": {"pipelines": entries}}}


def run(
    pipelines: Sequence[Pipeline], templates: Runner, slow: Runner, status: dict[str, Any] | None = None
) -> tuple[WorkflowOutput, Progress]:
    runners: Runners = {JinjaPipeline: templates, ContainerPipeline: slow}
    workflow = Workflow(
        key=Key("things", "team", "one"),
        pipelines=tuple(pipelines),
        context=RenderContext(promise={}, request=None),
        source="resource-workflow",
        status=status or {},
        hash="h",
    )
    return asyncio.run(run_steps(workflow, runners, now=NOW))


def test_consecutive_pipelines_of_templates_are_rendered_together() -> None:
    templates, slow = Runner(repeatable=True), Runner(repeatable=False)
    output, _ = run([jinja("a"), jinja("b"), jinja("c")], templates, slow)
    assert [names for names, _, _ in templates.asked] == [["a", "b", "c"]]
    assert slow.asked == []
    assert [each.pipeline for each in output.outputs] == ["a", "b", "c"]


def test_nothing_behind_a_step_that_is_running_is_started() -> None:
    templates, slow = Runner(repeatable=True), Runner(repeatable=False)
    output, progress = run([jinja("a"), containers("b"), jinja("c")], templates, slow)
    assert [names for names, _, _ in templates.asked] == [["a"]]
    assert output.running == progress.running == Running("b")


def test_a_step_finds_in_the_status_what_those_before_it_said() -> None:
    templates, slow = Runner(repeatable=True), Runner(repeatable=False, done=frozenset({"b"}))
    run([jinja("a"), containers("b"), jinja("c")], templates, slow, {"said": "before"})
    assert templates.asked[0][2] == "before"
    assert slow.asked == [(["b"], ["run"], "a")]
    assert templates.asked[1] == (["c"], ["run"], "b")


def test_containers_that_ended_are_kept_and_the_templates_around_them_rendered_again() -> None:
    templates, slow = Runner(repeatable=True), Runner(repeatable=False)
    status = recorded(a="Succeeded", b="Succeeded", c="Succeeded")
    output, _ = run([jinja("a"), containers("b"), jinja("c")], templates, slow, status)
    assert slow.asked[0][1] == ["keep"]
    assert [(each.pipeline, each.kept) for each in output.outputs] == [("a", False), ("b", True), ("c", False)]


def test_a_runner_that_answers_for_one_step_is_asked_for_the_next() -> None:
    templates = Runner(repeatable=True)
    slow = Runner(repeatable=False, done=frozenset({"a", "b"}), at_once=1)
    output, _ = run([containers("a"), containers("b")], templates, slow)
    assert [names for names, _, _ in slow.asked] == [["a", "b"], ["b"]]
    assert not output.stopped


def test_a_step_that_was_started_is_observed_after_a_restart() -> None:
    templates, slow = Runner(repeatable=True), Runner(repeatable=False, done=frozenset({"b"}))
    status = recorded(a="Succeeded", b="Running", c="Pending")
    output, progress = run([containers("a"), containers("b"), containers("c")], templates, slow, status)
    assert slow.asked[0][1] == ["keep", "observe", "run"]
    assert output.running == Running("c")
    assert set(progress.held) == {"a", "b"}


class Beginning(Runner):
    """Begins the seventh run of each step."""

    async def run(self, steps: Sequence[Any], visit: Visit) -> Sequence[StepOutcome]:
        del visit
        return [Running(steps[0].name, begins=7)]


def test_the_number_of_a_run_that_begins_replaces_the_recorded_one_and_those_of_others_stay() -> None:
    status = recorded(a="Succeeded", b="Pending")
    status["troth"] = {"runs": {"a": 3, "b": 6}}
    slow = Runner(repeatable=False, done=frozenset({"a"}))
    _, progress = run([containers("a"), containers("b")], Runner(repeatable=True), slow, status)
    assert progress.runs == {"a": 3, "b": 6}
    _, progress = run([containers("b")], Runner(repeatable=True), Beginning(repeatable=False), status)
    assert progress.runs["b"] == 7
