"""``/kratix/input/object.yaml``: by an annotation of the Pod, or by a container where that cannot hold the object."""

from __future__ import annotations

import unicodedata
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.jobs.sample import (
    KUBERNETES,
    PROMISE_RUN,
    RUN,
    SEPARATE_RUN,
    SETTINGS,
    with_pipeline,
)
from troth.api import labels as names
from troth.api.container_pipelines import Container
from troth.api.nesting import DEEPEST
from troth.engine.jobs.inputs import MOST_ANNOTATED, object_text
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.runs import PipelineRun
from troth.engine.yaml.emit import dump_document

TEXT = "kind: Redis\nmetadata:\n  name: cache\n"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def job_with(text: str, run: PipelineRun = RUN) -> Any:
    return make_objects(run, SETTINGS, text).job[1]


def pod_with(text: str, run: PipelineRun = RUN) -> Any:
    return job_with(text, run)["spec"]["template"]["spec"]


def input_volume(pod: Any) -> Any:
    return next(volume for volume in pod["volumes"] if volume["name"] == "shared-input")


@pytest.mark.parametrize("run", [RUN, PROMISE_RUN, SEPARATE_RUN])
def test_no_container_runs_before_the_authors_when_the_pod_has_the_object(run: PipelineRun) -> None:
    pod = pod_with(TEXT, run)
    assert [each["name"] for each in pod["initContainers"]] == ["first", "second"]
    assert [each["name"] for each in pod["containers"]] == ["status-writer"]


def test_every_container_of_the_author_finds_the_object_in_a_folder_that_it_cannot_change() -> None:
    job = job_with(TEXT)
    template = job["spec"]["template"]
    assert template["metadata"]["annotations"][names.OBJECT] == TEXT
    (item,) = input_volume(template["spec"])["downwardAPI"]["items"]
    assert item == {
        "path": "input/object.yaml",
        "fieldRef": {"fieldPath": f"metadata.annotations['{names.OBJECT}']"},
    }
    for container in template["spec"]["initContainers"]:
        assert container["volumeMounts"][0] == {
            "name": "shared-input",
            "mountPath": "/kratix/input",
            "subPath": "input",
            "readOnly": True,
        }


def test_only_the_pod_has_the_object() -> None:
    job = job_with(TEXT)
    del job["spec"]["template"]["metadata"]["annotations"][names.OBJECT]
    assert TEXT.encode() not in orjson.dumps(job)
    assert "kind: Redis" not in str(job)


def test_without_a_text_a_container_reads_the_object() -> None:
    pod = pod_with("")
    assert pod["initContainers"][0]["name"] == "reader"
    assert input_volume(pod) == {"name": "shared-input", "emptyDir": {}}
    assert names.OBJECT not in job_with("")["spec"]["template"]["metadata"]["annotations"]


def test_the_schemas_of_kubernetes_have_nothing_against_it() -> None:
    assert not list(KUBERNETES.problems(job_with(TEXT)) or ())


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_the_text_is_the_object_and_can_stand_in_an_annotation(spec: Any) -> None:
    obj = {"kind": "Redis", "metadata": {"name": "cache"}, "spec": spec}
    text = object_text(obj, {})
    assert text == dump_document(obj), "as the reader writes it"
    assert yaml.safe_load(text)["metadata"] == {"name": "cache"}
    assert not [each for each in text if unicodedata.category(each) in ("Cc", "Cs") and each not in "\n\t"]


@pytest.mark.parametrize(("room", "fits"), [(0, True), (-1, False)])
def test_an_object_that_is_larger_than_the_bound_with_what_is_beside_it_is_left_to_the_reader(
    room: int, fits: bool
) -> None:
    beside = {"note": "ä" * 100}
    obj = {"spec": {"long": ""}}
    left = MOST_ANNOTATED - len(dump_document(obj).encode()) + len('""') - len("note") - 200
    obj["spec"]["long"] = "a" * (left - room)
    assert bool(object_text(obj, beside)) is fits


def test_an_object_that_nests_too_deep_is_left_to_the_reader_which_says_so() -> None:
    deep: Any = "x"
    for _ in range(DEEPEST + 1):
        deep = [deep]
    assert object_text({"spec": deep}, {}) == ""


def test_the_authors_annotations_stay_beside_the_object() -> None:
    run = with_pipeline(RUN, annotations={"team": "a"}, containers=(Container(name="first", image="a"),))
    annotations = job_with(TEXT, run)["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"team": "a", names.OBJECT: TEXT}
