"""Decides what must change in a store for a claim. It is pure, and the same for Git and for a folder.

A file that exists and that the claim does not want is removed if it is in the owner's own folder, if the owner's
record or memory names it, or if the claim calls it obsolete and it is known to be made here; but never if somebody
else has claimed it. A file that nobody has claimed and that is merely in the way is not ours to delete: the claim
fails, and the error says what is there.

The same is true for a file that the claim wants: a file that exists and was not made here (provenance.py) is not ours
to overwrite, even if it already has the wanted content. The claim fails, unless it may adopt what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from troth.stores.content import blob_id
from troth.stores.errors import Reason, StoreError
from troth.stores.ownership import Ownership
from troth.stores.paths import ancestors, as_one_path, confine, confine_file
from troth.stores.protocol import Claim, Former, Load
from troth.stores.state_file import Record, adopted_files, recorded_files, render_state_file

_RECORDS: Final = ".kratix"
_KINDS: Final = {"120000": "a symbolic link", "160000": "a submodule"}

ReadRecord = Callable[[str], Record]
"""Reads the record in a blob of the store."""


class Present(Protocol):
    """The content of a store, as far as it is needed for a plan."""

    def get(self, path: str) -> str | None:
        """The blob id of the file at a path; None when a file does not exist there."""

    def under(self, folder: str) -> Iterable[str]:
        """The paths of all files below a folder."""

    def twins(self, path: str) -> Iterable[str]:
        """Existing paths that some file system takes for the same path, spelled differently (`as_one_path`).

        Files in folders that are other spellings of the folders above it are included.
        """


@dataclass(frozen=True, slots=True)
class Wish:
    """A claim whose paths are normalised, with its state file among its files.

    Attributes:
        claim: the claim with normalised paths, which are also the keys of what its `load` returns.
        files: the blob ids, by path, of everything that the owner wants, including the state file.
        record: the content of the state file; empty when there is none.
    """

    claim: Claim
    files: Mapping[str, str]
    record: bytes = b""

    @property
    def owner(self) -> str:
        """The claim's owner."""
        return self.claim.owner


@dataclass(frozen=True, slots=True)
class Edit:
    """What must change for one wish. A path is never in both ``removes`` and ``writes``.

    Attributes:
        writes: the blob ids of the files that are written, by path.
        removes: the paths that are removed.
        record: the content of the state file when everything is done; empty when there is none.
        adopted: the wished files that existed before and are taken over.
    """

    writes: Mapping[str, str]
    removes: frozenset[str]
    record: bytes = b""
    adopted: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.writes or self.removes)


def read_claim(claim: Claim, *, prefix: str) -> Wish:
    """The wish of a claim. Raises StoreError for a path that is not acceptable, or is named twice.

    ``prefix`` is the store's own ``spec.path``, which is left out in the state file.
    """
    owner = claim.owner
    spelled: dict[str, str] = {}
    files: dict[str, str] = {}
    for path, blob in claim.files.items():
        normal = confine_file(path, owner=owner)
        if normal in files:
            raise StoreError(Reason.INVALID_PATH, f"{owner} names the file {normal!r} twice", retryable=False)
        files[normal] = blob
        spelled[normal] = path
    for path in files:
        if inside := next((above for above in ancestors(path) if above in files), None):
            raise StoreError(
                Reason.INVALID_PATH,
                f"{owner} wants {inside!r} to be a file and a folder (for {path!r})",
                retryable=False,
            )
    normal_claim = replace(
        claim,
        files=dict(files),
        directory=confine(claim.directory, owner=owner) if claim.directory is not None else None,
        state_file=confine_file(claim.state_file, owner=owner) if claim.state_file else None,
        obsolete=tuple(confine_file(path, owner=owner) for path in claim.obsolete),
        load=claim.load if all(a == b for a, b in spelled.items()) else _renamed(claim, spelled),
    )
    record = b""
    if normal_claim.state_file in files:
        raise StoreError(
            Reason.INVALID_PATH,
            f"{owner} wants a file at {normal_claim.state_file!r}, where the record of its files is kept",
            retryable=False,
        )
    if normal_claim.directory is None and not normal_claim.by_name:
        _require_no_record(owner, files)
    if normal_claim.state_file and files:
        record = render_state_file(files, prefix=prefix)
        files[normal_claim.state_file] = blob_id(record)
    return Wish(normal_claim, files, record)


@dataclass(frozen=True, slots=True)
class Had:
    """What a former owner still has in the store.

    Attributes:
        files: its files that exist, including the record.
        directory: its folder.
        made: those of the files that are known to be made by it.
        adopted: the files that it has taken over.
        lost: whether it has files there, but its record is gone or cannot be read.
    """

    files: frozenset[str]
    directory: str | None
    made: frozenset[str] = frozenset()
    adopted: frozenset[str] = frozenset()
    lost: bool = False


def former_holding(former: Former, present: Present, *, read: ReadRecord, prefix: str) -> Had:
    """What a former owner still has. ``read`` is only called for its record."""
    paths = set(former.files)
    made = set(former.files) if former.written else set()
    adopted: set[str] = set()
    blob = present.get(former.state_file) if former.state_file else None
    lost = former.written and former.state_file is not None and blob is None
    if former.state_file and blob:
        record = read(blob)
        recorded = recorded_files(record, path=former.state_file, prefix=prefix)
        adopted.update(adopted_files(record, path=former.state_file, prefix=prefix))
        paths.update([former.state_file, *recorded, *adopted])
        made.update(recorded)
        lost = former.written and bool(record.problem)
    there = frozenset(path for path in paths if present.get(path) is not None)
    return Had(there, former.directory, there & made, there & adopted, lost)


def restore(had: Had, ownership: Ownership, *, owner: str, by: object) -> None:
    """Tell the ownership what a former owner still has."""
    ownership.restore(owner, had.files, had.directory, by=by)
    ownership.provenance.note(made=had.made, adopted=had.adopted)
    if had.lost:
        ownership.provenance.note_lost(owner)


def plan(
    wish: Wish,
    present: Present,
    ownership: Ownership,
    *,
    former: Iterable[str],
    read: ReadRecord,
    prefix: str,
) -> Edit:
    """What must change for a wish.

    The ownership has the wish already. ``former`` has the paths that the owner is remembered to have made. ``read``
    reads the record in a blob of the store, and is only called for the state file, and only when that must change.

    Raises:
        StoreError: PathConflict or NotOurs when somebody else's file or folder is in the way, or would be taken over.
            RecordUnreadable when the owner leaves and the record that says what it had cannot be read.
    """
    found = _known(wish, present, ownership, former=former, read=read, prefix=prefix)
    try:
        return _edit(wish, present, ownership, found, prefix=prefix)
    except StoreError:
        ownership.retain(wish.owner, found.made)
        raise


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an owner's files before the plan is made.

    Attributes:
        made: the files that it has made, according to memory and to its record.
        adopted: the files that it has adopted, according to its record.
        suspects: the files that are removed unless they are wanted.
        recorded: whether its record is already as it must be if nothing is adopted.
        problem: why its record cannot be read.
    """

    made: frozenset[str]
    adopted: frozenset[str]
    suspects: frozenset[str]
    recorded: bool
    problem: str


def _known(
    wish: Wish, present: Present, ownership: Ownership, *, former: Iterable[str], read: ReadRecord, prefix: str
) -> _Known:
    claim = wish.claim
    made = set(former)
    adopted: set[str] = set()
    suspects = made | {path for path in claim.obsolete if claim.by_name or ownership.provenance.is_made(path)}
    if claim.directory is not None:
        suspects.update(present.under(claim.directory))
    if claim.state_file is None:
        return _Known(frozenset(made), frozenset(), frozenset(suspects), recorded=False, problem="")
    old = present.get(claim.state_file)
    if wish.files.get(claim.state_file) == old:
        return _Known(frozenset(made), frozenset(), frozenset(suspects), recorded=True, problem="")
    problem = ""
    if old:
        record = read(old)
        problem = record.problem
        if problem and not wish.files and not suspects:
            raise unreadable_record(claim.state_file, problem)
        made.update(recorded_files(record, path=claim.state_file, prefix=prefix))
        adopted.update(adopted_files(record, path=claim.state_file, prefix=prefix))
        suspects |= made | {claim.state_file}
    return _Known(frozenset(made), frozenset(adopted), frozenset(suspects), recorded=False, problem=problem)


def _edit(wish: Wish, present: Present, ownership: Ownership, known: _Known, *, prefix: str) -> Edit:
    claim = wish.claim
    taken: frozenset[str] = frozenset()
    if claim.directory is None and not claim.by_name and not known.recorded:
        taken = _taken(wish, present, ownership, known)
    files, text = wish.files, wish.record
    if taken and claim.state_file:
        mine = [path for path in files if path not in taken and path != claim.state_file]
        text = render_state_file(mine, prefix=prefix, adopted=sorted(taken))
        files = {**files, claim.state_file: blob_id(text)}
    writes = {path: blob for path, blob in files.items() if present.get(path) != blob}
    removes = frozenset(
        path
        for path in known.suspects
        if path not in wish.files
        and path not in known.adopted
        and not ownership.provenance.is_adopted(path)
        and present.get(path) is not None
        and not ownership.is_foreign(wish.owner, path)
    )
    for path in writes:
        _require_clear(wish.owner, path, present, removes)
        if claim.directory is None and path != claim.state_file and present.get(path) is None:
            _require_no_twin(wish.owner, path, present, removes)
    return Edit(writes, removes, text, taken)


def _taken(wish: Wish, present: Present, ownership: Ownership, known: _Known) -> frozenset[str]:
    """The wished files that exist and were not made here. Raises StoreError if they may not be adopted."""
    claim, provenance = wish.claim, ownership.provenance
    strange = [
        path
        for path in wish.files
        if path != claim.state_file
        and path not in known.made
        and not provenance.is_made(path)
        and present.get(path) is not None
    ]
    taken = [path for path in strange if claim.adopts or path in known.adopted or provenance.is_adopted(path)]
    if len(taken) < len(strange) and not provenance.is_lost(wish.owner):
        left = [path for path in strange if path not in taken]
        raise not_ours(left, owner=wish.owner, record=claim.state_file, problem=known.problem)
    return frozenset(taken)


def not_ours(paths: Sequence[str], *, owner: str, record: str | None = None, problem: str = "") -> StoreError:
    """The error for files that an owner wants and did not make. ``problem`` says why its record cannot be read."""
    first, more = paths[0], len(paths) - 1
    others = f" (and {more} other {'files' if more > 1 else 'file'})" if more else ""
    unknown = f"; the record {record!r} {problem}" if problem else ""
    give = f"give it to this owner by listing it under adopted in {record!r}, " if record else ""
    return StoreError(
        Reason.NOT_OURS,
        f"{first!r}{others}, which {owner} wants to write, exists in the store, and Troth did not make it{unknown}",
        f"it stays as it is: remove it from the store, choose another path, {give}or let the Destination take over "
        "whatever exists (spec.existing: Adopt)",
    )


def unreadable_record(path: str, problem: str) -> StoreError:
    """The error for an owner that leaves while the record of its files cannot be read."""
    return StoreError(
        Reason.RECORD_UNREADABLE,
        f"the record {path!r} {problem}, so it is not known which files are to be removed",
        "repair it in the store; or remove the files and the record there",
    )


def _require_no_record(owner: str, files: Iterable[str]) -> None:
    """Refuses files in the folders of records, where they could claim something for other owners."""
    for path in files:
        if any(as_one_path(part) == _RECORDS for part in path.split("/")):
            raise StoreError(
                Reason.INVALID_PATH,
                f"{owner} wants a file at {path!r}, and folders named {_RECORDS} are kept for the records of files",
                "choose another folder",
                retryable=False,
            )


def _require_clear(owner: str, path: str, present: Present, removes: frozenset[str]) -> None:
    for above in ancestors(path):
        found = present.get(above)
        if found is not None and above not in removes:
            raise _in_the_way(owner, path, f"{_KINDS.get(found.partition(':')[0], 'a file')} stands at {above!r}")
    if present.get(path) is None:
        below = next((other for other in present.under(path) if other not in removes), None)
        if below is not None:
            raise _in_the_way(owner, path, f"a folder with {below!r} stands there")


def _require_no_twin(owner: str, path: str, present: Present, removes: frozenset[str]) -> None:
    twin = next((other for other in present.twins(path) if other not in removes), None)
    if twin is not None:
        raise StoreError(
            Reason.PATH_CONFLICT,
            f"{path!r} of {owner} cannot be written: {twin!r} exists in the store, and some file systems take both for "
            "one file",
            "choose another path",
        )


def _in_the_way(owner: str, path: str, what: str) -> StoreError:
    return StoreError(
        Reason.PATH_CONFLICT,
        f"{path!r} of {owner} cannot be written: {what}, and nobody has claimed that",
        "remove it from the store, or choose another path",
    )


def _renamed(claim: Claim, spelled: Mapping[str, str]) -> Load:
    async def load() -> Mapping[str, bytes]:
        loaded = await claim.load()
        return {normal: loaded[path] for normal, path in spelled.items() if path in loaded}

    return load
