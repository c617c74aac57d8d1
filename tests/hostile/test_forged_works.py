"""Somebody with rights on Works and WorkPlacements in one namespace, their status included, writes what they like.

Nothing of it reaches a store, nothing of anybody else is removed, nobody waits for it, and what was edited becomes
again what it was. Each forgery bears a mark that is looked for in every commit, also in those that were put right at
once.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.platforms import (
    DEFAULT_TEMPLATE,
    Platform,
    Repository,
    all_files,
    api_of,
    condition,
    destination,
    events_of,
    git_store,
    is_ready,
    placements,
    promise,
)
from tests.waiting import eventually
from troth.api import Resource
from troth.api.naming import group_id, short_group_id
from troth.api.resources import CONFIG_MAP, DESTINATION, GIT_STATE_STORE, NAMESPACE, PROMISE, WORK, WORK_PLACEMENT
from troth.dev import ControlPlane
from troth.dev.git_server import git
from troth.engine.seals import PLACEMENT_LABELS, WORK_LABELS
from troth.engine.work import encode_content, placement_name, work_name
from troth.kube import ApiError, Client, Invalid

Object = dict[str, Any]

MARK = "forged-by-somebody"
EVIL = f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {MARK}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: User, name: {MARK}, apiGroup: rbac.authorization.k8s.io}}]
"""
SYSTEM_NAMESPACE = "kratix-platform-system"
OURS = {
    WORK: ["kratix.io/work-cleanup"],
    WORK_PLACEMENT: [
        "finalizers.workplacement.kratix.io/repo-cleanup",
        "finalizers.workplacement.kratix.io/kratix-dot-files-cleanup",
    ],
}
ALL = group_id(".")


@dataclass
class Corner:
    """A Promise whose requests are written to one repository, and a namespace in which somebody forges."""

    platform: Platform
    repository: Repository
    name: str

    @property
    def client(self) -> Client:
        return self.platform.client

    async def ask(self, *names: str, **spec: Any) -> None:
        """Publishes the Promise, and waits until its requests are Ready."""
        await self.platform.publish(promise(self.name))
        for name in names:
            await self.platform.ask(self.name, name, self.name, **spec)
        for name in names:
            await self.platform.ready(self.name, name, self.name)

    async def request(self, name: str) -> Object:
        return await self.client.get(api_of(self.name), name, self.name)

    async def of(self, request: str, resource: Resource) -> Object:
        """The Work or the placement that the operator makes for a request."""
        promises = (self.name, f"{self.name}a", f"{self.name}x")
        genuine = {work_name(promise=name, pipeline="instance", resource=request) for name in promises}
        listed = (await self.client.list(resource, self.name)).items
        found = [item for item in listed if item["metadata"]["name"].partition(".")[0] in genuine]
        assert len(found) == 1, (request, resource.kind)
        return found[0]

    def work(self, name: str, *, groups: list[Object] | None = None, **metadata: Any) -> Object:
        """A Work made by hand."""
        group = {
            "id": ALL,
            "directory": ".",
            "destinationSelectors": [{"matchLabels": {"for": self.name}, "source": "promise"}],
            "workloads": [{"filepath": "object.yaml", "content": encode_content(EVIL.encode())}],
        }
        labels = {
            "kratix.io/promise-name": self.name,
            "kratix.io/resource-name": "orders",
            "kratix.io/work-type": "resource",
            "kratix.io/pipeline-name": "instance",
        }
        return {
            "apiVersion": WORK.api_version,
            "kind": WORK.kind,
            "metadata": {"name": name, "namespace": self.name, "labels": labels, "finalizers": OURS[WORK]}
            | metadata,
            "spec": {
                "promiseName": self.name,
                "resourceName": "orders",
                "workloadGroups": [group] if groups is None else groups,
            },
        }

    def placement(self, work: str, target: str, *, request: str = "orders", **metadata: Any) -> Object:
        """A WorkPlacement made by hand."""
        labels = {
            "kratix.io/work": work,
            "kratix.io/workload-group-id": ALL,
            "kratix.io/targetDestinationName": target,
            "kratix.io/pipeline-name": "instance",
        }
        name = placement_name(work, target, short_group_id(ALL))
        return {
            "apiVersion": WORK_PLACEMENT.api_version,
            "kind": WORK_PLACEMENT.kind,
            "metadata": {
                "name": name,
                "namespace": self.name,
                "labels": labels,
                "finalizers": OURS[WORK_PLACEMENT],
            }
            | metadata,
            "spec": {
                "targetDestinationName": target,
                "promiseName": self.name,
                "resourceName": request,
                "id": ALL,
                "workloads": [{"filepath": "object.yaml", "content": encode_content(EVIL.encode())}],
            },
        }

    async def forge(self, resource: Resource, obj: Object) -> Object:
        return await self.client.create(resource, obj, field_manager="somebody")

    async def edit(self, resource: Resource, name: str, patch: Object, *, subresource: str = "") -> None:
        await self.client.merge_patch(
            resource, name, patch, namespace=self.name, subresource=subresource, field_manager="somebody"
        )

    async def refused(self, resource: Resource, live: Object) -> Object:
        """Waits until a forgery says that it is one, in a condition and an Event."""
        found = await self.platform.wait(
            resource,
            live["metadata"]["name"],
            lambda live: condition(live, "Ready").get("reason") == "NotMadeByTroth",
            namespace=live["metadata"]["namespace"],
        )

        async def told() -> bool:
            return any(event["reason"] == "NotMadeByTroth" for event in await events_of(self.client, live))

        await eventually(told, "an Event says it, too")
        return found

    async def goes(self, resource: Resource, live: Object) -> None:
        """Deletes a forgery, and waits until it is gone: nothing may hold it."""
        name, where = live["metadata"]["name"], live["metadata"]["namespace"]
        await self.client.delete(resource, name, where)
        await self.platform.gone(resource, name, namespace=where, within=5)

    def nothing_was_written(self, repository: Repository | None = None) -> None:
        """No commit has ever held anything that was forged."""
        history = git((repository or self.repository).path, "log", "--all", "-p", "--format=%B").decode()
        assert MARK not in history

    async def place(self, name: str, **spec: Any) -> Repository:
        """Another Destination with a store of its own, which nothing selects."""
        repository = Repository(self.repository.path.with_name(f"{name}.git"))
        await self.platform.make(GIT_STATE_STORE, git_store(name, str(repository.path)))
        await self.platform.make(DESTINATION, destination(name, store=name, labels={"for": name}, **spec))
        await self.platform.wait(DESTINATION, name, is_well)
        return repository


def is_well(live: Mapping[str, Any]) -> bool:
    return condition(live, "Ready").get("status") == "True"


def told(live: Mapping[str, Any]) -> Object:
    """What an object of the operator's says, without times and what counts its writes."""
    status = live.get("status") or {}
    ours = status.get("troth") or {}
    said = {(item["type"], item["status"], item.get("reason")) for item in status.get("conditions") or ()}
    said = {item for item in said if item[0] != "FilesRestored"}
    labels = live["metadata"].get("labels") or {}
    matter = WORK_LABELS if live["kind"] == WORK.kind else PLACEMENT_LABELS
    return {
        "labels": {name: value for name, value in labels.items() if name in matter},
        "finalizers": sorted(live["metadata"].get("finalizers") or ()),
        "spec": {name: value for name, value in live["spec"].items() if name != "generation"},
        "conditions": said,
        "location": ours.get("location"),
        "alsoIn": ours.get("alsoIn"),
    }


@pytest.fixture
async def corner(platform: Platform, repository: Repository, namespace: str, unique: str) -> Corner:
    assert namespace == unique
    return Corner(platform, repository, unique)


# ---- made by hand


async def test_works_and_placements_made_by_hand_write_nothing_say_so_and_hold_nobody_up(corner: Corner) -> None:
    await corner.ask("orders", size="small")
    client, name = corner.client, corner.name
    files = await all_files(corner.repository)
    request = await corner.request("orders")
    genuine = await corner.of("orders", WORK)
    reference = {
        "apiVersion": f"{name}.example.com/v1",
        "kind": f"Kind{name}",
        "name": "orders",
        "uid": request["metadata"]["uid"],
        "controller": True,
    }
    another = {**reference, "uid": "0c1f5c7e-0000-4000-8000-000000000001"}
    seal = genuine["metadata"]["annotations"]["troth.dev/seal"]
    labels = corner.work("x")["metadata"]["labels"]
    dependency = {"kratix.io/promise-name": name, "kratix.io/work-type": "static-dependency"}
    works = {
        "plain": corner.work("plain"),
        "unlabelled": corner.work("unlabelled", labels={}),
        "owned": corner.work("owned", ownerReferences=[reference]),
        "owned-by-nobody-there-is": corner.work("owned-by-nobody", labels=labels, ownerReferences=[another]),
        "as-kratix-names-them": corner.work(f"{name}-orders-instance-7f3a1"),
        "sealed-as-another": corner.work("sealed", annotations={"troth.dev/seal": seal}),
        "of-the-promise": corner.work("of-the-promise", labels={**dependency, "kratix.io/work-type": "promise"}),
        "dependencies": corner.work("dependencies", labels=dependency),
        "retired": corner.work("retired", labels={**labels, "troth.dev/retired": "true"}),
        "of-another-pipeline": corner.work("another", labels={**labels, "kratix.io/pipeline-name": "x"}),
        "dry-run": corner.work("dry-run", labels={**labels, "kratix.io/dry-run": "true"}),
        "of-nobody": corner.work("of-nobody", labels={**labels, "kratix.io/resource-name": "nobody"}),
    }
    made = [
        (WORK, await corner.forge(WORK, work))
        for work in works.values()
        if work["metadata"].get("ownerReferences") != [another]
    ]
    target = genuine["metadata"]["name"]
    for work in ("plain", target, "there-is-none"):
        live = corner.placement(work, name)
        if work == target:
            live["metadata"]["name"] = f"{target}.by-hand-{short_group_id(ALL)}"
        made.append((WORK_PLACEMENT, await corner.forge(WORK_PLACEMENT, live)))
    elsewhere = await corner.place(f"{name}-elsewhere")
    made.append(
        (WORK_PLACEMENT, await corner.forge(WORK_PLACEMENT, corner.placement(target, f"{name}-elsewhere")))
    )
    for resource, live in made:
        said = await corner.refused(resource, live)
        assert "Somebody other than Troth" in condition(said, "Ready")["message"]
    assert is_ready(await corner.request("orders"))
    for _, live in made:
        marks = [
            item
            for item in (await client.list(WORK, name)).items
            if item["metadata"]["name"] == live["metadata"]["name"]
        ]
        assert all(MARK not in str(item) for item in marks)
    await client.delete(api_of(name), "orders", name)
    await corner.platform.gone(api_of(name), "orders", namespace=name, within=5)
    left = await all_files(corner.repository)
    assert not [path for path in left if path.endswith("object.yaml")]
    assert len(files) > len(left)
    for resource, live in made:
        await corner.goes(resource, live)
    corner.nothing_was_written()
    corner.nothing_was_written(elsewhere)


async def test_a_promise_and_a_destination_go_although_somebody_forged_works_of_them(corner: Corner) -> None:
    await corner.ask("orders")
    name, going = corner.name, f"{corner.name}-going"
    await corner.place(going, cleanup="all")
    dependency = {"kratix.io/promise-name": name, "kratix.io/work-type": "static-dependency"}
    forged = [
        (WORK, await corner.forge(WORK, corner.work("dependencies", labels=dependency))),
        (WORK, await corner.forge(WORK, corner.work("request"))),
        (WORK_PLACEMENT, await corner.forge(WORK_PLACEMENT, corner.placement("request", name))),
        (WORK_PLACEMENT, await corner.forge(WORK_PLACEMENT, corner.placement("request", going))),
    ]
    await corner.client.delete(DESTINATION, going)
    await corner.platform.gone(DESTINATION, going, within=8)
    await corner.client.delete(PROMISE, name)
    await corner.platform.gone(PROMISE, name, within=8)
    for resource, live in forged:
        await corner.goes(resource, live)
    corner.nothing_was_written()


async def test_a_promise_s_dependency_folder_cannot_be_taken_before_it_is_installed(corner: Corner) -> None:
    name = corner.name
    squat = corner.placement("squat", name, request="")
    squat["spec"]["promiseName"] = name
    del squat["metadata"]["labels"]["kratix.io/pipeline-name"]
    live = await corner.forge(WORK_PLACEMENT, squat)
    await corner.refused(WORK_PLACEMENT, live)
    dependency = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    await corner.platform.publish(promise(name, dependencies=[dependency]))

    async def written() -> bool:
        files = await all_files(corner.repository)
        return any("dependencies" in path and "kind: ConfigMap" in text for path, text in files.items())

    await eventually(written, "the dependencies are written")
    await corner.goes(WORK_PLACEMENT, live)
    assert await written(), "what the forged one claimed was never its own"
    corner.nothing_was_written()
    await corner.platform.wait(PROMISE, name, is_well)


# ---- whose it is


async def test_a_work_labelled_as_another_namespace_s_request_is_not_filled_with_its_content(
    corner: Corner, control_plane: ControlPlane
) -> None:
    name, client, tenant = corner.name, corner.client, f"{corner.name}-tenant"
    await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": tenant}})
    try:
        await corner.platform.publish(promise(name))
        labels = {**corner.work("x")["metadata"]["labels"], "kratix.io/resource-namespace": name}
        computed = work_name(promise=name, pipeline="instance", resource="orders")
        forged = [
            await corner.forge(WORK, corner.work(work, namespace=tenant, labels=labels))
            for work in (computed, "another")
        ]
        await corner.platform.ask(name, "orders", name, size="a-secret-of-orders")
        await corner.platform.ready(name, "orders", name)
        for size in ("a-secret-of-orders-2", "a-secret-of-orders-3"):
            await corner.platform.ask(name, "orders", name, size=size)
            await corner.platform.ready(name, "orders", name)
            assert any(size in text for text in (await all_files(corner.repository)).values())
        for live in forged:
            now = await corner.refused(WORK, live)
            assert now["spec"] == live["spec"], "nobody has filled it"
            assert "size" not in str(now["status"])
        await client.delete(api_of(name), "orders", name)
        await corner.platform.gone(api_of(name), "orders", namespace=name, within=5)
        corner.nothing_was_written()
    finally:
        for work in (computed, "another"):
            await client.merge_patch(WORK, work, {"metadata": {"finalizers": None}}, namespace=tenant)
        await asyncio.to_thread(control_plane.finish_namespace, tenant, strip_finalizers=True)


async def test_somebody_who_has_taken_the_names_beforehand_gains_nothing(corner: Corner) -> None:
    name, client = corner.name, corner.client
    await corner.platform.publish(promise(name))
    computed = work_name(promise=name, pipeline="instance", resource="orders")
    holder = await client.create(
        CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "holder", "namespace": name}}
    )
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "holder", "uid": holder["metadata"]["uid"]}
    labels = {
        "kratix.io/work-type": "promise",
        "troth.dev/retired": "true",
        "kratix.io/dry-run": "true",
        "team": "a",
    }
    annotations = {"troth.dev/moved": '[["Namespace","kube-system","x"]]', "note": "mine"}
    forged = corner.work(
        computed,
        labels=labels,
        annotations=annotations,
        ownerReferences=[reference],
        finalizers=["example.com/hold"],
    )
    await corner.forge(WORK, forged)
    await corner.forge(
        WORK_PLACEMENT, corner.placement(computed, name, labels={}, finalizers=["example.com/hold"])
    )
    await corner.platform.ask(name, "orders", name, size="small")
    live = await corner.platform.ready(name, "orders", name)
    (written,) = placements(live)
    assert corner.repository.holds(written["version"], f"{written['path']}/object.yaml")
    work = await client.get(WORK, computed, name)
    assert "troth.dev/retired" not in work["metadata"]["labels"]
    assert "kratix.io/dry-run" not in work["metadata"]["labels"]
    assert work["metadata"]["labels"]["team"] == "a"
    assert "troth.dev/moved" not in work["metadata"]["annotations"]
    assert not work["metadata"].get("ownerReferences"), "another's end must not take it along"
    corner.nothing_was_written()

    # The foreign finalizers keep the names when the operator has let go of them: the request says so, and goes on.
    placement = await corner.of("orders", WORK_PLACEMENT)
    for resource, kept in ((WORK_PLACEMENT, placement["metadata"]["name"]), (WORK, computed)):
        await client.delete(resource, kept, name)

        def says(live: Object, kept: str = kept) -> bool:
            ready = condition(live, "Ready")
            return (
                ready.get("status") == "False"
                and kept in ready["message"]
                and "example.com/hold" in ready["message"]
            )

        await corner.platform.wait(api_of(name), "orders", says, namespace=name)
        await corner.edit(resource, kept, {"metadata": {"finalizers": None}})
        await corner.platform.ready(name, "orders", name)
    await corner.edit(WORK, computed, {"metadata": {"finalizers": [*OURS[WORK], "example.com/hold"]}})
    await client.delete(api_of(name), "orders", name)
    await corner.platform.gone(api_of(name), "orders", namespace=name, within=5)
    await corner.edit(WORK, computed, {"metadata": {"finalizers": None}})


async def test_copies_of_sealed_objects_and_those_of_a_request_that_is_gone_are_worth_nothing(
    corner: Corner,
) -> None:
    name, client = corner.name, corner.client
    await corner.ask("orders", size=MARK)  # once it was asked for, so it was written
    kept = {resource: await corner.of("orders", resource) for resource in (WORK, WORK_PLACEMENT)}
    await client.delete(api_of(name), "orders", name)
    await corner.platform.gone(api_of(name), "orders", namespace=name)
    for resource in (WORK, WORK_PLACEMENT):
        await corner.platform.gone(resource, kept[resource]["metadata"]["name"], namespace=name)
    before = await asyncio.to_thread(corner.repository.head)

    def again(resource: Resource, **changes: Any) -> Object:
        live = copy.deepcopy(kept[resource])
        wanted = {
            key: live["metadata"][key] for key in ("name", "namespace", "labels", "annotations", "finalizers")
        }
        return {**live, "metadata": wanted | changes, "status": {}}

    copies = [
        (resource, await corner.forge(resource, again(resource, name=f"copy-{index}")))
        for index, resource in enumerate((WORK, WORK_PLACEMENT))
    ]
    for resource, live in copies:
        await corner.refused(resource, live)
    back = [(resource, await corner.forge(resource, again(resource))) for resource in (WORK_PLACEMENT, WORK)]
    for resource, live in back:  # the operator's own, of nobody who lives: it takes them away
        await corner.platform.gone(resource, live["metadata"]["name"], namespace=name)
    assert await asyncio.to_thread(corner.repository.head) == before

    # A request of the same name is another one.
    for resource in (WORK, WORK_PLACEMENT):
        await corner.forge(resource, again(resource))
    await corner.platform.ask(name, "orders", name, size="small")
    await corner.platform.ready(name, "orders", name)
    log = await asyncio.to_thread(git, corner.repository.path, "log", "-p", f"{before}..main")
    assert MARK not in log.decode()
    assert any("size: small" in text for text in (await all_files(corner.repository)).values())


# ---- edits of what is genuine


async def test_an_edit_of_a_genuine_work_or_placement_never_reaches_a_store(corner: Corner) -> None:
    await corner.ask("orders", size="small")
    elsewhere = await corner.place(f"{corner.name}-elsewhere")
    files = await all_files(corner.repository)
    content = encode_content(EVIL.encode())
    was = {resource: await corner.of("orders", resource) for resource in (WORK, WORK_PLACEMENT)}
    group = was[WORK]["spec"]["workloadGroups"][0]
    evil = [{"filepath": "object.yaml", "content": content}]
    escape = [{"filepath": f"../../{MARK}/{MARK}.yaml", "content": content}]
    elsewhere_labels = [{"matchLabels": {"for": f"{corner.name}-elsewhere"}, "source": "promise"}]
    edits: list[tuple[Resource, Object]] = [
        (WORK, {"workloadGroups": [{**group, "workloads": evil}]}),
        (WORK, {"workloadGroups": [group, {**group, "id": "77aa00", "directory": "x", "workloads": evil}]}),
        (WORK, {"workloadGroups": [{**group, "destinationSelectors": elsewhere_labels}]}),
        (WORK, {"workloadGroups": []}),
        (WORK_PLACEMENT, {"workloads": evil}),
        (WORK_PLACEMENT, {"workloads": escape}),
        (WORK_PLACEMENT, {"targetDestinationName": f"{corner.name}-elsewhere"}),
        (WORK_PLACEMENT, {"targetDestinationName": f"{corner.name}-elsewhere", "workloads": evil}),
        (WORK_PLACEMENT, {"resourceName": MARK}),
        (WORK_PLACEMENT, {"id": "77aa00", "workloads": evil}),
    ]
    for _ in range(3):  # several at once, and before what came before is put right
        for resource, spec in edits:
            await corner.edit(resource, was[resource]["metadata"]["name"], {"spec": spec})

    async def healed() -> bool:
        for resource, before in was.items():
            assert told(await corner.of("orders", resource)) == told(before)
        return await all_files(corner.repository) == files

    await eventually(healed, "everything is as it was", within=15, every=0.1)
    corner.nothing_was_written()
    corner.nothing_was_written(elsewhere)
    history = git(elsewhere.path, "log", "--all", "-p").decode()
    assert "small" not in history, "what was rendered for one place was written to another"


ORDERS: Mapping[str, tuple[Resource, Object]] = {
    "retired": (WORK, {"labels": {"troth.dev/retired": "true"}}),
    "dry-run": (WORK, {"labels": {"kratix.io/dry-run": "true"}}),
    "work-type": (WORK, {"labels": {"kratix.io/work-type": "promise"}}),
    "moved": (WORK, {"annotations": {"troth.dev/moved": '[["ConfigMap","another","orders"]]'}}),
    "seal": (WORK, {"annotations": {"troth.dev/seal": None}}),
    "misplaced": (WORK_PLACEMENT, {"labels": {"kratix.io/misplaced": "true"}}),
    "asked-for": (WORK_PLACEMENT, {"annotations": {"troth.dev/asked-for": "environment=prod"}}),
    "namespace": (WORK_PLACEMENT, {"labels": {"kratix.io/resource-namespace": "kube-system"}}),
    "placement-seal": (WORK_PLACEMENT, {"annotations": {"troth.dev/seal": None}}),
}


async def test_labels_and_annotations_that_order_are_believed_only_of_the_operator(corner: Corner) -> None:
    await corner.ask(*ORDERS, size="small")
    files = await all_files(corner.repository)
    head = await asyncio.to_thread(corner.repository.head)
    was = {name: await corner.of(name, resource) for name, (resource, _) in ORDERS.items()}
    for name, (resource, metadata) in ORDERS.items():
        await corner.edit(resource, was[name]["metadata"]["name"], {"metadata": metadata})

    async def healed() -> bool:
        for name, (resource, _) in ORDERS.items():
            now = await corner.of(name, resource)
            assert told(now) == told(was[name]), name
            assert now["metadata"].get("annotations") == was[name]["metadata"].get("annotations"), name
        return True

    await eventually(healed, "everything is as it was", within=15, every=0.1)
    assert await all_files(corner.repository) == files
    assert await asyncio.to_thread(corner.repository.head) == head, "nothing was written for it"
    for name in ORDERS:
        assert is_ready(await corner.request(name))


# ---- what a status says


async def test_forged_places_remove_nothing(corner: Corner) -> None:
    await corner.ask("orders", "users", size="small")
    others = {"README.md": "read me", "clusters/flux-system/gotk-sync.yaml": "kind: GitRepository"}
    await asyncio.to_thread(push, corner.repository, others)
    users = await corner.of("users", WORK_PLACEMENT)
    live = await corner.of("orders", WORK_PLACEMENT)
    true = live["status"]["troth"]["location"]
    forged = [
        {**true, "directory": "clusters/flux-system"},
        {**true, "directory": users["status"]["troth"]["location"]["directory"]},
        {"store": true["store"], "address": true["address"], "aggregate": "README.md"},
        {"store": true["store"], "aggregate": "README.md"},
        {"store": true["store"], "address": true["address"], "stateFile": "README.md"},
        {**true, "directory": "."},
    ]
    name = live["metadata"]["name"]

    async def stays() -> None:
        files = await all_files(corner.repository)
        assert files.items() >= others.items()
        assert any("name: users" in text for text in files.values())

    for status in (
        {"troth": {"alsoIn": forged}},
        {"troth": {"location": forged[0], "alsoIn": forged[1:]}},
        {"troth": {"location": forged[2], "alsoIn": None}, "versionID": "0" * 40},
    ):
        await corner.edit(WORK_PLACEMENT, name, {"status": status}, subresource="status")

        async def healed() -> bool:
            now = (await corner.of("orders", WORK_PLACEMENT))["status"]["troth"]
            return now.get("location") == true and "alsoIn" not in now

        await eventually(healed, "the status says again where the files are", within=10)
        await stays()
    # While it moves, and while it goes, what a status says would be carried out.
    await corner.edit(WORK_PLACEMENT, name, {"status": {"troth": {"alsoIn": forged}}}, subresource="status")
    await corner.client.merge_patch(DESTINATION, corner.name, {"spec": {"path": f"{corner.name}-moved"}})

    async def moved() -> bool:
        now = (await corner.of("orders", WORK_PLACEMENT))["status"]["troth"]
        return now["location"]["directory"].startswith(f"{corner.name}-moved/") and "alsoIn" not in now

    await eventually(moved, "the files are at the new place", within=10)
    await stays()
    await corner.edit(WORK_PLACEMENT, name, {"status": {"troth": {"alsoIn": forged}}}, subresource="status")
    await corner.client.delete(api_of(corner.name), "orders", corner.name)
    await corner.platform.gone(api_of(corner.name), "orders", namespace=corner.name, within=10)
    await stays()


def push(repository: Repository, files: Mapping[str, str]) -> None:
    """Somebody else adds files."""
    work = repository.path.with_suffix(".work")
    git(repository.path, "clone", "-q", str(repository.path), str(work))
    for path, text in files.items():
        target = work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    git(work, "add", "-A")
    git(work, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "by hand")
    git(work, "push", "-q", "origin", "HEAD:main")


async def test_no_status_makes_a_request_ready_of_which_nothing_is_written(corner: Corner) -> None:
    name, client = corner.name, corner.client
    await corner.ask()
    away = corner.repository.path.rename(corner.repository.path.with_suffix(".away"))
    await client.merge_patch(DESTINATION, name, {"metadata": {"labels": {"also": "nowhere"}}})
    await corner.platform.ask(name, "orders", name)
    pipeline = {"destinationSelectors": [{"matchLabels": {"for": "nobody"}}]}
    nowhere = f"{name}x"
    await corner.platform.publish({**promise(nowhere), "spec": {**promise(nowhere)["spec"], **pipeline}})
    await corner.platform.ask(nowhere, "nowhere", name)

    async def made() -> tuple[Object, Object]:
        return await corner.of("orders", WORK_PLACEMENT), await corner.of("nowhere", WORK)

    async def lies() -> bool:
        placement, work = await made()
        now = "2026-01-01T00:00:00Z"
        true = [
            {"type": kind, "status": "True", "reason": "Lie", "message": "it is", "lastTransitionTime": now}
            for kind in ("Ready", "WriteSucceeded", "ScheduleSucceeded")
        ]
        for live, resource in ((placement, WORK_PLACEMENT), (work, WORK)):
            generation = live["metadata"]["generation"]
            status = {
                "conditions": true,
                "observedGeneration": generation,
                "versionID": "1" * 40,
                "troth": {
                    "observedGeneration": generation,
                    "unscheduled": None,
                    "seal": f"{generation}/AAAA",
                    "location": {"store": {"kind": "GitStateStore", "name": name}, "directory": "x"},
                },
            }
            status = status if resource is WORK_PLACEMENT else {**status, "versionID": None}
            await corner.edit(resource, live["metadata"]["name"], {"status": status}, subresource="status")
        return True

    await eventually(lies, "the objects are there")
    loop = asyncio.get_running_loop()
    until = loop.time() + 4
    while loop.time() < until:
        for resource, request in ((api_of(name), "orders"), (api_of(nowhere), "nowhere")):
            live = await client.get(resource, request, name)
            assert condition(live, "Ready").get("status") != "True", live["status"]
            assert "1" * 40 not in str(live.get("status"))
        await asyncio.sleep(0.05)

    async def healed() -> bool:
        placement, work = await made()
        return all(condition(live, "Ready").get("status") == "False" for live in (placement, work))

    await eventually(healed, "they say again what is true", within=15)
    await client.merge_patch(DESTINATION, name, {"metadata": {"labels": {"also": None}}})
    away.rename(corner.repository.path)
    await corner.platform.ready(name, "orders", name)


# ---- what is malformed


async def test_works_of_no_known_form_are_said_on_themselves_and_harm_nobody(corner: Corner) -> None:
    await corner.ask("orders", size="small")
    many = [
        {
            "id": group_id(f"d{number}"),
            "directory": f"d{number}",
            "destinationSelectors": [{"matchLabels": {"for": corner.name}}],
            "workloads": [{"filepath": f"d{number}/a.yaml", "content": encode_content(EVIL.encode())}],
        }
        for number in range(1500)
    ]
    shapes: Mapping[str, list[Object]] = {
        "many": many,
        "without-filepath": [
            {"id": ALL, "directory": ".", "workloads": [{"content": encode_content(EVIL.encode())}]}
        ],
        "without-id": [{"workloads": [{"filepath": "a.yaml", "content": encode_content(EVIL.encode())}]}],
        "without-content": [{"id": ALL, "workloads": [{"filepath": "a.yaml"}]}],
        "unreadable": [{"id": ALL, "workloads": [{"filepath": "a.yaml", "content": "%%%"}]}],
        "empty": [{}],
        "none": [],
    }
    made = []
    for name, groups in shapes.items():
        with contextlib.suppress(Invalid):  # the schema refuses it, and nobody has to
            made.append(await corner.forge(WORK, corner.work(name, groups=groups)))
    for live in made:
        await corner.refused(WORK, live)
    assert len((await corner.client.list(WORK_PLACEMENT, corner.name)).items) == 1
    # The same in a Work that is genuine, and whose content is asked for again.
    genuine = (await corner.of("orders", WORK))["metadata"]["name"]
    for name, groups in shapes.items():
        if name != "many":
            with contextlib.suppress(Invalid):
                await corner.edit(WORK, genuine, {"spec": {"workloadGroups": groups}})
    await corner.platform.ask(corner.name, "orders", corner.name, size="large")
    await corner.platform.ready(corner.name, "orders", corner.name)
    corner.nothing_was_written()


# ---- anything at all


def mutations(generator: random.Random, live: Mapping[str, Any]) -> Object:
    """A random edit of an object: of a label, an annotation, a finalizer, any field of its spec or of its status."""
    value = generator.choice([None, MARK, f"{MARK}/x", "true", ""])
    labels = [
        *(live["metadata"].get("labels") or ()),
        "troth.dev/retired",
        "kratix.io/dry-run",
        "kratix.io/misplaced",
    ]
    annotations = ["troth.dev/seal", "troth.dev/moved", "troth.dev/asked-for"]
    content = encode_content(EVIL.encode())
    evil: list[Object] = [
        {"filepath": generator.choice(["object.yaml", f"{MARK}.yaml", "../x"]), "content": content}
    ]
    match generator.randrange(6):
        case 0:
            return {"metadata": {"labels": {generator.choice(labels): None if value is None else MARK}}}
        case 1:
            return {"metadata": {"annotations": {generator.choice(annotations): value}}}
        case 2:
            return {"metadata": {"finalizers": generator.choice([None, ["example.com/hold"]])}}
        case 3:
            field = generator.choice([name for name in live["spec"] if name != "generation"])
            if field == "workloadGroups":
                return {"spec": {field: [{"id": ALL, "directory": ".", "workloads": evil}]}}
            return {"spec": {field: evil if field == "workloads" else f"{MARK}"}}
        case 4:
            place = {
                "store": {"kind": "GitStateStore", "name": live["metadata"]["namespace"]},
                "aggregate": "README.md",
            }
            forged = {
                "location": place,
                "alsoIn": [place],
                "seal": "1/x",
                "unscheduled": [],
                "observedGeneration": 1,
            }
            key = generator.choice(list(forged))
            return {"status": {"troth": {key: forged[key]}}}
        case _:
            key = generator.choice(["versionID", "conditions", "troth"])
            return {"status": {key: {"versionID": "2" * 40}.get(key)}}


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_walk_through_random_edits_gets_a_byte_into_a_store_and_the_world_heals(
    corner: Corner, seed: int
) -> None:
    await corner.ask("orders", "users", size="small")
    await asyncio.to_thread(push, corner.repository, {"README.md": "read me"})
    generator = random.Random(seed)
    files = await all_files(corner.repository)
    was = {(name, resource): await corner.of(name, resource) for name in ("orders", "users") for resource in OURS}
    for _ in range(120):
        resource = generator.choice([WORK, WORK_PLACEMENT])
        live = was["orders", resource]
        name = live["metadata"]["name"]
        patch = mutations(generator, live)
        subresource = "status" if "status" in patch else ""
        try:
            await corner.edit(resource, name, patch, subresource=subresource)
            if generator.random() < 0.03:
                await corner.client.delete(resource, name, corner.name)
        except ApiError:  # it is not there just now, or the schema does not take it
            continue
    for resource in (WORK_PLACEMENT, WORK):  # whoever holds names with a finalizer of their own lets go at last

        async def let_go(resource: Resource = resource) -> bool:
            try:
                live = await corner.client.get(resource, was["orders", resource]["metadata"]["name"], corner.name)
            except ApiError:
                return True
            found = live["metadata"].get("finalizers") or []
            if "example.com/hold" in found:
                kept = [name for name in found if name != "example.com/hold"]
                await corner.edit(resource, live["metadata"]["name"], {"metadata": {"finalizers": kept}})
            return "example.com/hold" not in found

        await eventually(let_go, "no foreign finalizer is left")

    async def healed() -> bool:
        for (name, resource), before in was.items():
            found = [
                item
                for item in (await corner.client.list(resource, corner.name)).items
                if item["metadata"]["name"] == before["metadata"]["name"]
            ]
            assert found, (name, resource.kind)
            assert told(found[0]) == told(before), (name, resource.kind)
        assert is_ready(await corner.request("orders"))
        return await all_files(corner.repository) == files

    await eventually(healed, "everything is as it was", within=30, every=0.2)
    corner.nothing_was_written()
    await corner.client.delete(api_of(corner.name), "orders", corner.name)
    await corner.platform.gone(api_of(corner.name), "orders", namespace=corner.name)
    left = await all_files(corner.repository)
    assert left["README.md"] == "read me"
    assert not any("name: orders" in text for text in left.values())
    assert any("name: users" in text for text in left.values())


async def test_an_edited_placement_takes_nothing_out_of_the_file_that_it_shares(corner: Corner) -> None:
    name = f"{corner.name}a"
    repository = await corner.place(name, filepath={"mode": "aggregatedYAML"})
    await corner.platform.publish(promise(name, template=DEFAULT_TEMPLATE))
    for request in ("orders", "users"):
        await corner.platform.ask(name, request, corner.name, size="small")
        await corner.platform.ready(name, request, corner.name)
    live = await corner.of("orders", WORK_PLACEMENT)
    work = await corner.of("orders", WORK)
    evil = [{"filepath": "object.yaml", "content": encode_content(EVIL.encode())}]
    for size in range(5):
        await corner.edit(WORK, work["metadata"]["name"], {"metadata": {"labels": {"kratix.io/dry-run": "true"}}})
        await corner.edit(WORK_PLACEMENT, live["metadata"]["name"], {"spec": {"workloads": evil}})
        await corner.platform.ask(name, "users", corner.name, size=f"size-{size}")
        await corner.platform.ready(name, "users", corner.name)
    commits = await asyncio.to_thread(repository.commits)
    texts = [git(repository.path, "show", f"{commit}:{name}/aggregated.yaml").decode() for commit in commits[:5]]
    assert all("name: orders" in text for text in texts)
    corner.nothing_was_written(repository)
