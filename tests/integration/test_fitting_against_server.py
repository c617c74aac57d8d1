"""Which requests no longer fit a tightened API, and which cannot even be written, is what the API server does."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from typing import Any

import pytest

from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION
from troth.engine.promises.definitions import build_definition
from troth.engine.promises.fitting import Fitting
from troth.kube import ApiError, Client, Invalid

pytestmark = pytest.mark.integration

FIELDS: Mapping[str, Any] = {
    "a": {"type": "integer"},
    "s": {"type": "string"},
    "l": {"type": "array", "items": {"type": "string"}},
    "o": {"type": "object", "properties": {"x": {"type": "string"}}},
}


def root(spec: Mapping[str, Any] | None = None, **keywords: Any) -> dict[str, Any]:
    keywords = {key.replace("_", "-"): value for key, value in keywords.items()}
    fields = {"type": "object", "properties": dict(FIELDS), **(spec or {})}
    return {"type": "object", "properties": {"spec": fields}, **keywords}


def field(name: str, **keywords: Any) -> dict[str, Any]:
    keywords = {key.replace("_", "-"): value for key, value in keywords.items()}
    return root({"properties": {**FIELDS, name: {**FIELDS[name], **keywords}}})


def rules(*texts: str) -> list[dict[str, str]]:
    return [{"rule": text} for text in texts]


FULL: Mapping[str, Any] = {"spec": {"a": 5, "s": "x", "l": ["a", "a"], "o": {}}}
# What there is, the schema afterwards, whether it does not fit, and whether it cannot be written.
CASES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], bool, bool]] = {
    "nothing": (FULL, root(), False, False),
    "rootrequired": ({}, root(required=["spec"]), True, True),
    "rootrule": ({}, root(x_kubernetes_validations=rules("has(self.spec)")), True, True),
    "rootrulespec": (FULL, root(x_kubernetes_validations=rules("self.spec.a < 3")), True, True),
    "rootrulefits": (FULL, root(x_kubernetes_validations=rules("self.spec.a < 9")), False, False),
    "specrule": (FULL, root({"x-kubernetes-validations": rules("self.a < 3")}), True, False),
    "specrequired": ({"spec": {}}, root({"required": ["a"]}), True, False),
    "enum": (FULL, field("s", enum=["y"]), True, False),
    "maximum": (FULL, field("a", maximum=3), True, False),
    "type": (FULL, root({"properties": {**FIELDS, "a": {"type": "string"}}}), True, False),
    "items": (FULL, field("l", maxItems=1), True, False),
    "set": (FULL, field("l", x_kubernetes_list_type="set"), True, False),
    "within": (FULL, field("o", required=["x"]), True, False),
    "change": (FULL, field("a", x_kubernetes_validations=rules("oldSelf < self")), True, True),
}


def definition(name: str, group: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": dict(schema)}}
    return build_definition(
        "things",
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{name}s.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": f"{name}s", "kind": name.capitalize()},
                "versions": [copy.deepcopy(version)],
            },
        },
    )


async def judged(client: Client, name: str, group: str, namespace: str) -> tuple[bool, bool]:
    """Whether the API server would refuse the same object if it were new, and whether it refuses every write."""
    existing, schema, _, _ = CASES[name]
    resource = Resource(group, "v1", f"{name}s", name.capitalize())
    body = {"apiVersion": resource.api_version, "kind": resource.kind, **existing}

    async def made() -> bool:
        try:
            early = {**body, "metadata": {"name": "early", "namespace": namespace}}
            await client.create(resource, early)
        except ApiError:  # not served yet
            return False
        return True

    await eventually(made, f"{name} is served", within=20)
    marker = {"x-kubernetes-preserve-unknown-fields": True, "type": "object", "description": "served"}
    after = definition(name, group, schema)
    after["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["marker"] = {
        **marker,
        "default": {"served": True},
    }
    await client.merge_patch(CUSTOM_RESOURCE_DEFINITION, f"{name}s.{group}", {"spec": after["spec"]})

    async def changed() -> bool:
        return "marker" in await client.get(resource, "early", namespace)

    await eventually(changed, f"the new {name} is served", within=20)
    live = await client.get(resource, "early", namespace)
    found = Fitting(after).unfit([live])
    return bool(found), bool(found and found[0].held)


async def refused(client: Client, name: str, group: str, namespace: str) -> tuple[bool, bool]:
    resource = Resource(group, "v1", f"{name}s", name.capitalize())
    live = await client.get(resource, "early", namespace)
    fresh: dict[str, Any] = {key: live[key] for key in ("apiVersion", "kind", "spec") if key in live}
    label = {"metadata": {"labels": {"a": "b"}}}
    new = writing = False
    try:
        await client.create(
            resource, {**fresh, "metadata": {"name": "late", "namespace": namespace}}, dry_run=True
        )
    except Invalid:
        new = True
    try:
        await client.merge_patch(resource, "early", label, namespace=namespace, dry_run=True)
    except Invalid:
        writing = True
    return new or writing, writing


async def test_what_is_said_of_a_request_is_what_the_api_server_does(
    client: Client, unique: str, namespace: str
) -> None:
    group = f"{unique}.example.com"

    async def one(name: str) -> tuple[str, tuple[bool, bool], tuple[bool, bool]]:
        await client.create(CUSTOM_RESOURCE_DEFINITION, definition(name, group, root()))
        try:
            said = await judged(client, name, group, namespace)
            return name, said, await refused(client, name, group, namespace)
        finally:
            await client.delete(CUSTOM_RESOURCE_DEFINITION, f"{name}s.{group}")

    answers = await asyncio.gather(*map(one, CASES))
    assert {name: said for name, said, _ in answers} == {name: (case[2], case[3]) for name, case in CASES.items()}
    assert {name: said for name, said, _ in answers} == {name: real for name, _, real in answers}
