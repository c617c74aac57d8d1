"""How a WorkPlacement fares: what its own status says, and whether its Destination is there at all.

The second is asked of the cache and not of the status: whoever reports it is queued by the same event as the placement
itself, and would otherwise say something else for a moment.
"""

from __future__ import annotations

from troth.api.objects import WorkPlacement
from troth.controllers.platform import Platform
from troth.engine.status import read_placement
from troth.engine.status.facts import PlacementFacts


def placement_facts(platform: Platform, placement: WorkPlacement) -> PlacementFacts:
    """The facts of a placement, for its own status and for that of whoever made it."""
    destination = platform.caches.destinations.get("", placement.destination)
    return read_placement(placement, abandoned=destination is None)
