"""What the operator writes makes a CustomResourceDefinition what its Promise says, on a real API server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from troth.api.resources import CUSTOM_RESOURCE_DEFINITION as DEFINITION
from troth.dev import ControlPlane
from troth.engine.promises.definition_changes import definition_patch
from troth.engine.promises.definitions import build_definition, read_definition
from troth.kube import Client, Invalid, load_credentials

pytestmark = pytest.mark.integration

Object = dict[str, Any]

RULES = [
    {"rule": "has(self.size)"},
    {"rule": "has(self.size)", "message": "say a size", "reason": "FieldValueRequired"},
    {"rule": "!has(self.count) || self.count < 9", "messageExpression": "'at most 8'", "fieldPath": ".count"},
    {"rule": "!oldSelf.hasValue() || has(self.size)", "optionalOldSelf": True},
]
COLUMNS = [
    {"name": "size", "type": "string", "jsonPath": ".spec.size", "priority": 0},
    {"name": "count", "type": "integer", "jsonPath": ".spec.count", "priority": 1, "description": "how many"},
    {"name": "age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": ""},
]
WEBHOOK = {
    "strategy": "Webhook",
    "webhook": {
        "conversionReviewVersions": ["v1"],
        "clientConfig": {"service": {"namespace": "default", "name": "convert"}},
    },
}


def some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    """A map with some of these keys."""
    return st.fixed_dictionaries({}, optional=keywords)


def with_(fixed: Mapping[str, Any], **keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    return some(**{name.replace("_", "-"): value for name, value in keywords.items()}).map(
        lambda chosen: {**chosen, **fixed}
    )


WORDS = st.sampled_from(["", "what it is", "Text"])
TEXT = with_(
    {"type": "string"},
    description=WORDS,
    enum=st.lists(st.sampled_from(["small", "large", "huge"]), unique=True),
    maxLength=st.integers(5, 9),
    minLength=st.integers(0, 3),
    pattern=st.sampled_from(["", "^[a-z]+$"]),
    format=st.sampled_from(["", "hostname", "poem"]),
    default=st.just("small"),
    nullable=st.booleans(),
    example=st.sampled_from(["x", ""]),
    minLenght=st.just(3),  # no keyword
    x_kubernetes_validations=st.sampled_from([[], [{"rule": "self != 'no'", "message": ""}]]),
)
NUMBER = with_(
    {"type": "integer"},
    maximum=st.sampled_from([8, 9.0, 2**63]),
    minimum=st.sampled_from([0, 1, -3]),
    multipleOf=st.sampled_from([1, 0.5]),
    exclusiveMaximum=st.booleans(),
    format=st.sampled_from(["int32", "int64"]),
    default=st.sampled_from([2, 4]),
)
LIST = with_(
    {"type": "array", "items": {"type": "string"}},
    maxItems=st.integers(0, 5),
    x_kubernetes_list_type=st.sampled_from(["set", "atomic"]),
    uniqueItems=st.just(False),
)
MAP = st.sampled_from(
    [
        {"type": "object", "additionalProperties": {"type": "string", "description": ""}},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {}},
        {"type": "object", "properties": {"any": {"x-kubernetes-preserve-unknown-fields": True}}, "default": {}},
    ]
)
EITHER = st.sampled_from(
    [
        {"x-kubernetes-int-or-string": True},
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"x-kubernetes-int-or-string": True, "allOf": [{}, {"not": {"enum": [0]}}]},
    ]
)
SPEC = with_(
    {},
    required=st.lists(st.sampled_from(["size", "count"]), unique=True),
    description=WORDS,
    x_kubernetes_validations=st.lists(st.sampled_from(RULES), unique_by=str),
    externalDocs=st.sampled_from([{}, {"url": "https://example.com"}]),
    anyOf=st.sampled_from([[], [{"required": ["size"]}, {"properties": {"size": {}}}]]),
    minProperties=st.integers(0, 2),
)
FIELDS = some(size=TEXT, count=NUMBER, items=LIST, more=MAP, either=EITHER)


@st.composite
def versions(draw: st.DrawFn, name: str, *, storage: bool) -> Object:
    spec = {
        "type": "object",
        **draw(SPEC),
        "properties": {"size": {"type": "string"}, "count": {"type": "integer"}},
    }
    spec["properties"] |= draw(FIELDS)
    root = draw(with_({}, required=st.sampled_from([[], ["spec"]]), description=WORDS))
    extra = draw(
        some(
            additionalPrinterColumns=st.lists(st.sampled_from(COLUMNS), unique_by=str),
            deprecated=st.booleans(),
            selectableFields=st.sampled_from([[], [{"jsonPath": ".spec.size"}]]),
            subresources=st.sampled_from(
                [{}, {"scale": {"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count"}}]
            ),
        )
    )
    if extra.get("deprecated"):
        extra |= draw(some(deprecationWarning=st.sampled_from(["use another", ""])))
    schema = {"openAPIV3Schema": {"type": "object", **root, "properties": {"spec": spec}}}
    return {"name": name, "served": True, "storage": storage, "schema": schema, **extra}


@st.composite
def apis(draw: st.DrawFn) -> Object:
    """The API of a Promise, of which the next one differs in some places."""
    spec: Object = {"group": "GROUP", "scope": "Namespaced", "versions": [draw(versions("v1", storage=True))]}
    if draw(st.booleans()):
        spec["versions"].append(draw(versions("v2", storage=False)))
    spec["names"] = {"plural": "things", "kind": "Thing"} | draw(
        some(
            shortNames=st.lists(st.sampled_from(["th", "tg"]), unique=True),
            categories=st.lists(st.sampled_from(["all", "troth"]), unique=True),
            singular=st.sampled_from(["thing", "athing"]),
            listKind=st.sampled_from(["ThingList", "Things"]),
        )
    )
    spec |= draw(
        some(conversion=st.sampled_from([{"strategy": "None"}, WEBHOOK]), preserveUnknownFields=st.just(False))
    )
    metadata = draw(
        some(
            labels=some(team=st.sampled_from(["a", "b"]), tier=st.just("gold")),
            annotations=some(note=st.sampled_from(["", "b"])),
        )
    )
    return {"metadata": metadata, "spec": spec}


def definition(api: Mapping[str, Any], group: str) -> Object:
    return build_definition(
        "things",
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {**api["metadata"], "name": f"things.{group}"},
            "spec": {**api["spec"], "group": group},
        },
    )


def meant(live: Mapping[str, Any]) -> Object:
    """What a definition is, whatever its group."""
    metadata = {part: live["metadata"].get(part) or {} for part in ("labels", "annotations")}
    return {**metadata, **{key: value for key, value in live["spec"].items() if key != "group"}}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(chain=st.lists(apis(), min_size=2, max_size=4))
def test_after_each_change_a_definition_is_what_a_fresh_one_would_be(
    control_plane: ControlPlane, chain: list[Object]
) -> None:
    async def run() -> None:
        token = uuid.uuid4().hex[:10]
        group, twin = f"t{token}.example.com", f"f{token}.example.com"
        async with Client(await load_credentials(control_plane.kubeconfig, None)) as client:
            live: Object = {}
            try:
                for api in chain:
                    try:
                        fresh = await client.create(DEFINITION, definition(api, twin), dry_run=True)
                    except Invalid as error:
                        note(f"refused: {error}")
                        continue
                    desired = definition(api, group)
                    if not live:
                        live = await client.create(DEFINITION, desired)
                    elif patch := definition_patch(read_definition(live), desired):
                        live = await client.merge_patch(DEFINITION, f"things.{group}", patch)
                    assert meant(live) == meant(fresh)
                    assert definition_patch(read_definition(live), desired) is None
            finally:
                if live:
                    await client.delete(DEFINITION, f"things.{group}")

    asyncio.run(run())


def api_of(schema: Mapping[str, Any] | None = None, **changes: Any) -> Object:
    spec_schema = {"type": "object", "properties": {"size": {"type": "string"}}, **(schema or {})}
    return {
        "metadata": changes.pop("metadata", {}),
        "spec": {
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing", **changes.pop("names", {})},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec_schema}}},
                }
            ],
            **changes,
        },
    }


async def test_what_others_put_on_a_definition_stays_and_what_we_put_there_leaves(
    client: Client, control_plane: ControlPlane, unique: str
) -> None:
    # Any authority will do, but once the definition is established the API server takes nothing but a certificate.
    kubeconfig = yaml.safe_load(control_plane.kubeconfig.read_text())
    authority = kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"]
    group = f"{unique}.example.com"
    name = f"things.{group}"
    both = {"labels": {"team": "a", "tier": "gold"}, "annotations": {"note": "ours", "shared": "ours"}}
    before = definition(api_of(metadata=both, conversion=WEBHOOK), group)
    await client.create(DEFINITION, before)
    try:
        config = {"webhook": {"clientConfig": {"caBundle": authority}}}
        others = {
            "metadata": {"labels": {"theirs": "x"}, "annotations": {"theirs": "y", "shared": "theirs"}},
            "spec": {"conversion": config},
        }
        live = await client.merge_patch(DEFINITION, name, others, field_manager="somebody")
        assert definition_patch(read_definition(live), before) == {"metadata": {"annotations": {"shared": "ours"}}}
        after = definition(
            api_of(metadata={"labels": {"team": "a"}, "annotations": {}}, conversion=WEBHOOK), group
        )
        patch = definition_patch(read_definition(live), after)
        assert patch is not None
        live = await client.merge_patch(DEFINITION, name, patch)
        assert live["metadata"]["labels"] == {
            "kratix.io/promise-name": "things",
            "team": "a",
            "theirs": "x",
        }
        assert live["metadata"]["annotations"] == {"theirs": "y", "shared": "theirs"}
        assert live["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] == authority
        without = definition(api_of(metadata={"labels": {"team": "a"}, "annotations": {}}), group)
        patch = definition_patch(read_definition(live), without)
        assert patch is not None
        live = await client.merge_patch(DEFINITION, name, patch)
        assert live["spec"]["conversion"] == {"strategy": "None"}
    finally:
        await client.delete(DEFINITION, name)


async def test_a_conversion_that_somebody_else_set_up_stays(client: Client, unique: str) -> None:
    group = f"{unique}.example.com"
    name = f"things.{group}"
    desired = definition(api_of(), group)
    await client.create(DEFINITION, desired)
    try:
        live = await client.merge_patch(
            DEFINITION, name, {"spec": {"conversion": WEBHOOK}}, field_manager="somebody"
        )
        assert definition_patch(read_definition(live), desired) is None
    finally:
        await client.delete(DEFINITION, name)
