"""Who has which path of a store: one path, one owner, one writer.

Two owners on one path would each undo the other for ever, and a folder that is cleaned for one owner would
lose the files of another. So a claim is registered before it is planned, and the second claimant is told who
was first. It lives in memory and is filled by the claims themselves, after what owners had before the process began
(`StateStoreWriter.resume`): a restart must not decide a conflict anew.

All spellings of a path that some file system takes for one (`as_one_path`) are one place here.

Two stores may be one branch or one folder. Their writers share one register (`Ownerships`), and it notes through which
of them an owner came last: an owner that moved from one to the other is not forgotten when the first lets go of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from troth.stores.errors import Reason, StoreError
from troth.stores.paths import ancestors, as_one_path
from troth.stores.provenance import Provenance


@dataclass(frozen=True, slots=True)
class Holding:
    """What one owner has: files, and perhaps a folder that is wholly its own."""

    files: frozenset[str]
    directory: str | None = None


class Ownership:
    """The register of one place. Not thread-safe: one event loop changes it.

    ``by`` is the writer through which an owner has something; None is nobody in particular.
    """

    def __init__(self) -> None:
        self.provenance = Provenance()
        self._holdings: dict[str, Holding] = {}
        self._by: dict[str, object] = {}
        self._files: dict[str, str] = {}
        self._directories: dict[str, str] = {}
        # folder → owner → how many of its files and folders lie below; the folder need not be claimed itself
        self._below: dict[str, dict[str, int]] = {}

    def assign(self, owner: str, files: Iterable[str], directory: str | None, *, by: object | None = None) -> None:
        """Replace what the owner has; nothing changes when it raises StoreError (PathConflict, names both).

        Paths are normalised already. An owner with neither files nor a directory is forgotten.
        """
        wanted = Holding(frozenset(files), directory)
        old = self._holdings.get(owner)
        if old == wanted:
            self._by[owner] = by
            return
        self._require_free(owner, wanted)
        self._forget(owner)
        if not wanted.files and directory is None:
            return
        self._holdings[owner] = wanted
        self._by[owner] = by
        for path in wanted.files:
            place = as_one_path(path)
            self._files[place] = owner
            self._count(owner, place, 1)
        if directory is not None:
            place = as_one_path(directory)
            self._directories[place] = owner
            self._count(owner, place, 1)

    def assign_together(
        self, wanted: Iterable[tuple[str, Iterable[str], str | None]], *, by: object | None = None
    ) -> None:
        """As `assign`, for owners (with files and directory) that hand paths to each other; all of it or nothing."""
        wishes = [(owner, frozenset(files), directory) for owner, files, directory in wanted]
        if len(wishes) == 1:
            self.assign(*wishes[0], by=by)
            return
        before = [(owner, self._holdings.get(owner), self._by.get(owner)) for owner, _, _ in wishes]
        for owner, _, _ in wishes:
            self._forget(owner)
        try:
            for owner, files, directory in wishes:
                self.assign(owner, files, directory, by=by)
        except StoreError:
            for owner, _, _ in wishes:
                self._forget(owner)
            for owner, holding, writer in before:
                if holding is not None:
                    self.assign(owner, holding.files, holding.directory, by=writer)
            raise

    def restore(
        self, owner: str, files: Iterable[str], directory: str | None, *, by: object | None = None
    ) -> None:
        """Give the owner what it had before, unless it has claimed since or another has it by now."""
        if owner not in self._holdings:
            with contextlib.suppress(StoreError):
                self.assign(owner, files, directory, by=by)

    def retain(self, owner: str, files: Iterable[str]) -> None:
        """Let the owner keep these, too: what it has now is not carried out, so it still has what it had."""
        held = self._holdings.get(owner)
        if held is not None:
            with contextlib.suppress(StoreError):
                self.assign(owner, held.files | set(files), held.directory, by=self._by.get(owner))

    def release(self, owner: str, *, by: object | None = None) -> None:
        """Forget the owner and free what it has, unless it has that through another writer by now."""
        if self._by.get(owner) in (None, by):
            self._forget(owner)

    def abandon(self, by: object) -> None:
        """The writer ends: what owners have through it stays theirs, and any other may release it."""
        for owner, writer in self._by.items():
            if writer is by:
                self._by[owner] = None

    def is_foreign(self, owner: str, path: str) -> bool:
        """Whether somebody else has the path or a folder around it."""
        place = as_one_path(path)
        if self._files.get(place, owner) != owner:
            return True
        return any(self._directories.get(above, owner) != owner for above in ancestors(place))

    def is_claimed(self, path: str, *, by: object | None = None) -> bool:
        """Whether anybody has the path or a folder around it through that writer."""
        place = as_one_path(path)
        owners = [self._files.get(place), *(self._directories.get(above) for above in ancestors(place))]
        return any(owner is not None and self._by.get(owner) is by for owner in owners)

    def _require_free(self, owner: str, wanted: Holding) -> None:
        held = self._holdings.get(owner)
        mine = held.files if held else frozenset()
        places = [*(path for path in wanted.files if path not in mine)]
        if wanted.directory is not None:
            places.append(wanted.directory)
        for path in places:
            place = as_one_path(path)
            other = self._files.get(place, owner)
            if other == owner:
                other = self._directories.get(place, owner)
            if other == owner:
                other = next((name for name in self._below.get(place, ()) if name != owner), owner)
            for above in ancestors(place):
                if other != owner:
                    break
                other = self._directories.get(above, self._files.get(above, owner))
            if other != owner:
                raise StoreError(
                    Reason.PATH_CONFLICT,
                    f"{path!r} is claimed by both {other} and {owner}; {other} was first and keeps it",
                    "give one of them another path, name or destination",
                )

    def _forget(self, owner: str) -> None:
        old = self._holdings.pop(owner, None)
        self._by.pop(owner, None)
        if old is None:
            return
        for path in old.files:
            place = as_one_path(path)
            self._files.pop(place, None)
            self._count(owner, place, -1)
        if old.directory is not None:
            place = as_one_path(old.directory)
            del self._directories[place]
            self._count(owner, place, -1)

    def _count(self, owner: str, path: str, change: int) -> None:
        for above in ancestors(path):
            owners = self._below.setdefault(above, {})
            count = owners.get(owner, 0) + change
            if count:
                owners[owner] = count
            else:
                del owners[owner]
                if not owners:
                    del self._below[above]


class Ownerships:
    """The registers by place, each for as long as any writer has it."""

    def __init__(self) -> None:
        self._registers: WeakValueDictionary[str, Ownership] = WeakValueDictionary()

    def at(self, place: str) -> Ownership:
        """The register of a place, such as a repository and its branch."""
        found = self._registers.get(place)
        if found is None:
            found = self._registers[place] = Ownership()
        return found
