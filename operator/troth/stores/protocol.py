"""The protocol of all stores, by which callers say which files they want to be in a store.

A `Claim` says everything that one owner wants to be there, by the hashes of the contents. A writer changes the store
accordingly and returns the version that holds the claim. A claim is level-triggered: claiming twice is the same as
claiming once, and for files that are there already neither their content nor a write is needed. That is why the
content itself is behind `load`: after a restart ten thousand claims are checked without loading any of them.

Rejected: a list of changes (put this, delete that). The caller would have to know what is there, and a change that was
missed once would stay missing for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from troth.stores.handover import Handover

Load = Callable[[], Awaitable[Mapping[str, bytes]]]


@dataclass(frozen=True, slots=True)
class Claim:
    """Everything that one owner wants to have in a store. If `files` is empty, everything that it had is removed.

    Attributes:
        owner: the owner's name, which is unique in the store, such as ``default/orders.worker-1-5058f``. It is used in
            commits and conflicts.
        files: the Git blob ids of the contents by path inside the store, including its own ``spec.path``.
        load: returns the content of every path in `files`, under the same keys. It is only called when something
            differs, and perhaps never. If it raises an exception, only this claim fails.
        directory: a folder that belongs to this owner alone: everything else in it is removed. None when the owner
            shares its folder with others.
        state_file: for owners that share a folder (Kratix's mode ``none``): a YAML file ``{files: [...]}`` in the
            store that records what the owner has there, so that what it no longer wants is found again after a
            restart. The writer reads and writes it; it is not in `files`.
            obsolete: paths that the owner may have had. Those that are not in `files` are removed if they are the
                owner's. This is for owners without a directory and without a state file (canaries, aggregated files).
            message: what this is, for the commit message; empty for the owner's name.
            size: the number of bytes of all files together, as far as it is known. The writer waits for room for them
                before it calls `load`.
            former_stores: other stores in which the owner may still have what it claims here. If one of them turns
                out to be the same cluster, its objects are taken over, instead of counting as somebody else's.
            handover: returns what is exchanged with other claims (handover.py); None when nothing can be. It is
                called when something would be removed from the store, or when what is claimed belongs to somebody
                else.
            adopts: whether existing files or objects that belong to nobody may be taken over. Otherwise the claim is
                refused, and the error says what is there.
            by_name: whether the paths in `files` and `obsolete` are the owner's by their names, as a `directory` is:
                what is there belongs to it, whoever made it.
            succeeds: whether something is known to be handed over, so that `handover` is called in any case.
    """

    owner: str
    files: Mapping[str, str]
    load: Load
    directory: str | None = None
    state_file: str | None = None
    obsolete: tuple[str, ...] = ()
    message: str = ""
    size: int = 0
    former_stores: tuple[str, ...] = ()
    handover: Callable[[], Awaitable[Handover]] | None = None
    succeeds: bool = False
    adopts: bool = False
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class Former:
    """What an owner had in a store before its writer was opened, as far as it is known outside of the store.

    Attributes:
        owner: the owner's name, as in its claims.
        files: the paths that are its own.
        directory: the folder that belongs to it alone, or None.
        state_file: the record in the store that lists its files, or None. The writer reads it.
        written: whether it is certain that the owner has written there. Then `files` were made by it, and what it
            wants counts as its own even if its record is gone. Otherwise only the record decides.
    """

    owner: str
    files: tuple[str, ...] = ()
    directory: str | None = None
    state_file: str | None = None
    written: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a claim that is in the store.

    Attributes:
        version: a commit id, or a content hash such as ``sha256:…``. For a claim that did not change anything, it is
            the last version that is known to have changed the owner's files or, if that was before this process
            started, the newest version that holds them. A caller that has recorded a version keeps it when `changed`
            is false, so that nothing is written after a restart.
        changed: whether the store had to be changed for it.
        held: whether something that the claim no longer wants is still there, because it has not arrived where it is
            wanted now. Claim again when it has arrived.
    """

    version: str
    changed: bool
    held: bool = False


@runtime_checkable
class StateStoreWriter(Protocol):
    """The only writer of a store. Every method may be called from many tasks at once."""

    async def check(self) -> None:
        """Check that the store can be reached, read and written, without changing it. Raises StoreError."""

    async def write(self, claim: Claim) -> Written:
        """Change the store so that it holds a claim. Raises StoreError.

        Claims that wait at the same time are grouped. A failed claim does not make others fail, unless the store
        itself has failed. A newer claim replaces a waiting older claim of the same owner, and both callers get its
        outcome.
        """

    async def refresh(self) -> bool:
        """Read the store. Returns True when somebody else has changed it since it was last read.

        In that case all owners with claims there should claim again. Raises StoreError.
        """

    async def resume(self, former: Sequence[Former]) -> None:
        """Keep what owners had before this writer was opened, until each of them makes a claim.

        An owner that comes first after a restart must not get what another owner had before. Call this once, before
        the first claim. The store is not contacted; what still exists is found out when it is first read. If two
        owners have the same path, the one that is named first gets it. A store with records of its own ignores this.
        """

    async def finds_foreign(self, path: str) -> bool:
        """Whether there is something at a path that is not known to be made here. Raises StoreError."""

    def take_complaints(self) -> tuple[str, ...]:
        """The records in the store that the writer could not read, and has ignored, since the last call.

        Each is a clause that names the place. It concerns one owner, whose next claim corrects it.
        """

    async def release(self, owner: str) -> None:
        """Forget an owner, whose files stay. This is for owners that now use another writer of the same place."""

    async def close(self) -> None:
        """Finish what is being written (within seconds), fail everything that waits, and free resources. Idempotent."""
