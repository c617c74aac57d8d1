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

from tests.generated_apis import WEBHOOK, apis, definition_of
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION as DEFINITION
from troth.dev import ControlPlane
from troth.engine.promises.definition_changes import definition_patch
from troth.engine.promises.definitions import read_definition
from troth.kube import Client, Invalid, load_credentials

pytestmark = pytest.mark.integration

Object = dict[str, Any]


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
                        fresh = await client.create(DEFINITION, definition_of(api, twin), dry_run=True)
                    except Invalid as error:
                        note(f"refused: {error}")
                        continue
                    desired = definition_of(api, group)
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
    before = definition_of(api_of(metadata=both, conversion=WEBHOOK), group)
    await client.create(DEFINITION, before)
    try:
        config = {"webhook": {"clientConfig": {"caBundle": authority}}}
        others = {
            "metadata": {"labels": {"theirs": "x"}, "annotations": {"theirs": "y", "shared": "theirs"}},
            "spec": {"conversion": config},
        }
        live = await client.merge_patch(DEFINITION, name, others, field_manager="somebody")
        assert definition_patch(read_definition(live), before) == {"metadata": {"annotations": {"shared": "ours"}}}
        after = definition_of(
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
        without = definition_of(api_of(metadata={"labels": {"team": "a"}, "annotations": {}}), group)
        patch = definition_patch(read_definition(live), without)
        assert patch is not None
        live = await client.merge_patch(DEFINITION, name, patch)
        assert live["spec"]["conversion"] == {"strategy": "None"}
    finally:
        await client.delete(DEFINITION, name)


async def test_a_conversion_that_somebody_else_set_up_stays(client: Client, unique: str) -> None:
    group = f"{unique}.example.com"
    name = f"things.{group}"
    desired = definition_of(api_of(), group)
    await client.create(DEFINITION, desired)
    try:
        live = await client.merge_patch(
            DEFINITION, name, {"spec": {"conversion": WEBHOOK}}, field_manager="somebody"
        )
        assert definition_patch(read_definition(live), desired) is None
    finally:
        await client.delete(DEFINITION, name)
