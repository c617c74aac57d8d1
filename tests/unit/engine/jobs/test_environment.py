"""What a container of a pipeline finds in its environment: Kratix's contract, variable by variable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.engine.jobs.sample import PROMISE_RUN, RUN, SEPARATE_RUN, container_of, with_pipeline
from troth.api.container_pipelines import Container
from troth.engine.jobs.runs import PipelineRun


def variables(run: PipelineRun, container: str = "first") -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container_of(run, container)["env"]}


def test_the_action_is_configure_or_delete() -> None:
    assert variables(RUN)["KRATIX_WORKFLOW_ACTION"] == "configure"
    assert variables(replace(RUN, action="delete"))["KRATIX_WORKFLOW_ACTION"] == "delete"


def test_the_type_is_resource_or_promise() -> None:
    assert variables(RUN)["KRATIX_WORKFLOW_TYPE"] == "resource"
    assert variables(PROMISE_RUN)["KRATIX_WORKFLOW_TYPE"] == "promise"


def test_the_promise_and_the_pipeline_are_named() -> None:
    found = variables(RUN)
    assert (found["KRATIX_PROMISE_NAME"], found["KRATIX_PIPELINE_NAME"]) == ("redis", "instance")


def object_of(run: PipelineRun) -> tuple[Any, ...]:
    found = variables(run)
    return tuple(found[f"KRATIX_OBJECT_{part}"] for part in ("KIND", "GROUP", "VERSION", "NAME", "NAMESPACE"))


@pytest.mark.parametrize("run", [RUN, SEPARATE_RUN])
def test_the_object_of_a_resource_workflow_is_the_request(run: PipelineRun) -> None:
    assert object_of(run) == ("Redis", "marketplace.kratix.io", "v1alpha1", "cache", "team-a")


def test_the_object_of_a_promise_workflow_is_the_promise_and_has_no_namespace() -> None:
    assert object_of(PROMISE_RUN) == ("Promise", "platform.kratix.io", "v1alpha1", "redis", "")


def test_the_plural_is_that_of_the_api_or_promises() -> None:
    assert variables(RUN)["KRATIX_CRD_PLURAL"] == "redises"
    assert variables(PROMISE_RUN)["KRATIX_CRD_PLURAL"] == "promises"


def test_requests_are_namespaced_and_promises_are_not() -> None:
    assert variables(RUN)["KRATIX_CLUSTER_SCOPED"] == "false"
    assert variables(PROMISE_RUN)["KRATIX_CLUSTER_SCOPED"] == "true"


def test_a_dry_run_is_said_and_nothing_is_said_otherwise() -> None:
    assert variables(replace(RUN, dry_run=True))["KRATIX_DRY_RUN"] == "true"
    assert "KRATIX_DRY_RUN" not in variables(RUN)


def test_the_authors_variables_come_after_kratixs() -> None:
    names = [each["name"] for each in container_of(RUN, "first")["env"]]
    assert names[-1] == "A"
    assert all(name.startswith("KRATIX_") for name in names[:-1])


def test_of_two_variables_of_one_name_the_later_one_stays() -> None:
    env = (
        {"name": "A", "value": "1"},
        {"name": "KRATIX_PROMISE_NAME", "value": "mine"},
        {"name": "A", "value": "2"},
    )
    run = with_pipeline(RUN, containers=(Container(name="first", image="a", env=env),))
    names = [each["name"] for each in container_of(run, "first")["env"]]
    assert len(names) == len(set(names))
    assert (variables(run)["A"], variables(run)["KRATIX_PROMISE_NAME"]) == ("2", "mine")
    assert variables(run, "status-writer")["KRATIX_PROMISE_NAME"] == "redis"


@pytest.mark.parametrize("container", ["reader", "second", "status-writer"])
def test_every_container_finds_kratixs_variables(container: str) -> None:
    kratixs = {name for name in variables(RUN) if name.startswith("KRATIX_")}
    assert kratixs <= set(variables(RUN, container))


def test_status_writer_is_told_whether_its_pipeline_is_the_last() -> None:
    assert variables(RUN, "status-writer")["IS_LAST_PIPELINE"] == "true"
    assert variables(replace(RUN, last=False), "status-writer")["IS_LAST_PIPELINE"] == "false"
    assert "IS_LAST_PIPELINE" not in variables(RUN)


def test_status_writer_finds_the_trace_in_the_annotations_of_its_pod() -> None:
    found = {each["name"]: each.get("valueFrom") for each in container_of(RUN, "status-writer")["env"]}
    for variable, annotation in (
        ("KRATIX_TRACE_PARENT", "kratix.io/trace-parent"),
        ("KRATIX_TRACE_STATE", "kratix.io/trace-state"),
    ):
        assert found[variable] == {"fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
