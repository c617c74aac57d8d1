"""A word that became a boolean, and so a key of another name, is told where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.unit.authoring.lint.linted import promise
from troth.authoring.lint import Finding, lint
from troth.cli import main
from troth.engine.yaml.manifests import dump_document

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '{{ spec.size }}', %s}\n"


def found(folder: Path, spec: str, template: str = CONFIG % "b: c") -> list[Finding]:
    """What lint says of booleans when the properties of spec are written like that."""
    obj = promise({"files": [{"path": "x.yaml", "template": template}]}, {"type": "object", "properties": "HERE"})
    text = dump_document(obj).replace("properties: HERE", f"properties: {spec}")
    (folder / "promise.yaml").write_text(text)
    return [finding for finding in lint(folder) if finding.code == "T113"]


@pytest.mark.parametrize("word", ["y", "Y", "n", "N", "yes", "No", "on", "OFF"])
def test_a_field_that_kubernetes_takes_for_a_boolean_is_told_with_its_line(tmp_path: Path, word: str) -> None:
    [finding] = found(tmp_path, f"{{size: {{type: string}}, {word}: {{type: integer}}}}")
    assert f"the field {word!r} of the API is called" in finding.message
    assert f"{word}: {{type: integer}}" in (tmp_path / "promise.yaml").read_text().split("\n")[finding.line - 1]
    assert found(tmp_path, f'{{size: {{type: string}}, "{word}": {{type: integer}}}}') == []


@pytest.mark.parametrize(
    "spec",
    [
        "{size: {type: string}, a: {type: object, properties: {on: {type: string}}}}",
        "{size: {type: string}, a: {type: array, items: {type: object, properties: {no: {type: string}}}}}",
        "{size: {type: string}, a: {type: object, additionalProperties: {type: object, properties: {y: {}}}}}",
        "{size: {type: string, enum: [a, y]}}",
        "{size: {type: string}, true: {type: string}}",
    ],
)
def test_such_a_word_is_found_at_any_depth_and_among_the_members_of_a_text(tmp_path: Path, spec: str) -> None:
    assert len(found(tmp_path, spec.replace("{}", "{type: string}"))) == 1


def test_booleans_that_are_meant_are_left_alone(tmp_path: Path) -> None:
    assert found(tmp_path, "{size: {type: string}, a: {type: boolean, enum: [yes], default: yes}}") == []


def test_a_key_of_what_is_rendered_is_told_once(tmp_path: Path) -> None:
    [finding] = found(tmp_path, "{size: {type: string}}", CONFIG % "on: push")
    assert "data.true" in finding.message
    assert found(tmp_path, "{size: {type: string}}", CONFIG % '"on": push') == []


def test_what_troth_writes_is_quoted(tmp_path: Path) -> None:
    value: dict[str, Any] = {word: word for word in ("y", "N", "on", "Off", "0O777", "1_000", ".5", "~", "<<")}
    assert yaml.safe_load(dump_document(value)) == value
    assert found(tmp_path, "{size: {type: string}}") == []


def test_a_request_with_such_a_key_is_told_to_quote_it(tmp_path: Path) -> None:
    fields = {"n": {"type": "integer"}, "size": {"type": "string"}}
    for required in ([], ["n"]):
        schema = {"type": "object", "required": required, "properties": fields}
        obj = promise({"files": [{"path": "x.yaml", "template": CONFIG % "b: c"}]}, schema)
        (tmp_path / "promise.yaml").write_text(dump_document(obj))
        (tmp_path / "request.yaml").write_text(
            "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\nspec: {size: s, n: 3}\n"
        )
        arguments = ["render", str(tmp_path), "-f", str(tmp_path / "request.yaml")]
        result = CliRunner().invoke(main, arguments)
        assert "n, no or off without quotes is false: quote the key" in result.stderr
