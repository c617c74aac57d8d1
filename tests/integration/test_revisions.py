"""Versions of a Promise: what is kept of each, which one a request uses, and what happens when one is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.platforms import (
    Object,
    Platform,
    Repository,
    api_of,
    available,
    condition,
    destination,
    events_of,
    git_store,
    promise,
    says,
)
from tests.versions import Site, applied, at
from tests.waiting import eventually
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE, PROMISE_REVISION, RESOURCE_BINDING
from troth.engine.promises.revisions import revision_name

pytestmark = pytest.mark.integration

BROKEN = "{{ spec.size | nosuchfilter }}"
FAILING = '{{ fail("this version fails") }}'
MANUAL = "kratix.io/manual-reconciliation"


@pytest.fixture
async def site(platform: Platform, stores: Path, unique: str, namespace: str) -> Site:
    repository = Repository(stores / f"{unique}.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    return Site(platform, repository, unique, namespace)


async def told(site: Site, live: Object, reason: str) -> None:
    """Waits for an Event about an object."""

    async def look() -> bool:
        return any(event["reason"] == reason for event in await events_of(site.platform.client, live))

    await eventually(look, f"an Event says {reason}")


# ---- revisions


async def test_each_version_has_a_revision_and_the_newest_applied_one_is_the_latest(site: Site) -> None:
    await site.install("v1")
    first = (await site.latest("v1"))["v1"]
    assert first["metadata"]["name"] == revision_name(site.name, "v1")
    assert first["metadata"]["finalizers"] == ["kratix.io/resource-request-cleanup"]
    owner = first["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Promise", site.name, True)
    live = await site.platform.client.get(PROMISE, site.name)
    assert first["spec"]["promiseSpec"] == live["spec"]
    await told(site, live, "RevisionCreated")
    await site.install("V2.0.0_beta.1")
    found = await site.latest("V2.0.0_beta.1")
    assert found["v1"]["spec"] == first["spec"]
    await site.install("v1")
    await site.latest("v1")


async def test_the_same_version_with_another_spec_is_overwritten_in_place(site: Site) -> None:
    await site.install("v1", made="first")
    before = (await site.latest("v1"))["v1"]
    await site.install("v1", made="second")
    live = await site.platform.client.get(PROMISE, site.name)
    await site.platform.wait(
        PROMISE_REVISION,
        before["metadata"]["name"],
        lambda found: found["spec"]["promiseSpec"] == live["spec"],
    )
    assert list(await site.revisions()) == ["v1"]


async def test_a_promise_without_a_version_has_the_revision_not_set_and_its_requests_no_bindings(
    site: Site,
) -> None:
    await site.install()
    await site.latest("not-set")
    await site.ask()
    live = await site.request(at("not-set"))
    assert "resourceBindingVersion" not in live["status"]
    found = await site.platform.client.list(RESOURCE_BINDING, namespace=site.namespace)
    assert found.items == []


async def test_a_deleted_revision_takes_its_requests_along_and_the_latest_comes_back(site: Site) -> None:
    client = site.platform.client
    await site.install("v1")
    for name in ("orders", "floating"):
        await site.ask(name=name)
        await site.request(at("v1"), name)
    await site.pin("v1")
    await site.install("v2")
    await site.request(at("v2"), "floating")
    await client.delete(PROMISE_REVISION, revision_name(site.name, "v2"))
    await client.delete(PROMISE_REVISION, revision_name(site.name, "v1"))
    await site.platform.gone(api_of(site.name), "orders", namespace=site.namespace)
    await site.platform.gone(RESOURCE_BINDING, site.binding_name, namespace=site.namespace)
    await site.platform.gone(PROMISE_REVISION, revision_name(site.name, "v1"))
    assert list(await site.latest("v2")) == ["v2"]
    await site.request(at("v2"), "floating")


async def test_a_revision_with_the_annotation_goes_without_its_requests(site: Site) -> None:
    client = site.platform.client
    await site.install("v1")
    await site.ask()
    await site.pin("v1")
    await site.install("v2")
    skip = {"metadata": {"annotations": {"kratix.io/skip-resource-request-cleanup-on-delete": "true"}}}
    await client.merge_patch(PROMISE_REVISION, revision_name(site.name, "v1"), skip)
    await client.delete(PROMISE_REVISION, revision_name(site.name, "v1"))
    await site.platform.gone(PROMISE_REVISION, revision_name(site.name, "v1"))
    live = await site.request(says("Ready", "False", "v1", "there are: v2", reason="FailedPromiseRevisionLookup"))
    assert "deletionTimestamp" not in live["metadata"]
    await told(site, live, "FailedPromiseRevisionLookup")
    await site.bind("latest")
    await site.request(at("v2", asked="latest"))


async def test_a_deleted_promise_takes_its_revisions_along(site: Site) -> None:
    await site.install("v1")
    await site.install("v2")
    await site.ask()
    await site.binding(applied("v2"))
    await site.platform.client.delete(PROMISE, site.name)
    await site.platform.gone(PROMISE, site.name)
    assert await site.revisions() == {}
    await site.platform.gone(RESOURCE_BINDING, site.binding_name, namespace=site.namespace)


# ---- bindings


async def test_a_request_gets_a_binding_with_its_labels_and_follows_the_latest_version(site: Site) -> None:
    await site.install("v1")
    await site.ask(labels={"team": "blue"})
    await site.request(at("v1", asked="latest"))
    found = await site.binding(applied("v1"))
    assert condition(found, "UpgradeSucceeded") == {}
    assert found["metadata"]["labels"] == {
        "team": "blue",
        "kratix.io/promise-name": site.name,
        "kratix.io/resource-name": "orders",
    }
    await site.install("v2")
    await site.request(at("v2", asked="latest"))
    await site.written("made: v2", "promise: v2")
    await site.binding(applied("v2", "UpgradeComplete"))
    await site.ask(labels={"tier": "gold"})
    await site.binding(
        lambda live: live["metadata"]["labels"].get("tier") == "gold" and "team" not in live["metadata"]["labels"]
    )


async def test_a_request_stays_on_its_version_is_edited_there_and_moves_when_its_binding_does(site: Site) -> None:
    await site.install("v1")
    await site.ask()
    await site.pin("v1")
    await site.install("v2")
    await site.ask("large")
    await site.request(at("v1", asked="v1"))
    await site.written("size: large", "made: v1", "promise: v1")
    await site.bind("v2")
    await site.request(at("v2", asked="v2"))
    await site.written("size: large", "made: v2")
    await site.binding(applied("v2", "UpgradeComplete"))
    await site.bind("v1")
    await site.request(at("v1", asked="v1"))
    await site.written("made: v1")
    await site.binding(applied("v1", "UpgradeComplete"))


async def test_a_binding_that_is_made_before_its_request_is_adopted_under_its_own_name(site: Site) -> None:
    await site.install("v1")
    await site.install("v2")
    mine = {
        "apiVersion": RESOURCE_BINDING.api_version,
        "kind": RESOURCE_BINDING.kind,
        "metadata": {
            "name": "mine",
            "namespace": site.namespace,
            "labels": {"kratix.io/promise-name": site.name, "kratix.io/resource-name": "orders"},
        },
        "spec": {"version": "v1", "promiseRef": {"name": site.name}, "resourceRef": {"name": "orders"}},
    }
    await site.platform.make(RESOURCE_BINDING, mine)
    await site.ask()
    await site.request(at("v1", asked="v1"))
    await site.binding(applied("v1"), "mine")
    found = await site.platform.client.list(RESOURCE_BINDING, namespace=site.namespace)
    assert [each["metadata"]["name"] for each in found.items] == ["mine"]


async def test_a_binding_that_is_deleted_is_restored_with_the_version_that_it_had(site: Site) -> None:
    await site.install("v1")
    await site.ask()
    await site.pin("v1")
    await site.install("v2")
    before = await site.binding()
    await site.platform.client.delete(RESOURCE_BINDING, site.binding_name, site.namespace)
    again = await site.binding(lambda live: live["metadata"]["uid"] != before["metadata"]["uid"])
    assert again["spec"]["version"] == "v1"
    await site.request(at("v1", asked="v1"))


async def test_a_binding_that_is_asked_to_runs_its_request_once_more(site: Site) -> None:
    await site.install("v1")
    await site.ask()
    await site.binding(applied("v1"))
    await site.platform.client.merge_patch(
        RESOURCE_BINDING,
        site.binding_name,
        {"metadata": {"labels": {MANUAL: "true"}}},
        namespace=site.namespace,
    )
    await site.binding(lambda live: MANUAL not in live["metadata"]["labels"])
    asked = await site.request(
        lambda live: (
            MANUAL not in live["metadata"]["labels"]
            and live["metadata"].get("annotations", {}).get("troth.dev/wishes") == "1"
        )
    )
    await told(site, asked, "ReconcileRequested")


# ---- broken versions


async def test_a_newest_version_that_is_broken_does_not_hold_up_requests_that_stay_on_a_good_one(
    site: Site,
) -> None:
    await site.install("v1")
    for name in ("orders", "floating"):
        await site.ask(name=name)
        await site.request(at("v1"), name)
    await site.pin("v1")
    await site.apply("v2", template=BROKEN)
    await site.platform.wait(PROMISE, site.name, says("Ready", "False", "nosuchfilter"))
    await site.ask("large")
    await site.request(at("v1", asked="v1"))
    await site.written("size: large", "made: v1")
    await site.ask("large", name="floating")
    await site.request(says("Ready", "False", "This change waits", "nosuchfilter"), "floating")
    assert list(await site.latest("v1")) == ["v1"]
    await site.install("v3")
    await site.request(at("v3"), "floating")
    await site.request(at("v1", asked="v1"))


async def test_a_version_that_fails_for_a_request_is_said_once_and_a_newer_one_recovers_from_it(
    site: Site,
) -> None:
    await site.install("v1")
    await site.ask()
    await site.binding(applied("v1"))
    await site.install("v2", template=FAILING)
    failed = await site.binding(applied("v1", "UpgradeFailed"))
    assert failed["status"]["failedVersion"] == "v2"
    live = await site.request(says("Ready", "False", "this version fails"))
    await site.written("made: v1")
    await site.ask("large")
    await site.request(
        lambda seen: (
            seen["metadata"]["generation"] != live["metadata"]["generation"]
            and seen["status"]["observedGeneration"] == seen["metadata"]["generation"]
        )
    )
    after = await site.binding()
    assert after["status"] == failed["status"]
    await site.install("v3")
    await site.request(at("v3"))
    found = await site.binding(applied("v3", "UpgradeComplete"))
    assert "failedVersion" not in found["status"]


async def test_a_compound_promise_stays_available_when_the_promise_that_it_requires_moves_on_or_breaks(
    site: Site,
) -> None:
    whole = f"{site.name}whole"
    await site.install("v1")
    await site.platform.publish(promise(whole, requiredPromises=[{"name": site.name, "version": "v1"}]))

    def is_fulfilled(live: Object) -> bool:
        states = [entry["state"] for entry in live["status"]["requiredPromises"]]
        return states == ["Requirement installed"] and available(live)

    await site.install("v2")
    await site.platform.wait(PROMISE, whole, is_fulfilled)
    await site.apply("v3", template=BROKEN)
    await site.platform.wait(PROMISE, site.name, says("Ready", "False", "nosuchfilter"))
    await site.platform.wait(PROMISE, whole, is_fulfilled)
    await site.platform.client.delete(PROMISE_REVISION, revision_name(site.name, "v1"))
    await site.platform.wait(
        PROMISE,
        whole,
        lambda live: (
            live["status"]["requiredPromises"][0]["state"] == "Requirement not installed at the specified version"
        ),
    )
