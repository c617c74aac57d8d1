"""Who made what stands in a store, as far as it is known: what nobody here made is neither written over nor deleted.

A path may come from a value of a request, so a claim says nothing about who made the file that stands there already.
What says it is a folder that is the owner's by its name, the record of an owner's files in the store, and what this
process or a status outside the store remembers. What is adopted is remembered apart: it is written, and left where it
is when nobody wants it any more.

Rejected: to compare contents (whoever knows a file could render it, and delete it with the request), and the author of
the last commit (the clone has no history, and a folder has no authors).
"""

from __future__ import annotations

from collections.abc import Iterable


class Provenance:
    """What is known of the files at one place that stand in nobody's own folder; shared by the writers of the place."""

    def __init__(self) -> None:
        self._made: set[str] = set()
        self._adopted: set[str] = set()
        self._lost: set[str] = set()

    def is_made(self, path: str) -> bool:
        """Whether the file at a path is known to be made here."""
        return path in self._made

    def is_adopted(self, path: str) -> bool:
        """Whether the file was there before and was taken over."""
        return path in self._adopted

    def is_lost(self, owner: str) -> bool:
        """Whether the owner has files here whose record is gone or spoilt: what it wants is taken for its own."""
        return owner in self._lost

    def note(self, *, made: Iterable[str] = (), adopted: Iterable[str] = (), gone: Iterable[str] = ()) -> None:
        """Remember what stands there now, and what does not any more."""
        for path in gone:
            self._made.discard(path)
            self._adopted.discard(path)
        for path in made:
            self._made.add(path)
            self._adopted.discard(path)
        for path in adopted:
            self._adopted.add(path)
            self._made.discard(path)

    def note_lost(self, owner: str) -> None:
        """The owner has files here, and its record does not say which."""
        self._lost.add(owner)

    def note_found(self, owner: str) -> None:
        """What the owner has is known again."""
        self._lost.discard(owner)
