"""Whoever waits by kstatus' rules stops exactly where waiting is in vain, and reads why in the first message."""

from __future__ import annotations

import pytest

from tests.unit.engine.pipelines import failure
from tests.unit.engine.status.test_status import (
    MORNING,
    NOON,
    a_work,
    asked,
    done,
    placed,
    promise,
    reason_of,
    request,
)
from troth.api import find_condition
from troth.engine.failure import Failure
from troth.engine.status import facts as words
from troth.engine.status.components import judge_component
from troth.engine.status.deletion import deletion_status
from troth.engine.status.facts import (
    ComponentFacts,
    DestinationFacts,
    Held,
    PipelineFacts,
    PromiseFacts,
    RequirementFacts,
    StateStoreFacts,
    Waiting,
    WorkflowFacts,
)
from troth.engine.status.request import refusal_status
from troth.engine.status.store import destination_status, state_store_status

KINDS = [
    "TemplateSyntax",
    "TemplateUndefined",
    "TemplateError",
    "TemplateTooLarge",
    "InvalidYAML",
    "InvalidPath",
    "DuplicatePath",
    "Refused",
    "InvalidDestinations",
    "InvalidStatus",
]


def failed(reason: str) -> WorkflowFacts:
    found = Failure(reason, "no such size", pipeline="instance", file="a.yaml", line=2)  # type: ignore[arg-type]
    return WorkflowFacts(
        (PipelineFacts("instance", "Failed"),), failure=found.as_status(), failure_message=found.sentence()
    )


def stalled(status: object) -> bool:
    conditions = status["conditions"]  # type: ignore[index]
    ready, found = find_condition(conditions, "Ready"), find_condition(conditions, "Stalled")
    if found is None:
        return False
    assert ready is not None
    assert found["status"] == "True", "it is absent when it does not hold"
    assert (found["reason"], found["message"]) == (ready["reason"], ready["message"])
    return bool(ready["status"] == "False")


@pytest.mark.parametrize("reason", KINDS)
def test_a_request_that_only_an_edit_helps_is_stalled_until_it_is_edited(reason: str) -> None:
    status = request(asked(failed(reason)))
    assert stalled(status)
    assert status["observedGeneration"] == 3
    assert not stalled(request(asked(done(), a_work(placed()), generation=4), status, NOON))


@pytest.mark.parametrize("reason", ["TemplateTimeout", "RenderCrashed"])
def test_what_is_tried_again_by_itself_is_not_stalled(reason: str) -> None:
    assert not stalled(request(asked(failed(reason)), request(asked(failed("Refused")))))


@pytest.mark.parametrize(
    "facts",
    [
        asked(done(), a_work(placed(failure="the push was refused"))),
        asked(done(), a_work(unscheduled=(Waiting("g", {"environment": "prod"}),))),
        asked(done(), a_work(placed(written=False))),
        asked(done(), a_work(refusal="exceeded quota")),
        asked(WorkflowFacts((PipelineFacts("instance", "Suspended", message="ask"),))),
        asked(WorkflowFacts((PipelineFacts("instance", "Pending"),))),
    ],
)
def test_what_another_s_act_heals_is_not_stalled_and_the_message_says_what_is_waited_for(
    facts: words.RequestFacts,
) -> None:
    status = request(facts, request(asked(done(message="connect to orders:5432"), a_work(placed()))))
    assert not stalled(status)
    assert reason_of(status, "Ready")[0] == "False"
    assert status["message"] == reason_of(status, "Ready")[2]


def test_a_request_edited_away_from_its_place_is_stalled_and_one_whose_place_was_relabelled_is_not() -> None:
    held = Held("work.local-5058f", "local", {"environment": "prod"}, {"environment": "dev"})
    assert stalled(request(asked(done(), a_work(placed("local", misplaced=True), held=(held,)))))
    assert not stalled(request(asked(done(), a_work(placed("local", misplaced=True)))))


def test_the_authors_message_is_there_as_long_as_it_is_true() -> None:
    well = asked(done(message="connect to orders:5432"), a_work(placed()))
    status = request(well)
    assert status["message"] == "connect to orders:5432"
    status = request(asked(done(message="connect to orders:5432"), a_work(placed(failure="away"))), status)
    assert status["message"] == "Writing to destination worker-1 failed: away"
    assert request(well, status)["message"] == "connect to orders:5432"


def test_a_request_whose_component_is_stalled_is_stalled_and_one_whose_component_is_on_its_way_is_not() -> None:
    part = ComponentFacts("a.example.com/v1", "Redis", "orders", "default")
    own = request(asked(failed("Refused")))
    judged = judge_component(part, status=own, generation=3)
    assert stalled(request(asked(done(), a_work(placed()), components=(judged,))))
    assert not stalled(request(asked(done(), a_work(placed(written=False)), components=(judged,))))
    outdated = judge_component(part, status=own, generation=4)
    assert not stalled(request(asked(done(), a_work(placed()), components=(outdated,))))


@pytest.mark.parametrize("lasts", [True, False])
def test_refusals_are_stalled_if_they_last(lasts: bool) -> None:
    old = request(asked(failed("Refused")))
    refused = refusal_status(
        old, generation=4, reason="WorksRefused", message="too large", now=NOON, stalled=lasts
    )
    assert stalled(refused) == lasts
    deleting = deletion_status(old, waiting_for="its delete pipeline", failure="keep it", now=NOON, stalled=lasts)
    assert stalled(deleting) == lasts
    assert deleting["message"] == "keep it"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (PromiseFacts(1, problem="spec.api: is missing", unfit=True), True),
        (PromiseFacts(1, problem="spec.api: the CRD belongs to another"), False),
        (PromiseFacts(1, workflow=failed("Refused")), True),
        (PromiseFacts(1, workflow=failed("TemplateTimeout")), False),
        (PromiseFacts(1, requirements=(RequirementFacts("a", "", words.NOT_INSTALLED),)), False),
        (PromiseFacts(1, kind="Redis", api_established=False), False),
        (PromiseFacts(1, works=(a_work(placed(failure="away")),)), False),
    ],
)
def test_a_promise_is_stalled_where_only_its_own_edit_helps(facts: PromiseFacts, expected: bool) -> None:
    status = promise(facts)
    assert stalled(status) == expected
    assert status["message"] == reason_of(status, "Ready")[2]
    well = promise(PromiseFacts(2), status)
    assert not stalled(well)
    assert well["message"] == "Promise configured"


def test_stores_and_destinations_are_stalled_where_only_their_own_edit_helps() -> None:
    def store(**changes: object) -> dict[str, object]:
        return state_store_status({}, StateStoreFacts(1, "A", "b", **changes), now=MORNING)  # type: ignore[arg-type]

    def place(**changes: object) -> dict[str, object]:
        facts = DestinationFacts("GitStateStore", "a", "Ready", generation=7, **changes)  # type: ignore[arg-type]
        return destination_status({}, facts, now=MORNING)

    assert stalled(store(unfit=True))
    assert not stalled(store())
    assert stalled(place(problem="spec.path: leaves the store", unfit=True))
    assert not stalled(place(problem="spec.path: is the place of another"))
    assert not stalled(place(failure="away"))
    assert place()["observedGeneration"] == 7


def test_a_refusal_is_shown_as_its_author_wrote_it() -> None:
    found = failure("a: 1\n{{ fail('There is no size huge. Take small') }}\n")
    assert found.sentence() == "There is no size huge. Take small"
    assert found.as_status()["line"] == 2
    assert found.as_status()["file"]
