"""What decides where a request goes is told when an edit of the request may change it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.authoring.lint.linted import promise, remarks


def found(
    labels: dict[str, str],
    *,
    field: dict[str, Any] | None = None,
    spec_rules: list[str] | None = None,
    root_rules: list[str] | None = None,
    **pipeline: Any,
) -> list[str]:
    """The messages of T111 for a pipeline with these matchLabels; the API has environment, size, and places[].zone."""
    text = {"type": "string", "default": "dev"}
    spec = {
        "type": "object",
        "properties": {
            "environment": {**text, **(field or {})},
            "size": text,
            "where": {"type": "object", "default": {}, "properties": {"zone": text}},
        },
        "x-kubernetes-validations": [{"rule": rule} for rule in spec_rules or []],
    }
    template = "a: {{ spec.environment }} {{ spec.size }} {{ spec.where.zone }}"
    pipeline = {
        "files": [{"path": "x.yaml", "template": template}],
        "destinations": [{"directory": ".", "matchLabels": labels}],
        **pipeline,
    }
    obj = promise(pipeline, spec)
    schema = obj["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["x-kubernetes-validations"] = [{"rule": rule} for rule in root_rules or []]
    return [remark.message for remark in remarks(obj) if remark.code == "T111"]


ENVIRONMENT = {"environment": "{{ spec.environment }}"}


def test_a_selector_that_reads_a_field_that_can_be_edited_is_told_with_the_field() -> None:
    [message] = found(ENVIRONMENT)

    assert message.startswith("spec.environment decides where a request is placed")


@pytest.mark.parametrize(
    "labels",
    [
        {"environment": "{{ request.spec.environment }}"},
        {"environment": "{{ spec['environment'] | lower }}"},
        {"environment": "env-{{ spec.environment }}"},
        {"environment": "{% if spec.environment == 'prod' %}prod{% else %}dev{% endif %}"},
        {"environment": "{{ 'prod' if spec.environment == 'prod' else 'dev' }}"},
        {"environment": "{{ place }}"},
        {"environment": "{{ places[spec.environment] }}"},
        {"environment": "{{ values.place }}"},
        {"environment": "{{ through }}"},
        {"{{ spec.environment }}": "true"},
    ],
)
def test_each_way_of_reading_it_is_seen(labels: dict[str, str]) -> None:
    values = {
        "places": {"dev": "a", "prod": "b"},
        "place": "{{ places[spec.environment] }}",
        "through": "{{ place }}",
    }
    messages = found(labels, values=values)

    assert [message.partition(" ")[0] for message in messages] == ["spec.environment"]


@pytest.mark.parametrize(
    "labels",
    [
        {"environment": "prod"},
        {"owner": "{{ name }}"},
        {"owner": "{{ namespace }}"},
        {"owner": "{{ request.metadata.namespace }}"},
        {"promise": "{{ promise.name }}"},
        {"zone": "{{ fixed }}"},
    ],
)
def test_what_no_edit_can_change_is_not_told(labels: dict[str, str]) -> None:
    assert found(labels, values={"fixed": "a", "other": "{{ spec.environment }}"}) == []


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        ({"team": "{{ labels.team | default('none') }}"}, "labels"),
        ({"team": "{{ labels['team'] | default('none') }}"}, "labels"),
        ({"team": "{{ annotations['team'] | default('none') }}"}, "annotations"),
        ({"team": "{{ request.metadata.labels.team | default('none') }}"}, "labels"),
        ({"team": "{{ request.metadata['annotations'].team | default('none') }}"}, "annotations"),
        ({"team": "{{ team }}"}, "labels"),
    ],
)
def test_labels_and_annotations_can_always_be_edited(labels: dict[str, str], word: str) -> None:
    [message] = found(labels, values={"team": "{{ labels.team | default('none') }}"})

    assert message.startswith(f"{word} of a request decide where it is placed")


@pytest.mark.parametrize(
    "fixed",
    [
        {"field": {"x-kubernetes-validations": [{"rule": "self == oldSelf"}]}},
        {"field": {"x-kubernetes-validations": [{"rule": "oldSelf == self", "message": "stays"}]}},
        {"field": {"enum": ["dev"]}},
        {"spec_rules": ["self.environment == oldSelf.environment"]},
        {"spec_rules": ["!has(oldSelf.environment) || self.environment == oldSelf.environment"]},
        {"spec_rules": ["self == oldSelf"]},
        {"root_rules": ["self.spec.environment == oldSelf.spec.environment"]},
        {"root_rules": ["self.spec == oldSelf.spec"]},
    ],
)
def test_a_rule_that_fixes_the_field_is_enough(fixed: dict[str, Any]) -> None:
    assert found(ENVIRONMENT, **fixed) == []


@pytest.mark.parametrize(
    "other",
    [
        {"field": {"x-kubernetes-validations": [{"rule": "self != 'test'"}]}},
        {"spec_rules": ["self.size == oldSelf.size"]},
        {"spec_rules": ["self.environment != 'prod' || self.size != 'small'"]},
        {"spec_rules": ["self.environments == oldSelf.environments"]},
        {"root_rules": ["self.spec.size == oldSelf.spec.size"]},
    ],
)
def test_a_rule_about_something_else_is_not(other: dict[str, Any]) -> None:
    assert len(found(ENVIRONMENT, **other)) == 1


def test_a_field_that_the_api_does_not_have_is_told_as_that_only() -> None:
    assert found({"environment": "{{ spec.enviroment }}"}) == []


def test_a_key_that_the_api_leaves_open_can_be_edited() -> None:
    for opened in ({"x-kubernetes-preserve-unknown-fields": True}, {"additionalProperties": {"type": "string"}}):
        field = {"type": "object", "default": {}, **opened}
        assert len(found({"team": "{{ spec.environment.team | default('a') }}"}, field=field)) == 1


def test_a_folder_that_a_field_chooses_decides_as_well() -> None:
    rule = {"directory": "{{ spec.environment }}", "matchLabels": {"a": "b"}}

    assert len(found({}, destinations=[rule])) == 1


def test_a_field_within_another_is_fixed_where_the_other_is() -> None:
    zone = {"zone": "{{ spec.where.zone }}"}

    assert [message.partition(" ")[0] for message in found(zone)] == ["spec.where.zone"]
    assert found(zone, spec_rules=["self.where == oldSelf.where"]) == []
    assert found(zone, spec_rules=["self.where.zone == oldSelf.where.zone"]) == []
