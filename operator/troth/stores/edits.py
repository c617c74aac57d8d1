"""From a claim and what is in the store to what must change: pure, and the same for Git and for a folder.

The order of trust, when a file is there that the claim does not want: it goes if the owner's own folder holds
it, if the owner's record or memory names it, or if the claim calls it obsolete; and never if anybody else has
claimed it. A file that nobody has claimed and that merely stands in the way is not ours to delete: the claim
fails and says what stands there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from troth.stores.content import blob_id
from troth.stores.errors import Reason, StoreError
from troth.stores.ownership import Ownership
from troth.stores.paths import ancestors, confine, confine_file
from troth.stores.protocol import Claim, Former, Load
from troth.stores.state_file import Record, recorded_files, render_state_file

ReadRecord = Callable[[str], Record]
"""The record in a blob of the store."""


class Present(Protocol):
    """What a store holds, as far as planning asks."""

    def get(self, path: str) -> str | None:
        """The blob id of the file at a path; None when there is no file."""

    def under(self, folder: str) -> Iterable[str]:
        """The paths of all files below a folder."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A claim with every path normalised and its state file among its files.

    Attributes:
        claim: with normalised paths; `load` already answers under those.
        files: everything the owner wants, the state file included: path → blob id.
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
    """What must change for one wish. ``removes`` and ``writes`` never share a path."""

    writes: Mapping[str, str]
    removes: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.writes or self.removes)


def read_claim(claim: Claim, *, prefix: str) -> Wish:
    """The wish of a claim; raises StoreError for a path that is not acceptable or is named twice.

    ``prefix`` is the store's own ``spec.path``, which a state file leaves out.
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
    if normal_claim.state_file and files:
        record = render_state_file(files, prefix=prefix)
        files[normal_claim.state_file] = blob_id(record)
    return Wish(normal_claim, files, record)


def former_holding(
    former: Former, present: Present, *, read: ReadRecord, prefix: str
) -> tuple[frozenset[str], str | None]:
    """The files that a former owner still has in the store, and its folder. ``read`` is asked for its record only."""
    paths = set(former.files)
    blob = present.get(former.state_file) if former.state_file else None
    if former.state_file and blob:
        paths.add(former.state_file)
        paths.update(recorded_files(read(blob), path=former.state_file, prefix=prefix))
    return frozenset(path for path in paths if present.get(path) is not None), former.directory


def plan(
    wish: Wish,
    present: Present,
    ownership: Ownership,
    *,
    former: Iterable[str],
    read: ReadRecord,
    prefix: str,
) -> Edit:
    """What must change; raises StoreError (PathConflict) when a stranger's file or folder stands in the way.

    It raises one (RecordUnreadable), too, when the owner leaves and only a record that cannot be read would say
    what it had.

    The ownership holds the wish already. ``former`` is what the owner is remembered to have had; ``read`` gives
    the record in a blob of the store and is asked for the state file only, and only when that must change.
    """
    claim = wish.claim
    writes = {path: blob for path, blob in wish.files.items() if present.get(path) != blob}
    suspects = set(former)
    suspects.update(claim.obsolete)
    if claim.directory is not None:
        suspects.update(present.under(claim.directory))
    if claim.state_file and wish.files.get(claim.state_file) != (old := present.get(claim.state_file)) and old:
        record = read(old)
        if record.problem and not wish.files and not suspects:
            raise unreadable_record(claim.state_file, record.problem)
        suspects.update(recorded_files(record, path=claim.state_file, prefix=prefix))
        suspects.add(claim.state_file)
    removes = frozenset(
        path
        for path in suspects
        if path not in wish.files and present.get(path) is not None and not ownership.is_foreign(wish.owner, path)
    )
    for path in writes:
        _require_clear(wish.owner, path, present, removes)
    return Edit(writes, removes)


def unreadable_record(path: str, problem: str) -> StoreError:
    """The error for an owner that leaves while the record of its files cannot be read."""
    return StoreError(
        Reason.RECORD_UNREADABLE,
        f"the record {path!r} {problem}, so it is not known which files are to be removed",
        "repair it in the store; or remove the files and the record there",
    )


def _require_clear(owner: str, path: str, present: Present, removes: frozenset[str]) -> None:
    for above in ancestors(path):
        if present.get(above) is not None and above not in removes:
            raise _in_the_way(owner, path, f"a file stands at {above!r}")
    if present.get(path) is None:
        below = next((other for other in present.under(path) if other not in removes), None)
        if below is not None:
            raise _in_the_way(owner, path, f"a folder with {below!r} stands there")


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
