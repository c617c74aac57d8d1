"""Records who owns which path of a store: each path has one owner.

Two owners of one path would undo each other's writes for ever, and cleaning the folder of one owner would remove the
files of another. So a claim is registered before it is planned, and the error for a second claimant says who was
first. The register is in memory. It is filled with what owners had before the process started
(`StateStoreWriter.resume`), since a restart must not decide a conflict anew, and then by the claims themselves.

All spellings of a path that some file system takes for the same path (`as_one_path`) count as one path here.

Two stores may be the same branch or the same folder. Their writers share one register (`Ownerships`), which notes
through which of them an owner came last: an owner that has moved from one to the other is not forgotten when the
first one releases it.
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
    """What one owner has: files, and perhaps a folder that belongs to it alone."""

    files: frozenset[str]
    directory: str | None = None


class Ownership:
    """The register of one place. It is not thread-safe: only one event loop may change it.

    ``by`` is the writer through which an owner has something; None stands for no particular writer.
    """

    def __init__(self) -> None:
        self.provenance = Provenance()
        self._holdings: dict[str, Holding] = {}
        self._by: dict[str, object] = {}
        self._files: dict[str, str] = {}
        self._directories: dict[str, str] = {}
        # folder → owner → the number of its files and folders below; the folder itself need not be claimed
        self._below: dict[str, dict[str, int]] = {}

    def assign(self, owner: str, files: Iterable[str], directory: str | None, *, by: object | None = None) -> None:
        """Replace what the owner has.

        Paths must be normalised. An owner without files and without a directory is forgotten. Raises StoreError
        (PathConflict), which names both owners; then nothing has changed.
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
        """Like `assign`, for several owners that hand paths over to each other. Either all are assigned, or none."""
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
        """Give the owner what it had before, unless it has made a claim since, or another owner has it by now."""
        if owner not in self._holdings:
            with contextlib.suppress(StoreError):
                self.assign(owner, files, directory, by=by)

    def retain(self, owner: str, files: Iterable[str]) -> None:
        """Let the owner keep these files, too, because its new claim was not carried out."""
        held = self._holdings.get(owner)
        if held is not None:
            with contextlib.suppress(StoreError):
                self.assign(owner, held.files | set(files), held.directory, by=self._by.get(owner))

    def release(self, owner: str, *, by: object | None = None) -> None:
        """Forget the owner and free its paths, unless it has them through another writer by now."""
        if self._by.get(owner) in (None, by):
            self._forget(owner)

    def abandon(self, by: object) -> None:
        """Note that a writer has ended. Owners keep what they have through it, and any other writer may release it."""
        for owner, writer in self._by.items():
            if writer is by:
                self._by[owner] = None

    def is_foreign(self, owner: str, path: str) -> bool:
        """Whether another owner has the path, or a folder around it."""
        place = as_one_path(path)
        if self._files.get(place, owner) != owner:
            return True
        return any(self._directories.get(above, owner) != owner for above in ancestors(place))

    def is_claimed(self, path: str, *, by: object | None = None) -> bool:
        """Whether any owner has the path, or a folder around it, through this writer."""
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
