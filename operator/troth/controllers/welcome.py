"""Decides whether the content of a placement may be written to a place where it has not been written yet.

The Work checks the same before a placement gets its content (`allowance.py`, `plain_secrets.py`). But between that and
the write, a rule may be made, the Destination may move to a store with other rules, or somebody who may edit the
placement may put back an older content together with its seal. So it is checked again before anything new is written.

The content of the generation that the sealed record names counts as written: the API server counts generations up, and
nobody can set them back. Rejected: a digest of the content in the record, because somebody who kept an older content
may have kept the record that goes with it.
"""

from __future__ import annotations

from troth.api import InvalidObject, TrothError
from troth.api import labels as names
from troth.api.objects import WorkPlacement
from troth.controllers.allowance import note_of, why_forbidden
from troth.controllers.placement_claims import load_encoded, load_placement
from troth.controllers.placement_location import read_whereabouts
from troth.controllers.plain_secrets import PlainSecrets
from troth.controllers.platform import Platform
from troth.engine.placement.locations import Location
from troth.engine.placement.plain_secrets import withheld

_STAYS = "what was written there before stays as it was"


class Welcome:
    """Checks placements against the rules of their Destinations and stores."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._plain_secrets = PlainSecrets(platform)

    async def require(self, placement: WorkPlacement, location: Location) -> None:
        """Raises InvalidObject when the content of a sealed placement is not written at a location, and may not be.

        Its contents are only read (from memory, or else from the API server) when there is a rule by which they have
        not been judged yet.
        """
        if is_written(placement, location):
            return
        destination = self._platform.caches.destinations.get("", placement.destination)
        note = note_of(destination)
        # The note is sealed together with the content that was judged.
        if note is not None and placement.metadata.annotations.get(names.ALLOWED) != note:
            problem = await why_forbidden(destination, await load_encoded(self._platform, placement))
            if problem:
                raise InvalidObject("spec.workloads", problem, _STAYS)
        policy, store = self._plain_secrets.policy(placement.destination)
        if policy != "refuse":
            return
        secrets = await self._plain_secrets.describe(
            placement.workloads, lambda: load_placement(self._platform, placement)
        )
        if secrets:
            raise InvalidObject("spec.workloads", withheld(secrets, store))

    async def has(self, placement: WorkPlacement, location: Location) -> bool:
        """Whether a placement may be written together with another. False when its content cannot be read now."""
        try:
            await self.require(placement, location)
        except TrothError:
            return False
        return True


def is_written(placement: WorkPlacement, location: Location) -> bool:
    """Whether the sealed record says that exactly this content was written at a location."""
    return (
        bool(placement.status.get("versionID"))
        and placement.recorded == placement.metadata.generation
        and read_whereabouts(placement).location == location
    )
