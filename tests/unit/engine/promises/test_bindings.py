"""Which version a request uses, what its binding says of that, and that nothing goes back and forth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.platforms import request
from tests.unit.engine.promises.test_revisions import promise_view, revision
from troth.api import Request, find_condition
from troth.api import labels as names
from troth.api.objects import read_request
from troth.api.revisions import ResourceBinding, read_resource_binding
from troth.engine.promises.bindings import (
    Versions,
    applied_version,
    as_of_revision,
    asked_version,
    binding_name,
    binding_patch,
    binding_status,
    new_binding,
)
from troth.engine.status.facts import WorkflowState
from troth.engine.status.patch import apply_patch, status_patch

NOW = "2026-01-01T00:00:00Z"


def request_view(status: dict[str, Any] | None = None, labels: dict[str, str] | None = None) -> Request:
    obj = request("things", "orders", "team", size="small")
    obj["metadata"] |= {"generation": 3, "uid": "r", "labels": labels or {}}
    return read_request({**obj, "status": status or {}})


def binding(version: str = "latest", **status: Any) -> ResourceBinding:
    return read_resource_binding({**new_binding("things", request_view(), version), "status": status})


def test_a_binding_has_the_name_the_labels_and_the_references_of_kratix() -> None:
    found = new_binding("things", request_view(labels={"team": "blue"}), "latest")
    assert found["metadata"]["name"] == binding_name("things", "orders") == "orders-things-ff6e6"
    assert found["metadata"]["namespace"] == "team"
    assert found["metadata"]["labels"] == {
        "team": "blue",
        "kratix.io/promise-name": "things",
        "kratix.io/resource-name": "orders",
    }
    assert found["spec"] == {
        "version": "latest",
        "promiseRef": {"name": "things"},
        "resourceRef": {"name": "orders", "namespace": "team", "generation": 3},
    }


@pytest.mark.parametrize(
    ("versions", "status", "asked"),
    [
        (Versions(), {}, "latest"),
        (Versions(pinned=True), {}, "v2"),
        (Versions(revisions=(revision(promise_view("v1")),), pinned=True), {}, "v1"),
        (Versions(pinned=True), {"resourceBindingVersion": "v1"}, "v1"),
        (Versions((binding("v1"),), pinned=True), {"resourceBindingVersion": "latest"}, "v1"),
        (Versions((binding("latest"),)), {"resourceBindingVersion": "v1"}, "latest"),
    ],
    ids=[
        "new and floating",
        "new and pinned",
        "pinned to the latest revision while the newest version is broken",
        "a binding that was deleted is restored",
        "the binding counts",
        "the binding floats",
    ],
)
def test_the_version_that_a_request_asks_for(versions: Versions, status: dict[str, Any], asked: str) -> None:
    assert asked_version(promise_view("v2"), request_view(status), versions) == asked


def test_a_promise_without_a_version_pins_nothing() -> None:
    assert asked_version(promise_view(), request_view(), Versions(pinned=True)) == "latest"


def test_a_request_is_deleted_with_the_version_that_it_had_last() -> None:
    of = promise_view("v3")
    assert applied_version(of, request_view({"promiseVersion": "v1"}), Versions()) == "v1"
    assert applied_version(of, request_view(), Versions((binding("v2", lastAppliedVersion="v2"),))) == "v2"
    assert applied_version(of, request_view(), Versions()) == "v3"


def test_a_promise_as_of_a_revision_has_its_spec_version_and_interval_and_the_newest_api() -> None:
    newest = promise_view("v2", size=2, annotations={names.RECONCILIATION_INTERVAL: "2h"})
    api = {"kind": "CustomResourceDefinition", "metadata": {"name": "newer"}}
    newest = replace(newest, spec=replace(newest.spec, api=api))
    old = revision(promise_view("v1"), annotations={names.RECONCILIATION_INTERVAL: "1h"})
    found = as_of_revision(newest, old)
    assert found.version == "v1"
    assert found.raw["spec"] == old.raw_spec
    assert found.spec.resource_workflows == old.spec.resource_workflows
    assert found.spec.api == api
    assert found.metadata.annotations == {names.RECONCILIATION_INTERVAL: "1h"}
    assert (found.metadata.uid, found.metadata.generation) == (old.metadata.uid, 1)


def test_labels_of_the_request_are_mirrored_with_changes_and_removals_and_others_stay() -> None:
    before = request_view(labels={"team": "blue", "tier": "gold"})
    obj = apply_patch(new_binding("things", before, "v1"), {"metadata": {"labels": {"mine": "stays"}}})
    wishes = {names.MANUAL_RECONCILIATION: "true", names.RUN_FROM_START: "true"}
    after = request_view(labels={"team": "red", **wishes})
    patch = binding_patch("things", after, read_resource_binding(obj))
    obj = apply_patch(obj, patch)
    assert obj["metadata"]["labels"] == {
        "team": "red",
        "mine": "stays",
        "kratix.io/promise-name": "things",
        "kratix.io/resource-name": "orders",
    }
    assert binding_patch("things", after, read_resource_binding(obj)) is None
    assert obj["spec"]["version"] == "v1"


def test_a_binding_that_somebody_made_beforehand_is_adopted_with_the_version_that_it_names() -> None:
    mine = read_resource_binding(
        {
            "metadata": {"name": "any", "namespace": "team", "labels": {"kratix.io/resource-name": "orders"}},
            "spec": {"version": "v1", "promiseRef": {"name": "things"}, "resourceRef": {"name": "orders"}},
        }
    )
    patch = binding_patch("things", request_view(), mine)
    assert patch is not None
    assert patch["metadata"]["labels"] == {"kratix.io/promise-name": "things"}
    assert "spec" not in patch


def say(of: ResourceBinding, version: str, outcome: WorkflowState) -> ResourceBinding:
    """The binding after its status was written."""
    patch = status_patch(of.status, binding_status(of, version=version, outcome=outcome, now=NOW))
    return replace(of, status=apply_patch(of.status, patch))


def upgrade(of: ResourceBinding) -> tuple[str, str]:
    found = find_condition(of.status.get("conditions"), "UpgradeSucceeded") or {}
    return found.get("status", ""), found.get("reason", "")


def test_the_first_deployment_is_not_an_upgrade() -> None:
    found = say(say(binding(), "v1", "Pending"), "v1", "Succeeded")
    assert upgrade(found) == ("", "")
    assert found.applied == "v1"


def test_an_upgrade_is_in_progress_and_then_complete() -> None:
    found = say(binding(), "v1", "Succeeded")
    found = say(found, "v2", "Pending")
    assert upgrade(found) == ("Unknown", "UpgradeInProgress")
    assert found.applied == "v1"
    found = say(found, "v2", "Succeeded")
    assert upgrade(found) == ("True", "UpgradeComplete")
    assert found.applied == "v2"
    assert find_condition(found.status["conditions"], "UpgradeSucceeded")["message"] == "Resource is at version v2"  # type: ignore[index]


def test_an_upgrade_that_fails_keeps_the_version_that_was_applied_and_a_newer_one_recovers_from_it() -> None:
    failed = say(say(binding(), "v1", "Succeeded"), "v2", "Failed")
    assert upgrade(failed) == ("False", "UpgradeFailed")
    assert (failed.applied, failed.status["failedVersion"]) == ("v1", "v2")
    for outcome in ("Pending", "Suspended", "Failed"):
        assert say(failed, "v2", outcome).status == failed.status
    found = say(failed, "v3", "Pending")
    assert upgrade(found) == ("Unknown", "UpgradeInProgress")
    assert "failedVersion" not in found.status
    found = say(found, "v3", "Succeeded")
    assert upgrade(found) == ("True", "UpgradeComplete")
    assert found.applied == "v3"


def test_going_back_after_a_failed_upgrade_is_said_to_be_complete() -> None:
    failed = say(say(binding(), "v1", "Succeeded"), "v2", "Failed")
    found = say(failed, "v1", "Succeeded")
    assert upgrade(found) == ("True", "UpgradeComplete")
    assert "failedVersion" not in found.status


def test_a_failure_at_the_version_that_is_applied_is_no_failed_upgrade() -> None:
    found = say(say(binding(), "v1", "Succeeded"), "v1", "Failed")
    assert upgrade(found) == ("", "")
    assert "failedVersion" not in found.status


OUTCOMES = st.sampled_from(["Succeeded", "Pending", "Failed", "Suspended"])
VERSIONS = st.sampled_from(["v1", "v2", "v3"])


@given(st.lists(st.tuples(VERSIONS, OUTCOMES), max_size=8), VERSIONS, OUTCOMES)
def test_the_same_outcome_is_said_once(
    history: list[tuple[str, WorkflowState]], version: str, outcome: WorkflowState
) -> None:
    found = binding()
    for each in history:
        found = say(found, *each)
    once = say(found, version, outcome)
    assert say(once, version, outcome).status == once.status


class Upgrades(RuleBasedStateMachine):
    """Versions come, succeed and fail in any order; the status says at any time what is true."""

    def __init__(self) -> None:
        super().__init__()
        self.binding = binding()
        self.applied = ""
        self.attempted = ""
        self.outcome = ""

    @rule(version=VERSIONS, outcome=OUTCOMES)
    def reconcile(self, version: str, outcome: WorkflowState) -> None:
        self.binding = say(self.binding, version, outcome)
        self.attempted, self.outcome = version, outcome
        if outcome == "Succeeded":
            self.applied = version

    @invariant()
    def it_names_what_was_applied_last(self) -> None:
        assert self.binding.applied == self.applied

    @invariant()
    def a_failed_version_is_not_the_applied_one(self) -> None:
        failed = self.binding.status.get("failedVersion")
        assert failed is None or failed != self.applied
        if self.outcome == "Failed" and self.attempted != self.applied:
            assert failed == self.attempted

    @invariant()
    def the_condition_is_true_only_of_the_version_that_is_applied(self) -> None:
        found = find_condition(self.binding.status.get("conditions"), "UpgradeSucceeded")
        if found and found["status"] == "True":
            assert found["message"] == f"Resource is at version {self.applied}"
        if self.outcome == "Succeeded":
            assert found is None or found["status"] == "True"


TestUpgrades = pytest.mark.slow(Upgrades.TestCase)
TestUpgrades.settings = settings(max_examples=60, stateful_step_count=20)
