"""The status functions: Kratix's words, nothing written twice, foreign keys left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents import ROOT
from troth.api import InvalidObject, conditions, find_condition
from troth.api.objects import ObjectMeta, Work, WorkPlacement
from troth.engine.status import facts as words
from troth.engine.status.author import OWNED_CONDITIONS, AuthorStatus, author_status
from troth.engine.status.deletion import deletion_status
from troth.engine.status.facts import (
    DependentFacts,
    DestinationFacts,
    Held,
    PipelineFacts,
    PlacementFacts,
    PromiseFacts,
    RequestFacts,
    RequirementFacts,
    StateStoreFacts,
    Waiting,
    WorkFacts,
    WorkflowFacts,
    requirement_state,
)
from troth.engine.status.patch import apply_patch, same, status_patch
from troth.engine.status.placement import placement_status, read_placement, read_work, work_status
from troth.engine.status.promise import promise_status
from troth.engine.status.request import request_status, waiting_status
from troth.engine.status.requests import is_failing
from troth.engine.status.store import destination_status, secret_not_found, state_store_status
from troth.engine.workflow.progress import read_progress

MORNING = "2026-03-01T08:00:00Z"
NOON = "2026-03-01T12:00:00Z"

Compute = Callable[[Mapping[str, Any], str], dict[str, Any]]


def settle(compute: Compute, old: Mapping[str, Any], now: str = MORNING) -> dict[str, Any]:
    """What the API server holds after one reconcile."""
    return apply_patch(old, status_patch(old, compute(old, now)))


def reason_of(status: Mapping[str, Any], kind: str) -> tuple[str, str, str]:
    condition = find_condition(status["conditions"], kind)
    assert condition is not None, f"no condition {kind}"
    return condition["status"], condition["reason"], condition["message"]


def placed(destination: str = "worker-1", **changes: Any) -> PlacementFacts:
    facts: dict[str, Any] = {
        "name": f"work.{destination}-5058f",
        "group_id": "5058f1af8388633f609cadb75a75dc9d",
        "destination": destination,
        "path": "resources/default/postgresql/orders/instance/5058f",
        "files": 2,
        "written": True,
        "version": "3f1c2ab",
        "generation": 1,
    }
    return PlacementFacts(**{**facts, **changes})


def a_work(*placements: PlacementFacts, **changes: Any) -> WorkFacts:
    return WorkFacts(**{"name": "work", "groups": 1, "generation": 1, "placements": placements, **changes})


def done(**author: Any) -> WorkflowFacts:
    return WorkflowFacts((PipelineFacts("instance", "Succeeded"),), AuthorStatus(author))


def asked(workflow: WorkflowFacts, *works: WorkFacts, **changes: Any) -> RequestFacts:
    return RequestFacts(
        **{"generation": 3, "promise_version": "v1", "workflow": workflow, "works": works, **changes}
    )


def request(facts: RequestFacts, old: Mapping[str, Any] | None = None, now: str = MORNING) -> dict[str, Any]:
    return settle(lambda before, at: request_status(before, facts, now=at), old or {}, now)


def promise(facts: PromiseFacts, old: Mapping[str, Any] | None = None, now: str = MORNING) -> dict[str, Any]:
    return settle(lambda before, at: promise_status(before, facts, now=at), old or {}, now)


# ---- strategies

_NAMES = st.sampled_from(["a", "b", "c"])
_PLACEMENTS = st.builds(
    PlacementFacts,
    name=_NAMES,
    group_id=_NAMES,
    destination=_NAMES,
    path=st.sampled_from(["", "resources/x"]),
    files=st.integers(0, 3),
    written=st.booleans(),
    version=st.sampled_from(["", "3f1c", "77aa"]),
    misplaced=st.booleans(),
    failure=st.sampled_from(["", "the push was refused"]),
    generation=st.integers(1, 3),
)
_WORKS = st.builds(
    WorkFacts,
    name=_NAMES,
    groups=st.integers(0, 3),
    scheduled=st.booleans(),
    unscheduled=st.lists(
        st.builds(Waiting, group_id=_NAMES, wants=st.dictionaries(_NAMES, _NAMES, max_size=2)), max_size=2
    ).map(tuple),
    placements=st.lists(_PLACEMENTS, max_size=3).map(tuple),
    generation=st.integers(1, 3),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=2),
    max_leaves=5,
)
_AUTHORS = st.lists(
    st.dictionaries(st.sampled_from(["host", "port", "url"]), _JSON, max_size=3)
    | st.just({"message": "hello", "conditions": [{"type": "Backup", "status": "True"}]}),
    max_size=2,
).map(lambda statuses: author_status([("p", status) for status in statuses]))
_WORKFLOWS = st.builds(
    WorkflowFacts,
    pipelines=st.lists(
        st.builds(
            PipelineFacts,
            name=_NAMES,
            phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Suspended"]),
            message=st.sampled_from(["", "because"]),
            retry_at=st.sampled_from(["", NOON]),
            attempts=st.integers(0, 2),
        ),
        max_size=3,
        unique_by=lambda pipeline: pipeline.name,
    ).map(tuple),
    author=_AUTHORS,
    failure=st.sampled_from([{}, {"pipeline": "a", "line": 12}]),
    failure_message=st.sampled_from(["", "a/x.yaml:12: no such size"]),
)
_REQUESTS = st.builds(
    RequestFacts,
    generation=st.integers(1, 3),
    promise_version=st.sampled_from(["", "v1"]),
    workflow=_WORKFLOWS,
    works=st.lists(_WORKS, max_size=3).map(tuple),
    binding_version=st.sampled_from(["", "latest"]),
    promise_available=st.booleans(),
    paused=st.booleans(),
)
_REQUIREMENTS = st.builds(
    RequirementFacts,
    name=_NAMES,
    version=st.sampled_from(["", "v1"]),
    state=st.sampled_from([words.INSTALLED, words.NOT_INSTALLED, words.NOT_AVAILABLE, words.UNKNOWN]),
)
_PROMISES = st.builds(
    PromiseFacts,
    generation=st.integers(1, 3),
    version=st.sampled_from(["", "v1"]),
    kind=st.sampled_from(["", "Redis"]),
    api_version=st.sampled_from(["", "Marketplace.io/v1"]),
    api_established=st.booleans(),
    problem=st.sampled_from(["", "spec.api: not a CustomResourceDefinition"]),
    paused=st.booleans(),
    requirements=st.lists(_REQUIREMENTS, max_size=2).map(tuple),
    required_by=st.lists(st.builds(DependentFacts, _NAMES, _NAMES, _NAMES), max_size=2).map(tuple),
    workflow=_WORKFLOWS,
    works=st.lists(_WORKS, max_size=2).map(tuple),
)
_DESTINATIONS = st.builds(
    DestinationFacts,
    store_kind=st.just("GitStateStore"),
    store_name=_NAMES,
    store=st.sampled_from(["Ready", "NotReady", "NotFound"]),
    init_workloads=st.booleans(),
    written=st.booleans(),
    failure=st.sampled_from(["", "refused"]),
    problem=st.sampled_from(["", "spec.path: leaves the store"]),
)
_STORES = st.builds(
    StateStoreFacts, generation=st.integers(1, 3), reason=st.sampled_from(["", "SecretNotFound"]), message=_NAMES
)
_ANY: st.SearchStrategy[Compute] = st.one_of(
    _REQUESTS.map(lambda facts: lambda old, now: request_status(old, facts, now=now)),
    _PROMISES.map(lambda facts: lambda old, now: promise_status(old, facts, now=now)),
    _WORKS.map(lambda facts: lambda old, now: work_status(old, facts, now=now)),
    _PLACEMENTS.map(lambda facts: lambda old, now: placement_status(old, facts, now=now)),
    _DESTINATIONS.map(lambda facts: lambda old, now: destination_status(old, facts, now=now)),
    _STORES.map(lambda facts: lambda old, now: state_store_status(old, facts, now=now)),
)


@pytest.mark.slow
@given(first=_ANY, second=_ANY)
def test_the_same_facts_never_write_twice_whatever_stood_there_before(first: Compute, second: Compute) -> None:
    before = settle(first, {})
    after = settle(second, before, MORNING)

    assert status_patch(after, second(after, NOON)) is None


@given(compute=_ANY)
def test_what_is_written_is_what_was_computed(compute: Compute) -> None:
    wanted = compute({}, MORNING)
    written = settle(compute, {})

    assert same(written, {key: value for key, value in wanted.items() if value is not None})


@pytest.mark.slow
@given(compute=_ANY)
def test_keys_of_others_are_never_touched(compute: Compute) -> None:
    others = {
        "healthStatus": {"state": "healthy"},
        "theirs": [1, {"a": None}],
        "conditions": [{"type": "Theirs", "status": "True", "lastTransitionTime": NOON, "observedGeneration": 3}],
        "kratix": {"destinations": ["worker-1"], "workflows": {"delete": {"pipelines": []}}},
    }
    after = settle(compute, others)

    assert after["healthStatus"] == others["healthStatus"]
    assert after["theirs"] == others["theirs"]
    assert others["conditions"][0] in after["conditions"]  # type: ignore[index]
    assert after["kratix"]["destinations"] == ["worker-1"]
    assert after["kratix"]["workflows"]["delete"] == {"pipelines": []}


# ---- the patch


def test_a_patch_removes_what_is_gone_inside_an_owned_key_and_nothing_else() -> None:
    old = {"troth": {"a": 1, "b": {"c": 1, "d": 2}}, "theirs": 1}

    assert status_patch(old, {"troth": {"b": {"c": 1}}, "absent": None}) == {
        "troth": {"a": None, "b": {"d": None}}
    }


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [(1, True, False), (1, 1.0, True), ([1, 2], (1, 2), True), ({"a": None}, {}, True), ([None], [], False)],
)
def test_values_are_compared_as_json(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right) is equal


# ---- requests


def test_a_request_that_is_committed_says_so_in_every_way() -> None:
    status = request(asked(done(host="orders-rw"), a_work(placed())))

    assert reason_of(status, "ConfigureWorkflowCompleted") == (
        "True",
        "PipelinesExecutedSuccessfully",
        "Pipelines completed",
    )
    assert reason_of(status, "WorksSucceeded") == (
        "True",
        "WorksSucceeded",
        "All works associated with this resource are ready",
    )
    assert reason_of(status, "Reconciled") == ("True", "Reconciled", "Reconciled")
    assert reason_of(status, "Ready") == ("True", "Reconciled", "Written to worker-1")
    assert reason_of(status, "PromiseAvailable")[0] == "True"
    assert status["host"] == "orders-rw"
    assert status["message"] == "Resource requested"
    assert status["observedGeneration"] == 3
    assert status["promiseVersion"] == "v1"
    assert (status["workflows"], status["workflowsSucceeded"], status["workflowsFailed"]) == (1, 1, 0)
    assert status["lastSuccessfulConfigureWorkflowTime"] == MORNING
    entries = [{"name": "instance", "phase": "Succeeded", "lastTransitionTime": MORNING}]
    assert status["kratix"]["workflows"] == {
        "configure": {"pipelines": entries, "lastSuccessfulTime": MORNING},
        "pipelines": entries,
        "lastSuccessfulConfigureWorkflowTime": MORNING,
    }
    assert status["troth"] == {
        "phase": "Committed",
        "placements": [
            {
                "destination": "worker-1",
                "path": "resources/default/postgresql/orders/instance/5058f",
                "files": 2,
                "version": "3f1c2ab",
                "state": "Written",
            }
        ],
        "statusKeys": ["host"],
    }


def test_a_failure_names_its_place_and_keeps_what_is_deployed_in_sight() -> None:
    good = request(asked(done(host="orders-rw"), a_work(placed())))
    failure = {"pipeline": "instance", "file": "cluster.yaml", "line": 12, "message": "no size huge"}
    broken = WorkflowFacts(
        (PipelineFacts("instance", "Failed"), PipelineFacts("users", "Pending")),
        failure=failure,
        failure_message="instance/cluster.yaml:12: no size huge",
    )
    status = request(asked(broken, a_work(placed())), good, NOON)

    assert reason_of(status, "ConfigureWorkflowCompleted") == (
        "False",
        "ConfigureWorkflowFailed",
        "A Configure Pipeline has failed: instance",
    )
    assert reason_of(status, "Reconciled") == ("False", "ConfigureWorkflowFailed", "Failing")
    assert reason_of(status, "Ready")[2] == "instance/cluster.yaml:12: no size huge"
    assert status["message"] == "instance/cluster.yaml:12: no size huge"
    assert status["host"] == "orders-rw"
    assert status["workflowsFailed"] == 1
    assert status["lastSuccessfulConfigureWorkflowTime"] == MORNING
    assert status["troth"]["failure"] == failure
    assert status["troth"]["phase"] == "Failed"
    assert status["troth"]["placements"][0]["state"] == "Written"

    healed = request(asked(done(host="orders-rw"), a_work(placed())), status, NOON)
    assert "failure" not in healed["troth"]
    assert healed["message"] == "Resource requested"


def test_a_request_that_finds_no_destination_says_which_labels_it_waits_for() -> None:
    work = a_work(unscheduled=(Waiting("5058f", {"environment": "prod", "region": "eu"}),))
    status = request(asked(done(), work))

    sentence = "No destination has the labels environment=prod, region=eu; waiting for one"
    assert reason_of(status, "WorksSucceeded") == ("Unknown", "WorksPending", sentence)
    assert reason_of(status, "Ready") == ("False", "UnscheduledWorkloads", sentence)
    assert reason_of(status, "Reconciled") == ("Unknown", "WorksPending", "Pending")
    assert status["troth"]["phase"] == "Rendered"


def test_failing_outweighs_pending_outweighs_misplaced() -> None:
    failing = a_work(placed(failure="the push was refused"), name="f")
    pending = a_work(placed(written=False), name="p")
    misplaced = a_work(placed(misplaced=True), name="m")

    status = request(asked(done(), misplaced, pending, failing))
    assert reason_of(status, "WorksSucceeded") == (
        "False",
        "WorksFailing",
        "Some works associated with this resource failed: [f]",
    )
    assert reason_of(status, "Reconciled") == ("False", "WorksFailing", "Failing")
    assert reason_of(status, "Ready")[2] == "Writing to destination worker-1 failed: the push was refused"
    status = request(asked(done(), misplaced, pending))
    assert reason_of(status, "WorksSucceeded")[:2] == ("Unknown", "WorksPending")
    status = request(asked(done(), misplaced))
    assert reason_of(status, "WorksSucceeded")[:2] == ("False", "WorksMisplaced")
    assert reason_of(status, "Reconciled")[:2] == ("False", "WorksFailing")


def test_a_request_without_pipelines_is_ready_and_has_no_workflow_condition() -> None:
    status = request(asked(WorkflowFacts()))

    assert reason_of(status, "Ready") == ("True", "Reconciled", "Nothing to write")
    assert find_condition(status["conditions"], "ConfigureWorkflowCompleted") is None
    assert status["workflows"] == 0


def test_the_number_of_a_run_and_its_hash_are_recorded_whatever_stood_there_before() -> None:
    old = {
        "observedGeneration": 3,
        "kratix": {
            "workflows": {"pipelines": [{"name": "instance", "phase": "Running", "lastTransitionTime": "t"}]}
        },
    }
    status = request(asked(WorkflowFacts((PipelineFacts("instance", "Running", hash="h", run=3),))), old)
    (record,) = read_progress(status)
    assert (record.phase, record.hash, record.run) == ("Running", "h", 3)


def test_a_key_that_the_author_no_longer_writes_goes() -> None:
    before = request(asked(done(host="a", port={"number": 1, "name": "x"})))
    after = request(asked(done(port={"number": 2})), before)

    assert "host" not in after
    assert after["port"] == {"number": 2}
    assert after["troth"]["statusKeys"] == ["port"]


def test_an_authors_condition_goes_with_its_pipeline_but_not_during_a_failure() -> None:
    backup = author_status([("p", {"conditions": [{"type": "Backup", "status": True, "message": "daily"}]})])
    before = request(asked(WorkflowFacts((PipelineFacts("p", "Succeeded"),), backup)))
    assert reason_of(before, "Backup") == ("True", "Backup", "daily")

    failed = request(asked(WorkflowFacts((PipelineFacts("p", "Failed"),))), before)
    assert reason_of(failed, "Backup")[0] == "True"
    after = request(asked(done()), failed)
    assert find_condition(after["conditions"], "Backup") is None


def test_a_paused_request_keeps_everything_but_says_so() -> None:
    before = request(asked(done(), a_work(placed())))
    after = request(asked(done(), paused=True), before, NOON)

    assert reason_of(after, "Reconciled") == ("Unknown", "PausedReconciliation", "Paused")
    assert reason_of(after, "Ready")[0] == "False"
    assert after["message"] == reason_of(after, "Ready")[2]
    noted = {**before["troth"], "paused": True}  # so that it runs once afterwards
    assert {**after, "conditions": 0, "message": 0} == {**before, "conditions": 0, "message": 0, "troth": noted}


def test_a_request_of_an_unavailable_promise_waits() -> None:
    status = request(asked(WorkflowFacts(), promise_available=False))

    assert status["message"] == reason_of(status, "Ready")[2]
    assert reason_of(status, "PromiseAvailable") == (
        "False",
        "PromiseRequirementsNotInstalled",
        "Promise Requirements are not installed",
    )
    assert reason_of(status, "Ready")[0] == "False"


def test_a_suspended_pipeline_shows_its_message_and_its_generation() -> None:
    workflow = WorkflowFacts((PipelineFacts("approve", "Suspended", "waiting for approval", NOON, 2),))
    status = request(asked(workflow))

    assert reason_of(status, "Reconciled") == ("Unknown", "WorkflowSuspended", "Suspended")
    assert reason_of(status, "Ready")[2] == "waiting for approval"
    assert status["kratix"]["workflows"]["suspendedGeneration"] == 3
    assert status["kratix"]["workflows"]["pipelines"] == [
        {
            "name": "approve",
            "phase": "Suspended",
            "message": "waiting for approval",
            "nextRetryAt": NOON,
            "attempts": 2,
            "lastTransitionTime": MORNING,
        }
    ]
    resumed = request(asked(done()), status)
    assert "suspendedGeneration" not in resumed["kratix"]["workflows"]


def test_times_of_a_taken_over_status_stay_in_either_layout() -> None:
    entry = {"name": "instance", "phase": "Succeeded", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    flat = {"kratix": {"workflows": {"pipelines": [entry]}}}
    keyed = {"kratix": {"workflows": {"configure": {"pipelines": [entry]}}}}

    for old in (flat, keyed):
        status = request(asked(done()), old)
        assert status["kratix"]["workflows"]["pipelines"] == [entry]


def test_an_entry_says_for_what_its_pipeline_ran() -> None:
    ran = WorkflowFacts((PipelineFacts("instance", "Succeeded", hash="now"),))
    status = request(asked(ran), {})
    assert [entry["hash"] for entry in status["kratix"]["workflows"]["pipelines"]] == ["now"]
    ran_again = WorkflowFacts((PipelineFacts("instance", "Succeeded", hash="later"),))
    (entry,) = request(asked(ran_again), status, now=NOON)["kratix"]["workflows"]["pipelines"]
    assert (entry["hash"], entry["lastTransitionTime"]) == ("later", MORNING)


def test_an_entry_from_before_there_were_hashes_gets_one_with_its_next_run_and_not_before() -> None:
    ran = WorkflowFacts((PipelineFacts("instance", "Succeeded", hash="now"),))
    before = request(asked(done()), {})
    assert status_patch(before, request(asked(ran), before, now=NOON)) is None
    status = request(asked(ran, generation=4), before, now=NOON)
    assert [entry["hash"] for entry in status["kratix"]["workflows"]["pipelines"]] == ["now"]


def test_a_deletion_says_what_it_waits_for() -> None:
    status = deletion_status({}, waiting_for="2 works to go", now=MORNING)
    assert reason_of(status, "Ready") == ("False", "Deleting", "Deleting: waiting for 2 works to go")

    failed = deletion_status({}, waiting_for="", failure="the pipeline gone failed", now=MORNING)
    assert reason_of(failed, "DeleteWorkflowCompleted") == (
        "False",
        "DeleteWorkflowFailed",
        "The Delete Pipeline has failed",
    )


def test_a_deletion_that_waits_for_nothing_of_its_workflow_leaves_the_record_of_it() -> None:
    ran = WorkflowFacts((PipelineFacts("gone", "Succeeded", hash="now", run=1),))
    status = deletion_status({}, waiting_for="2 works to go", now=MORNING, workflow=ran)
    later = deletion_status(status, waiting_for="its Jobs", now=NOON)
    assert status_patch(status, later) is not None
    assert apply_patch(status, status_patch(status, later))["kratix"] == status["kratix"]


def test_the_record_of_a_delete_workflow_is_beside_that_of_the_configure_workflow() -> None:
    before = request(asked(done()), {})
    first, second = (
        PipelineFacts("one", "Succeeded", hash="now"),
        PipelineFacts("two", "Running", hash="now", run=3),
    )
    status = deletion_status(
        before, waiting_for="it", now=NOON, workflow=WorkflowFacts((first, second)), generation=3
    )
    assert status["kratix"]["workflows"] == {
        **before["kratix"]["workflows"],
        "delete": {
            "pipelines": [
                {"name": "one", "phase": "Succeeded", "hash": "now", "lastTransitionTime": NOON},
                {"name": "two", "phase": "Running", "hash": "now", "lastTransitionTime": NOON},
            ],
        },
    }
    assert status["troth"]["runs"] == {"two": 3}
    assert reason_of(status, "Reconciled") == ("Unknown", "WorkflowPending", "Pending")
    assert "delete pipeline two" in status["message"]


def test_a_delete_workflow_that_goes_on_is_no_longer_said_to_have_failed() -> None:
    failed = WorkflowFacts((PipelineFacts("gone", "Failed", hash="now"),), failure_message="no")
    before = deletion_status({}, waiting_for="it", now=MORNING, workflow=failed)
    assert reason_of(before, "DeleteWorkflowCompleted")[1] == "DeleteWorkflowFailed"
    assert reason_of(before, "Ready") == ("False", "DeleteWorkflowFailed", "no")
    again = WorkflowFacts((PipelineFacts("gone", "Running", hash="now"),))
    status = deletion_status(before, waiting_for="it", now=NOON, workflow=again)
    assert "DeleteWorkflowCompleted" not in {entry["type"] for entry in status["conditions"]}


def test_a_suspended_deletion_says_when_it_goes_on() -> None:
    suspended = PipelineFacts("guard", "Suspended", message="backup", retry_at=NOON, attempts=2, hash="now")
    status = deletion_status({}, waiting_for="it", now=MORNING, workflow=WorkflowFacts((suspended,)), generation=3)
    (entry,) = status["kratix"]["workflows"]["delete"]["pipelines"]
    assert (entry["phase"], entry["nextRetryAt"], entry["attempts"]) == ("Suspended", NOON, 2)
    assert status["kratix"]["workflows"]["delete"]["suspendedGeneration"] == 3
    assert reason_of(status, "Reconciled") == ("Unknown", "WorkflowSuspended", "Suspended")
    assert reason_of(status, "DeleteWorkflowCompleted") == (
        "False",
        "DeleteWorkflowSuspended",
        "The delete workflow is suspended",
    )
    assert reason_of(status, "Ready")[2] == "Deleting: its delete pipeline guard is suspended: backup"


# ---- what an author may write


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"kratix": {}}, "p.status.kratix"),
        ({"troth": {}}, "p.status.troth"),
        ({"workflows": 3}, "p.status.workflows"),
        ({"message": 3}, "p.status.message"),
        ({"conditions": {}}, "p.status.conditions"),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, "p.status.conditions[0].type"),
        ({"conditions": [{"type": "Mine", "status": "yes"}]}, "p.status.conditions[0].status"),
        ({"a": {"b": [float("nan")]}}, "p.status.a.b[0]"),
        ({"a": 2**63}, "p.status.a"),
        ({"a": {1: 2}}, "p.status.a.1"),
    ],
)
def test_what_a_status_cannot_hold_is_refused_by_its_field(status: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidObject) as error:
        author_status([("p", status)])
    assert error.value.field == field


def test_a_later_pipeline_overrides_an_earlier_one_key_by_key() -> None:
    merged = author_status(
        [("one", {"db": {"host": "a", "port": 1}, "tags": [1, 2]}), ("two", {"db": {"host": "b"}, "tags": [3]})]
    )

    assert merged.fields == {"db": {"host": "b", "port": 1}, "tags": [3]}


# ---- Promises


def test_a_promise_without_pipelines_is_available_and_reconciled() -> None:
    facts = PromiseFacts(1, version="v1", kind="Redis", api_version="Marketplace.io/V1", works=(a_work(placed()),))
    status = promise(facts)

    assert reason_of(status, "Available") == ("True", "PromiseAvailable", "Ready to fulfil resource requests")
    assert reason_of(status, "Reconciled") == ("True", "Reconciled", "Reconciled")
    assert reason_of(status, "Ready")[0] == "True"
    assert status["status"] == "Available"
    assert status["apiVersion"] == "marketplace.io/v1"
    assert status["message"] == "Promise configured"
    assert status["lastAvailableTime"] == MORNING
    mirrored = {key: status[key] for key in ("kind", "version", "apiVersion", "status", "lastAvailableTime")}
    assert mirrored.items() <= status["kratix"].items()
    assert find_condition(status["conditions"], "RequirementsFulfilled") is None


def test_last_available_time_moves_only_when_a_promise_becomes_available() -> None:
    up = promise(PromiseFacts(1))
    assert promise(PromiseFacts(2), up, NOON)["lastAvailableTime"] == MORNING

    down = promise(PromiseFacts(2, requirements=(RequirementFacts("sql", "v1", words.NOT_AVAILABLE),)), up, NOON)
    assert down["status"] == "Unavailable"
    assert down["lastAvailableTime"] == MORNING
    assert promise(PromiseFacts(2), down, NOON)["lastAvailableTime"] == NOON


def test_missing_requirements_are_named() -> None:
    requirements = (
        RequirementFacts("sql", "v1", words.NOT_INSTALLED_AT_VERSION),
        RequirementFacts("redis", "", words.INSTALLED),
    )
    status = promise(PromiseFacts(1, requirements=requirements))

    assert reason_of(status, "RequirementsFulfilled") == (
        "False",
        "RequirementsNotInstalled",
        "Requirements not fulfilled",
    )
    assert reason_of(status, "Reconciled") == ("Unknown", "RequirementsNotFulfilled", "Pending")
    assert reason_of(status, "Available") == ("False", "PromiseUnavailable", "Cannot fulfil resource requests")
    assert status["message"] == (
        "Waiting for required Promises: sql v1 (Requirement not installed at the specified version)"
    )
    assert status["requiredPromises"][1] == {"name": "redis", "version": "", "state": "Requirement installed"}


def test_a_suspended_or_paused_promise_is_not_available() -> None:
    suspended = promise(PromiseFacts(1, workflow=WorkflowFacts((PipelineFacts("setup", "Suspended"),))))
    assert reason_of(suspended, "Available") == ("False", "WorkflowSuspended", "Suspended")

    paused = promise(PromiseFacts(1, paused=True), promise(PromiseFacts(1)), NOON)
    assert reason_of(paused, "Available") == ("False", "PausedReconciliation", "Paused")
    assert reason_of(paused, "Reconciled") == ("Unknown", "PausedReconciliation", "Paused")
    assert paused["status"] == paused["kratix"]["status"] == "Unavailable"


def test_an_invalid_promise_says_what_is_wrong() -> None:
    status = promise(PromiseFacts(1, problem="spec.api: scope must be Namespaced"))

    assert reason_of(status, "Ready") == ("False", "InvalidPromise", "spec.api: scope must be Namespaced")
    assert status["message"] == "spec.api: scope must be Namespaced"
    assert status["status"] == "Unavailable"


@pytest.mark.parametrize(
    ("version", "installed", "versions", "available", "state"),
    [
        ("v1", False, [], False, "Requirement not installed"),
        ("v1", True, ["v2"], True, "Requirement not installed at the specified version"),
        ("v1", True, ["v1", "v2"], True, "Requirement installed"),
        ("", True, [], True, "Requirement installed"),
        ("v1", True, ["v1"], False, "Requirement not available"),
    ],
)
def test_the_state_of_a_requirement(
    version: str, installed: bool, versions: list[str], available: bool, state: str
) -> None:
    found = requirement_state(version, installed=installed, versions=frozenset(versions), available=available)

    assert found == state


# ---- Works, placements, destinations, stores


def test_a_placement_tells_pending_written_failing_and_misplaced_apart() -> None:
    def status(facts: PlacementFacts, old: Mapping[str, Any]) -> dict[str, Any]:
        return settle(lambda before, now: placement_status(before, facts, now=now), old)

    pending = status(placed(written=False, version=""), {})
    assert reason_of(pending, "ScheduleSucceeded") == (
        "True",
        "ScheduledToDestination",
        "Scheduled to correct Destination",
    )
    assert reason_of(pending, "Ready") == ("False", "ScheduledToDestination", "Pending")
    assert "versionID" not in pending

    written = status(placed(), pending)
    assert reason_of(written, "WriteSucceeded")[1] == "WorkloadsWrittenToStateStore"
    assert reason_of(written, "Ready") == ("True", "WorkloadsWrittenToTargetDestination", "Ready")
    assert written["versionID"] == "3f1c2ab"
    assert written["troth"]["observedGeneration"] == 1

    again = status(placed(written=False, version="", generation=2), written)
    assert find_condition(again["conditions"], "WriteSucceeded") is None
    assert again["versionID"] == "3f1c2ab"

    failing = status(placed(failure="the push was refused"), written)
    assert reason_of(failing, "WriteSucceeded") == ("False", "WorkloadsFailedWrite", "the push was refused")
    assert reason_of(failing, "Ready") == ("False", "WorkloadsFailedWrite", "Failing")

    misplaced = status(placed(misplaced=True), written)
    assert reason_of(misplaced, "ScheduleSucceeded")[1] == "DestinationSelectorMismatch"
    assert reason_of(misplaced, "Ready") == ("False", "Misplaced", "Misplaced")
    healed = status(placed(), misplaced)
    assert reason_of(healed, "Ready")[0] == "True"


def test_what_others_add_to_the_status_of_a_work_or_a_placement_goes_with_the_next_status() -> None:
    place = {"store": {"kind": "GitStateStore", "name": "git"}, "aggregate": "README.md"}
    record = {"location": place, "alsoIn": [place], "seal": "1/x"}
    of_work = settle(
        lambda old, now: work_status(old, a_work(placed()), now=now), {"troth": {**record, "evil": 1}}
    )
    assert of_work["troth"] == {"observedGeneration": 1}
    of_placement = settle(
        lambda old, now: placement_status(old, placed(), now=now), {"troth": {**record, "evil": 1}}
    )
    assert "evil" not in of_placement["troth"]
    assert {name: of_placement["troth"][name] for name in record} == record  # where its files are is not forgotten


def test_a_work_reports_its_groups_and_remembers_what_it_waits_for() -> None:
    waiting = (Waiting("aaaaa", {"role": "backup"}),)
    facts = a_work(placed(), groups=2, unscheduled=waiting)
    status = settle(lambda old, now: work_status(old, facts, now=now), {})

    assert (status["workPlacements"], status["workPlacementsCreated"]) == (2, 1)
    assert reason_of(status, "ScheduleSucceeded") == (
        "False",
        "UnscheduledWorkloads",
        "No matching destination found for workloadGroups: [aaaaa]",
    )
    assert reason_of(status, "Ready") == ("False", "UnscheduledWorkloads", "Pending")
    work = Work(ObjectMeta("work", generation=1), "redis", "", (), status, reported=True)
    assert read_work(work, ()).unscheduled == waiting
    assert read_work(work, ()).scheduled
    assert not read_work(replace(work, metadata=ObjectMeta("work", generation=2)), ()).scheduled

    healed = settle(lambda old, now: work_status(old, a_work(placed()), now=now), status)
    assert reason_of(healed, "Ready") == ("True", "AllWorkplacementsScheduled", "Ready")
    assert read_work(replace(work, status=healed), ()).unscheduled == ()
    forged = read_work(replace(work, status=healed, reported=False), ())
    assert (forged.scheduled, forged.state) == (False, "Pending"), "what the operator did not write says nothing"


def test_a_placement_counts_as_written_only_for_the_generation_that_was_written() -> None:
    facts = placed(files=0)
    status = settle(lambda old, now: placement_status(old, facts, now=now), {})
    meta = ObjectMeta(facts.name, generation=1)
    placement = WorkPlacement(meta, "worker-1", "postgresql", "orders", facts.group_id, (), status, recorded=1)

    assert read_placement(placement) == facts
    forged = read_placement(replace(placement, recorded=0))
    assert (forged.state, forged.version) == ("Pending", ""), "what the operator did not write says nothing"
    assert read_placement(replace(placement, recorded=2)).state == "Pending"
    changed = replace(placement, metadata=replace(meta, generation=2))
    assert read_placement(changed).state == "Pending"
    misplaced = replace(placement, metadata=replace(meta, labels={"kratix.io/misplaced": "true"}))
    assert read_placement(misplaced).state == "Misplaced"


def test_a_work_is_not_ready_before_its_files_are_written() -> None:
    status = work_status({}, a_work(placed(written=False)), now=MORNING)

    assert reason_of(status, "ScheduleSucceeded")[1] == "AllWorkplacementsScheduled"
    assert reason_of(status, "Ready") == ("False", "WorkplacementsPending", "Pending")


def test_a_work_names_the_placements_that_fail() -> None:
    status = work_status({}, a_work(placed(failure="no")), now=MORNING)

    assert reason_of(status, "ScheduleSucceeded") == (
        "False",
        "WorkplacementsFailing",
        "Workplacements failed to write: [work.worker-1-5058f]",
    )
    assert reason_of(status, "Ready") == ("False", "WorkplacementsFailing", "Failing")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"written": True}, ("True", "TestDocumentsWritten", "Test documents written to State Store")),
        ({"written": True, "init_workloads": False}, ("True", "DestinationReady", "Destination is Ready")),
        ({"store": "NotFound"}, ("False", "StateStoreNotFound", "GitStateStore/main: not found")),
        ({"store": "NotReady"}, ("False", "StateStoreNotReady", "GitStateStore/main: not ready")),
        ({"failure": "refused"}, ("False", "StateStoreWriteFailed", "refused")),
        ({"problem": "bad path"}, ("False", "DestinationNotReady", "bad path")),
    ],
)
def test_the_readiness_of_a_destination(changes: dict[str, Any], expected: tuple[str, str, str]) -> None:
    facts = DestinationFacts(**{"store_kind": "GitStateStore", "store_name": "main", "store": "Ready", **changes})

    assert reason_of(destination_status({}, facts, now=MORNING), "Ready") == expected


def test_a_store_without_its_secret_is_not_ready() -> None:
    status = state_store_status({}, secret_not_found("token", "default", generation=4), now=MORNING)

    assert status["status"] == "NotReady"
    assert reason_of(status, "Ready") == ("False", "SecretNotFound", "Secret token not found in namespace default")
    ready = state_store_status(status, StateStoreFacts(4), now=NOON)
    assert ready["status"] == "Ready"
    assert reason_of(ready, "Ready") == ("True", "StateStoreReady", "State store is ready")


@pytest.mark.parametrize(
    ("has", "there"),
    [
        ({"environment": "dev", "region": "eu"}, "which has environment=dev"),
        ({"region": "eu"}, "which does not have that label"),
        (None, "which no longer exists"),
    ],
)
def test_a_request_that_asks_for_another_destination_says_what_it_asks_for_and_where_it_is(
    has: dict[str, str] | None, there: str
) -> None:
    held = Held("w.local-1", "local", {"environment": "prod", "region": "eu"}, has)
    work = replace(a_work(placed(misplaced=True)), held=(held,), namespace="team")
    status = request(asked(done(), work))

    state, reason, message = reason_of(status, "Ready")
    assert (state, reason) == ("False", "WorksMisplaced")
    assert "asks for environment=prod" in message
    assert there in message
    assert "`kubectl delete workplacement w.local-1 --namespace team`" in message
    assert status["troth"]["phase"] == "Rendered"


def test_a_request_that_waits_for_its_turn_says_so_and_forgets_it_when_it_is_rendered() -> None:
    waiting = waiting_status({}, before=12, now=MORNING)
    assert waiting["message"] == "Waiting for its turn to be rendered, 12 before it"
    ready = find_condition(waiting["conditions"], "Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "WorkflowPending", waiting["message"])
    assert not is_failing(waiting)
    assert status_patch(apply_patch({}, waiting), waiting_status(waiting, before=12, now=NOON)) is None
    later = request(asked(done()), apply_patch({}, waiting), now=NOON)
    assert "before it" not in str(later)


def test_an_edit_that_waits_for_its_turn_leaves_what_was_carried_out_as_it_is() -> None:
    before = request(asked(done()))
    waiting = apply_patch(before, waiting_status(before, before=3, now=NOON))
    assert waiting["message"] == (
        "This change is waiting for its turn to be rendered, 3 before it; what was written stays"
    )
    assert waiting["observedGeneration"] == before["observedGeneration"]
    assert waiting["troth"] == before["troth"]
    assert waiting["kratix"] == before["kratix"]


def test_every_condition_of_a_promise_or_a_request_is_documented_and_no_pipeline_may_write_it() -> None:
    types = {value for name, value in vars(conditions).items() if name.isupper() and isinstance(value, str)}
    elsewhere = {
        conditions.PATH_OVERLAPS,
        conditions.SCHEDULE_SUCCEEDED,
        conditions.WRITE_SUCCEEDED,
        conditions.UPGRADE_SUCCEEDED,
    }
    assert types - elsewhere == OWNED_CONDITIONS
    page = (ROOT / "docs" / "reference" / "status.md").read_text("utf-8")
    assert [each for each in sorted(types) if f"`{each}`" not in page] == []
