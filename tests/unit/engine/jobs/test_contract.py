"""What a run's Pod says to the operator's own programs in it is what these understand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.unit.engine.jobs.sample import PROMISE_RUN, RUN, SEPARATE_RUN, container_of
from troth.adapter.__main__ import main
from troth.adapter.subject import Subject, read_subject
from troth.adapter.works import PipelineRun as WorkRun
from troth.engine.jobs.runs import PipelineRun

RUNS = [RUN, SEPARATE_RUN, PROMISE_RUN, *(replace(run, action="delete") for run in (RUN, PROMISE_RUN))]


def environment(container: Any) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", ["reader", "status-writer"])
def test_a_program_finds_the_object_of_its_run_in_the_environment(name: str, run: PipelineRun) -> None:
    assert read_subject(environment(container_of(run, name))) == Subject(
        promise=run.promise,
        resource=run.resource,
        name=run.name,
        namespace=run.object_namespace,
        action=run.action,
        workflow_type=run.type,
        pipeline=run.pipeline.name,
    )


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", ["reader", "status-writer"])
def test_a_program_takes_its_arguments_and_lacks_only_an_api_server(
    name: str, run: PipelineRun, capsys: pytest.CaptureFixture[str]
) -> None:
    container = container_of(run, name)
    words: list[str] = [*container["command"], *container.get("args", [])]
    assert words[:2] == ["troth", "adapter"]
    assert main(words[2:], environment(container)) == 2
    assert "KUBERNETES_SERVICE_HOST" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("run", "resource", "elsewhere"),
    [(RUN, "cache", ""), (SEPARATE_RUN, "cache", "team-a"), (PROMISE_RUN, "", "")],
)
def test_the_work_is_of_the_run_and_in_the_namespace_of_its_pod(
    run: PipelineRun, resource: str, elsewhere: str
) -> None:
    container = container_of(run, "status-writer")
    namespace = dict(pairwise(container["args"]))["--namespace"]
    work = WorkRun.of(read_subject(environment(container)), namespace)
    assert (work.promise, work.pipeline, work.workflow_type) == (run.promise, run.pipeline.name, run.type)
    assert (work.namespace, work.resource, work.elsewhere) == (run.namespace, resource, elsewhere)
