"""The Promises of the library as their tests use them: loaded, rendered in this process, and checked.

What comes out is checked against the schemas that the destination has: Kubernetes' own, reduced and closed against
unknown fields (tests/data/schemas), and those of the CRDs that the Promise itself brings as dependencies.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from troth.api.objects import read_promise, read_request
from troth.authoring.home import load_home
from troth.engine.promises.offers import read_pipelines, templates_of
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Failure, Rendered, render_context, render_pipeline
from troth.engine.yaml.manifests import load_documents

ROOT = Path(__file__).parents[3]
PROMISES = ROOT / "promises"
SCHEMAS = ROOT / "tests" / "data" / "schemas"


@cache
def load_promise(name: str) -> dict[str, Any]:
    """The Promise of that name as it is built."""
    return load_home(PROMISES / name).promise


def examples(name: str) -> list[Path]:
    """The example requests of a Promise."""
    return sorted((PROMISES / name / "examples").glob("*.yaml"))


def api_schema(promise: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the Promise's API."""
    schema: dict[str, Any] = promise["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def with_defaults(schema: Mapping[str, Any], value: Any) -> Any:
    """What the API server makes of a request: defaults filled in, inside maps and lists that exist."""
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        filled = {key: with_defaults(properties.get(key) or {}, item) for key, item in value.items()}
        for key, inner in properties.items():
            if key not in filled and "default" in inner:
                filled[key] = with_defaults(inner, copy.deepcopy(inner["default"]))
        return filled
    if isinstance(value, list):
        return [with_defaults(schema.get("items") or {}, item) for item in value]
    return value


def request_of(promise: Mapping[str, Any], name: str, spec: Any, namespace: str = "default") -> dict[str, Any]:
    """A request as Troth gets it from the API server."""
    definition = promise["spec"]["api"]["spec"]
    request = {
        "apiVersion": f"{definition['group']}/{definition['versions'][0]['name']}",
        "kind": definition["names"]["kind"],
        "metadata": {"name": name, "namespace": namespace},
        **({} if spec is None else {"spec": spec}),
    }
    filled: dict[str, Any] = with_defaults(api_schema(promise), request)
    return filled


def accepted(promise: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Whether the schema of the API lets the request in (its CEL rules apart)."""
    return Draft202012Validator(api_schema(promise)).is_valid(request)


def render(promise: Mapping[str, Any], request: Mapping[str, Any]) -> Rendered | Failure:
    """What the one pipeline of the Promise makes of a request."""
    view = read_promise(promise)
    (pipeline,) = templates_of(
        read_pipelines(
            view.spec.resource_workflows.configure, "spec.workflows.resource.configure", action="configure"
        )
    )
    context = render_context(view, read_request(request))
    return render_pipeline(pipeline, context, limits=Limits(), nonce="0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Output:
    """A rendering that succeeded, read back."""

    files: dict[str, list[dict[str, Any]]]
    status: Mapping[str, Any]

    def objects(self) -> Iterator[dict[str, Any]]:
        """All objects of all files."""
        for documents in self.files.values():
            yield from documents

    def only(self, kind: str) -> dict[str, Any]:
        """The one object of that kind."""
        (found,) = [item for item in self.objects() if item["kind"] == kind]
        return found


def render_valid(promise: Mapping[str, Any], request: Mapping[str, Any]) -> Output:
    """Renders, twice; the output is the same, and every object of it is valid."""
    outcome = render(promise, request)
    assert isinstance(outcome, Rendered), outcome.sentence()
    assert render(promise, request) == outcome
    files = {file.path: load_documents(file.content.decode()) for file in outcome.files}
    output = Output(files, outcome.status)
    for item in output.objects():
        validate(promise, item)
    seen = [
        (item["apiVersion"], item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
        for item in output.objects()
    ]
    assert len(set(seen)) == len(seen), f"one object is rendered twice: {seen}"
    return output


def validate(promise: Mapping[str, Any], item: dict[str, Any]) -> None:
    """Fails with every error that the destination's API server would have found in the object."""
    identity = f"{item['apiVersion']}/{item['kind']}"
    validator = _validators(promise["metadata"]["name"]).get(identity)
    assert validator is not None, f"no schema for {identity}"
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(item)]
    assert not errors, f"{identity} {item['metadata']['name']}: {errors}"


@cache
def _validators(promise: str) -> dict[str, Draft202012Validator]:
    found: dict[str, Draft202012Validator] = {}
    for path in SCHEMAS.glob("kubernetes-*.json"):
        document = json.loads(path.read_text("utf-8"))
        for kind, reference in document["kinds"].items():
            found[kind] = Draft202012Validator({"$ref": reference, "definitions": document["definitions"]})
    path = PROMISES / promise
    for item in (load_promise(promise)["spec"].get("dependencies") or ()) if path.exists() else ():
        if item["kind"] != "CustomResourceDefinition":
            continue
        for version in item["spec"]["versions"]:
            identity = f"{item['spec']['group']}/{version['name']}/{item['spec']['names']['kind']}"
            found[identity] = Draft202012Validator(_closed(version["schema"]["openAPIV3Schema"]))
    return found


def _closed(schema: Any) -> Any:
    """The schema with an error where the API server would drop a field."""
    if not isinstance(schema, dict):
        return schema
    closed = dict(schema)
    if "properties" in schema:
        closed["properties"] = {name: _closed(inner) for name, inner in schema["properties"].items()}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            closed[key] = _closed(schema[key])
    return closed
