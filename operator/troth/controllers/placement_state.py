"""The state of a WorkPlacement: what its own status says, and whether its Destination exists.

Whether the Destination exists is read from the cache and not from the status: the reconcile that reports it is queued
by the same event as the placement itself, and would otherwise report an outdated state for a moment.
"""

from __future__ import annotations

from troth.api.objects import WorkPlacement
from troth.controllers.platform import Platform
from troth.engine.status.facts import PlacementFacts
from troth.engine.status.placement import read_placement


def placement_facts(platform: Platform, placement: WorkPlacement) -> PlacementFacts:
    """The facts of a placement, for its own status and for that of its owner."""
    destination = platform.caches.destinations.get("", placement.destination)
    return read_placement(placement, abandoned=destination is None)
