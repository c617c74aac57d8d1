"""The schema of a request's status: described, typed where that is certain, and never in the way of a status."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.authoring.lint.linted import definition, promise
from tests.unit.engine.status.test_status_schema import pruned
from troth.api.objects import read_promise
from troth.authoring.home import build, load_home
from troth.engine.admission.definitions import definition_refusals
from troth.engine.admission.serving import as_served
from troth.engine.failure import Failure
from troth.engine.promises.definitions import build_definition
from troth.engine.promises.offers import Offer, read_offer
from troth.engine.rendering.render import Rendered
from troth.engine.status.schema import misfit
from troth.engine.workflow.outputs import judge_outcomes

OPEN = {"x-kubernetes-preserve-unknown-fields": True}
STATUS: dict[str, Any] = {
    "host": "{{ name }}-rw.{{ namespace }}.svc",
    "address": "https://{{ name }}",
    "region": "eu",
    "port": 5432,
    "ratio": 0.5,
    "tls": True,
    "replicas": "{{ spec.replicas }}",
    "perhaps": "{{ spec.replicas }}{% if spec.public %}-public{% endif %}",
    "quota": {"cpu": "{{ spec.replicas }}", "unit": "cores", "{{ name }}": 1},
    "ports": [80, 443],
    "mixed": [80, "http"],
    "nothing": None,
    "message": "Hello {{ name }}",
    "conditions": [{"type": "Backup", "status": "True"}],
}


def offer_with(*statuses: dict[str, Any], declared: Any = None) -> Offer:
    obj = promise({"files": [{"path": "a.yaml", "template": "a: 1"}]})
    (first,) = obj["spec"]["workflows"]["resource"]["configure"]
    pipelines = []
    for number, status in enumerate(statuses):
        pipeline = copy.deepcopy(first)
        pipeline["metadata"]["name"] = ("one", "two", "three")[number]
        pipeline["spec"]["status"] = status
        pipelines.append(pipeline)
    obj["spec"]["workflows"]["resource"]["configure"] = pipelines
    if declared is not None:
        root = obj["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        root["properties"]["status"] = declared
    return read_offer(read_promise(as_served(obj)))


def fields_of(offer: Offer) -> dict[str, Any]:
    fields: dict[str, Any] = offer.status["properties"]
    return fields


def test_each_field_that_a_pipeline_writes_is_in_the_schema_with_the_type_that_is_certain() -> None:
    fields = fields_of(offer_with(STATUS))
    written = {"description": "Written by the pipeline one."}
    assert {name: fields[name] for name in STATUS if name not in ("message", "conditions", "nothing")} == {
        "host": {**written, "type": "string"},
        "address": {**written, "type": "string"},
        "region": {**written, "type": "string"},
        "port": {**written, "type": "integer"},
        "ratio": {**written, "type": "number"},
        "tls": {**written, "type": "boolean"},
        "replicas": {**written, **OPEN},
        "perhaps": {**written, **OPEN},
        "quota": {**written, "type": "object", **OPEN, "properties": {"cpu": OPEN, "unit": {"type": "string"}}},
        "ports": {**written, "type": "array", "items": {"type": "integer"}},
        "mixed": {**written, "type": "array", "items": OPEN},
    }
    assert "nothing" not in fields
    assert fields["message"]["type"] == "string"


def test_a_field_that_two_pipelines_write_has_a_type_only_where_both_agree() -> None:
    fields = fields_of(
        offer_with(
            {"port": 1, "host": "a", "at": {"a": 1, "b": "x"}}, {"port": "1", "host": "b", "at": {"a": "1"}}
        )
    )
    both = {"description": "Written by the pipeline one. Written by the pipeline two."}
    assert fields["port"] == {**both, **OPEN}
    assert fields["host"] == {**both, "type": "string"}
    assert fields["at"] == {
        **both,
        "type": "object",
        **OPEN,
        "properties": {"a": OPEN, "b": {"type": "string"}},
    }


def test_what_the_author_declares_outweighs_what_is_derived_and_loses_all_that_could_refuse_a_status() -> None:
    declared = {
        "description": "How to connect.",
        "type": "object",
        "required": ["host"],
        "x-kubernetes-validations": [{"rule": "self.port > 0"}],
        "properties": {
            "host": {
                "description": "The address.",
                "type": "string",
                "pattern": "^a$",
                "default": "b",
                "enum": ["a"],
            },
            "port": {"description": "Where it listens."},
            "replicas": {"type": "integer", "minimum": 3, "format": "int32"},
            "quota": {
                "description": "All.",
                "type": "object",
                "required": ["cpu"],
                "properties": {"cpu": {"type": "integer"}},
            },
            "message": {"description": "In words.", "type": "integer"},
            "kratix": {"description": "Not theirs.", "type": "string"},
            "other": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 1}},
            "nonsense": "text",
        },
    }
    offer = offer_with(STATUS, declared=declared)
    assert offer.status["description"] == "How to connect."
    assert offer.status["x-kubernetes-preserve-unknown-fields"] is True
    assert not {"required", "x-kubernetes-validations"} & set(offer.status)
    fields = fields_of(offer)
    assert fields["host"] == {"description": "The address.", "type": "string"}
    assert fields["port"] == {"description": "Where it listens.", "type": "integer"}
    assert fields["replicas"] == {"description": "Written by the pipeline one.", "type": "integer"}
    assert fields["quota"] == {
        "description": "All.",
        "type": "object",
        **OPEN,
        "properties": {"cpu": {"type": "integer"}, "unit": {"type": "string"}},
    }
    assert fields["message"] == {"description": "In words.", "type": "string"}
    assert fields["kratix"]["type"] == "object"
    assert fields["other"] == {
        "type": "array",
        "items": {"type": "object", **OPEN, "properties": {"a": {"type": "string"}}},
    }
    assert fields["map"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert fields["nonsense"] == OPEN
    assert offer.definition is not None
    assert list(definition_refusals(offer.definition)) == []


def test_troth_describes_each_field_that_it_writes_itself() -> None:
    version = build_definition("things", definition({"type": "object"}))["spec"]["versions"][0]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]

    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        found = [] if "description" in schema else [path]
        for name, child in schema.get("properties", {}).items():
            found += undescribed(child, f"{path}.{name}")
        for name, child in schema.get("items", {}).get("properties", {}).items():
            found += undescribed(child, f"{path}[].{name}")
        return found

    assert undescribed(status, "status") == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"replicas": 3}, None),
        ({"replicas": 3.0}, None),
        ({"replicas": None}, None),
        ({"replicas": "3"}, ("status.replicas", "is text, and the API declares a whole number")),
        ({"replicas": True}, ("status.replicas", "is true or false, and the API declares a whole number")),
        ({"replicas": 3.5}, ("status.replicas", "is a number, and the API declares a whole number")),
        ({"quota": {"cpu": ["1"]}}, ("status.quota.cpu", "is a list, and the API declares text")),
        ({"quota": {"more": ["1"]}}, None),
        ({"names": ["a", 1]}, ("status.names[1]", "is a whole number, and the API declares text")),
        ({"by": {"x": {}}}, ("status.by.x", "is a map, and the API declares true or false")),
        ({"count": 1}, None),
        ({"count": "1 to 3"}, None),
        ({"count": [1]}, ("status.count", "is a list, and the API declares a whole number or text")),
        ({"message": "text", "unknown": [1]}, None),
    ],
)
def test_a_status_of_another_type_than_the_api_declares_is_a_failure_that_names_the_field(
    status: dict[str, Any], said: tuple[str, str] | None
) -> None:
    declared = {
        "type": "object",
        "properties": {
            "replicas": {"type": "integer"},
            "quota": {"type": "object", "properties": {"cpu": {"type": "string"}}},
            "names": {"type": "array", "items": {"type": "string"}},
            "by": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "count": {"x-kubernetes-int-or-string": True},
            "message": {"type": "integer"},
        },
    }
    assert misfit(declared, status) == said
    schema = offer_with({}, declared=declared).status
    output = judge_outcomes(
        [Rendered("one", (), status=status)],
        selectors={},
        source="resource-workflow",
        declared_status=schema,
        now="2026-01-01T00:00:00Z",
    )
    if said is None:
        assert output.failure is None
    else:
        assert isinstance(output.failure, Failure)
        assert output.failure.reason == "InvalidStatus"
        assert output.failure.message == f"{said[0]} {said[1]}"


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 5), st.sampled_from(["x", "{{ name }}-x", "5"]), st.floats(0, 1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(
    first=st.dictionaries(st.sampled_from("xyz"), VALUES), second=st.dictionaries(st.sampled_from("xyz"), VALUES)
)
def test_whatever_pipelines_write_fits_the_schema_that_is_derived_of_them_and_loses_nothing(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    offer = offer_with(first, second)
    output = judge_outcomes(
        [Rendered("one", (), status=first), Rendered("two", (), status=second)],
        selectors={},
        source="resource-workflow",
        declared_status=offer.status,
        now="2026-01-01T00:00:00Z",
    )
    assert output.failure is None
    merged = dict(output.author.fields)
    assert misfit(offer.status, merged) is None
    assert pruned(merged, offer.status) == merged


def test_a_built_promise_has_what_its_pipelines_write_in_its_schema_and_the_operator_makes_the_same_of_it(
    tmp_path: Path,
) -> None:
    declared: dict[str, Any] = {
        "type": "object",
        "properties": {"host": {"type": "string", "description": "The address."}},
    }
    for number, (said, more) in enumerate(((None, True), (declared, True), (None, False))):
        obj = promise({"files": [{"path": "a.yaml", "template": "a: 1"}], "status": STATUS if more else {}})
        root = obj["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        if said is not None:
            root["properties"]["status"] = said
        first, second = tmp_path / f"{number}-first.yaml", tmp_path / f"{number}-second.yaml"
        first.write_text(yaml.safe_dump(obj))
        second.write_text(build(load_home(first)))
        assert build(load_home(second)) == second.read_text()
        built = yaml.safe_load(second.read_text())
        status = built["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].get(
            "status"
        )
        if not more:
            assert built == obj
            continue
        assert status["properties"]["port"] == {"description": "Written by the pipeline one.", "type": "integer"}
        if said is not None:
            assert status["properties"]["host"] == declared["properties"]["host"]
        offers = [read_offer(read_promise(as_served(one))) for one in (obj, built)]
        assert offers[0].definition == offers[1].definition
