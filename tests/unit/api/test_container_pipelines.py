"""Kratix's Pipeline, read as strictly as Kratix decodes it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.api import InvalidObject
from troth.api.container_pipelines import Container, ContainerPipeline, Permission
from troth.api.pipelines import JinjaPipeline, parse_pipeline, parse_pipelines
from troth.api.pod_options import PodOptions

WHOLE: dict[str, Any] = {
    "apiVersion": "platform.kratix.io/v1alpha1",
    "kind": "Pipeline",
    "metadata": {
        "name": "instance",
        "namespace": "default",
        "creationTimestamp": None,
        "labels": {"team": "a"},
        "annotations": {"note": "b"},
    },
    "spec": {
        "containers": [
            {
                "name": "one",
                "image": "registry.example.com/one:1",
                "command": ["sh", "-c"],
                "args": ["true"],
                "env": [{"name": "A", "value": "b"}],
                "envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}],
                "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}],
                "imagePullPolicy": "Always",
                "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
                "resources": {"limits": {"cpu": "1"}},
            },
            {"name": "two", "image": "registry.example.com/two:1"},
        ],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "imagePullSecrets": [{"name": "pull"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
        "restartPolicy": "Never",
        "jobOptions": {"backoffLimit": 0},
        "rbac": {
            "serviceAccount": "runner",
            "permissions": [
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNamespace": "*"},
                {"apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["list"]},
            ],
        },
    },
}
PLACES = (
    (),
    ("metadata",),
    ("spec",),
    ("spec", "containers", 0),
    ("spec", "containers", 1),
    ("spec", "containers", 0, "env", 0),
    ("spec", "containers", 0, "envFrom", 0),
    ("spec", "containers", 0, "volumeMounts", 0),
    ("spec", "containers", 0, "securityContext"),
    ("spec", "containers", 0, "resources"),
    ("spec", "imagePullSecrets", 0),
    ("spec", "tolerations", 0),
    ("spec", "jobOptions"),
    ("spec", "rbac"),
    ("spec", "rbac", "permissions", 1),
)


def path_of(place: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)


def with_value(place: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(WHOLE)
    here: Any = changed
    for part in place[:-1]:
        here = here[part]
    here[place[-1]] = value
    return changed


def refusal_of(given: dict[str, Any]) -> InvalidObject:
    with pytest.raises(InvalidObject) as caught:
        parse_pipeline(given, "p")
    return caught.value


def test_everything_that_a_pipeline_of_containers_may_have_is_read() -> None:
    assert parse_pipeline(WHOLE, "p") == ContainerPipeline(
        name="instance",
        labels={"team": "a"},
        annotations={"note": "b"},
        containers=(
            Container(
                name="one",
                image="registry.example.com/one:1",
                command=("sh", "-c"),
                args=("true",),
                env=({"name": "A", "value": "b"},),
                env_from=({"prefix": "P_", "secretRef": {"name": "s"}},),
                volume_mounts=({"name": "v", "mountPath": "/v", "readOnly": True},),
                image_pull_policy="Always",
                security_context={"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
                resources={"limits": {"cpu": "1"}},
            ),
            Container(name="two", image="registry.example.com/two:1"),
        ),
        volumes=({"name": "v", "emptyDir": {}},),
        image_pull_secrets=("pull",),
        node_selector={"disk": "ssd"},
        tolerations=({"key": "k", "operator": "Exists", "effect": "NoSchedule"},),
        restart_policy="Never",
        backoff_limit=0,
        service_account="runner",
        permissions=(
            Permission({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}, "*"),
            Permission({"apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["list"]}),
        ),
    )


def test_what_is_left_out_has_kratixs_defaults() -> None:
    small = {**WHOLE, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    assert parse_pipeline(small, "p") == ContainerPipeline(
        name="instance",
        labels={"team": "a"},
        annotations={"note": "b"},
        containers=(Container(name="a", image="b"),),
        restart_policy="OnFailure",
        backoff_limit=None,
    )


def test_resources_that_are_empty_are_not_the_same_as_none() -> None:
    container = {"name": "a", "image": "b", "resources": {}}
    found = parse_pipeline({**WHOLE, "spec": {"containers": [container]}}, "p")
    assert isinstance(found, ContainerPipeline)
    assert found.containers[0].resources == {}


def test_what_kratix_has_no_field_for_is_read_from_annotations() -> None:
    found = parse_pipeline(
        with_value(
            ("metadata", "annotations"),
            {
                "troth.dev/pod-security-context": '{"fsGroup": 65532}',
                "troth.dev/affinity": '{"nodeAffinity": {}}',
                "troth.dev/priority-class": "high",
                "troth.dev/runtime-class": "gvisor",
                "troth.dev/active-deadline-seconds": "600",
                "troth.dev/max-attempts": "3",
                "example.com/other": "x",
            },
        ),
        "p",
    )
    assert isinstance(found, ContainerPipeline)
    assert found.options == PodOptions(
        security_context={"fsGroup": 65532},
        affinity={"nodeAffinity": {}},
        priority_class="high",
        runtime_class="gvisor",
        active_deadline=600,
        max_attempts=3,
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("troth.dev/priorityclass", "high", "did you mean troth.dev/priority-class?"),
        ("troth.dev/affinity", "nodeAffinity: {}", "is not JSON"),
        ("troth.dev/affinity", "[]", "is a list, not a map"),
        ("troth.dev/affinity", '{"node": {}}', "is not a known field"),
        ("troth.dev/affinity", '{"nodeAffinity":' + '{"a":' * 50 + "1" + "}" * 51, "nests deeper"),
        ("troth.dev/pod-security-context", '{"fsgroup": 1}', "did you mean fsGroup?"),
        ("troth.dev/active-deadline-seconds", "10m", "is not a count"),
        ("troth.dev/active-deadline-seconds", "0", "is not a count"),
        ("troth.dev/max-attempts", "9" * 5000, "is not a count"),
    ],
)
def test_an_annotation_of_troths_that_cannot_be_used_is_refused_with_its_path(
    name: str, value: str, words: str
) -> None:
    refusal = refusal_of(with_value(("metadata", "annotations"), {name: value}))
    assert refusal.field.startswith(f"p.metadata.annotations.{name}")
    assert words in str(refusal)


@pytest.mark.parametrize("place", PLACES, ids=path_of)
def test_an_unknown_field_is_refused_with_its_path(place: tuple[str | int, ...]) -> None:
    refusal = refusal_of(with_value((*place, "nonsense"), 1))
    assert refusal.field == f"p{path_of(place)}.nonsense"
    assert refusal.problem == "is not a known field"


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("spec", "containers"), [], "is empty"),
        (("spec", "containers"), None, "is empty"),
        (("spec", "containers", 0, "image"), None, "is missing"),
        (("spec", "containers", 1, "name"), "one", "two containers are named 'one'"),
        (("spec", "containers", 0, "args"), "x", "is text, not a list"),
        (("spec", "containers", 0, "args"), [1], "is a number, not text"),
        (("spec", "jobOptions", "backoffLimit"), "3", "is text"),
        (("spec", "jobOptions", "backoffLimit"), True, "is true or false"),
        (("spec", "jobOptions", "backoffLimit"), -1, "is a number"),
        (("spec", "restartPolicy"), "Always", "is not possible in a Job"),
        (("spec", "nodeSelector"), {"a": 1}, "is a number, not text"),
        (("spec", "rbac", "serviceAccount"), 1, "is a number, not text"),
        (("spec", "imagePullSecrets", 0), {}, "is missing"),
        (("spec", "containers", 1, "name"), "work-writer", "every Pod of a pipeline has"),
        (("spec", "containers", 0, "env", 0, "name"), [], "is a list, not text"),
        (("spec", "volumes", 0, "name"), None, "is missing"),
        (("spec", "volumes", 0, "name"), "shared-output", "every Pod of a pipeline has"),
        (("apiVersion",), "platform.kratix.io/v1", "has no version"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(place: tuple[str | int, ...], value: Any, words: str) -> None:
    refusal = refusal_of(with_value(place, value))
    assert refusal.field.startswith(f"p{path_of(place)}")
    assert words in str(refusal)


def test_a_workflow_has_both_kinds_of_pipelines_in_their_order() -> None:
    jinja = {"apiVersion": "troth.dev/v1alpha1", "kind": "JinjaPipeline", "metadata": {"name": "first"}}
    last = {**jinja, "metadata": {"name": "last"}}
    found = parse_pipelines([jinja, WHOLE, last], "p")
    assert [(type(each), each.name) for each in found] == [
        (JinjaPipeline, "first"),
        (ContainerPipeline, "instance"),
        (JinjaPipeline, "last"),
    ]


def test_two_pipelines_of_different_kinds_do_not_share_a_name() -> None:
    jinja = {"apiVersion": "troth.dev/v1alpha1", "kind": "JinjaPipeline", "metadata": {"name": "instance"}}
    with pytest.raises(InvalidObject, match="two pipelines are named 'instance'"):
        parse_pipelines([jinja, WHOLE], "p")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(PLACES[1:]), ANYTHING)
def test_whatever_stands_in_a_pipeline_it_is_read_or_refused_in_words(
    place: tuple[str | int, ...], value: Any
) -> None:
    refusals: list[InvalidObject] = []
    try:
        parse_pipeline(with_value(place, value), "p")
    except InvalidObject as error:
        refusals.append(error)
    assert all(refusal.field.startswith("p") and refusal.problem for refusal in refusals)
