"""Reads from the status of a placement where its files are (`troth.engine.placement.locations`).

Otherwise everybody who may write the status could have any file removed, so the record counts only with the operator's
seal (`troth.engine.placement.seals`).
"""

from __future__ import annotations

from troth.api.objects import WorkPlacement
from troth.engine.placement.locations import Location, Whereabouts, read_locations


def read_whereabouts(placement: WorkPlacement) -> Whereabouts:
    """What the status of a placement records; empty unless the operator wrote it."""
    return read_locations(placement.status) if placement.recorded else Whereabouts(None)


def says_it_is_at(placement: WorkPlacement, location: Location) -> bool:
    """Whether a status that is older than the seals names only this place, which is known anyway."""
    return placement.former and read_locations(placement.status) == Whereabouts(location)
