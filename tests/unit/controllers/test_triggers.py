"""Which keys a change queues, from the table of kinds and what is known. No API server and no queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.controllers.trigger_world import (
    FAILING,
    FIXED,
    READY,
    REDIS,
    REDISES,
    SYSTEM,
    Object,
    World,
    deleted,
    destination,
    example,
    job,
    key,
    made,
    placement,
    pod,
    promise,
    redis,
    with_metadata,
    work,
)
from troth.api import Key, Resource
from troth.api import labels as names
from troth.api.objects import read_metadata
from troth.api.resources import (
    CUSTOM_RESOURCE_DEFINITION,
    DESTINATION,
    GIT_STATE_STORE,
    JOB,
    POD,
    PROMISE,
    PROMISE_REVISION,
    RESOURCE_BINDING,
    WORK,
    WORK_PLACEMENT,
)
from troth.controllers import triggers
from troth.controllers.triggers import Trigger
from troth.kube import PRIORITY_CHANGE, PRIORITY_DEPENDENT, PRIORITY_RESYNC


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.informers.stop()


# ---- what holds for every kind


@pytest.mark.parametrize("resource", FIXED, ids=lambda resource: resource.plural)
async def test_what_was_there_at_the_start_is_less_urgent_than_what_comes_later(
    world: World, resource: Resource
) -> None:
    obj = example(resource)
    itself = key(resource, obj["metadata"]["name"], obj["metadata"]["namespace"])
    assert world.change(resource, None, obj, listed=False) == {Trigger(itself, PRIORITY_RESYNC)}
    later = PRIORITY_DEPENDENT if resource in {WORK, WORK_PLACEMENT} else PRIORITY_CHANGE
    assert Trigger(itself, later) in world.change(resource, None, obj)


@pytest.mark.parametrize("resource", FIXED, ids=lambda resource: resource.plural)
async def test_a_change_that_changes_nothing_triggers_nothing(world: World, resource: Resource) -> None:
    assert world.change(resource, example(resource), example(resource)) == set()


@pytest.mark.parametrize("resource", FIXED, ids=lambda resource: resource.plural)
async def test_a_status_of_somebody_else_is_looked_at_after_a_moment_and_our_own_is_not(
    world: World, resource: Resource
) -> None:
    obj = example(resource)
    told = {**obj, "status": {**obj.get("status", {}), "note": "new"}}
    itself = key(resource, obj["metadata"]["name"], obj["metadata"]["namespace"])
    assert Trigger(itself, PRIORITY_DEPENDENT, after=1.0) in world.change(resource, obj, told)
    assert itself not in {trigger.key for trigger in world.change(resource, obj, told, ours=True)}


# ---- versions


def keys(found: set[Trigger]) -> set[Key]:
    return {trigger.key for trigger in found}


def revision_of(version: str, *, uid: str = "r", generation: int = 1, **fields: Any) -> Object:
    spec = {"promiseRef": {"name": "redis"}, "version": version, "promiseSpec": {}}
    return with_metadata(made(f"redis-{version}", spec=spec, **fields), uid=uid, generation=generation)


def binding_of(request: str, version: str) -> Object:
    spec = {"promiseRef": {"name": "redis"}, "resourceRef": {"name": request}, "version": version}
    return made(f"{request}-redis", "team", spec=spec)


async def test_a_revision_that_changes_queues_its_promise_who_requires_it_and_the_requests_that_stay_on_it(
    world: World,
) -> None:
    await world.serve_redises()
    world.put(PROMISE, promise("shop", requires=("redis",)))
    for name, version in (("old", "v1"), ("new", "latest")):
        world.put(REDIS, redis(name))
        world.put(RESOURCE_BINDING, binding_of(name, version))
    affected = {key(PROMISE, "shop"), key(REDIS, "old", "team")}
    before, after = revision_of("v1"), revision_of("v1", generation=2)
    assert keys(world.change(PROMISE_REVISION, before, after, ours=True)) == affected
    assert keys(world.change(PROMISE_REVISION, before, after)) == affected | {key(PROMISE, "redis")}
    assert keys(world.change(PROMISE_REVISION, before, None, ours=True)) == affected | {key(PROMISE, "redis")}
    labelled = with_metadata(before, labels={names.LATEST_REVISION: "true"})
    assert keys(world.change(PROMISE_REVISION, before, labelled, ours=True)) == set()
    assert keys(world.change(PROMISE_REVISION, before, labelled)) == {key(PROMISE, "redis")}


async def test_at_the_start_only_a_revision_that_is_being_deleted_queues_its_promise(world: World) -> None:
    assert world.change(PROMISE_REVISION, None, revision_of("v1"), listed=False) == set()
    going = deleted(revision_of("v1"))
    assert keys(world.change(PROMISE_REVISION, None, going, listed=False)) == {key(PROMISE, "redis")}


async def test_a_binding_that_somebody_changes_or_deletes_queues_its_request(world: World) -> None:
    await world.serve_redises()
    world.put(REDIS, redis("cache"))
    before, after = binding_of("cache", "latest"), binding_of("cache", "v1")
    request = {key(REDIS, "cache", "team")}
    assert keys(world.change(RESOURCE_BINDING, before, after)) == request
    assert keys(world.change(RESOURCE_BINDING, before, None)) == request
    assert keys(world.change(RESOURCE_BINDING, None, before, ours=True)) == set()
    assert keys(world.change(RESOURCE_BINDING, None, before, listed=False)) == set()
    told = {**before, "status": {"lastAppliedVersion": "v1"}}
    assert keys(world.change(RESOURCE_BINDING, before, told)) == set()


async def test_a_version_or_a_run_that_the_answer_to_our_own_write_is_the_first_to_show_queues_the_request(
    world: World,
) -> None:
    await world.serve_redises()
    world.put(REDIS, redis("cache"))
    before, moved = binding_of("cache", "latest"), binding_of("cache", "v1")
    asking = with_metadata(before, labels={names.MANUAL_RECONCILIATION: "true"})
    mirrored = with_metadata(before, labels={"team": "blue"})
    for after, affected in ((moved, {key(REDIS, "cache", "team")}), (asking, {key(REDIS, "cache", "team")})):
        assert keys(world.change(RESOURCE_BINDING, before, after, ours=True)) == affected
    for old, new in ((before, mirrored), (asking, before)):
        assert keys(world.change(RESOURCE_BINDING, old, new, ours=True)) == set()


async def test_a_revision_that_waits_for_its_last_binding_hears_that_it_has_gone(world: World) -> None:
    world.put(PROMISE_REVISION, deleted(revision_of("v1")))
    assert key(PROMISE, "redis") in keys(
        world.change(RESOURCE_BINDING, binding_of("cache", "v1"), None, ours=True)
    )


# ---- Promises and their requests


async def test_a_promise_that_becomes_available_queues_its_requests_and_whoever_requires_it(world: World) -> None:
    await world.serve_redises()
    world.put(REDIS, redis("cache"))
    world.put(PROMISE, promise("shop", requires=("redis",)))
    found = world.change(PROMISE, promise("redis", status={}), promise("redis"), ours=True)
    assert found == {Trigger(key(REDIS, "cache", "team")), Trigger(key(PROMISE, "shop"))}


async def test_a_promise_that_requires_another_is_told_of_in_the_others_status(world: World) -> None:
    found = world.change(PROMISE, promise("shop"), promise("shop", requires=("redis",)))
    assert Trigger(key(PROMISE, "redis")) in found


async def test_a_new_spec_of_a_promise_reaches_its_requests_only_through_its_status(world: World) -> None:
    await world.serve_redises()
    world.put(REDIS, redis("cache"))
    newer = with_metadata(promise("redis"), generation=2)
    assert world.change(PROMISE, promise("redis"), newer) == {Trigger(key(PROMISE, "redis"), PRIORITY_CHANGE)}


async def test_the_last_request_that_goes_queues_a_promise_that_waits_for_it(world: World) -> None:
    await world.serve_redises()
    world.put(PROMISE, promise("redis"))
    assert key(PROMISE, "redis") not in {each.key for each in world.change(REDIS, redis("cache"), None)}
    world.put(PROMISE, deleted(promise("redis")))
    assert Trigger(key(PROMISE, "redis")) in world.change(REDIS, redis("cache"), None)


async def test_a_request_that_begins_or_ceases_to_fail_is_counted_after_a_while(world: World) -> None:
    await world.serve_redises()
    counted = {Trigger(key(PROMISE, "redis"), after=10.0)}
    assert world.change(REDIS, redis("cache"), redis("cache", status=FAILING), ours=True) == counted
    assert world.change(REDIS, redis("cache", status=FAILING), redis("cache"), ours=True) == counted


async def test_a_request_that_does_not_fit_its_api_queues_its_promise_when_it_is_edited(world: World) -> None:
    await world.serve_redises()
    edited = with_metadata(redis("cache"), generation=2)
    assert Trigger(key(PROMISE, "redis")) not in world.change(REDIS, redis("cache"), edited)
    world.caches.unfit["redis"] = frozenset({("team", "cache")})
    assert Trigger(key(PROMISE, "redis")) in world.change(REDIS, redis("cache"), edited)


async def test_a_component_that_becomes_ready_queues_its_parent(world: World) -> None:
    await world.serve_redises()
    labels = {
        names.PARENT_PROMISE_NAME: "redis",
        names.PARENT_RESOURCE_NAME: "parent",
        names.PARENT_RESOURCE_NAMESPACE: "shop",
    }
    waiting, ready = redis("cache", status={}, labels=labels), redis("cache", labels=labels)
    assert world.change(REDIS, waiting, ready, ours=True) == {Trigger(key(REDIS, "parent", "shop"))}


# ---- Works and placements


async def test_news_of_a_work_queue_its_owner(world: World) -> None:
    await world.serve_redises()
    old = world.sealed(WORK, work("w", request="cache"))
    told = {**old, "status": {"note": "written"}}
    assert world.change(WORK, old, told, ours=True) == {Trigger(key(REDIS, "cache", "team"))}
    assert Trigger(key(REDIS, "cache", "team")) in world.change(WORK, old, None)


async def test_a_work_that_somebody_made_in_another_namespace_queues_no_owner(world: World) -> None:
    await world.serve_redises()
    at_home, abroad = (work("w", request="cache", namespace=where) for where in (SYSTEM, "elsewhere"))
    owner = Trigger(key(REDIS, "cache", "team"))
    assert owner in world.change(WORK, at_home, None)
    assert owner not in world.change(WORK, abroad, None)


async def test_an_edit_of_a_work_queues_those_it_belonged_to_and_belongs_to_now_unless_we_made_it(
    world: World,
) -> None:
    await world.serve_redises()
    old, new = work("w", request="cache"), work("w", request="other")
    owners = {Trigger(key(REDIS, name, "team")) for name in ("cache", "other")}
    assert owners <= world.change(WORK, old, new)
    assert not owners & world.change(WORK, old, new, ours=True)


async def test_a_work_that_is_retired_queues_its_placements(world: World) -> None:
    world.put(WORK_PLACEMENT, world.sealed(WORK_PLACEMENT, placement("w.prod", of_work="w")))
    old = work("w", request="cache")
    retired = with_metadata(old, labels={**old["metadata"]["labels"], names.RETIRED: "true"})
    assert Trigger(key(WORK_PLACEMENT, "w.prod", "team")) in world.change(WORK, old, retired)


async def test_an_edit_of_a_placement_queues_the_works_it_belonged_to_and_belongs_to_now_unless_we_made_it(
    world: World,
) -> None:
    for name in ("w", "other"):
        world.put(WORK, world.sealed(WORK, work(name, request="cache")))
    old, new = placement("w.prod", of_work="w"), placement("w.prod", of_work="other")
    works = {Trigger(key(WORK, name, "team")) for name in ("w", "other")}
    assert works <= world.change(WORK_PLACEMENT, old, new)
    assert not works & world.change(WORK_PLACEMENT, old, new, ours=True)


async def test_a_placement_that_has_its_seal_back_queues_the_owner_that_may_have_looked_meanwhile(
    world: World,
) -> None:
    await world.serve_redises()
    world.put(WORK, world.sealed(WORK, work("w", request="cache")))
    edited = placement("w.prod", of_work="w")
    owner = Trigger(key(REDIS, "cache", "team"))
    assert owner in world.change(WORK_PLACEMENT, edited, world.sealed(WORK_PLACEMENT, edited), ours=True)
    assert owner not in world.change(WORK_PLACEMENT, world.sealed(WORK_PLACEMENT, edited), edited)


async def test_a_placement_that_goes_queues_its_work_and_a_destination_that_waits_for_it(world: World) -> None:
    gone = world.sealed(WORK_PLACEMENT, placement("w.prod", of_work="w"))
    itself, its_work = key(WORK_PLACEMENT, "w.prod", "team"), key(WORK, "w", "team")
    world.put(DESTINATION, destination("prod"))
    assert world.change(WORK_PLACEMENT, gone, None) == {Trigger(itself), Trigger(its_work)}
    world.put(DESTINATION, deleted(destination("prod")))
    assert Trigger(key(DESTINATION, "prod")) in world.change(WORK_PLACEMENT, gone, None)


# ---- Destinations, stores and definitions


async def test_labels_of_a_destination_queue_every_sealed_work_and_readiness_only_what_was_never_written(
    world: World,
) -> None:
    for name in ("written", "unwritten", "without-placement"):
        world.put(WORK, world.sealed(WORK, work(name, request="cache")))
    world.put(WORK, work("forged", request="cache"))
    world.put(WORK_PLACEMENT, world.sealed(WORK_PLACEMENT, placement("unwritten.prod", of_work="unwritten")))
    recorded = world.sealed(WORK_PLACEMENT, placement("written.prod", of_work="written"))
    seal = world.seals.seal_record(read_metadata(recorded), {"troth": {}}, 1)
    world.put(WORK_PLACEMENT, {**recorded, "status": {"troth": {"seal": seal}}})

    plain = destination("prod", status=READY)
    labelled = with_metadata(plain, labels={"zone": "b"})
    works = {each.key.name for each in world.change(DESTINATION, plain, labelled) if each.key.kind == WORK.name}
    assert works == {"written", "unwritten", "without-placement"}

    troubled = destination("prod", status={"conditions": [{"type": "Ready", "status": "False"}]})
    found = world.change(DESTINATION, troubled, plain, ours=True)
    assert {each.key.name for each in found if each.key.kind == WORK.name} == {"unwritten"}


async def test_a_destination_that_leaves_a_path_queues_its_placements_and_its_neighbours_in_the_repository(
    world: World,
) -> None:
    url = "https://git.example.com/shared"
    for name, where in (("git", url), ("mirror", f"{url}.git"), ("elsewhere", "https://git.example.com/other")):
        world.put(GIT_STATE_STORE, {**made(name, spec={"url": where}), "kind": "GitStateStore"})
    for name, store in (("prod", "git"), ("same", "git"), ("mirrored", "mirror"), ("far", "elsewhere")):
        world.put(DESTINATION, destination(name, store=store))
    world.put(WORK_PLACEMENT, world.sealed(WORK_PLACEMENT, placement("w.prod", of_work="w")))
    found = world.change(DESTINATION, destination("prod", path="a"), destination("prod", path="b"), ours=True)
    assert found == {
        Trigger(key(WORK_PLACEMENT, "w.prod", "team")),
        Trigger(key(DESTINATION, "same")),
        Trigger(key(DESTINATION, "mirrored")),
    }


async def test_a_store_that_allows_other_secrets_queues_works_and_what_is_written_to_it(world: World) -> None:
    world.put(WORK, world.sealed(WORK, work("w", request="cache")))
    for name, store in (("prod", "git"), ("far", "elsewhere")):
        world.put(DESTINATION, destination(name, store=store))
        each = placement(f"w.{name}", of_work="w", destination=name)
        world.put(WORK_PLACEMENT, world.sealed(WORK_PLACEMENT, each))
    old, new = (
        {**made("git", spec={"url": "x", "plainSecrets": allowed}), "kind": "GitStateStore"}
        for allowed in ("Refuse", "Allow")
    )
    assert world.change(GIT_STATE_STORE, old, new) == {
        Trigger(key(WORK, "w", "team")),
        Trigger(key(WORK_PLACEMENT, "w.prod", "team")),
    }


async def test_a_definition_that_changes_hands_queues_every_promise_that_wants_it(world: World) -> None:
    for name in ("redis", "rival"):
        wanted = promise(name)
        wanted["spec"]["api"] = {"metadata": {"name": REDIS.name}}
        world.put(PROMISE, wanted)
    owned = with_metadata(made(REDIS.name), labels={names.PROMISE_NAME: "redis"})
    established = {**owned, "status": {"conditions": [{"type": "Established", "status": "True"}]}}
    both = {Trigger(key(PROMISE, name)) for name in ("redis", "rival")}
    assert world.change(CUSTOM_RESOURCE_DEFINITION, owned, established) == {Trigger(key(PROMISE, "redis"))}
    assert world.change(CUSTOM_RESOURCE_DEFINITION, owned, None) == both
    assert world.change(CUSTOM_RESOURCE_DEFINITION, None, owned, listed=False) == set()


# ---- APIs that come and go


async def test_an_api_that_has_been_listed_queues_whoever_waited_and_the_owners_that_have_vanished(
    world: World,
) -> None:
    await world.serve_redises()
    world.put(REDIS, redis("here"))
    for name in ("here", "vanished"):
        world.put(WORK, world.sealed(WORK, work(f"of-{name}", request=name)))
    waiting, parent = key(WORK, "w", "team"), key(REDIS, "here", "team")
    found = triggers.requests_listed("redis", [waiting], [parent], world.caches)
    assert set(found) == {
        Trigger(key(PROMISE, "redis")),
        Trigger(key(REDIS, "vanished", "team")),
        Trigger(waiting, PRIORITY_RESYNC),
        Trigger(parent),
    }


async def test_a_parent_is_told_when_the_api_of_its_components_comes_and_when_it_goes(world: World) -> None:
    await world.serve_redises()
    parent = key(REDIS, "parent", "team")
    world.put(REDIS, redis("parent"))
    world.caches.request_apis.note_parent(parent, [("web.example.com", "Site")])
    assert await world.queued() == {parent}
    site = Resource("web.example.com", "v1", "sites", "Site")
    world.caches.request_apis.follow("site", site, REDISES)
    assert await world.queued() == {parent, key(PROMISE, "site")}
    await world.caches.request_apis.unfollow("site")
    assert await world.queued() == {parent}
    world.caches.request_apis.get(REDIS.name).informer.forget(parent)  # type: ignore[union-attr]
    assert parent in await world.queued()
    world.caches.request_apis.follow("site", site, REDISES)
    assert await world.queued() == {key(PROMISE, "site")}


async def test_a_job_that_ends_or_goes_queues_the_request_for_which_it_runs(world: World) -> None:
    await world.serve_redises()
    ended = {"conditions": [{"type": "Complete", "status": "True"}]}
    cache = {Trigger(Key(REDIS.name, "team", "cache"), PRIORITY_CHANGE)}
    assert world.change(JOB, job("j"), job("j", status=ended)) == cache
    assert world.change(JOB, job("j"), None) == cache
    assert world.change(JOB, job("j"), with_metadata(job("j"), resourceVersion="7")) == set()
    assert world.change(JOB, None, job("j"), ours=True) == set()
    assert world.change(JOB, None, job("j", promise="somebody-elses")) == set()


async def test_a_job_of_a_promises_own_workflow_queues_the_promise(world: World) -> None:
    own = job("j", request="redis", type="promise")
    assert world.change(JOB, None, own) == {Trigger(Key(PROMISE.name, "", "redis"), PRIORITY_CHANGE)}


async def test_a_pod_queues_the_request_of_its_job_when_something_happens_to_it(world: World) -> None:
    await world.serve_redises()
    pending, failed = (pod("p", of_job="j", phase=phase) for phase in ("Pending", "Failed"))
    assert world.change(POD, pending, failed) == set(), "its Job is not known"
    world.put(JOB, job("j"))
    assert world.change(POD, pending, failed) == {Trigger(Key(REDIS.name, "team", "cache"), PRIORITY_CHANGE)}
    assert world.change(POD, pending, pending) == set()
