"""Somebody with rights on Works and WorkPlacements in one namespace makes some by hand, of any form and any name.

Nothing of it reaches a store, nothing of anybody else is removed, and nobody waits for it. What they edit of those
that the operator made is in test_edited_works.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Mapping
from typing import Any

from tests.forging import ALL, EVIL, MARK, OURS, Corner, Object, is_well
from tests.platforms import (
    all_files,
    api_of,
    condition,
    is_ready,
    placements,
    promise,
)
from tests.waiting import eventually
from troth.api import Resource
from troth.api.naming import group_id, short_group_id
from troth.api.resources import CONFIG_MAP, DESTINATION, NAMESPACE, PROMISE, WORK, WORK_PLACEMENT
from troth.dev import ControlPlane
from troth.dev.git_server import git
from troth.engine.placement.work import encode_content, work_name
from troth.kube import Invalid

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
    await corner.platform.gone(api_of(name), "orders", namespace=name)
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
    elsewhere = await corner.place(going, cleanup="all")
    dependency = {"kratix.io/promise-name": name, "kratix.io/work-type": "static-dependency"}
    forged = [
        (WORK, await corner.forge(WORK, corner.work("dependencies", labels=dependency))),
        (WORK, await corner.forge(WORK, corner.work("request"))),
        (WORK_PLACEMENT, await corner.forge(WORK_PLACEMENT, corner.placement("request", name))),
        (WORK_PLACEMENT, await corner.forge(WORK_PLACEMENT, corner.placement("request", going))),
    ]
    await corner.client.delete(DESTINATION, going)
    await corner.platform.gone(DESTINATION, going)
    await corner.client.delete(PROMISE, name)
    await corner.platform.gone(PROMISE, name)
    left = await all_files(corner.repository)
    assert not any("name: orders" in text for text in left.values()), "the request's own files went with it"
    for resource, live in forged:
        still = await corner.client.get(resource, live["metadata"]["name"], name)
        assert still["metadata"]["uid"] == live["metadata"]["uid"], "nobody had to take it away first"
        await corner.goes(resource, live)
    corner.nothing_was_written()
    corner.nothing_was_written(elsewhere)


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
        await corner.platform.gone(api_of(name), "orders", namespace=name)
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
    await corner.platform.gone(api_of(name), "orders", namespace=name)
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
