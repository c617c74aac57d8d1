"""Schemas may come out of files, of a folder or of a cluster's documents; what is no schema is said to be none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.unit.authoring.lint.linted import definition, promise
from troth.authoring.input_files import HomeError
from troth.authoring.lint import known_from, lint, read_schemas
from troth.cli import main
from troth.cli.cluster import context_of

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
PORT = "io.k8s.api.core.v1.ServicePort"
BOX = {"apiVersion": "other.example.com/v1", "kind": "Box", "metadata": {"name": "a"}}
TEMPLATE = "apiVersion: other.example.com/v1\nkind: Box\nmetadata: {name: a}\nspec: {size: 1}\n# {{ spec.a }}\n"


def boxes(kind: str = "string") -> dict[str, Any]:
    crd = definition({"type": "object", "properties": {"size": {"type": kind}}})
    crd["metadata"]["name"] = "boxes.other.example.com"
    crd["spec"].update(group="other.example.com", names={"kind": "Box", "plural": "boxes"})
    return crd


def openapi(three: bool = False) -> dict[str, Any]:
    prefix = "#/components/schemas/" if three else "#/definitions/"

    def to(name: str) -> dict[str, Any]:
        return {"default": {}, "allOf": [{"$ref": prefix + name}]} if three else {"$ref": prefix + name}

    schemas = {
        META: {"type": "object", "properties": {"name": {"type": "string", "description": "x"}}},
        PORT: {"type": "object", "properties": {"port": {"type": "integer", "format": "int32"}}},
        "com.example.Box": {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": to(META),
                "spec": {"type": "object", "properties": {"size": {"type": "string", "enum": ["s", "l"]}}},
                "port": to(PORT),
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {}}},
            },
            "x-kubernetes-group-version-kind": [{"group": "other.example.com", "version": "v1", "kind": "Box"}],
        },
    }
    if three:
        return {"openapi": "3.0.0", "components": {"schemas": schemas}}
    return {"swagger": "2.0", "info": {"version": "v1.30.0"}, "definitions": schemas}


def home(folder: Path) -> Path:
    folder.mkdir()
    spec = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}
    obj = promise({"files": [{"path": "x.yaml", "template": TEMPLATE}]}, spec)
    (folder / "promise.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    return folder


@pytest.mark.parametrize("three", [False, True])
def test_openapi_of_either_version_is_understood(three: bool) -> None:
    kubernetes = known_from([openapi(three)]).kubernetes

    def problems(**more: Any) -> list[str] | None:
        found = kubernetes.problems({**BOX, **more})
        return None if found is None else [f"{field} {problem}" for field, problem in found]

    assert problems(spec={"size": "s"}, port={"port": 80}, free={"b": 1}) == []
    assert problems(spec={"size": "m"}) == ["spec.size is 'm', which is not one of s, l"]
    assert problems(sepc={}) == ["sepc is not a field of it: the API server drops it; did you mean spec?"]
    # What only the validation code fixes holds for a cluster's schemas as well.
    assert problems(port={"port": 70000}) == ["port.port is 70000, and at most 65535 is allowed"]
    assert kubernetes.problems({"apiVersion": "v1", "kind": "ConfigMap"}) is None


def test_definitions_come_out_of_files_lists_and_folders(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [boxes()]}))
    (tmp_path / "two.json").write_text(json.dumps(openapi()))
    known = known_from([*read_schemas(tmp_path / "one.yaml"), *read_schemas(tmp_path / "two.json")])
    assert [crd["metadata"]["name"] for crd in known.definitions] == ["boxes.other.example.com"]
    assert known.kubernetes.version == "v1.30.0"
    assert len(read_schemas(tmp_path)) == 2


def test_a_kind_is_unchecked_until_its_schema_is_given(tmp_path: Path) -> None:
    folder = home(tmp_path / "home")
    assert [finding.code for finding in lint(folder)] == ["T201"]
    [finding] = lint(folder, known=known_from([boxes()]))
    assert (finding.code, "spec.size" in finding.message) == ("T202", True)
    assert lint(folder, known=known_from([boxes("integer")])) == []


@pytest.mark.parametrize("way", ["one version", "versions", "schema in the version"])
@pytest.mark.parametrize("keeps", [None, True, False])
def test_a_definition_of_v1beta1_is_understood(tmp_path: Path, way: str, keeps: bool | None) -> None:
    definition = boxes()
    definition["apiVersion"] = "apiextensions.k8s.io/v1beta1"
    spec = definition["spec"]
    [version] = spec.pop("versions")
    schema = version.pop("schema")
    if way == "one version":
        spec.update(version=version["name"], validation=schema)
    elif way == "versions":
        spec.update(versions=[version], validation=schema)
    else:
        spec.update(versions=[version | {"schema": schema}])
    if keeps is not None:
        spec["preserveUnknownFields"] = keeps
    folder = home(tmp_path / "home")
    (folder / "schemas").mkdir()
    (folder / "schemas" / "box.yaml").write_text(yaml.safe_dump(definition))
    [finding] = lint(folder)
    assert (finding.code, "spec.size" in finding.message) == ("T202", True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda spec: spec.pop("group"), "spec.group is missing"),
        (lambda spec: spec.pop("versions"), "spec.versions is missing"),
        (lambda spec: spec["versions"][0].update(schema="x"), "cannot be used"),
    ],
)
def test_a_definition_that_cannot_be_used_is_not_asked_for_but_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], says: str
) -> None:
    definition = boxes()
    change(definition["spec"])
    folder = home(tmp_path / "home")
    (folder / "schemas").mkdir()
    (folder / "schemas" / "box.yaml").write_text(yaml.safe_dump(definition))
    [finding] = lint(folder)
    assert finding.code == "T201"
    assert says in finding.message
    assert "put its" not in finding.fix


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: 1", "neither a CustomResourceDefinition nor OpenAPI"),
        ("[1, 2]", "neither a CustomResourceDefinition nor OpenAPI"),
        ('{"swagger": "2.0", "definitions": {"a": 5}}', "definitions.a: is not a map"),
        (
            '{"openapi": "3.0.0", "components": {"schemas": {"a": {"properties": [1]}}}}',
            "schemas.a.properties: is a list, not a map",
        ),
        ('{"a": ', ""),
        ("{" + '"a": {' * 5000, ""),
        ("\x00\x01", ""),
        ('{"swagger": "' + "a" * (3 * 1024 * 1024), "is not JSON"),
    ],
)
def test_what_is_no_schema_is_said_in_one_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "schemas.json"
    path.write_text(content)
    with pytest.raises(HomeError) as caught:
        read_schemas(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def troth(*arguments: object, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, [str(argument) for argument in arguments])


def test_the_command_takes_schemas_from_files(tmp_path: Path) -> None:
    folder = home(tmp_path / "home")
    (tmp_path / "crd.yaml").write_text(yaml.safe_dump(boxes()))
    result = troth("lint", folder, "--schemas", tmp_path / "crd.yaml", "--format", "json")
    assert [finding["code"] for finding in json.loads(result.stdout)] == ["T202"]
    assert result.exit_code == 1
    missing = troth("lint", folder, "--schemas", tmp_path / "none")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "none: does not exist" in missing.stderr


@pytest.mark.parametrize("option", ["--schemas", "--against"])
def test_a_cluster_that_cannot_be_had_is_said_in_one_line(tmp_path: Path, option: str) -> None:
    folder = home(tmp_path / "home")
    config: Mapping[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {"token": "t"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    for place, environment in (
        ("cluster:none", {"KUBECONFIG": str(tmp_path / "config")}),
        ("cluster", {"KUBECONFIG": str(tmp_path / "missing")}),
    ):
        result = troth("lint", folder, option, place, **environment)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("troth lint: ")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "context"),
    [("cluster", ""), ("cluster:prod", "prod"), ("cluster:", None), ("./cluster", None), ("clusters", None)],
)
def test_only_the_word_cluster_means_one(text: str, context: str | None) -> None:
    assert context_of(text) == context
