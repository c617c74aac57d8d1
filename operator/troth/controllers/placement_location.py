"""What the status of a placement says of where its files are (`troth.engine.placement.locations`).

Whoever may write the status could have anything removed by it, so the record counts only with the operator's seal
(`troth.engine.placement.seals`).
"""

from __future__ import annotations

from troth.api.objects import WorkPlacement
from troth.engine.placement.locations import Location, Whereabouts, read_locations


def read_whereabouts(placement: WorkPlacement) -> Whereabouts:
    """What the status of a placement records, as far as the operator wrote it: else nothing."""
    return read_locations(placement.status) if placement.recorded else Whereabouts(None)


def says_it_is_at(placement: WorkPlacement, location: Location) -> bool:
    """Whether a status from before there were seals names just this place, and so nothing that is not known anyway."""
    ours = placement.status.get("troth") or {}
    return placement.former and not ours.get("alsoIn") and ours.get("location") == location.as_status()
