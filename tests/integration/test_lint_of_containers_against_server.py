"""What lint says that Kubernetes refuses in a pipeline of containers, a real API server refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.authoring.lint.test_lint_containers import MISTAKES, WHOLE, changed, written
from troth.api.objects import read_promise
from troth.api.resources import Resource
from troth.engine.jobs.declared import container_steps
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.runs import PodSettings
from troth.kube import ApiError, Client

pytestmark = pytest.mark.integration

THINGS = Resource("example.com", "v1", "things", "Thing")
REFUSED = [(path, value) for code, path, value, _ in MISTAKES if code == "T401"]


async def refusal(client: Client, pipeline: Any, namespace: str) -> str:
    """What the API server says against the objects of a run; empty when it accepts all of them."""
    promise = written(pipeline)
    (step,) = container_steps(promise)
    request = {
        "metadata": {"name": "cache", "namespace": namespace, "uid": "11111111-2222-3333-4444-555555555555"}
    }
    run = step.run_for(THINGS, request, read_promise(promise), namespace=namespace, specs="abc")
    said: list[str] = []
    for resource, obj in make_objects(run, PodSettings(image="registry.example.com/troth:1")).in_order:
        try:
            await client.apply(resource, obj, dry_run=True)
        except ApiError as error:
            said.append(f"{resource.kind}: {error.message}")
    return "; ".join(said)


async def test_the_pipeline_without_a_mistake_is_accepted(client: Client, namespace: str) -> None:
    assert await refusal(client, WHOLE, namespace) == ""


@pytest.mark.parametrize(("path", "value"), REFUSED, ids=[f"{path}={value}" for path, value in REFUSED])
async def test_a_mistake_that_lint_calls_a_refusal_is_refused(
    client: Client, namespace: str, path: str, value: Any
) -> None:
    assert await refusal(client, changed(path, value), namespace) != ""
