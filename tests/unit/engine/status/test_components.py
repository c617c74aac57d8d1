"""Which rendered objects are components of a request, when they hold what was rendered, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engine.rendering.components import Component, Parent, find_components, first_difference, read_parent
from troth.engine.status.author import AuthorStatus
from troth.engine.status.components import judge_component
from troth.engine.status.facts import (
    ComponentFacts,
    PipelineFacts,
    PlacementFacts,
    RequestFacts,
    WorkFacts,
    WorkflowFacts,
)
from troth.engine.status.request import request_status

PARENT = Parent("service", "shop", "web")
NOW = "2026-01-01T08:00:00Z"


def manifest(name: str = "cache", *, parent: Parent = PARENT, kind: str = "Redis", extra: str = "") -> str:
    return f"""\
apiVersion: database.example.com/v1
kind: {kind}
metadata:
  name: {name}
  namespace: shop
  labels:
    kratix.io/parent-promise-name: {parent.promise}
    kratix.io/parent-resource-name: {parent.name}
    kratix.io/parent-resource-namespace: {parent.namespace}
spec: {{size: small}}
{extra}"""


def found(*texts: str, path: str = "a.yaml") -> list[str]:
    files = [(f"{index}-{path}", text.encode()) for index, text in enumerate(texts)]
    return [f"{each.kind}/{each.name}" for each in find_components(files, PARENT)]


def test_what_names_the_request_as_its_parent_is_a_component_and_nothing_else_is() -> None:
    assert found(manifest(), manifest("data", kind="PostgreSQL")) == ["PostgreSQL/data", "Redis/cache"]
    assert found(manifest() + "---\n" + manifest("other")) == ["Redis/cache", "Redis/other"]
    for stranger in (
        Parent("other", "shop", "web"),
        Parent("service", "x", "web"),
        Parent("service", "shop", "x"),
    ):
        assert found(manifest(parent=stranger)) == []
    assert found(manifest().replace("kratix.io/parent-promise-name: service\n", "x: y\n")) == []


def test_a_file_that_is_no_manifest_has_no_components() -> None:
    assert found(manifest(), path="readme.txt") == []
    assert (
        found(
            "kratix.io/parent-resource-name: [",
            "kratix.io/parent-resource-name",
            "- kratix.io/parent-resource-name",
        )
        == []
    )
    assert find_components([("a.yaml", b"\xffkratix.io/parent-resource-name")], PARENT) == ()


def test_the_same_component_in_two_files_counts_once_and_without_a_namespace_it_is_in_default() -> None:
    assert found(manifest(), manifest()) == ["Redis/cache"]
    [component] = find_components([("a.yaml", manifest().replace("  namespace: shop\n", "").encode())], PARENT)
    assert component == Component("database.example.com/v1", "Redis", "default", "cache", {"size": "small"})


def test_labels_that_lack_one_of_the_three_name_no_parent() -> None:
    labels = {
        "kratix.io/parent-promise-name": "service",
        "kratix.io/parent-resource-name": "web",
        "kratix.io/parent-resource-namespace": "shop",
    }
    assert read_parent(labels) == PARENT
    for missing in labels:
        assert read_parent({key: value for key, value in labels.items() if key != missing}) is None


@pytest.mark.parametrize(
    ("rendered", "live", "difference"),
    [
        ({"size": "small"}, {"size": "small", "version": "16"}, ""),
        ({"size": "small"}, {"size": "large"}, "spec.size"),
        ({"size": "small"}, {}, "spec.size"),
        ({"size": None}, {}, ""),
        ({"env": None}, {"env": []}, ""),
        ({"env": None}, {"env": [{"name": "A"}]}, ""),
        ({"size": None}, {"size": "small"}, ""),
        ({"tls": {"on": None}}, {"tls": {"on": False}}, ""),
        ({"tls": {"on": None}}, {"tls": {}}, ""),
        ({"users": [{"name": "a", "role": None}]}, {"users": [{"name": "a", "role": "reader"}]}, ""),
        ({"tls": {"on": True}}, {"tls": {"on": True, "mode": "x"}}, ""),
        ({"tls": {"on": True}}, {"tls": {"on": 1}}, "spec.tls.on"),
        ({"users": [{"name": "a"}]}, {"users": [{"name": "z"}, {"name": "a", "role": "x"}]}, ""),
        ({"users": [{"name": "a"}]}, {"users": [{"name": "b"}]}, "spec.users[0]"),
        ({"users": []}, {"users": ["a"]}, "spec.users"),
        ({}, None, ""),
        ({"a": 1}, None, "spec"),
    ],
)
def test_what_was_rendered_has_to_be_there_and_what_is_there_besides_is_no_difference(
    rendered: Any, live: Any, difference: str
) -> None:
    assert first_difference(rendered, live) == difference


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert first_difference(value, value) == ""


# ---- what is said


def a_component(name: str, state: Any = "Ready", message: str = "") -> ComponentFacts:
    return ComponentFacts("database.example.com/v1", "Redis", name, "shop", "redis", state, message)


def status_of(*components: ComponentFacts, written: bool = True) -> dict[str, Any]:
    placement = PlacementFacts("p", "g", "here", files=1, written=written, generation=1)
    facts = RequestFacts(
        generation=1,
        promise_version="v1",
        workflow=WorkflowFacts((PipelineFacts("instance", "Succeeded"),), AuthorStatus()),
        works=(WorkFacts("work", groups=1, generation=1, placements=(placement,)),),
        components=components,
    )
    return request_status({}, facts, now=NOW)


def ready(status: dict[str, Any]) -> tuple[str, str, str]:
    [found] = [item for item in status["conditions"] if item["type"] == "Ready"]
    return found["status"], found["reason"], found["message"]


def test_a_request_is_ready_only_when_all_its_components_are() -> None:
    assert ready(status_of(a_component("a"), a_component("b")))[:2] == ("True", "Reconciled")
    status, reason, message = ready(status_of(a_component("a"), a_component("b", "Pending", "is on its way")))
    assert (status, reason, message) == (
        "False",
        "ComponentsPending",
        "1 of 2 components not Ready: Redis b is on its way",
    )


def test_a_component_that_needs_somebody_comes_first_and_is_quoted() -> None:
    status = status_of(a_component("a", "Pending", "is on its way"), a_component("b", "Failing", "no such size"))
    assert ready(status) == (
        "False",
        "ComponentsNotReady",
        "2 of 2 components not Ready: Redis b: no such size; Redis a is on its way",
    )
    assert status["troth"]["components"][1] == {
        "promise": "redis",
        "apiVersion": "database.example.com/v1",
        "kind": "Redis",
        "name": "b",
        "namespace": "shop",
        "ready": False,
        "message": "no such size",
    }


def test_many_components_are_counted_and_not_all_named() -> None:
    message = ready(status_of(*(a_component(f"c{n}", "Failing", "full") for n in range(9))))[2]
    assert message == "9 of 9 components not Ready: Redis c0: full; Redis c1: full; Redis c2: full; and 6 more"


def test_what_is_not_written_yet_is_said_before_the_components() -> None:
    assert ready(status_of(a_component("a", "Pending", "does not exist yet"), written=False))[1] == "WorksPending"


def condition(status: str, reason: str, message: str = "") -> list[dict[str, str]]:
    return [{"type": "Ready", "status": status, "reason": reason, "message": message}]


@pytest.mark.parametrize(
    ("observed", "conditions", "state", "message"),
    [
        (2, condition("True", "Reconciled"), "Ready", ""),
        (1, condition("True", "Reconciled"), "Pending", "is on its way"),
        (2, condition("False", "WorksPending", "Being written to a"), "Pending", "is on its way"),
        (2, condition("False", "ConfigureWorkflowFailed", "no size"), "Failing", "no size"),
        (None, condition("False", "PromiseRequirementsNotInstalled", "not installed"), "Failing", "not installed"),
        (None, [], "Pending", "is on its way"),
    ],
)
def test_a_component_is_ready_only_in_its_newest_generation(
    observed: int | None, conditions: list[dict[str, str]], state: str, message: str
) -> None:
    status = {"observedGeneration": observed, "conditions": conditions}
    judged = judge_component(a_component("a", "Pending"), status=status, generation=2)
    assert (judged.state, judged.message) == (state, message)
