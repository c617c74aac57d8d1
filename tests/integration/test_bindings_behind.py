"""What is done with ResourceBindings that the caches do not have yet, or know as they were before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.idle_platform import idle_platform
from tests.platforms import promise, request
from tests.waiting import SAFE
from troth.api import Key, Promise
from troth.api import labels as names
from troth.api.objects import read_metadata, read_promise, read_request
from troth.api.resources import CONFIG_MAP, PROMISE_REVISION, RESOURCE_BINDING, Resource
from troth.controllers.live_request import LiveRequest
from troth.controllers.platform import Platform
from troth.controllers.promise_revisions import PromiseRevisions
from troth.controllers.request_bindings import RequestBindings
from troth.engine.judgement import BoundPromise, Renders, judge_request
from troth.engine.promises.bindings import new_binding
from troth.engine.promises.revisions import plan_revisions
from troth.kube import Client, NotFound

pytestmark = pytest.mark.integration

THINGS: Final = Resource("things.example.com", "v1", "things", "Things")


@pytest.fixture
async def platform(client: Client) -> AsyncIterator[Platform]:
    """A platform whose caches have only what they are told."""
    platform = idle_platform(client)
    yield platform
    await platform.caches.request_apis.stop()


def promise_at(version: str, name: str = "things") -> Promise:
    """A Promise that is available at a version."""
    obj = promise(name)
    meta = {"uid": "0f9d", "generation": 1, "labels": {names.PROMISE_VERSION: version}}
    status = {"status": "Available", "observedGeneration": 1}
    return read_promise({**obj, "metadata": {**obj["metadata"], **meta}, "status": status})


def request_in(platform: Platform, namespace: str) -> LiveRequest:
    """Its request ``orders``. Nobody serves its API."""
    platform.caches.request_apis.follow("things", THINGS, read_metadata({"metadata": {"name": THINGS.name}}))
    api = platform.caches.request_apis.get(THINGS.name)
    assert api is not None
    obj = request("things", "orders", namespace, size="small")
    obj["metadata"] |= {"uid": "5c3a", "generation": 1}
    return LiveRequest(Key(THINGS.name, namespace, "orders"), api, read_request(obj))


def judged(platform: Platform, of: Promise, live: LiveRequest) -> BoundPromise:
    """The spec that the request is to be rendered with, as far as the caches know."""
    versions = RequestBindings(platform).versions_of(of.name, live.key)
    found = judge_request(of, live.request, api_version="v1", versions=versions)
    assert isinstance(found, Renders)
    return found.bound


async def test_a_request_is_judged_again_when_it_has_a_binding_that_the_cache_did_not_have(
    client: Client, platform: Platform, namespace: str
) -> None:
    of, live, bindings = promise_at("v2"), request_in(platform, namespace), RequestBindings(platform)
    made: dict[str, Any] = await client.create(RESOURCE_BINDING, new_binding(of.name, live.request, "v2"))
    bound = judged(platform, of, live)
    assert bound.asked == "latest"
    assert not await bindings.keep(live, bound)

    again = judged(platform, of, live)
    assert again.asked == "v2"
    assert await bindings.keep(live, again)
    assert await client.get(RESOURCE_BINDING, made["metadata"]["name"], namespace) == made


async def test_a_request_whose_binding_has_moved_does_not_go_with_the_revision_that_it_used(
    client: Client, platform: Platform, namespace: str, unique: str
) -> None:
    moved, bound = (
        read_request({"metadata": {"name": name, "namespace": namespace}}) for name in ("moved", "bound")
    )
    former, of = promise_at("v1", name=unique), promise_at("v2", name=unique)
    for each in (moved, bound):  # any object that the API server can delete will do
        meta = {"name": each.metadata.name, "namespace": namespace}
        await client.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
        made = await client.create(RESOURCE_BINDING, new_binding(unique, each, "v1"))
        platform.caches.bindings.observe(made)
        if each is moved:
            to = {"spec": {"version": "v2"}}
            await client.merge_patch(RESOURCE_BINDING, made["metadata"]["name"], to, namespace=namespace)
    informer = platform.caches.request_apis.follow(unique, CONFIG_MAP, of.metadata)
    await asyncio.wait_for(informer.synced.wait(), SAFE)

    body = dict(plan_revisions(former, ()).body)
    body["metadata"] = {**body["metadata"], "labels": {names.PROMISE_NAME: unique}}
    revision = await client.create(PROMISE_REVISION, body)
    name = revision["metadata"]["name"]
    try:
        platform.caches.revisions.observe(await client.delete(PROMISE_REVISION, name))
        await PromiseRevisions(platform).let_go(unique, of)
        await client.get(CONFIG_MAP, "moved", namespace)
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAP, "bound", namespace)
    finally:
        await client.merge_patch(PROMISE_REVISION, name, {"metadata": {"finalizers": None}})
