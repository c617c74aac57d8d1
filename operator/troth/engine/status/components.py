"""The status of a request's components, the requests of other Promises that it renders (`rendering.components`).

Only what people can act on is repeated in the parent. While a component makes progress, its messages change every
second, and repeating them would write the parent's status as often. The message of a component that needs somebody is
quoted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from troth.api import Condition, find_condition, reasons
from troth.api import conditions as types
from troth.engine.status.facts import ComponentFacts

ON_ITS_WAY: Final = "is on its way"
MISSING: Final = "does not exist yet"
BEING_DELETED: Final = "is being deleted"

_NAMED: Final = 3


def judge_component(
    facts: ComponentFacts,
    *,
    status: Mapping[str, Any],
    generation: int,
) -> ComponentFacts:
    """Returns the facts of a component that exists and has the rendered spec, with the state from its own status."""
    ready = find_condition(status.get("conditions"), types.READY) or {}
    current = status.get("observedGeneration") == generation
    passing = not ready or ready.get("reason") in reasons.IN_PROGRESS
    if current and ready.get("status") == "True":
        return facts.with_state("Ready", "")
    if passing or (not current and ready.get("status") == "True"):
        return facts.with_state("Pending", ON_ITS_WAY)
    failing = facts.with_state("Failing", str(ready.get("message") or ready.get("reason") or "is not Ready"))
    stalled = find_condition(status.get("conditions"), types.STALLED) or {}
    return replace(failing, stalled=current and stalled.get("status") == "True")


def components_condition(components: Sequence[ComponentFacts]) -> Condition | None:
    """Returns ``Ready`` while a component is not ready, else None. Components that need somebody come first."""
    unready = [item for item in components if not item.ready]
    if not unready:
        return None
    unready.sort(key=lambda item: item.state != "Failing")
    failing = unready[0].state == "Failing"
    reason = reasons.COMPONENTS_NOT_READY if failing else reasons.COMPONENTS_PENDING
    texts = [_sentence(item) for item in unready[:_NAMED]]
    if len(unready) > _NAMED:
        texts.append(f"and {len(unready) - _NAMED} more")
    count = f"{len(unready)} of {len(components)} components not Ready: " if len(components) > 1 else ""
    return Condition(types.READY, "False", reason, count + "; ".join(texts))


def components_block(components: Sequence[ComponentFacts]) -> list[dict[str, Any]]:
    """Returns ``status.troth.components``."""
    return [
        {
            **({"promise": item.promise} if item.promise else {}),
            "apiVersion": item.api_version,
            "kind": item.kind,
            "name": item.name,
            "namespace": item.namespace,
            "ready": item.ready,
            **({"message": item.message} if item.message else {}),
        }
        for item in components
    ]


def _sentence(item: ComponentFacts) -> str:
    separator = " " if item.message in (ON_ITS_WAY, MISSING, BEING_DELETED) else ": "
    return f"{item.kind} {item.name}{separator}{item.message}"
