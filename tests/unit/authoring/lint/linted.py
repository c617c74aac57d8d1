"""Small Promises for the tests of lint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from troth.api.objects import read_promise
from troth.engine.admission.serving import as_served
from troth.engine.linting.paths import check_paths
from troth.engine.linting.remarks import Remark
from troth.engine.promises.offers import read_offer

SPEC: Mapping[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "enum": ["small", "medium", "large"]},
        "replicas": {"type": "integer", "default": 1},
        "owner": {"type": "string"},
        "public": {"type": "boolean", "default": False},
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        "backup": {
            "type": "object",
            "required": ["schedule"],
            "properties": {"schedule": {"type": "string"}, "keep": {"type": "integer", "default": 7}},
        },
        "members": {
            "type": "array",
            "default": [],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "role": {"type": "string"}},
            },
        },
    },
}


def described(schema: Any) -> Any:
    """The schema with a description at each field that has none."""
    if not isinstance(schema, Mapping):
        return schema
    changed: dict[str, Any] = {"description": "Something.", **schema}
    for key in ("items", "additionalProperties"):
        if key in changed:
            changed[key] = described(changed[key])
    if isinstance(changed.get("properties"), Mapping):
        changed["properties"] = {name: described(child) for name, child in changed["properties"].items()}
    return changed


def definition(spec: Mapping[str, Any], *, required: bool = True, **version: Any) -> dict[str, Any]:
    """A CustomResourceDefinition whose requests have that spec."""
    schema: dict[str, Any] = described({"type": "object", "properties": {"spec": spec}})
    if required:
        schema["required"] = ["spec"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}
            ],
        },
    }


def promise(
    pipeline: Mapping[str, Any], spec: Mapping[str, Any] = SPEC, *, required: bool = True
) -> dict[str, Any]:
    """A Promise with one pipeline."""
    return {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {"name": "things"},
        "spec": {
            "api": definition(spec, required=required),
            "workflows": {
                "resource": {
                    "configure": [
                        {
                            "apiVersion": "troth.dev/v1alpha1",
                            "kind": "JinjaPipeline",
                            "metadata": {"name": "one"},
                            "spec": pipeline,
                        }
                    ]
                }
            },
        },
    }


def remarks(obj: Mapping[str, Any], *, without: Sequence[str] = ("T107",)) -> list[Remark]:
    """What lint says of the paths of a Promise."""
    found = check_paths(obj, read_offer(read_promise(as_served(obj))))
    return [remark for remark in found if remark.code not in without]


def of_template(template: str, **more: Any) -> list[Remark]:
    """What lint says of one template; ``spec`` and ``required`` are those of the API."""
    spec, required = more.pop("spec", SPEC), more.pop("required", True)
    pipeline = {**more, "files": [{"path": "x.yaml", "template": template}, *more.pop("files", [])]}
    return remarks(promise({**more, **pipeline}, spec, required=required))


def codes(template: str, **more: Any) -> list[str]:
    """The codes of `of_template`."""
    return [remark.code for remark in of_template(template, **more)]
