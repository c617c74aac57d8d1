"""What is not ours on a cluster: an object that exists is neither written nor deleted because a request names it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.cluster_store import ClusterStore, Object, claim, config_map, existing_objects
from tests.platforms import Platform, api_of, condition, destination, promise, says
from troth.api import Resource
from troth.api.resources import CONFIG_MAP, DESTINATION, KUBERNETES_STATE_STORE, NAMESPACE
from troth.kube import Client, NotFound
from troth.stores import Claim, StoreError
from troth.stores.handover import Handover, Spared, Yielding
from troth.stores.kubernetes import KubernetesWriter
from troth.stores.kubernetes_objects import ObjectKey

NAMESPACED_ROLE = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
INVENTORY = "troth.dev/inventory"
ADOPT = "troth.dev/adopt"


def team(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": "mallory"}}}


@pytest.fixture
async def store(client: Client, namespace: str) -> AsyncIterator[ClusterStore]:
    store = ClusterStore(client, namespace)
    yield store
    await store.close()


@pytest.fixture
async def payments(client: Client, unique: str) -> AsyncIterator[str]:
    """The Namespace of another team, with something in it."""
    name = f"{unique}-payments"
    await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    await client.create(CONFIG_MAP, config_map("theirs", name, ledger="1"), field_manager="payments")
    yield name
    await client.delete(NAMESPACE, name)


async def live(client: Client, resource: Resource, name: str, namespace: str = "") -> Any:
    """The object as it is, or None; without what the server counts."""
    try:
        return await client.get(resource, name, namespace)
    except NotFound:
        return None


async def refusal_of(writer: KubernetesWriter, wanted: Claim) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await writer.write(wanted)
    return caught.value


async def records(client: Client, namespace: str) -> dict[str, Any]:
    """The inventories, by owner."""
    listing = await client.list(CONFIG_MAP, namespace, label_selector="app.kubernetes.io/managed-by=troth")
    return {item["data"]["owner"]: item for item in listing.items}


async def annotate(client: Client, name: str, owner: str, namespace: str) -> None:
    patch = {"metadata": {"annotations": {ADOPT: owner}}}
    await client.merge_patch(CONFIG_MAP, name, patch, namespace=namespace, field_manager="kubectl-annotate")


async def test_a_namespace_of_another_team_is_not_touched_and_outlives_the_request(
    store: ClusterStore, client: Client, namespace: str, payments: str
) -> None:
    before = await live(client, NAMESPACE, payments)
    writer = store.writer()
    error = await refusal_of(writer, claim("a/x", team(payments), config_map("mine", namespace)))
    assert error.reason == "NotOurs"
    assert f"Namespace {payments}: it exists, and Troth did not make it" in error.message
    assert f"kubectl annotate namespaces {payments} troth.dev/adopt=a/x" in error.message
    assert await existing_objects(client, namespace) == {"mine"}
    assert await live(client, NAMESPACE, payments) == before
    for each in (writer, store.writer()):
        await each.write(claim("a/x"))
        assert await live(client, NAMESPACE, payments) == before
    assert await existing_objects(client, namespace) == set()


async def test_nothing_is_written_into_a_namespace_that_was_refused(
    store: ClusterStore, client: Client, payments: str
) -> None:
    """Or whoever asks for a team of that name is an administrator of its Namespace."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "owner", "namespace": payments},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "mallory"}],
    }
    for objects in ([team(payments), binding], [binding, team(payments)]):
        error = await refusal_of(store.writer(), claim("a/x", *objects))
        assert f"its Namespace {payments} is not Troth's" in error.message
        assert error.message.index("it exists") < error.message.index("its Namespace")
        assert await live(client, NAMESPACED_ROLE, "owner", payments) is None


async def test_nothing_is_written_into_a_namespace_that_a_sibling_claim_was_refused(
    store: ClusterStore, client: Client, namespace: str, payments: str, unique: str
) -> None:
    """One pipeline renders the Namespace, another one what is in it."""
    made = f"{unique}-made"

    def inside(name: str) -> Claim:
        async def siblings() -> Handover:
            wants = Spared(frozenset({ObjectKey("", "Namespace", "", name)}))
            return Handover(yielding=(Yielding(namespace, "a/spaces", wants), Yielding("elsewhere", "a/z", wants)))

        return replace(claim("a/inside", config_map("c", name)), handover=siblings)

    writer = store.writer()
    for name in (payments, made):
        error = await refusal_of(writer, inside(name))
        assert f"its Namespace {name} was not made by Troth yet" in error.message
    assert (await refusal_of(writer, claim("a/spaces", team(payments)))).reason == "NotOurs"
    assert await live(client, CONFIG_MAP, "c", payments) is None
    await writer.write(claim("a/spaces", team(made)))
    await writer.write(inside(made))
    assert await live(client, CONFIG_MAP, "c", made) is not None
    await writer.write(claim("a/inside"))
    await writer.write(claim("a/spaces"))


def lie(kind: str, plural: str, group: str, name: str = "x.example.com") -> Object:
    """A definition that the API server refuses: of a kind, and of where it is said to live."""
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": group,
            "names": {"plural": plural, "kind": kind, "singular": "x"},
            "scope": "Cluster",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


async def test_a_definition_in_the_claim_does_not_say_where_a_kind_lives(
    store: ClusterStore, client: Client, namespace: str, payments: str
) -> None:
    """Or the path of a kind leads into a Namespace that the Destination does not allow."""
    rbac = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "planted", "namespace": namespace},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "apiGroup": rbac, "name": "mallory"}],
    }
    lies = [
        lie("RoleBinding", f"namespaces/{payments}/rolebindings", rbac),
        lie("ConfigMap", f"namespaces/{payments}/configmaps", "", "y.example.com"),
    ]
    writer = store.writer()
    error = await refusal_of(writer, claim("a/x", *lies, binding, config_map("planted", namespace)))
    assert error.reason == "ObjectsRefused"
    assert "2 of 4 objects" in error.message
    for resource in (NAMESPACED_ROLE, CONFIG_MAP):
        assert await live(client, resource, "planted", payments) is None
        assert await live(client, resource, "planted", namespace) is not None
    await writer.write(claim("a/x"))
    assert await live(client, NAMESPACED_ROLE, "planted", namespace) is None


async def test_nothing_is_written_of_a_kind_whose_definition_was_refused(
    store: ClusterStore, client: Client, namespace: str, payments: str, unique: str
) -> None:
    group = f"{unique}.example.com"
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": namespace}}
    between = Between(client, None, before="")
    writer = ClusterStore(between, namespace).writer()  # type: ignore[arg-type]
    refused = lie("Widget", "widgets", group, f"widgets.{group}")
    refused["spec"]["versions"][0]["storage"] = False
    error = await refusal_of(writer, claim("a/x", refused, widget, config_map("c", namespace)))
    assert "does not serve its kind as its CustomResourceDefinition says" in error.message
    assert "apply w" not in between.calls
    assert "apply c" in between.calls
    malformed = lie("Widget", "widgets", group, f"widgets.{group}")
    malformed["spec"]["versions"] = ["v1"]
    error = await refusal_of(writer, claim("a/x", malformed))
    assert (error.reason, error.retryable) == ("InvalidManifest", False)
    await writer.write(claim("a/x"))


@pytest.mark.parametrize("maker", ["create", "apply", "our own field manager"])
async def test_an_object_made_by_hand_is_refused_and_stays_whoever_made_it_how(
    store: ClusterStore, client: Client, namespace: str, maker: str
) -> None:
    by_hand = config_map("c", namespace, v="theirs")
    if maker == "create":
        await client.create(CONFIG_MAP, by_hand, field_manager="kubectl-create")
    else:
        await client.apply(CONFIG_MAP, by_hand, field_manager="kubectl" if maker == "apply" else "troth")
    before = await live(client, CONFIG_MAP, "c", namespace)
    writer = store.writer()
    error = await refusal_of(writer, claim("a/x", config_map("c", namespace, v="ours")))
    command = f"kubectl annotate configmaps c --namespace {namespace} troth.dev/adopt=a/x"
    assert command in error.message
    await writer.write(claim("a/x"))
    assert await live(client, CONFIG_MAP, "c", namespace) == before


async def test_what_was_adopted_is_kept_as_any_other_and_given_back_in_the_end(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    await client.create(CONFIG_MAP, config_map("c", namespace, v="theirs", other="1"), field_manager="hand")
    await annotate(client, "c", "a/x", namespace)
    writer = store.writer()
    wanted = claim("a/x", config_map("c", namespace, v="ours"))
    await writer.write(wanted)
    there = await live(client, CONFIG_MAP, "c", namespace)
    assert there["data"] == {"v": "ours", "other": "1"}
    assert there["metadata"]["annotations"]["troth.dev/adopted"] == "true"
    again = store.writer()
    assert not (await again.write(wanted)).changed
    await client.merge_patch(CONFIG_MAP, "c", {"data": {"v": "drift"}}, namespace=namespace)
    await client.merge_patch(
        CONFIG_MAP, "c", {"metadata": {"annotations": {"troth.dev/adopted": None}}}, namespace=namespace
    )
    assert await again.refresh()
    await again.write(wanted)
    await store.writer().write(claim("a/x"))
    left = await live(client, CONFIG_MAP, "c", namespace)
    assert left["data"] == {"v": "ours", "other": "1"}
    assert left["metadata"]["uid"] == there["metadata"]["uid"]
    assert INVENTORY not in (left["metadata"].get("labels") or {})
    assert not [key for key in left["metadata"].get("annotations") or {} if key.startswith("troth.dev/")]
    managers = {entry["manager"] for entry in left["metadata"].get("managedFields") or ()}
    assert "troth" not in managers
    assert (await refusal_of(store.writer(), wanted)).reason == "NotOurs"


@pytest.mark.parametrize("forgotten", ["mark", "record"])
async def test_what_was_adopted_is_given_back_when_it_is_no_longer_rendered_and_half_of_it_was_forgotten(
    store: ClusterStore, client: Client, namespace: str, forgotten: str
) -> None:
    await client.create(CONFIG_MAP, config_map("c", namespace, v="theirs"), field_manager="hand")
    await annotate(client, "c", "a/x", namespace)
    await store.writer().write(claim("a/x", config_map("c", namespace, v="ours"), config_map("d", namespace)))
    if forgotten == "mark":
        patch: Mapping[str, Any] = {"metadata": {"annotations": {"troth.dev/adopted": None, ADOPT: None}}}
        await client.merge_patch(CONFIG_MAP, "c", patch, namespace=namespace)
    else:
        record = (await records(client, namespace))["a/x"]["metadata"]["name"]
        await client.merge_patch(CONFIG_MAP, record, {"data": {"adopted": None}}, namespace=namespace)
    await store.writer().write(claim("a/x", config_map("d", namespace)))
    assert (await live(client, CONFIG_MAP, "c", namespace))["data"] == {"v": "ours"}
    await store.writer().write(claim("a/x"))
    assert await existing_objects(client, namespace) == {"c"}


async def test_an_object_is_let_to_the_owner_that_is_named_and_to_nobody_else(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    await client.create(CONFIG_MAP, config_map("c", namespace, v="theirs"), field_manager="hand")
    for let in ("true", "*", "a", "a/", "a/xy", "A/x", "a/x ", "b/x"):
        await annotate(client, "c", let, namespace)
        assert (await refusal_of(store.writer(), claim("a/x", config_map("c", namespace)))).reason == "NotOurs"
    assert (await live(client, CONFIG_MAP, "c", namespace))["data"] == {"v": "theirs"}


async def test_who_is_refused_an_object_does_not_keep_it_from_the_one_that_may_have_it(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    await client.create(CONFIG_MAP, config_map("c", namespace, v="theirs"), field_manager="hand")
    writer = store.writer()
    await refusal_of(writer, claim("mallory/x", config_map("c", namespace, v="mallory's")))
    await annotate(client, "c", "a/x", namespace)
    await writer.write(claim("a/x", config_map("c", namespace, v="ours")))
    assert (await live(client, CONFIG_MAP, "c", namespace))["data"] == {"v": "ours"}
    error = await refusal_of(writer, claim("mallory/x", config_map("c", namespace, v="mallory's")))
    assert error.reason == "PathConflict"


async def test_nobody_writes_the_record_of_another_owner(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    """A rendered ConfigMap where Troth will look for the inventory of a request that does not exist yet."""
    writer = store.writer()
    forged = config_map(writer._inventories.name("a/x"), namespace, owner="a/x", objects="[]")
    forged["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "troth", "troth.dev/store": namespace}
    error = await refusal_of(writer, claim("mallory/x", forged, config_map("d", namespace)))
    assert "1 of 2 objects" in error.message
    assert "Troth keeps its inventories under such names" in error.message
    assert set(await records(client, namespace)) == {"mallory/x"}


async def test_a_manifest_cannot_adopt_for_itself(store: ClusterStore, client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAP, config_map("c", namespace, v="theirs"), field_manager="hand")
    wanted = config_map("c", namespace, v="ours")
    there = await live(client, CONFIG_MAP, "c", namespace)
    name = store.writer()._inventories.name("a/x")
    wanted["metadata"] |= {
        "annotations": {ADOPT: "a/x", "troth.dev/adopted": "true"},
        "labels": {INVENTORY: name},
        "uid": there["metadata"]["uid"],
        "resourceVersion": there["metadata"]["resourceVersion"],
    }
    assert (await refusal_of(store.writer(), claim("a/x", wanted))).reason == "NotOurs"
    assert await live(client, CONFIG_MAP, "c", namespace) == there


async def test_a_destination_may_let_everything_be_adopted_but_what_is_another_owners(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    await client.create(CONFIG_MAP, config_map("c", namespace, v="theirs"), field_manager="hand")
    await store.writer(store="another").write(claim("b/x", config_map("d", namespace)))
    await client.merge_patch(
        CONFIG_MAP, "d", {"metadata": {"labels": {INVENTORY: "another-troths"}}}, namespace=namespace
    )
    wanted = replace(claim("a/x", config_map("c", namespace, v="ours"), config_map("d", namespace)), adopts=True)
    error = await refusal_of(store.writer(), wanted)
    assert "1 of 2 objects" in error.message
    assert f"ConfigMap {namespace}/d: it exists, and this owner did not make it" in error.message
    assert (await live(client, CONFIG_MAP, "c", namespace))["data"] == {"v": "ours"}
    await store.writer().write(claim("a/x"))
    assert (await live(client, CONFIG_MAP, "c", namespace))["data"] == {"v": "ours"}


@pytest.mark.parametrize("forged", ["label", "label and record", "record with uid", "label and record with uid"])
async def test_a_label_or_a_record_put_there_by_others_makes_nothing_ours(
    store: ClusterStore, client: Client, namespace: str, payments: str, forged: str
) -> None:
    """Somebody labels a Namespace, or writes it into the inventory of a request, and asks for it or leaves."""
    writer = store.writer()
    await writer.write(claim("a/x", config_map("mine", namespace)))
    record = (await records(client, namespace))["a/x"]
    name = record["metadata"]["name"]
    if "label" in forged:
        await client.merge_patch(
            NAMESPACE, payments, {"metadata": {"labels": {INVENTORY: name}}}, field_manager="kubectl-label"
        )
    there = await live(client, NAMESPACE, payments)
    if "record" in forged:
        rows = f'[["v1","ConfigMap","{namespace}","mine"],["v1","Namespace","","{payments}"]]'
        uid = there["metadata"]["uid"] if "uid" in forged else ""
        stamps = f'["","{uid}-0123456789abcdef"]'
        patch = {"data": {"objects": rows, "stamps": stamps}}
        await client.merge_patch(CONFIG_MAP, name, patch, namespace=namespace)
    if "label" not in forged or "record" not in forged:
        error = await refusal_of(store.writer(), claim("a/x", team(payments), config_map("mine", namespace)))
        assert error.reason == "NotOurs"
        assert await live(client, NAMESPACE, payments) == there
    await store.writer().write(claim("a/x"))
    assert await live(client, NAMESPACE, payments) == there


async def test_an_object_made_anew_by_hand_is_not_ours_any_more(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    wanted = claim("a/x", config_map("c", namespace, v="ours"))
    writer = store.writer()
    await writer.write(wanted)
    await client.delete(CONFIG_MAP, "c", namespace)
    await client.create(CONFIG_MAP, config_map("c", namespace, v="theirs"), field_manager="hand")
    for changed in (wanted, claim("a/x", config_map("c", namespace, v="ours again"))):
        for each in (writer, store.writer()):
            await each.refresh()
            assert (await refusal_of(each, changed)).reason == "NotOurs"
    await writer.write(claim("a/x"))
    assert (await live(client, CONFIG_MAP, "c", namespace))["data"] == {"v": "theirs"}


class Between:
    """A client that lets somebody do something between a look and the write that follows it."""

    def __init__(self, client: Client, act: Any, *, before: str) -> None:
        self._client = client
        self._act = act
        self._before = before
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name not in ("get", "list", "apply", "delete", "merge_patch"):
            return call

        async def counted(resource: Resource, *arguments: Any, **options: Any) -> Any:
            subject = arguments[0]["metadata"]["name"] if name == "apply" else arguments[0] if arguments else ""
            if not str(subject).startswith("troth-") and name != "list":
                self.calls.append(f"{name} {subject}")
                if name == self._before and self._act is not None:
                    act, self._act = self._act, None
                    await act()
            return await call(resource, *arguments, **options)

        return counted


async def test_what_appears_between_the_look_and_the_write_is_seen(
    client: Client, namespace: str, unique: str
) -> None:
    name = f"{unique}-late"

    async def somebody() -> None:
        await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    between = Between(client, somebody, before="apply")
    store = ClusterStore(between, namespace)  # type: ignore[arg-type]
    error = await refusal_of(store.writer(), claim("a/x", team(name), config_map("c", name)))
    assert error.reason == "NotOurs"
    assert "2 of 2 objects" in error.message
    there = await live(client, NAMESPACE, name)
    assert "team" not in there["metadata"]["labels"]
    assert await live(client, CONFIG_MAP, "c", name) is None
    await client.delete(NAMESPACE, name)


@pytest.mark.parametrize("kept_label", [False, True])
async def test_what_is_made_anew_between_the_look_and_the_deletion_stays(
    store: ClusterStore, client: Client, namespace: str, kept_label: bool
) -> None:
    await store.writer().write(claim("a/x", config_map("c", namespace, v="ours")))
    there = await live(client, CONFIG_MAP, "c", namespace)

    async def somebody() -> None:
        await client.delete(CONFIG_MAP, "c", namespace)
        made = config_map("c", namespace, v="theirs")
        if kept_label:
            made["metadata"]["labels"] = there["metadata"]["labels"]
        await client.create(CONFIG_MAP, made, field_manager="hand")

    for before in ("delete", "get"):
        between = Between(client, somebody, before=before)
        writer = ClusterStore(between, namespace).writer()  # type: ignore[arg-type]
        if before == "delete":
            assert "match the UID" in (await refusal_of(writer, claim("a/x"))).message
        else:
            await writer.write(claim("a/x"))
        assert (await live(client, CONFIG_MAP, "c", namespace))["data"] == {"v": "theirs"}


async def test_an_object_that_is_ours_costs_one_call(client: Client, namespace: str) -> None:
    between = Between(client, None, before="")
    store = ClusterStore(between, namespace)  # type: ignore[arg-type]
    writer = store.writer()
    await writer.write(claim("a/x", config_map("c", namespace, v="1")))
    assert between.calls == ["get c", "apply c"]
    between.calls.clear()
    await writer.write(claim("a/x", config_map("c", namespace, v="2")))
    await store.writer().write(claim("a/x", config_map("c", namespace, v="3")))
    assert between.calls == ["apply c", "apply c"]
    between.calls.clear()
    await store.writer().write(claim("a/x", config_map("c", namespace, v="3")))
    assert between.calls == []


async def test_what_an_earlier_release_applied_is_known_and_removed(
    store: ClusterStore, client: Client, namespace: str
) -> None:
    """Its stamps have the first eight characters of a uid; those before it had none."""
    wanted = claim("a/x", config_map("c", namespace, v="1"))
    await store.writer().write(wanted)
    record = (await records(client, namespace))["a/x"]
    stamp: str = record["data"]["stamps"][2:-2]
    uid, _, digest = stamp.rpartition("-")
    for stamps in (f'["{uid[:8]}-{digest}"]', None):
        await client.merge_patch(
            CONFIG_MAP, record["metadata"]["name"], {"data": {"stamps": stamps}}, namespace=namespace
        )
        writer = store.writer()
        assert not await writer.refresh()
        assert not (await writer.write(wanted)).changed
    await store.writer().write(claim("a/x"))
    assert await existing_objects(client, namespace) == set()


TEAM = """\
apiVersion: v1
kind: Namespace
metadata:
  name: {{ spec.team }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: quota
  namespace: {{ spec.team }}
data:
  owner: {{ name }}
"""


async def test_a_request_for_another_teams_namespace_says_how_to_adopt_it_and_gives_it_back(
    platform: Platform, client: Client, unique: str, namespace: str, payments: str
) -> None:
    await platform.make(
        KUBERNETES_STATE_STORE,
        {
            "apiVersion": KUBERNETES_STATE_STORE.api_version,
            "kind": KUBERNETES_STATE_STORE.kind,
            "metadata": {"name": unique},
            "spec": {},
        },
    )
    await platform.make(
        DESTINATION, destination(unique, store=unique, kind="KubernetesStateStore", labels={"for": unique})
    )
    await platform.publish(promise(unique, template=TEAM))
    before = await live(client, NAMESPACE, payments)
    await platform.ask(unique, "mine", namespace, team=payments)
    refused = await platform.wait(
        api_of(unique), "mine", says("Ready", "False", f"Namespace {payments}: it exists"), namespace=namespace
    )
    message = condition(refused, "Ready")["message"]
    (command,) = re.findall(r"kubectl annotate namespaces \S+ troth.dev/adopt=(\S+)", message)
    assert await live(client, NAMESPACE, payments) == before
    assert await live(client, CONFIG_MAP, "quota", payments) is None
    other = f"{unique}-other"
    await platform.ask(unique, "mine", namespace, team=other)
    await platform.ready(unique, "mine", namespace)
    await platform.ask(unique, "mine", namespace, team=payments)
    await platform.wait(api_of(unique), "mine", says("Ready", "False", "it exists"), namespace=namespace)
    assert (await live(client, CONFIG_MAP, "quota", other)) is not None  # nothing is removed meanwhile
    patch = {"metadata": {"annotations": {ADOPT: command.rstrip(".,;")}}}
    await client.merge_patch(NAMESPACE, payments, patch, field_manager="kubectl-annotate")
    await platform.ready(unique, "mine", namespace, within=40)
    assert (await live(client, CONFIG_MAP, "quota", payments))["data"] == {"owner": "mine"}
    await platform.delete(api_of(unique), "mine", namespace=namespace)
    await platform.gone(api_of(unique), "mine", namespace=namespace)
    after = await live(client, NAMESPACE, payments)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert after["status"]["phase"] == "Active"
    assert (await live(client, CONFIG_MAP, "theirs", payments))["data"] == {"ledger": "1"}
    assert await live(client, CONFIG_MAP, "quota", payments) is None
