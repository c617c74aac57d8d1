"""The status of a Work or a WorkPlacement that is not acted on, which repeats nothing that the object claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.api import Condition, merge_conditions
from troth.api import conditions as types

NOT_MADE_BY_TROTH: Final = "NotMadeByTroth"
NOT_SEALED_YET: Final = "NotSealedYet"


def refused_status(
    old: Mapping[str, Any], message: str, *, generation: int, now: str, reason: str = NOT_MADE_BY_TROTH
) -> dict[str, Any]:
    """Returns the keys of a status that say why the object is not acted on.

    Other conditions are removed, because they are about an object that was acted on. Everything else stays: if the
    object really is the operator's, it is the record of where its files are.
    """
    found = old.get("conditions")
    kept = [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
    others = tuple(str(item.get("type")) for item in kept if item.get("type") != types.READY)
    refusal = Condition(types.READY, "False", reason, message)
    return {
        "conditions": merge_conditions(kept, [refusal], now=now, drop=others),
        "observedGeneration": generation,
    }
