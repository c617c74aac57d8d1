"""What keeps a Job from getting on is said in words, on a real node, whose Job controller and kubelet write the Events.

How soon it is said is part of the promise (10 s from the making of the Job), so the deadlines are those, made longer on
a busy machine. All tests that hold such a time run one after another, with the one that keeps the node busiest.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.node.sites import Object, Site, read_promise
from tests.platforms import says
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import SECRET

pytestmark = pytest.mark.timeout(900)

RESOURCE_QUOTA = Resource("", "v1", "resourcequotas", "ResourceQuota")
SOON = 10.0


async def ask(site: Site, named: str, change: Callable[[Object], None]) -> Resource:
    """Publishes the Promise of three files with another container, asks for ``cache``, and waits for its Job."""
    promise = read_promise("three-files", named=named)
    (pipeline,) = promise["spec"]["workflows"]["resource"]["configure"]
    change(pipeline["spec"])
    await site.add_destination("dev", promise=named)
    bundles = await site.publish_object(promise)
    await site.ask(bundles, "cache", {"size": "small"})

    async def made() -> bool:
        return bool(await site.jobs())

    await eventually(made, "a Job", within=60)
    return bundles


async def test_an_image_that_is_not_there_and_must_not_be_pulled_is_said_within_ten_seconds(site: Site) -> None:
    def misname(spec: Object) -> None:
        spec["containers"][0] |= {"image": "localhost/no-such-image:1", "imagePullPolicy": "Never"}

    bundles = await ask(site, "misnamed", misname)
    told = says(
        "Ready", "False", "the image 'localhost/no-such-image:1' of the container 'write' cannot be pulled"
    )
    await site.wait(bundles, "cache", told, within=SOON)


async def test_a_quota_that_is_used_up_is_said_within_ten_seconds_and_no_longer_once_there_is_room(
    site: Site,
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": site.namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    await site.platform.make(RESOURCE_QUOTA, quota)

    async def counted() -> bool:
        live = await site.client.get(RESOURCE_QUOTA, "none", site.namespace)
        return bool(live.get("status", {}).get("hard"))

    await eventually(counted, "the quota is counted", within=60)
    bundles = await ask(site, "crowded", lambda spec: None)
    told = says("Ready", "False", "instance: its Pod cannot be created: exceeded quota: none")
    await site.wait(bundles, "cache", told, within=SOON)
    await site.platform.delete(RESOURCE_QUOTA, "none", namespace=site.namespace)
    await site.ready(bundles, "cache")


async def test_a_secret_that_a_volume_needs_is_said_within_ten_seconds_and_no_longer_once_it_is_there(
    site: Site,
) -> None:
    def mount(spec: Object) -> None:
        spec["volumes"] = [{"name": "key", "secret": {"secretName": "key"}}]
        spec["containers"][0]["volumeMounts"] = [{"name": "key", "mountPath": "/key"}]

    bundles = await ask(site, "secretive", mount)
    told = says("Ready", "False", "instance: its Pod cannot be started", 'secret "key" not found')
    await site.wait(bundles, "cache", told, within=SOON)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": site.namespace}}
    await site.platform.make(SECRET, secret)
    await site.ready(bundles, "cache")
