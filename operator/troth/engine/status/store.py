"""The status of Destinations and state stores (kratix-compatibility.md#destinations, #readiness-of-stores)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troth.api import Condition, reasons
from troth.api import conditions as types
from troth.engine.status.facts import DestinationFacts, StateStoreFacts
from troth.engine.status.stalled import merge_with_stalled


def destination_status(old: Mapping[str, Any], facts: DestinationFacts, *, now: str) -> dict[str, Any]:
    """Returns the status of a Destination."""
    told = [_destination_ready(facts)]
    if facts.remark:
        told.append(Condition(types.PATH_OVERLAPS, "True", "SharedFolder", facts.remark))
    dropped = () if facts.remark else (types.PATH_OVERLAPS,)
    return {
        "observedGeneration": facts.generation,
        "conditions": merge_with_stalled(old.get("conditions"), told, stalled=facts.unfit, now=now, drop=dropped),
    }


def state_store_status(old: Mapping[str, Any], facts: StateStoreFacts, *, now: str) -> dict[str, Any]:
    """Returns the status of a state store of any kind."""
    if facts.reason:
        ready = Condition(types.READY, "False", facts.reason, facts.message)
    else:
        ready = Condition(types.READY, "True", "StateStoreReady", "State store is ready")
    return {
        "status": "NotReady" if facts.reason else "Ready",
        "observedGeneration": facts.generation,
        "conditions": merge_with_stalled(old.get("conditions"), [ready], stalled=facts.unfit, now=now),
    }


def secret_not_found(name: str, namespace: str, *, generation: int) -> StateStoreFacts:
    """Returns the facts of a store whose Secret does not exist."""
    return StateStoreFacts(generation, "SecretNotFound", f"Secret {name} not found in namespace {namespace}")


def _destination_ready(facts: DestinationFacts) -> Condition:
    store = f"{facts.store_kind}/{facts.store_name}"
    if facts.deleting:
        return Condition(types.READY, "False", reasons.DELETING, f"Deleting: {facts.deleting}")
    if facts.problem:
        return Condition(types.READY, "False", "DestinationNotReady", facts.problem)
    if facts.store == "NotFound":
        return Condition(types.READY, "False", "StateStoreNotFound", f"{store}: not found")
    if facts.store == "NotReady":
        return Condition(types.READY, "False", "StateStoreNotReady", f"{store}: not ready")
    if facts.failure:
        return Condition(types.READY, "False", "StateStoreWriteFailed", facts.failure)
    if not facts.written:
        return Condition(types.READY, "False", "DestinationNotReady", "Test documents not written yet")
    if facts.init_workloads:
        return Condition(types.READY, "True", "TestDocumentsWritten", "Test documents written to State Store")
    return Condition(types.READY, "True", "DestinationReady", "Destination is Ready")
