"""What holds for the objects of any run, however long and odd its names and whatever its author wrote."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.engine.jobs.sample import PROMISE_RUN, REDIS, RUN, SETTINGS
from troth.api import InvalidObject
from troth.api.container_pipelines import Permission
from troth.api.objects import Selector
from troth.api.pipelines import parse_pipeline
from troth.api.resources import CLUSTER_ROLE, PROMISE, ROLE
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.runs import PipelineRun, job_labels

pytestmark = pytest.mark.slow

PART = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?", fullmatch=True)
NAMESPACE = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
SUBDOMAIN = st.lists(PART, min_size=1, max_size=6).map(".".join).filter(lambda name: len(name) <= 253)
MARKED = st.lists(
    st.sampled_from(["a", "b", "resource", "promise", "configure", "delete"]), min_size=1, max_size=5
).map("-".join)
PIPELINE_NAME = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", fullmatch=True) | MARKED
VERSION = st.just("") | st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", fullmatch=True)
PERMISSION = st.builds(
    Permission,
    st.just({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}),
    st.just("") | st.just("*") | NAMESPACE,
)

DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


@st.composite
def runs(draw: st.DrawFn) -> PipelineRun:
    of_promise = draw(st.booleans())
    promise = draw(SUBDOMAIN | MARKED)
    separate = draw(st.booleans())
    object_namespace = "" if of_promise else draw(NAMESPACE)
    pipeline = replace(
        RUN.pipeline,
        name=draw(PIPELINE_NAME),
        permissions=tuple(draw(st.lists(PERMISSION, max_size=4))),
    )
    return PipelineRun(
        pipeline=pipeline,
        type="promise" if of_promise else "resource",
        action=draw(st.sampled_from(["configure", "delete"])),
        promise=promise,
        version=draw(VERSION),
        resource=PROMISE if of_promise else REDIS,
        name=promise if of_promise else draw(SUBDOMAIN),
        uid=draw(st.uuids().map(str)),
        object_namespace=object_namespace,
        namespace=draw(NAMESPACE) if separate or of_promise else object_namespace,
        separate=separate,
        hash=draw(st.text("0123456789abcdef", min_size=32, max_size=32)),
        attempt=draw(st.integers(1, 1000)),
        selectors=draw(st.sampled_from([(), (Selector({"a": "b"}),)])),
    )


@given(runs())
def test_every_name_and_every_label_is_one_that_kubernetes_takes(run: PipelineRun) -> None:
    for _, obj in make_objects(run, SETTINGS).in_order:
        name = obj["metadata"]["name"]
        assert len(name) <= 63, name
        assert DNS_NAME.fullmatch(name), name
        for value in obj["metadata"]["labels"].values():
            assert len(value) <= 63
            assert LABEL_VALUE.fullmatch(value), value


@given(runs())
def test_the_same_run_gives_the_same_bytes(run: PipelineRun) -> None:
    first = [obj for _, obj in make_objects(run, SETTINGS).in_order]
    again = [obj for _, obj in make_objects(copy.deepcopy(run), copy.deepcopy(SETTINGS)).in_order]
    assert orjson.dumps(first) == orjson.dumps(again)


@given(runs())
def test_no_two_objects_of_a_run_are_the_same(run: PipelineRun) -> None:
    places = [
        (resource.kind, obj["metadata"].get("namespace"), obj["metadata"]["name"])
        for resource, obj in make_objects(run, SETTINGS).in_order
    ]
    assert len(places) == len(set(places))


@given(runs())
def test_every_role_that_a_binding_refers_to_is_there_before_it(run: PipelineRun) -> None:
    there: set[tuple[str, str, str]] = set()
    for _, obj in make_objects(run, SETTINGS).access:
        metadata = obj["metadata"]
        if "roleRef" in obj:
            kind = obj["roleRef"]["kind"]
            where = metadata["namespace"] if kind == ROLE.kind else ""
            assert (kind, where, obj["roleRef"]["name"]) in there
        else:
            there.add((obj["kind"], metadata.get("namespace", ""), metadata["name"]))


def access_of(run: PipelineRun) -> dict[tuple[str, str, str], Any]:
    return {
        (resource.kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj
        for resource, obj in make_objects(run, SETTINGS).access
    }


@given(runs(), VERSION, VERSION)
def test_two_versions_never_share_the_name_of_an_account_or_a_right(
    run: PipelineRun, one: str, other: str
) -> None:
    assume((one or "not-set") != (other or "not-set"))
    first, second = (
        make_objects(replace(run, version=one), SETTINGS),
        make_objects(replace(run, version=other), SETTINGS),
    )
    names = [
        {(resource.kind, obj["metadata"]["name"]) for resource, obj in (each.account, *each.access)}
        for each in (first, second)
    ]
    assert not names[0] & names[1]


@given(runs(), runs())
def test_a_binding_always_refers_to_the_same_role(one: PipelineRun, other: PipelineRun) -> None:
    asking = replace(one.pipeline, permissions=other.pipeline.permissions)
    first, again = access_of(one), access_of(replace(one, pipeline=asking, uid=other.uid, hash=other.hash))
    for place in first.keys() & again.keys():
        assert first[place].get("roleRef") == again[place].get("roleRef")


@given(MARKED, MARKED, MARKED, MARKED)
def test_pipelines_of_two_promises_never_share_a_right(a: str, b: str, c: str, d: str) -> None:
    assume((a, b) != (c, d))
    runs = [
        replace(base, promise=promise, action=action, pipeline=replace(base.pipeline, name=pipeline))
        for promise, pipeline in ((a, b), (c, d))
        for base in (RUN, PROMISE_RUN)
        for action in ("configure", "delete")
    ]
    places = [place for run in runs for place in access_of(run) if place[0] in (ROLE.kind, CLUSTER_ROLE.kind)]
    assert len(places) == len(set(places))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["a", "reader", "work-writer", "status-writer", "x"])
CONTAINER = st.fixed_dictionaries(
    {"name": NAMES, "image": st.just("i")},
    optional={
        "command": st.lists(st.text(max_size=8), max_size=2),
        "args": st.lists(st.text(max_size=8), max_size=2),
        "env": st.lists(
            st.fixed_dictionaries({"name": st.text(min_size=1, max_size=8), "value": st.text(max_size=8)}),
            max_size=3,
        ),
        "volumeMounts": st.lists(
            st.fixed_dictionaries({"name": st.text(max_size=8), "mountPath": st.text(max_size=8)}), max_size=2
        ),
        "securityContext": st.dictionaries(st.sampled_from(["privileged", "capabilities"]), ANYTHING, max_size=2),
        "resources": st.dictionaries(st.sampled_from(["limits", "requests"]), ANYTHING, max_size=2),
    },
)


@given(
    st.lists(CONTAINER, min_size=1, max_size=3),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    st.sampled_from(["configure", "delete"]),
)
def test_whatever_an_author_writes_each_container_stays_where_it_is(
    containers: list[Any], labels: dict[str, str], action: Any
) -> None:
    pipeline = {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": "p", "labels": labels},
        "spec": {"containers": containers},
    }
    try:
        parsed: Any = parse_pipeline(pipeline, "p")
    except InvalidObject:
        own = {"reader", "work-writer", "status-writer"}
        names = [container["name"] for container in containers]
        assert set(names) & own or len(set(names)) < len(names)
        return
    job: Any = make_objects(replace(RUN, pipeline=parsed, action=action), SETTINGS).job[1]
    pod = job["spec"]["template"]["spec"]
    found = [each["name"] for each in [*pod["initContainers"], *pod["containers"]]]
    assert found == ["reader", *(container["name"] for container in containers), "status-writer"]
    for each in [*pod["initContainers"], *pod["containers"]]:
        own_image = each["name"] in ("reader", "status-writer")
        assert (each["image"] == SETTINGS.image) is own_image
        assert (each.get("command", [])[:2] == ["troth", "adapter"]) is own_image
    identity = job_labels(replace(RUN, pipeline=replace(parsed, labels={}), action=action))
    assert job["metadata"]["labels"] == {**labels, **identity}
