"""The table in docs/reference/status.md, which Ready follows from which state of the world, is complete and true.

What the model of the world expects stands in it, and so does everything that the operator can say; and nothing else.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from tests.world_model import walk
from troth.api import find_condition
from troth.api.conditions import READY
from troth.engine.judgement import AMBIGUOUS_BINDING, LOOKUP_FAILED
from troth.engine.status.deletion import deletion_status
from troth.engine.status.facts import (
    ComponentFacts,
    DestinationFacts,
    Obstacle,
    PipelineFacts,
    PipelinePhase,
    PlacementFacts,
    PromiseFacts,
    RequestFacts,
    RequirementFacts,
    StateStoreFacts,
    Waiting,
    WorkFacts,
    WorkflowFacts,
)
from troth.engine.status.placement import placement_status, work_status
from troth.engine.status.promise import promise_deletion_status, promise_status
from troth.engine.status.request import refusal_status, request_status
from troth.engine.status.store import destination_status, secret_not_found, state_store_status
from troth.engine.status.unattended import why_paused, why_unavailable
from troth.stores import Reason

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "status.md"
NOW = "2026-11-29T12:00:00Z"
Row = tuple[str, str, str]
STORES = "one of [the reasons of stores](stores.md#what-can-go-wrong)"
# Reasons that controllers hand in as words: (reason of a request, reason of a Promise).
REQUEST_REFUSALS = (
    "FinalizersRefused",
    "BindingRefused",
    "WorksRefused",
    "NamespaceTerminating",
    LOOKUP_FAILED,
    AMBIGUOUS_BINDING,
)
PROMISE_PROBLEMS = ("InvalidPromise", "APIRefused", "WorksRefused", "NamespaceTerminating")


def rows() -> list[Row]:
    """The table: object, status and reason of each line."""
    text = PAGE.read_text().partition("| Object | Situation |")[2].partition("\n\n")[0]
    found: list[Row] = []
    kind = ""
    for line in text.splitlines()[2:]:
        named, _, status, reasons = (cell.strip() for cell in line.strip("|").split("|"))
        kind = named or kind
        found += [(kind, status, reason) for reason in re.findall(r"`(\w+)`", reasons)]
        if reasons == STORES:
            found += [(kind, status, str(reason)) for reason in Reason]
    return found


def test_what_the_model_expects_stands_in_the_table() -> None:
    expected = {tuple(told) for seed in range(200) for world, _ in walk(seed, 14) for _, told in world.told()}

    assert expected - set(rows()) == set()
    assert len(expected) > 25


def test_what_the_operator_can_say_and_nothing_else_stands_in_the_table() -> None:
    said = set(_said())
    table = rows()

    assert said - set(table) == set()
    # A cluster is asked for the reasons of its stores elsewhere (the contract of stores).
    assert {row for row in table if row[0] != "state store"} - said == set()
    assert len(table) == len(set(table))


def _said() -> Iterator[Row]:
    placements = [
        PlacementFacts("p", "g", "d", written=written, misplaced=misplaced, failure=failure, abandoned=abandoned)
        for written, misplaced, failure, abandoned in itertools.product(
            (True, False), (True, False), ("", "refused"), (True, False)
        )
        if not (failure and abandoned)
    ]
    for placement in placements:
        yield _row("WorkPlacement", placement_status({}, placement, now=NOW))
    works = [
        WorkFacts("w", 1, unscheduled=unscheduled, placements=found, refusal=refusal, forbidden=forbidden)
        for unscheduled in ((), (Waiting("g", {"a": "b"}),))
        for refusal, forbidden in (("", ""), ("exceeded quota", ""), ("", "not allowed"))
        for found in ((), *((placement,) for placement in placements))
    ]
    for work in works:
        yield _row("Work", work_status({}, work, now=NOW))
    yield _row("Work", deletion_status({}, waiting_for="it", now=NOW))
    yield from _said_of_requests(works)
    yield from _said_of_promises(works)
    states: tuple[Literal["Ready", "NotReady", "NotFound"], ...] = ("Ready", "NotReady", "NotFound")
    for store, failure, problem, deleting, init in itertools.product(
        states, ("", "refused"), ("", "bad"), ("", "waiting"), (True, False)
    ):
        facts = DestinationFacts(
            "GitStateStore",
            "s",
            store,
            init,
            written=not failure,
            failure=failure,
            problem=problem,
            deleting=deleting,
        )
        yield _row("Destination", destination_status({}, facts, now=NOW))
    for found in (
        StateStoreFacts(1),
        StateStoreFacts(1, "Deleting", "Deleting: …"),
        StateStoreFacts(1, "SecretNotReadable", "…"),
        secret_not_found("s", "n", generation=1),
    ):
        yield _row("state store", state_store_status({}, found, now=NOW))


def _workflows() -> Iterator[WorkflowFacts]:
    yield WorkflowFacts()
    phases: tuple[PipelinePhase, ...] = ("Pending", "Running", "Succeeded", "Failed", "Suspended")
    for phase in phases:
        yield WorkflowFacts((PipelineFacts("a", phase),))


def _said_of_requests(works: list[WorkFacts]) -> Iterator[Row]:
    components = [
        (),
        *((ComponentFacts("g/v1", "K", "c", "n", state=state),) for state in ("Ready", "Pending", "Failing")),
    ]
    for workflow, work, parts in itertools.product(_workflows(), works, components):
        facts = RequestFacts(1, "v1", workflow, (work,), components=parts)
        status = request_status({}, facts, now=NOW)
        yield _row("request", status)
        for obstacle in _obstacles():
            held = RequestFacts(
                2, "v1", WorkflowFacts(), (work,), promise_available=False, components=parts, obstacle=obstacle
            )
            yield _row("request", request_status(status, held, now=NOW))
    paused = why_paused("p", "label", by_promise=True, deleting=False)
    yield _row(
        "request", request_status({}, RequestFacts(1, "", WorkflowFacts(), paused=True, obstacle=paused), now=NOW)
    )
    for reason in REQUEST_REFUSALS:
        yield _row("request", refusal_status({}, generation=1, reason=reason, message="…", now=NOW))
    for failure in ("", "no"):
        yield _row("request", deletion_status({}, waiting_for="it", now=NOW, failure=failure))


def _obstacles() -> Iterator[Obstacle]:
    for reason in ("RequirementsNotFulfilled", "InvalidPromise"):
        ready = {"type": READY, "status": "False", "reason": reason, "message": "…"}
        yield why_unavailable("p", {"conditions": [ready]})
    yield why_unavailable("p", {}, deleting=True)


def _said_of_promises(works: list[WorkFacts]) -> Iterator[Row]:
    requirements: list[tuple[RequirementFacts, ...]] = [
        (),
        (RequirementFacts("r", "", "Requirement not installed"),),
    ]
    for workflow, work, served, required in itertools.product(_workflows(), works, (True, False), requirements):
        facts = PromiseFacts(1, api_established=served, requirements=required, workflow=workflow, works=(work,))
        yield _row("Promise", promise_status({}, facts, now=NOW))
    for reason in PROMISE_PROBLEMS:
        yield _row("Promise", promise_status({}, PromiseFacts(1, problem="…", problem_reason=reason), now=NOW))
    yield _row("Promise", promise_status({}, PromiseFacts(1, paused=True), now=NOW))
    for failure in ("", "no"):
        told = deletion_status({}, waiting_for="it", now=NOW, failure=failure)
        yield _row("Promise", promise_deletion_status({}, told, now=NOW))


def _row(kind: str, status: Mapping[str, Any]) -> Row:
    ready = find_condition(status["conditions"], READY)
    assert ready is not None
    return kind, str(ready["status"]), str(ready["reason"])
