"""Values and rules of Kubernetes' own kinds; tests/integration/test_lint_against_server.py asks a real API server."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.documents import ROOT
from troth.engine.kinds.kubernetes import Kubernetes
from troth.engine.kinds.values import wrong_value

PORT = {"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535}


@pytest.mark.parametrize(
    ("value", "schema", "words"),
    [
        ("TPC", {"enum": ["SCTP", "TCP", "UDP"]}, "did you mean TCP?"),
        (0, PORT, "at least 1"),
        (70000, PORT, "at most 65535"),
        (2**31, {"format": "int32"}, "does not fit into int32"),
        ("a" * 16, {"maxLength": 15}, "has 16 characters, and at most 15"),
        ("a_b", {"pattern": "[a-z]+"}, "does not look like [a-z]+"),
        ("hello!", {"format": "byte"}, "b64encode"),
        ("yesterday", {"format": "date-time"}, "2026-01-31T12:00:00Z"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_right(value: Any, schema: dict[str, Any], words: str) -> None:
    assert words in wrong_value(value, schema)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("", {"enum": ["A"]}),  # a default takes its place
        ("A", {"enum": ["A"]}),
        (1, PORT),
        (65535, PORT),
        (-(2**31), {"format": "int32"}),
        ("YQ==", {"format": "byte"}),
        ("2026-01-31T12:00:00.5+01:00", {"format": "date-time"}),
        (True, {"minimum": 5}),
    ],
)
def test_a_right_value_is_fine(value: Any, schema: dict[str, Any]) -> None:
    assert wrong_value(value, schema) == ""


def test_objects_that_an_api_server_takes_are_fine() -> None:
    objects = list(yaml.safe_load_all((ROOT / "tests/data/kubernetes-objects.yaml").read_text("utf-8")))
    kubernetes = Kubernetes()
    assert [kubernetes.problems(obj) for obj in objects] == [[]] * len(objects)


def test_a_rule_is_said_once_the_shape_is_right() -> None:
    obj = yaml.safe_load(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {app: a}}, "
        "template: {metadata: {labels: {app: b}}, spec: {containers: [{name: a, image: 'a:1'}]}}}}"
    )
    assert Kubernetes().problems(obj) == [
        ("spec.template.metadata.labels", "app is 'b', but the selector needs 'a'")
    ]
    obj["spec"]["replicas"] = "two"
    assert [field for field, _ in Kubernetes().problems(obj) or ()] == ["spec.replicas"]
