"""Which revisions a Promise has, whatever is applied in whatever order, and wherever the operator is killed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.platforms import promise
from troth.api import Promise
from troth.api import labels as names
from troth.api.objects import read_promise
from troth.api.revisions import PromiseRevision, read_promise_revision, read_resource_binding
from troth.engine.promises.bindings import new_binding
from troth.engine.promises.revisions import (
    find_revision,
    plan_removal,
    plan_revisions,
    revision_name,
    revision_status,
    state_of_requirement,
)
from troth.engine.status.facts import INSTALLED, NOT_AVAILABLE, NOT_INSTALLED, NOT_INSTALLED_AT_VERSION
from troth.engine.status.patch import apply_patch, status_patch

NOW = "2026-01-01T00:00:00Z"


def promise_view(version: str = "", *, size: int = 1, available: bool = True, **metadata: Any) -> Promise:
    obj = promise("things", template=f"size: {size}")
    labels = {names.PROMISE_VERSION: version} if version else {}
    obj["metadata"] = {**obj["metadata"], "uid": "p", "generation": size, "labels": labels, **metadata}
    status = {"status": "Available"} if available else {}
    return read_promise({**obj, "status": status})


def revision(of: Promise, **changes: Any) -> PromiseRevision:
    body = dict(plan_revisions(of, ()).body)
    body["metadata"] = {**body["metadata"], "uid": f"uid-{of.version}", "generation": 1, **changes}
    return read_promise_revision(body)


def was_available(found: PromiseRevision) -> PromiseRevision:
    return replace(found, status=revision_status(found, available=True, now=NOW))


def test_the_name_of_a_revision_is_kratixs_deterministic_name_of_promise_and_version() -> None:
    assert revision_name("redis", "v1.0.0") == "redis-2888c"
    assert revision_name("redis", "v1.0.0+beta.1").startswith("redis-")
    assert len(revision_name("a" * 80, "v1")) <= 63


def test_a_new_version_gets_a_revision_with_the_labels_finalizer_and_owner_of_kratix() -> None:
    of = promise_view("v1.0.0+beta.1")
    plan = plan_revisions(of, ())
    meta = plan.body["metadata"]
    assert plan.existing is None
    assert meta["labels"] == {names.PROMISE_NAME: "things", names.LATEST_REVISION: "true"}
    assert meta["finalizers"] == ["kratix.io/resource-request-cleanup"]
    assert (meta["ownerReferences"][0]["uid"], meta["ownerReferences"][0]["controller"]) == ("p", True)
    assert plan.body["spec"]["version"] == "v1.0.0+beta.1"
    assert plan.body["spec"]["promiseSpec"] == of.raw["spec"]


def test_a_promise_without_a_version_has_a_revision_of_the_version_not_set() -> None:
    assert plan_revisions(promise_view(), ()).body["spec"]["version"] == "not-set"


def test_the_same_version_with_another_spec_is_overwritten_in_place() -> None:
    before = revision(promise_view("v1"))
    plan = plan_revisions(promise_view("v1", size=2), [before])
    assert plan.existing is before
    assert plan.patch is not None
    assert set(plan.patch) == {"spec"}
    assert plan.demoted == ()


def test_an_older_version_that_is_applied_again_is_the_latest_one_again() -> None:
    first, second = promise_view("v1"), promise_view("v2")
    former = replace(revision(first), metadata=replace(revision(first).metadata, labels={}))
    plan = plan_revisions(first, [former, revision(second)])
    assert plan.patch == {"metadata": {"labels": {names.PROMISE_NAME: "things", names.LATEST_REVISION: "true"}}}
    assert [each.version for each in plan.demoted] == ["v2"]


def test_a_revision_under_the_former_name_of_kratix_is_replaced_and_no_other_one() -> None:
    of = promise_view("v1")
    former, other = revision(of, name="things-v1"), revision(promise_view("v0"), name="things-v0")
    plan = plan_revisions(of, [former, other])
    assert plan.existing is None
    assert plan.replaced == (former,)
    assert plan.demoted == (other,)


def test_two_versions_with_the_same_hash_have_two_names() -> None:
    taken = revision(promise_view("v1"), name=revision_name("things", "v2"))
    name = plan_revisions(promise_view("v2"), [taken]).body["metadata"]["name"]
    assert name != taken.name
    assert len(name) <= 63


def test_a_valid_interval_of_the_promise_is_mirrored_and_one_on_the_revision_stays() -> None:
    of = promise_view("v1")
    assert plan_revisions(of, (), interval="5m").body["metadata"]["annotations"] == {
        names.RECONCILIATION_INTERVAL: "5m"
    }
    own = revision(of, annotations={names.RECONCILIATION_INTERVAL: "2h"})
    assert plan_revisions(of, [own]).patch is None


def test_what_was_available_once_stays_so_until_its_spec_changes() -> None:
    found = revision(promise_view("v1"))
    never = revision_status(found, available=False, now=NOW)
    assert never["conditions"][0]["status"] == "False"
    once = was_available(found)
    assert once.is_available
    assert revision_status(once, available=False, now="later") == once.status
    changed = replace(once, metadata=replace(once.metadata, generation=2))
    assert revision_status(changed, available=False, now=NOW)["conditions"][0]["status"] == "False"


GONE: dict[str, Any] = {"deletionTimestamp": NOW}


def bound(name: str, version: str) -> Any:
    request = read_promise({"metadata": {"name": name, "namespace": "team", "labels": {}}, "spec": {}})
    return read_resource_binding(new_binding("things", request, version))  # type: ignore[arg-type]


def test_a_revision_that_is_deleted_takes_along_the_requests_that_are_bound_to_it_and_orphaned_bindings() -> None:
    bindings = [bound("orders", "v1"), bound("gone", "v1"), bound("floating", "latest"), bound("newer", "v2")]
    requests = [("team", "orders"), ("team", "floating"), ("team", "newer")]
    old = revision(promise_view("v1"), labels={}, **GONE)
    found = plan_removal(old, promise_view("v2"), [], bindings, has_request=requests)
    assert [each.resource for each in found.requests] == ["orders"]
    assert [each.resource for each in found.orphans] == ["gone"]
    assert not found.is_done


@pytest.mark.parametrize(
    ("of", "changes", "others"),
    [
        (promise_view("v2"), {"annotations": {names.SKIP_REQUEST_CLEANUP: "true"}}, []),
        (promise_view("v2", **GONE), {}, []),
        (None, {}, []),
        (promise_view("v1"), {}, []),
        (promise_view("v2"), {"labels": {names.LATEST_REVISION: "true"}}, []),
        (promise_view("v2"), {}, [revision(promise_view("v1"), name="another")]),
    ],
    ids=["skipped", "promise goes", "promise gone", "current", "latest", "another of that version"],
)
def test_a_revision_takes_no_request_along_that_can_be_served_or_that_goes_anyway(
    of: Promise | None, changes: Mapping[str, Any], others: Sequence[PromiseRevision]
) -> None:
    old = revision(promise_view("v1"), **{"labels": {}, **GONE, **changes})
    found = plan_removal(old, of, others, [bound("orders", "v1")], has_request=[("team", "orders")])
    assert found.is_done


def test_a_required_version_is_installed_as_long_as_there_is_a_revision_of_it() -> None:
    now = promise_view("v2")
    kept = was_available(revision(promise_view("v1"), labels={}))
    assert state_of_requirement("v1", None, [kept]) == NOT_INSTALLED
    assert state_of_requirement("v1", now, []) == NOT_INSTALLED_AT_VERSION
    assert state_of_requirement("v1", now, [kept]) == INSTALLED
    assert state_of_requirement("v2", now, [kept]) == INSTALLED
    assert state_of_requirement("", now, [kept]) == INSTALLED


def test_a_required_version_stays_available_when_a_newer_one_is_broken() -> None:
    broken = promise_view("v2", available=False)
    kept = was_available(revision(promise_view("v1"), labels={}))
    assert state_of_requirement("v1", broken, [kept]) == INSTALLED
    assert state_of_requirement("v1", broken, [replace(kept, status={})]) == NOT_AVAILABLE
    assert state_of_requirement("v2", broken, [kept]) == NOT_AVAILABLE
    paused = promise_view("v2", labels={names.PAUSED: "true"})
    assert state_of_requirement("v1", paused, [kept]) == NOT_AVAILABLE


class Cluster:
    """An API server with revisions, to which plans are written step by step."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}

    def revisions(self) -> list[PromiseRevision]:
        return [read_promise_revision(obj) for obj in self.objects.values()]

    def steps(self, of: Promise) -> int:
        """How many writes are left."""
        return len(self._writes(of))

    def write(self, of: Promise, limit: int) -> None:
        """Carries out a plan up to a number of writes, as an operator does that is killed then."""
        for write in self._writes(of)[:limit]:
            write()

    def _writes(self, of: Promise) -> list[Any]:
        plan = plan_revisions(of, self.revisions())
        writes: list[Any] = []
        if plan.existing is None:
            writes.append(partial(self._create, plan.body))
        elif plan.patch is not None:
            writes.append(partial(self._patch, plan.existing.name, plan.patch))
        unlabelled = {"metadata": {"labels": {names.LATEST_REVISION: None}}}
        writes += [partial(self._patch, each.name, unlabelled) for each in plan.demoted]
        return writes + [partial(self.objects.pop, each.name) for each in plan.replaced]

    def _create(self, body: Mapping[str, Any]) -> None:
        name = body["metadata"]["name"]
        assert name not in self.objects
        self.objects[name] = {**body, "metadata": {**body["metadata"], "generation": 1}}

    def _patch(self, name: str, patch: Mapping[str, Any]) -> None:
        self.objects[name] = apply_patch(self.objects[name], patch)


VERSIONS = ["", "v1", "v2", "v1.0.0+beta.1"]


class Revisions(RuleBasedStateMachine):
    """People apply versions and edit and delete revisions; the operator writes, and is killed at any point."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.current: Promise | None = None
        self.said: dict[str, Any] = {}

    @rule(version=st.sampled_from(VERSIONS), size=st.integers(1, 3), writes=st.integers(0, 4))
    def apply(self, version: str, size: int, writes: int) -> None:
        self.current = promise_view(version, size=size)
        self.cluster.write(self.current, writes)

    @precondition(lambda self: self.cluster.objects)
    @rule(data=st.data())
    def somebody_deletes_one(self, data: st.DataObject) -> None:
        del self.cluster.objects[data.draw(st.sampled_from(sorted(self.cluster.objects)))]

    @precondition(lambda self: self.cluster.objects)
    @rule(data=st.data())
    def somebody_edits_one(self, data: st.DataObject) -> None:
        obj = self.cluster.objects[data.draw(st.sampled_from(sorted(self.cluster.objects)))]
        obj["metadata"]["labels"] = {names.LATEST_REVISION: data.draw(st.sampled_from(["true", "false"]))}

    @rule()
    def kratix_of_old_was_here(self) -> None:
        if self.current is not None:
            version = self.current.version or "not-set"
            body = plan_revisions(self.current, ()).body
            former = f"things-{version}"
            self.cluster.objects[former] = {
                **body,
                "metadata": {**body["metadata"], "name": former, "generation": 1},
            }

    @precondition(lambda self: self.current is not None)
    @rule()
    def settle(self) -> None:
        assert self.current is not None
        self.cluster.write(self.current, 99)
        assert self.cluster.steps(self.current) == 0, "a second run writes nothing"
        found = self.cluster.revisions()
        version = self.current.version or "not-set"
        assert [each.version for each in found if each.is_latest] == [version]
        latest = find_revision(found, version)
        assert latest is not None
        assert latest.raw_spec == self.current.raw["spec"]

    @invariant()
    def no_version_is_there_twice(self) -> None:
        versions = [each.version for each in self.cluster.revisions() if each.name != f"things-{each.version}"]
        assert len(versions) == len(set(versions))


TestRevisions = pytest.mark.slow(Revisions.TestCase)
TestRevisions.settings = settings(max_examples=50, stateful_step_count=20)


@given(st.lists(st.tuples(st.sampled_from(VERSIONS), st.integers(1, 3)), max_size=6))
def test_each_version_keeps_the_spec_that_it_had_last(applied: list[tuple[str, int]]) -> None:
    cluster = Cluster()
    for version, size in applied:
        cluster.write(promise_view(version, size=size), 99)
    wanted = {version or "not-set": promise_view(version, size=size).raw["spec"] for version, size in applied}
    assert {each.version: each.raw_spec for each in cluster.revisions()} == wanted


def test_a_status_that_says_the_same_is_not_written_again() -> None:
    found = was_available(revision(promise_view("v1")))
    assert status_patch(found.status, revision_status(found, available=True, now="later")) is None
