"""Who has which object of a cluster: one object, one owner.

What ownership.py is for the paths of a store of files, and simpler: an object has no folder around it and no other
spelling. It lives in memory. The inventories say the same of what has been applied; here also stands who wants an
object that is not there yet, so that the second claimant is told of the first before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from troth.stores.kubernetes_failures import conflict
from troth.stores.kubernetes_objects import ObjectKey


class ObjectOwnership:
    """The register of one cluster. Not thread-safe: one event loop changes it."""

    def __init__(self) -> None:
        self._owned: dict[str, frozenset[ObjectKey]] = {}
        self._owners: dict[ObjectKey, str] = {}

    @property
    def owners(self) -> Collection[str]:
        """All who were assigned objects, also those from whom all were taken away since."""
        return self._owned.keys()

    def is_foreign(self, owner: str, key: ObjectKey) -> bool:
        """Whether somebody else has the object."""
        return self._owners.get(key, owner) != owner

    def assign(self, owner: str, keys: Collection[ObjectKey]) -> None:
        """Replace what the owner has; nothing changes when it raises StoreError (PathConflict, names both)."""
        for key in keys:
            other = self._owners.get(key, owner)
            if other != owner:
                raise conflict(key, other, owner)
        for key in self._owned.pop(owner, ()):
            self._owners.pop(key, None)
        if keys:
            self._owned[owner] = frozenset(keys)
            self._owners.update(dict.fromkeys(keys, owner))

    def take_away(self, owner: str, keys: Iterable[ObjectKey]) -> None:
        """Take these objects from the owner, as far as it has them; it keeps the others."""
        for key in keys:
            if self._owners.get(key) == owner:
                self._owned[owner] -= {key}
                del self._owners[key]

    def free_for(self, owner: str, keys: Iterable[ObjectKey], *, yields: Callable[[str, ObjectKey], bool]) -> None:
        """Take from others what they yield of these objects, so that the owner can have it."""
        for key in keys:
            other = self._owners.get(key, owner)
            if other != owner and yields(other, key):
                self.take_away(other, [key])
