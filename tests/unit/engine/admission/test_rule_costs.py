"""What CEL rules cost at the least; that it is the API server's reckoning is tested beside one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from tests.documents import ROOT
from tests.platforms import promise
from troth.engine.admission.cel_reading import LONGEST_RULE, RuleReader
from troth.engine.admission.cost import Reckoning, cost_refusals
from troth.engine.admission.definitions import definition_refusals
from troth.engine.promises.definitions import build_definition

NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}


def refusals(spec: dict[str, Any]) -> list[str]:
    api = copy.deepcopy(promise("things")["spec"]["api"])
    api["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = spec
    return [str(one) for one in definition_refusals(build_definition("things", api))]


def ruled(rule: str, **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "x-kubernetes-validations": [{"rule": rule}]}


def test_a_rule_without_bounds_is_refused_with_its_place_and_its_text() -> None:
    rule = "self.a.all(x, self.a.all(y, x <= y))"
    (refusal,) = refusals(ruled(rule, a=NUMBERS))
    place, _, said = refusal.partition(": ")
    assert place == "spec.versions[0].schema.openAPIV3Schema.properties.spec.x-kubernetes-validations[0].rule"
    assert repr(rule) in said
    assert "exceeds budget by factor of more than 100x" in said


def test_bounds_make_a_rule_affordable() -> None:
    rule = "self.a.all(x, self.a.all(y, x <= y))"
    assert refusals(ruled(rule, a={**NUMBERS, "maxItems": 100})) == []


def test_what_is_repeated_without_bounds_counts_as_often_as_a_request_holds_it() -> None:
    rule = {"rule": "self.all(x, x > 0)"}
    inner = {**NUMBERS, "maxItems": 100, "x-kubernetes-validations": [rule]}
    assert refusals({"type": "object", "properties": {"a": {"type": "array", "items": inner}}})
    assert not refusals({"type": "object", "properties": {"a": {"type": "array", "maxItems": 9, "items": inner}}})


def test_a_long_rule_is_shown_by_its_beginning() -> None:
    rule = "self.a.all(x, self.a.all(y, x <= y || " + " || ".join(["y <= x"] * 60) + "))"
    (refusal,) = refusals(ruled(rule, a=NUMBERS))
    assert len(refusal) < 600


def test_a_rule_that_is_too_long_for_an_api_server_is_refused_unread() -> None:
    (refusal,) = refusals(ruled("self.a.all(x, x in [" + "1, " * LONGEST_RULE + "])", a=NUMBERS))
    assert "x-kubernetes-validations[0].rule: Invalid value: compilation failed: expression code point" in refusal


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [
        "self.a.",
        "self.?a",
        "(" * 3000 + "self.a.all(x, x > 0)" + ")" * 3000,
        "self.b.all(x, x > 0)",
        "nobody.all(x, x > 0)",
        "all(self.a, x)",
        "self.a.all(x)",
        "self.a.all(1, true)",
        "self.a.all()",
        "has()",
        "has(self)",
        "self.a.all(x, has(x, x))",
        "size()",
        "'a'.contains()",
        "'a'.split()",
        "T{a: 1}.b[0]",
        "{}.all(x, [].all(y, true))",
        "self.a.transformList(i, x, x + 1) == [1]",
        "[1, 2].all(x, {'a': 3}.exists(k, k == 'a' ? !!true : -1 < 0))",
    ],
)
def test_what_cannot_be_reckoned_is_not_refused(rule: str) -> None:
    assert not refusals(ruled(rule, a=NUMBERS))


@pytest.mark.slow
def test_no_definition_that_other_projects_publish_is_refused() -> None:
    rules = 0
    for path in sorted((*ROOT.glob("promises/*/schemas/*.yaml"), *ROOT.glob("promises/*/dependencies/*.yaml"))):
        for document in yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader):
            if not isinstance(document, dict) or document.get("kind") != "CustomResourceDefinition":
                continue
            versions = document["spec"]["versions"]
            assert list(cost_refusals(versions)) == [], path
            schemas = (version["schema"]["openAPIV3Schema"] for version in versions)
            rules += sum(1 for schema in schemas for _ in Reckoning().rules(schema, ""))
    assert rules > 200


def test_a_rule_costs_the_same_whatever_was_reckoned_before() -> None:
    rule, schema = "self.a.all(x, x > 3)", ruled("", a={**NUMBERS, "maxItems": 10})
    reckoning, reader = Reckoning(), RuleReader()
    assert [reckoning.cost(rule, schema, reader) for _ in range(3)] == [10 * (3 + 2) + 2 + 1] * 3
