"""A kind or a field of an API that kubectl explain cannot explain is noted, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.unit.authoring.lint.linted import promise
from troth.api.objects import read_promise
from troth.authoring.lint.linting import lint
from troth.engine.admission.serving import as_served
from troth.engine.linting.descriptions import check_descriptions
from troth.engine.promises.offers import read_offer

WORDS = {"description": "Something."}


def whole(status: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """A Promise that says everything, and the schema of its API."""
    pipeline = {"files": [{"path": "a.yaml", "template": "a: {{ spec }}"}], "status": status or {}}
    obj = promise(pipeline)
    return obj, obj["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def said(obj: dict[str, Any]) -> list[tuple[str, str]]:
    offer = read_offer(read_promise(as_served(obj)))
    found = list(check_descriptions(obj, offer))
    assert {remark.code for remark in found} <= {"T112"}
    return [(remark.field.rpartition("openAPIV3Schema")[2], remark.message) for remark in found]


def test_an_api_that_describes_everything_is_left_alone() -> None:
    obj, _ = whole({"message": "Hello", "conditions": []})
    assert said(obj) == []


def test_the_kind_and_each_field_without_a_description_are_named() -> None:
    obj, root = whole()
    spec = root["properties"]["spec"]
    del root["description"], spec["description"], spec["properties"]["size"]["description"]
    spec["properties"]["owner"]["description"] = " "
    del spec["properties"]["backup"]["properties"]["schedule"]["description"]
    del spec["properties"]["members"]["items"]["properties"]["role"]["description"]
    del spec["properties"]["members"]["items"]["description"]
    spec["properties"]["tags"]["additionalProperties"] = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
    }
    assert said(obj) == [
        ("", "kubectl explain shows nothing for the kind Thing: its schema has no description"),
        *(
            (field, f"kubectl explain shows nothing for {words}: it has no description")
            for field, words in (
                (".properties.spec", "spec"),
                (".properties.spec.properties.size", "spec.size"),
                (".properties.spec.properties.owner", "spec.owner"),
                (".properties.spec.properties.tags.additionalProperties.properties.a", "spec.tags.*.a"),
                (".properties.spec.properties.backup.properties.schedule", "spec.backup.schedule"),
                (".properties.spec.properties.members.items.properties.role", "spec.members[].role"),
            )
        ),
    ]


def test_a_field_of_the_status_that_the_api_does_not_describe_is_named_where_it_is_written() -> None:
    obj, root = whole({"host": "a", "port": 1, "region": "eu", "{{ name }}": 1, "gone": None})
    root["properties"]["status"] = {
        "type": "object",
        "properties": {
            "host": {"type": "string", **WORDS},
            "region": {"type": "string"},
            "message": {"type": "string"},
        },
    }
    assert said(obj) == [
        (
            ".properties.status.properties.region",
            "kubectl explain shows nothing for status.region: it has no description",
        ),
        (
            "spec.workflows.resource.configure[0].spec.status.port",
            "kubectl explain does not say what status.port is: the API does not describe it",
        ),
    ]


def test_a_note_stands_at_the_field_in_the_file_and_can_be_silenced(tmp_path: Path) -> None:
    obj, root = whole()
    del root["properties"]["spec"]["properties"]["size"]["description"]
    file = tmp_path / "promise.yaml"
    file.write_text(yaml.safe_dump(obj, sort_keys=False))
    (finding,) = [finding for finding in lint(file) if finding.code == "T112"]
    line = file.read_text().splitlines()[finding.line - 1]
    assert line.strip() == "size:"
    assert finding.severity == "note"
    file.write_text(file.read_text().replace(line, f"{line}  # troth:ignore T112 the enum says it", 1))
    assert not [finding for finding in lint(file) if finding.code in ("T112", "T002", "T003")]
