"""The client against a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults import FaultProxy, LoseAnswer, gone, too_many_requests
from tests.waiting import SAFE, eventually
from tests.widgets import widgets
from troth.api import Resource
from troth.api.resources import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, NAMESPACE, SECRET
from troth.dev import CommandResult, ControlPlane
from troth.kube import (
    AlreadyExists,
    Client,
    Conflict,
    ConnectionFailed,
    Gone,
    Invalid,
    NotFound,
    load_credentials,
)

pytestmark = pytest.mark.integration

Kubectl = Callable[..., Awaitable[CommandResult]]


def config_map(namespace: str, name: str = "a", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


async def test_create_twice_is_already_exists_and_the_object_is_as_it_was(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAP, config_map(namespace, x="1"))
    with pytest.raises(AlreadyExists) as caught:
        await client.create(CONFIG_MAP, config_map(namespace, x="2"))
    assert caught.value.details["name"] == "a"
    assert await client.get(CONFIG_MAP, "a", namespace) == made


async def test_an_apply_that_changes_nothing_writes_nothing(client: Client, namespace: str) -> None:
    first = await client.apply(CONFIG_MAP, config_map(namespace, x="1"))
    again = await client.apply(CONFIG_MAP, config_map(namespace, x="1"))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_an_apply_takes_away_what_it_no_longer_says(client: Client, namespace: str) -> None:
    await client.apply(CONFIG_MAP, config_map(namespace, x="1", y="2"))
    assert (await client.apply(CONFIG_MAP, config_map(namespace, x="1")))["data"] == {"x": "1"}


async def test_an_apply_without_force_leaves_the_fields_of_others(client: Client, namespace: str) -> None:
    await client.apply(CONFIG_MAP, config_map(namespace, x="1"), field_manager="somebody")
    with pytest.raises(Conflict, match="somebody"):
        await client.apply(CONFIG_MAP, config_map(namespace, x="2"), force=False)
    assert (await client.apply(CONFIG_MAP, config_map(namespace, x="2")))["data"] == {"x": "2"}


async def test_a_dry_run_answers_and_leaves_no_trace(client: Client, namespace: str) -> None:
    answer = await client.apply(CONFIG_MAP, config_map(namespace, x="1"), dry_run=True)
    assert answer["data"] == {"x": "1"}
    with pytest.raises(NotFound) as caught:
        await client.get(CONFIG_MAP, "a", namespace)
    assert not caught.value.kind_missing


async def test_a_merge_patch_of_a_version_that_has_passed_is_a_conflict(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAP, config_map(namespace, x="1"))
    version = made["metadata"]["resourceVersion"]
    patched = await client.merge_patch(
        CONFIG_MAP, "a", {"data": {"x": None, "y": "2"}}, namespace=namespace, resource_version=version
    )
    assert patched["data"] == {"y": "2"}
    with pytest.raises(Conflict):
        await client.merge_patch(
            CONFIG_MAP, "a", {"data": {"z": "3"}}, namespace=namespace, resource_version=version
        )


async def test_a_json_patch_whose_test_fails_changes_nothing(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAP, config_map(namespace, x="1"))
    with pytest.raises(Invalid):
        await client.json_patch(
            CONFIG_MAP,
            "a",
            [{"op": "test", "path": "/data/x", "value": "2"}, {"op": "remove", "path": "/data/x"}],
            namespace=namespace,
        )
    assert await client.get(CONFIG_MAP, "a", namespace) == made
    patched = await client.json_patch(
        CONFIG_MAP, "a", [{"op": "replace", "path": "/data/x", "value": "2"}], namespace=namespace
    )
    assert patched["data"] == {"x": "2"}


async def test_a_replace_of_a_version_that_has_passed_is_a_conflict(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAP, config_map(namespace, x="1"))
    await client.replace(CONFIG_MAP, {**made, "data": {"x": "2"}})
    with pytest.raises(Conflict):
        await client.replace(CONFIG_MAP, {**made, "data": {"x": "3"}})


async def test_a_delete_of_another_uid_is_a_conflict(client: Client, namespace: str) -> None:
    made = await client.create(CONFIG_MAP, config_map(namespace))
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAP, "a", namespace, uid="00000000-0000-0000-0000-000000000000")
    answer = await client.delete(CONFIG_MAP, "a", namespace, uid=made["metadata"]["uid"])
    assert answer["kind"] == "Status"
    with pytest.raises(NotFound):
        await client.delete(CONFIG_MAP, "a", namespace)


async def test_a_delete_that_finalizers_hold_up_answers_the_object(client: Client, namespace: str) -> None:
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["troth.dev/test"]
    await client.create(CONFIG_MAP, held)
    answer = await client.delete(CONFIG_MAP, "a", namespace)
    assert answer["kind"] == "ConfigMap"
    assert answer["metadata"]["deletionTimestamp"]
    released = await client.merge_patch(CONFIG_MAP, "a", {"metadata": {"finalizers": None}}, namespace=namespace)
    assert "finalizers" not in released["metadata"]
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAP, "a", namespace)


async def test_what_the_schema_refuses_is_invalid_and_says_where(client: Client, namespace: str) -> None:
    with pytest.raises(Invalid) as caught:
        await client.create(CONFIG_MAP, config_map(namespace, "Not_A_Name"))
    assert caught.value.details["causes"][0]["field"] == "metadata.name"


async def test_a_list_comes_in_pages_and_is_whole(client: Client, namespace: str) -> None:
    await asyncio.gather(
        *(client.create(CONFIG_MAP, config_map(namespace, f"m{number}", x="y" * 4000)) for number in range(130))
    )
    sizes = [len(page.items) async for page in client.list_pages(CONFIG_MAP, namespace)]
    assert len(sizes) > 2
    listing = await client.list(CONFIG_MAP, namespace)
    assert {item["metadata"]["name"] for item in listing.items} == {f"m{number}" for number in range(130)}
    assert int(listing.resource_version) > 0


async def test_labels_select(client: Client, namespace: str) -> None:
    labelled = config_map(namespace, "b")
    labelled["metadata"]["labels"] = {"color": "blue"}
    await client.create(CONFIG_MAP, config_map(namespace, "a"))
    await client.create(CONFIG_MAP, labelled)
    listing = await client.list(CONFIG_MAP, namespace, label_selector="color in (blue, green)")
    assert [item["metadata"]["name"] for item in listing.items] == ["b"]


async def test_a_watch_goes_on_where_the_list_ended(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAP, config_map(namespace, "before"))
    listing = await client.list(CONFIG_MAP, namespace)
    await client.create(CONFIG_MAP, config_map(namespace, "after", x="é" * 300_000))
    await client.delete(CONFIG_MAP, "before", namespace)
    watch = client.watch(CONFIG_MAP, resource_version=listing.resource_version, namespace=namespace)
    async with asyncio.timeout(SAFE):
        events = [await anext(watch), await anext(watch)]
    await watch.aclose()
    assert [(event.type, event.object["metadata"]["name"]) for event in events] == [
        ("ADDED", "after"),
        ("DELETED", "before"),
    ]


async def test_discovery_finds_a_kind_as_soon_as_it_is_served_and_knows_built_in_ones(
    client: Client, unique: str
) -> None:
    deployment = await client.find_resource("apps/v1", "Deployment")
    assert deployment == Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
    assert await client.find_resource("v1", "Namespace") == NAMESPACE
    assert await client.find_resource("v1", "Secret") == SECRET
    assert await client.find_resource("v1", "Nothing") is None
    group = f"{unique}.example.com"
    assert await client.find_resource(f"{group}/v1", "Widget") is None
    await client.apply(CUSTOM_RESOURCE_DEFINITION, widgets(group))
    try:
        found = await eventually(lambda: client.find_resource(f"{group}/v1", "Widget"), "the kind is discovered")
        assert found == Resource(group, "v1", "widgets", "Widget", namespaced=False)
    finally:
        await client.delete(CUSTOM_RESOURCE_DEFINITION, f"widgets.{group}")

    async def unknown() -> bool:
        return await client.find_resource(f"{group}/v1", "Widget", refresh=True) is None

    await eventually(unknown, "discovery forgets the kind")


async def test_a_kind_that_is_not_served_is_told_from_an_object_that_is_not_there(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        await client.get(Resource("nobody.example.com", "v1", "things", "Thing", namespaced=False), "a")
    assert caught.value.kind_missing


async def test_a_read_of_a_fresh_kind_waits_until_its_storage_is_ready(client: Client, unique: str) -> None:
    group = f"{unique}.example.com"
    resource = Resource(group, "v1", "widgets", "Widget", namespaced=False)
    await client.apply(CUSTOM_RESOURCE_DEFINITION, widgets(group))
    try:

        async def served() -> bool:
            try:
                return (await client.list(resource)).items == []  # waits out 429 by itself
            except NotFound:
                return False

        await eventually(served, "the kind is served")
    finally:
        await client.delete(CUSTOM_RESOURCE_DEFINITION, f"widgets.{group}")


async def test_the_version_is_that_of_the_server(client: Client) -> None:
    assert (await client.version())["gitVersion"].startswith("v1.")


async def test_kubectl_agrees_on_the_bytes_of_a_value(client: Client, namespace: str, kubectl: Kubectl) -> None:
    value = 'line\n"quoted" {{ x }} \\ é 😀\t'
    await client.apply(CONFIG_MAP, config_map(namespace, x=value))
    seen = await kubectl("get", "configmap", "a", "-n", namespace, "-o", "jsonpath={.data.x}")
    assert seen.stdout == value


@settings(max_examples=10)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]))
        | st.text(st.sampled_from(" \n\x85\u2028\u2029\ufeff\uffff\x7f\x9f:#-{}[]'\"\\,?!&*%@`~<=>|")),
        min_size=50,
        max_size=200,
    )
)
def test_an_apply_is_read_as_the_json_that_it_is(control_plane: ControlPlane, values: list[str]) -> None:
    """What a create understands as JSON, an apply must not understand otherwise because it is read as YAML."""
    obj = config_map("default", "json", **{f"k{number}": value for number, value in enumerate(values)})

    async def both() -> tuple[Any, Any]:
        async with Client(await load_credentials(control_plane.kubeconfig)) as client:
            applied = await client.apply(CONFIG_MAP, obj, dry_run=True)
            created = await client.create(CONFIG_MAP, obj, dry_run=True)
            return applied["data"], created["data"]

    applied, created = asyncio.run(both())
    assert applied == created == obj["data"]


@pytest.fixture
async def proxy(control_plane: ControlPlane, tmp_path: Path) -> Any:
    async with FaultProxy(control_plane.kubeconfig, tmp_path) as proxy:
        yield proxy


@pytest.fixture
async def behind(proxy: FaultProxy) -> Any:
    async with Client(await load_credentials(proxy.kubeconfig)) as client:
        yield client


async def test_a_write_whose_answer_was_lost_has_happened_and_happens_once(
    proxy: FaultProxy, behind: Client, client: Client, namespace: str
) -> None:
    with proxy.inject(LoseAnswer(), method="POST", path="/configmaps") as rule:
        with pytest.raises(ConnectionFailed) as caught:
            await behind.create(CONFIG_MAP, config_map(namespace, x="1"))
        assert rule.hits == 1
    assert caught.value.ambiguous
    assert (await client.get(CONFIG_MAP, "a", namespace))["data"] == {"x": "1"}


async def test_writes_and_reads_wait_out_a_busy_server(proxy: FaultProxy, behind: Client, namespace: str) -> None:
    with proxy.inject(too_many_requests(retry_after=1), path="/configmaps", times=2) as rule:
        await asyncio.gather(
            behind.create(CONFIG_MAP, config_map(namespace, x="1")), behind.list(CONFIG_MAP, namespace)
        )
        assert rule.hits == 2


async def test_a_list_whose_pages_expire_begins_again(proxy: FaultProxy, behind: Client, namespace: str) -> None:
    await asyncio.gather(*(behind.create(CONFIG_MAP, config_map(namespace, f"m{n}")) for n in range(60)))
    with proxy.inject(gone(), path="continue=", times=2) as rule:
        assert len((await behind.list(CONFIG_MAP, namespace)).items) == 60
        assert rule.hits == 2


async def test_a_version_from_before_compaction_is_gone(proxy: FaultProxy, behind: Client, namespace: str) -> None:
    with proxy.inject(gone(), path="watch=1"), pytest.raises(Gone):
        await anext(behind.watch(CONFIG_MAP, resource_version="1", namespace=namespace))
