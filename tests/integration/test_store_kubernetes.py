"""The Kubernetes store on a real API server: order, pruning, ownership, drift, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster_store import ClusterStore, Object, claim, config_map, existing_objects
from tests.faults import FaultProxy, LoseAnswer, Refuse
from tests.platforms import exists
from troth.api.resources import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, NAMESPACE, Resource
from troth.dev import ControlPlane
from troth.kube import Client, load_credentials
from troth.stores import Claim, StoreError
from troth.stores.content import blob_id
from troth.stores.kubernetes import KubernetesSettings


def definition(group: str, kind: str = "Widget", *, scope: str = "Namespaced") -> Object:
    plural = f"{kind.lower()}s"
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def widget(group: str, name: str, namespace: str, size: object = 1) -> Object:
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"size": size},
    }


def metadata_of(obj: Object, labels: Mapping[str, str]) -> Object:
    return {"name": obj["metadata"]["name"], "namespace": obj["metadata"]["namespace"], "labels": dict(labels)}


@pytest.fixture
async def store(client: Client, namespace: str) -> AsyncIterator[ClusterStore]:
    store = ClusterStore(client, namespace)
    yield store
    await store.close()


@pytest.fixture
def group(unique: str) -> str:
    return f"{unique}.example.com"


async def test_a_kind_its_namespace_and_its_objects_in_one_claim(
    store: ClusterStore, client: Client, namespace: str, group: str
) -> None:
    inside = f"{namespace}-inner"
    writer = store.writer()
    # in the worst order, and in one file
    wanted = claim(
        "a",
        widget(group, "w", inside),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inside}},
        definition(group),
    )
    assert (await writer.write(wanted)).changed
    resource = Resource(group, "v1", "widgets", "Widget")
    assert (await client.get(resource, "w", inside))["spec"] == {"size": 1}
    assert not (await store.writer().write(wanted)).changed
    assert (await writer.write(claim("a"))).changed
    assert not await exists(client, CUSTOM_RESOURCE_DEFINITION, f"widgets.{group}")
    assert not await exists(client, NAMESPACE, inside)


async def test_what_a_manifest_no_longer_says_goes_and_what_others_say_stays(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    writer = store.writer()
    await writer.write(claim("a", config_map("c", namespace, ours="1", gone="1")))
    await client.apply(CONFIG_MAP, config_map("c", namespace, theirs="1"), field_manager="somebody")
    await writer.write(claim("a", config_map("c", namespace, ours="2")))
    assert (await client.get(CONFIG_MAP, "c", namespace))["data"] == {"ours": "2", "theirs": "1"}


async def test_an_object_without_a_namespace_goes_to_default_and_is_found_again(
    store: ClusterStore, client: Client, unique: str
) -> None:
    writer = store.writer()
    await writer.write(claim("a", config_map(unique, None, a="1")))
    assert await exists(client, CONFIG_MAP, unique, "default")
    await writer.write(claim("a"))
    assert not await exists(client, CONFIG_MAP, unique, "default")


async def test_one_object_in_two_files_is_refused_and_both_are_named(store: ClusterStore, namespace: str) -> None:
    writer = store.writer()
    twice = claim("a", one=[config_map("c", "default")], two=[config_map("c", None)])
    with pytest.raises(StoreError, match=r"one\.yaml.*two\.yaml.*ConfigMap default/c") as caught:
        await writer.write(twice)
    assert caught.value.reason == "InvalidManifest"
    assert not caught.value.retryable


async def test_a_missing_kind_is_named_and_everything_else_is_applied(
    store: ClusterStore, client: Client, namespace: str, group: str
) -> None:
    writer = store.writer()
    wanted = claim("a", config_map("c", namespace, a="1"), widget(group, "w", namespace))
    with pytest.raises(StoreError, match=f"does not serve Widget of {group}/v1") as caught:
        await writer.write(wanted)
    assert caught.value.reason == "KindMissing"
    assert caught.value.retryable
    assert await existing_objects(client, namespace) == {"c"}
    kind = store.writer()
    await kind.write(claim("b", definition(group)))
    assert (await writer.write(wanted)).changed
    await writer.write(claim("a"))
    assert await existing_objects(client, namespace) == set()
    await kind.write(claim("b"))


async def test_what_the_server_refuses_is_named_and_nothing_is_removed_meanwhile(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    writer = store.writer()
    await writer.write(claim("a", config_map("old", namespace)))
    bad = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": namespace},
        "spec": {"ports": "x"},
    }
    with pytest.raises(StoreError, match=rf"1 of 2 objects of a .*Service {namespace}/s") as caught:
        await writer.write(claim("a", config_map("new", namespace), bad))
    assert caught.value.reason == "ObjectsRefused"
    assert await existing_objects(client, namespace) == {"old", "new"}
    await writer.write(claim("a", config_map("new", namespace)))
    assert await existing_objects(client, namespace) == {"new"}


async def test_another_owners_object_is_refused_also_after_a_restart(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    await store.writer().write(claim("first", config_map("c", namespace, by="first")))
    for writer in (store.writer(), store.writer(store="another-store")):
        with pytest.raises(StoreError, match=r"both first and second") as caught:
            await writer.write(claim("second", config_map("c", namespace, by="second")))
        assert caught.value.reason == "PathConflict"
    assert (await client.get(CONFIG_MAP, "c", namespace))["data"] == {"by": "first"}


async def test_who_was_refused_does_not_keep_the_first_from_its_own_object(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    first = claim("first", config_map("c", namespace, by="first"))
    await store.writer().write(first)
    writer = store.writer()
    with pytest.raises(StoreError):
        await writer.write(claim("second", config_map("c", namespace, by="second"), config_map("d", namespace)))
    assert not (await writer.write(first)).changed
    await writer.write(claim("first", config_map("c", namespace, by="first again")))
    assert (await client.get(CONFIG_MAP, "c", namespace))["data"] == {"by": "first again"}
    await writer.write(claim("second"))
    assert await existing_objects(client, namespace) == {"c"}
    await writer.write(claim("first"))
    assert await existing_objects(client, namespace) == set()


async def test_an_owner_brings_its_objects_along_from_another_store_if_it_says_so(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    old = store.writer(store="old")
    await old.write(claim("a", config_map("kept", namespace, v="1"), config_map("gone", namespace)))
    uid = (await client.get(CONFIG_MAP, "kept", namespace))["metadata"]["uid"]
    new = store.writer(store="new")
    wanted = claim("a", config_map("kept", namespace, v="2"))
    with pytest.raises(StoreError) as caught:
        await new.write(wanted)
    assert caught.value.reason == "PathConflict"
    moved = replace(wanted, former_stores=("never-there", "old"))
    for writer in (new, store.writer(store="new")):
        await writer.write(moved)
        assert await existing_objects(client, namespace) == {"kept"}
        there = await client.get(CONFIG_MAP, "kept", namespace)
        assert (there["metadata"]["uid"], there["data"]) == (uid, {"v": "2"})
    assert not (await new.write(moved)).changed
    await old.write(claim("a"))
    assert await existing_objects(client, namespace) == {"kept"}
    await new.write(claim("a"))
    assert await existing_objects(client, namespace) == set()


async def test_what_another_has_taken_over_is_not_pruned(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    writer = store.writer()
    await writer.write(claim("a", config_map("c", namespace), config_map("d", namespace)))
    taken = await client.get(CONFIG_MAP, "c", namespace)
    taken["metadata"]["labels"]["troth.dev/inventory"] = "somebody-elses"
    await client.replace(CONFIG_MAP, taken)
    await writer.write(claim("a"))
    assert await existing_objects(client, namespace) == {"c"}


async def test_drift_is_found_and_repaired_and_status_is_not_drift(
    store: ClusterStore, client: Client, namespace: str, group: str
) -> None:
    writer = store.writer()
    kind = definition(group)
    kind["spec"]["versions"][0]["subresources"] = {"status": {}}
    kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    wanted = claim("a", kind, widget(group, "w", namespace))
    await writer.write(wanted)
    resource = Resource(group, "v1", "widgets", "Widget")
    await client.merge_patch(resource, "w", {"status": {"ready": True}}, namespace=namespace, subresource="status")
    assert not await writer.refresh()
    await client.merge_patch(resource, "w", {"spec": {"size": 7}}, namespace=namespace)
    assert await writer.refresh()
    assert (await writer.write(wanted)).changed
    assert (await client.get(resource, "w", namespace))["spec"] == {"size": 1}
    assert not await writer.refresh()
    await writer.write(claim("a"))


async def test_what_others_did_while_nobody_looked_is_repaired_after_a_restart(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": namespace, "annotations": {"ours": "1"}},
        "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": "a"}},
    }
    wanted = {
        "spec": claim("spec", service),
        "data": claim("data", config_map("c", namespace, v="1")),
        "gone": claim("gone", config_map("d", namespace, v="1")),
        "idle": claim("idle", config_map("e", namespace, v="1")),
    }
    before = store.writer()
    for each in wanted.values():
        await before.write(each)
    services = Resource("", "v1", "services", "Service")
    await client.merge_patch(services, "s", {"spec": {"selector": {"app": "b"}}}, namespace=namespace)
    await client.merge_patch(CONFIG_MAP, "c", {"data": {"v": None}}, namespace=namespace)
    await client.delete(CONFIG_MAP, "d", namespace)
    writer = store.writer()
    changed = {owner for owner, each in wanted.items() if (await writer.write(each)).changed}
    assert changed == {"spec", "data", "gone"}
    assert (await client.get(services, "s", namespace))["spec"]["selector"] == {"app": "a"}
    for name in ("c", "d", "e"):
        assert (await client.get(CONFIG_MAP, name, namespace))["data"] == {"v": "1"}
    again = store.writer()
    assert not any([(await again.write(each)).changed for each in wanted.values()])
    assert not await again.refresh()


async def test_an_object_that_somebody_made_anew_is_found_after_a_restart(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    """As a restored backup is: with our labels, and not what was applied."""
    wanted = claim("a", config_map("c", namespace, v="1"))
    await store.writer().write(wanted)
    there = await client.get(CONFIG_MAP, "c", namespace)
    await client.delete(CONFIG_MAP, "c", namespace)
    labels = there["metadata"]["labels"]
    await client.create(CONFIG_MAP, config_map("c", namespace, v="0") | {"metadata": metadata_of(there, labels)})
    assert (await store.writer().write(wanted)).changed
    assert (await client.get(CONFIG_MAP, "c", namespace))["data"] == {"v": "1"}


async def test_what_is_not_ours_of_an_object_may_change_and_is_no_drift(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    wanted = claim("a", config_map("c", namespace, v="1"))
    writer = store.writer()
    await writer.write(wanted)
    theirs = {"metadata": {"annotations": {"theirs": "1"}}, "data": {"theirs": "1"}}
    await client.merge_patch(CONFIG_MAP, "c", theirs, namespace=namespace)
    assert not await writer.refresh()
    for each in (writer, store.writer()):
        assert not (await each.write(wanted)).changed
    await client.merge_patch(
        CONFIG_MAP, "c", {"metadata": {"labels": {"troth.dev/inventory": None}}}, namespace=namespace
    )
    assert await writer.refresh()


async def test_an_inventory_without_stamps_is_believed_until_it_is_written_again(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    wanted = claim("a", config_map("c", namespace, v="1"))
    await store.writer().write(wanted)
    listing = await client.list(CONFIG_MAP, namespace)
    [record] = [
        item["metadata"]["name"] for item in listing.items if item["metadata"]["name"].startswith("troth-")
    ]
    await client.merge_patch(CONFIG_MAP, record, {"data": {"stamps": None}}, namespace=namespace)
    writer = store.writer()
    assert not (await writer.write(wanted)).changed
    await client.merge_patch(CONFIG_MAP, "c", {"data": {"v": "2"}}, namespace=namespace)
    assert await writer.refresh()
    assert (await writer.write(wanted)).changed


async def test_an_inventory_that_somebody_deleted_is_made_again(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    writer = store.writer()
    wanted = claim("a", config_map("c", namespace))
    await writer.write(wanted)
    (record,) = [
        item["metadata"]["name"]
        for item in (await client.list(CONFIG_MAP, namespace)).items
        if item["metadata"]["name"].startswith("troth-")
    ]
    await client.delete(CONFIG_MAP, record, namespace)
    assert await writer.refresh()
    assert (await writer.write(wanted)).changed
    assert await exists(client, CONFIG_MAP, record, namespace)


async def test_between_two_looks_refresh_does_not_ask(store: ClusterStore, namespace: str) -> None:
    writer = store.writer(settings=KubernetesSettings(look_interval=3600.0))
    wanted = claim("a", config_map("c", namespace))
    await writer.write(wanted)
    assert not await writer.refresh()
    await store.client.delete(CONFIG_MAP, "c", namespace)
    assert not await writer.refresh()


async def test_a_cluster_that_cannot_be_reached_fails_claims_and_recovers(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    async with FaultProxy(control_plane.kubeconfig, tmp_path) as proxy:
        client = Client(await load_credentials(proxy.kubeconfig), deadline=0.5)
        store = ClusterStore(client, namespace)
        writer = store.writer()
        with proxy.inject(Refuse()):
            for attempt in (writer.check(), writer.write(claim("a", config_map("c", namespace)))):
                with pytest.raises(StoreError) as caught:
                    await attempt
                assert caught.value.reason == "Unreachable"
        await writer.check()
        assert (await writer.write(claim("a", config_map("c", namespace)))).changed
        await store.close()
        await client.close()


@pytest.mark.parametrize("number", range(1, 9))
async def test_whatever_write_is_cut_short_nothing_is_lost_or_left_over(
    control_plane: ControlPlane, client: Client, namespace: str, tmp_path: Path, number: int
) -> None:
    """The n-th write is carried out and its answer lost, and the process with it; the next one repairs it."""
    await (
        ClusterStore(client, namespace)
        .writer()
        .write(claim("a", config_map("old", namespace), config_map("kept", namespace, v="1")))
    )
    wanted = claim("a", config_map("kept", namespace, v="2"), config_map("new", namespace))
    async with FaultProxy(control_plane.kubeconfig, tmp_path) as proxy:
        broken = Client(await load_credentials(proxy.kubeconfig), deadline=2.0)
        writes = 0

        class Counting(ClusterStore):
            """Loses the answer of one write."""

        store = Counting(broken, namespace)
        apply, delete = broken.apply, broken.delete

        async def counted(call: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes < number:
                return await call(*arguments, **options)
            with proxy.inject(LoseAnswer(), method="PATCH|DELETE"):
                return await call(*arguments, **options)

        broken.apply = lambda *a, **o: counted(apply, *a, **o)  # type: ignore[method-assign]
        broken.delete = lambda *a, **o: counted(delete, *a, **o)  # type: ignore[method-assign]
        await asyncio.gather(store.writer().write(wanted), return_exceptions=True)
        await broken.close()
    writer = ClusterStore(client, namespace).writer()
    await writer.write(wanted)
    assert await existing_objects(client, namespace) == {"kept", "new"}
    assert (await client.get(CONFIG_MAP, "kept", namespace))["data"] == {"v": "2"}
    await writer.write(claim("a"))
    assert await existing_objects(client, namespace) == set()


async def test_a_missing_namespace_for_inventories_is_made(client: Client, unique: str) -> None:
    store = ClusterStore(client, unique)
    writer = store.writer()
    await writer.check()
    assert not await exists(client, NAMESPACE, unique)
    await writer.write(claim("a", config_map(unique, None)))
    assert await exists(client, NAMESPACE, unique)
    await writer.write(claim("a"))
    await client.delete(NAMESPACE, unique)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [", "is not YAML"),
        (b"\xff", "UTF-8"),
        (b"- a\n", "not a Kubernetes object"),
        (b"kind: ConfigMap\n", "without apiVersion"),
        (b"apiVersion: v1\nkind: ConfigMap\n", "without metadata.name"),
        (b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: 7}\n", "not a string"),
    ],
)
async def test_what_is_no_manifest_is_refused_for_good(store: ClusterStore, content: bytes, words: str) -> None:
    async def load() -> Mapping[str, bytes]:
        return {"bad.yaml": content}

    with pytest.raises(StoreError, match=words) as caught:
        await store.writer().write(Claim("a", {"bad.yaml": blob_id(content)}, load))
    assert (caught.value.reason, caught.value.retryable) == ("InvalidManifest", False)
    assert "bad.yaml" in caught.value.message


@pytest.mark.parametrize("objects", ["[" * 50_000, '["abcd"]', '[["v1","ConfigMap","",5]]', "{}", "nonsense", "7"])
async def test_an_inventory_that_somebody_spoilt_is_told_and_holds_up_only_an_owner_that_leaves(
    store: ClusterStore, client: Client, namespace: str, objects: str
) -> None:
    first = store.writer()
    for owner in ("a", "b"):
        await first.write(claim(owner, config_map(owner, namespace, ours="1")))
    listing = await client.list(CONFIG_MAP, namespace, label_selector="app.kubernetes.io/managed-by=troth")
    (record,) = (item["metadata"]["name"] for item in listing.items if item["data"]["owner"] == "a")
    good = (await client.get(CONFIG_MAP, record, namespace))["data"]["objects"]
    await client.merge_patch(CONFIG_MAP, record, {"data": {"objects": objects}}, namespace=namespace)
    second = store.writer()
    await second.check()
    (complaint,) = second.take_complaints()
    assert f"the inventory {namespace}/{record} cannot be read" in complaint
    assert (await second.write(claim("b", config_map("b", namespace, ours="2")))).changed
    with pytest.raises(StoreError, match=r"not known which objects.*repair it") as caught:
        await second.write(claim("a"))
    assert caught.value.reason == "RecordUnreadable"
    assert await exists(client, CONFIG_MAP, "a", namespace)
    await client.merge_patch(CONFIG_MAP, record, {"data": {"objects": good}}, namespace=namespace)
    await second.write(claim("a"))
    assert not await exists(client, CONFIG_MAP, "a", namespace)


async def test_an_owner_whose_inventory_somebody_spoilt_writes_it_anew(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    await store.writer().write(claim("a", config_map("a", namespace, ours="1")))
    (record,) = (
        await client.list(CONFIG_MAP, namespace, label_selector="app.kubernetes.io/managed-by=troth")
    ).items
    name = record["metadata"]["name"]
    await client.merge_patch(CONFIG_MAP, name, {"data": {"objects": "[" * 5000}}, namespace=namespace)
    await store.writer().write(claim("a", config_map("a", namespace, ours="1")))
    assert (await client.get(CONFIG_MAP, name, namespace))["data"] == record["data"]
