"""A real API server takes the objects of a run, by server-side apply, and a second look writes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from tests.unit.engine.jobs.sample import PROMISE_RUN, RUN, SETTINGS, asking, with_pipeline
from troth.api import labels as names
from troth.api.container_pipelines import Container
from troth.api.pod_options import PodOptions
from troth.controllers.job_starts import begin_job
from troth.engine.jobs.inputs import MOST_ANNOTATED, object_text
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.runs import PipelineRun
from troth.kube import Client

pytestmark = pytest.mark.integration

WHOLE = Container(
    name="first",
    image="registry.example.com/first:1",
    command=("sh", "-c"),
    args=("true",),
    env=(
        {"name": "A", "value": "1"},
        {"name": "KRATIX_PROMISE_NAME", "value": "mine"},
        {"name": "A", "value": "2"},
    ),
    env_from=({"secretRef": {"name": "s"}},),
    volume_mounts=({"name": "mine", "mountPath": "/mine"},),
    image_pull_policy="Always",
    security_context={"runAsUser": 1000},
    resources={"limits": {"cpu": "1"}},
)
OPTIONS = PodOptions(
    security_context={"fsGroup": 65532},
    affinity={
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]
            }
        }
    },
    runtime_class="gvisor",
    active_deadline=600,
)


def everything(run: PipelineRun, namespace: str) -> PipelineRun:
    """The run with whatever a pipeline can have and ask for."""
    return with_pipeline(
        asking(run, secrets=namespace, pods="", nodes="*"),
        containers=(WHOLE, Container(name="second", image="registry.example.com/second:1")),
        volumes=({"name": "mine", "emptyDir": {}},),
        image_pull_secrets=("pull",),
        node_selector={"disk": "ssd"},
        tolerations=({"key": "k", "operator": "Exists", "effect": "NoSchedule"},),
        labels={"team": "a"},
        annotations={"note": "b"},
        options=OPTIONS,
    )


def runs_in(namespace: str) -> list[PipelineRun]:
    request = replace(RUN, namespace=namespace, object_namespace=namespace)
    promise = replace(PROMISE_RUN, namespace=namespace)
    elsewhere = replace(request, object_namespace="elsewhere", separate=True)
    long = replace(request, promise="a" * 60 + ".b", name="c" * 63, version="V" * 63)
    deletes = [replace(run, action="delete") for run in (request, promise)]
    plain = [request, promise, elsewhere, long, *deletes]
    return [*plain, *(everything(run, namespace) for run in plain)]


async def test_the_api_server_takes_the_objects_of_every_kind_of_run(client: Client, namespace: str) -> None:
    for run in runs_in(namespace):
        for resource, obj in make_objects(run, replace(SETTINGS, pull_secret="own", backoff_limit=2)).in_order:
            found = await client.apply(resource, obj, dry_run=True)
            assert found["metadata"]["name"] == obj["metadata"]["name"]
            assert found["metadata"]["labels"].items() >= obj["metadata"]["labels"].items()


async def test_a_second_look_writes_nothing(client: Client, namespace: str) -> None:
    request = replace(RUN, namespace=namespace, object_namespace=namespace)
    run = with_pipeline(everything(request, namespace), permissions=asking(request, pods="").pipeline.permissions)
    placed = make_objects(run, SETTINGS).in_order
    first = [(await client.apply(resource, obj))["metadata"]["resourceVersion"] for resource, obj in placed]
    again = [(await client.apply(resource, obj))["metadata"]["resourceVersion"] for resource, obj in placed]
    assert first == again


NASTY = {"a": "\x00\x07\x7f\u0085\u2028\ufeff\ufffe\U0010ffff", "b": "x\n\ty  \n", "c": "'\"\\{{", "ä€😀": "no"}


async def test_the_object_in_a_pod_is_what_was_written_there(client: Client, namespace: str) -> None:
    request = replace(RUN, namespace=namespace, object_namespace=namespace)
    text = object_text({"kind": "Redis", "spec": NASTY}, {})
    job = await client.apply(*make_objects(request, SETTINGS, text).job)
    assert job["spec"]["template"]["metadata"]["annotations"][names.OBJECT] == text
    assert yaml.safe_load(text)["spec"] == NASTY


async def test_the_api_server_takes_an_object_of_the_largest_size(client: Client, namespace: str) -> None:
    request = replace(RUN, namespace=namespace, object_namespace=namespace)
    text = object_text({"spec": "ä" * (MOST_ANNOTATED // 2 - 10)}, {})
    assert len(text.encode()) > MOST_ANNOTATED - 20
    job = await client.apply(*make_objects(request, SETTINGS, text).job, dry_run=True)
    assert job["spec"]["template"]["metadata"]["annotations"][names.OBJECT] == text


async def test_a_job_of_the_run_that_is_there_stays_as_it_is(client: Client, namespace: str) -> None:
    request = replace(RUN, namespace=namespace, object_namespace=namespace)
    first = await begin_job(client, make_objects(request, SETTINGS, "size: 1\n").job)
    again = await begin_job(client, make_objects(request, SETTINGS, "size: 2\n").job)
    assert again == first
    assert again["spec"]["template"]["metadata"]["annotations"][names.OBJECT] == "size: 1\n"


async def test_the_containers_keep_their_order_on_the_api_server(client: Client, namespace: str) -> None:
    request = replace(RUN, namespace=namespace, object_namespace=namespace)
    resource, obj = make_objects(request, SETTINGS).job
    job = await client.apply(resource, obj, dry_run=True)
    pod = job["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["initContainers"]] == ["reader", "first", "second"]
    assert [each["name"] for each in pod["containers"]] == ["status-writer"]
