"""Remembers which files in a store were made here: other files are neither overwritten nor deleted.

A path may come from a value of a request, so a claim does not say who made a file that exists already. This is known
from a folder that belongs to the owner by its name, from the record of an owner's files in the store, and from what
this process or a status outside of the store remembers. Adopted files are remembered separately: they are written,
and stay where they are when nobody wants them any more.

Rejected: comparing contents (everybody who knows a file could render it, and delete it with the request), and the
author of the last commit (the clone does not have a history, and a folder does not have authors).
"""

from __future__ import annotations

from collections.abc import Iterable


class Provenance:
    """What is known of the files in one place outside of owners' folders. All writers of the place share it."""

    def __init__(self) -> None:
        self._made: set[str] = set()
        self._adopted: set[str] = set()
        self._lost: set[str] = set()

    def is_made(self, path: str) -> bool:
        """Whether the file at a path is known to be made here."""
        return path in self._made

    def is_adopted(self, path: str) -> bool:
        """Whether the file existed before and was taken over."""
        return path in self._adopted

    def is_lost(self, owner: str) -> bool:
        """Whether the record of an owner's files is gone or damaged, so that what it wants counts as its own."""
        return owner in self._lost

    def note(self, *, made: Iterable[str] = (), adopted: Iterable[str] = (), gone: Iterable[str] = ()) -> None:
        """Remember which files exist now, and which do not any more."""
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
        """Note that the owner has files here, and its record does not say which."""
        self._lost.add(owner)

    def note_found(self, owner: str) -> None:
        """Note that the owner's files are known again."""
        self._lost.discard(owner)
