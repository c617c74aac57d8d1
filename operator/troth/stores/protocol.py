"""The one protocol between whoever wants files in a store and the stores.

A `Claim` says what one owner wants to be there, all of it, by content hash; a writer makes the store so and
answers with the version that holds it. A claim is level-triggered like everything else: claiming twice is
claiming once, and what is already there costs neither content nor a write. That is why the content itself is
behind `load`: after a restart ten thousand claims are checked and none is loaded.

Rejected: a list of changes (put this, delete that). It needs the caller to know what is there, and whatever
was missed once stays wrong for ever.
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
    """Everything that one owner wants to have in a store. Empty `files` removes everything it had.

    Attributes:
        owner: unique in the store, such as ``default/orders.worker-1-5058f``; named in commits and conflicts.
        files: path inside the store (its own ``spec.path`` included) → Git blob id of the content.
        load: gives the content of every path in `files`, under the same keys. Called only when something
            differs, and perhaps never. What it raises fails this claim only.
        directory: a folder that belongs wholly to this owner: whatever else is in it is removed. None when the
            owner shares its folder with others.
        state_file: for owners that share a folder (Kratix's mode ``none``): a YAML file ``{files: [...]}`` in the
            store that records what the owner has there, so that what it no longer wants is found again after a
            restart. The writer reads and writes it; it is not in `files`.
        obsolete: paths that the owner may have had. Those not in `files` are removed, if they are the owner's; for
            owners that have neither a directory nor a state file (canaries, aggregated files).
        message: what this is, for the commit message; empty means the owner's name.
        size: bytes of all files together, as far as they are known: room for them is waited for before `load`.
        former_stores: other stores where the owner may still have what it claims here. A store that turns out to be
            the same cluster takes that over, where it would otherwise call it somebody else's.
        handover: tells what changes hands with the claim (handover.py); None when nothing can. It is called when
            something would leave the store, or when what is claimed is somebody else's.
        adopts: what is there and is nobody's may be taken over. Otherwise the claim is refused, and says what stands
            there.
        by_name: the paths in `files` and `obsolete` are the owner's by their names, as a `directory` is: what stands
            there is its own, whoever made it.
        succeeds: something is known to change hands, so `handover` is called in any case.
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
    """What an owner had in a store before its writer began, as far as it is known outside.

    Attributes:
        owner: as in its claims.
        files: paths that are its own.
        directory: the folder that is wholly its own, or None.
        state_file: the record in the store that lists its files, or None; it is read.
        written: it is certain that the owner has written there, so `files` are made by it, and what it wants is its own
            if its record is gone. Otherwise only the record tells.
    """

    owner: str
    files: tuple[str, ...] = ()
    directory: str | None = None
    state_file: str | None = None
    written: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """A claim is in the store.

    Attributes:
        version: a commit id, or a content hash such as ``sha256:…``. For a claim that changed nothing: the last
            version known to have changed the owner's files, or, when that was before this process began, the
            newest one that holds them. So a caller that has recorded a version keeps its own when `changed` is
            false, and a restart writes nothing.
        changed: whether the store had to be changed for it.
        held: something that the claim no longer wants is still there, because it has not arrived where it is wanted
            now. Claim again when it has.
    """

    version: str
    changed: bool
    held: bool = False


@runtime_checkable
class StateStoreWriter(Protocol):
    """The one writer of one store. Every method may be called from many tasks at once."""

    async def check(self) -> None:
        """Prove that the store can be reached, read and written, without changing it; raises StoreError."""

    async def write(self, claim: Claim) -> Written:
        """Make the store hold the claim. Claims that wait at the same time are grouped; raises StoreError.

        A failed claim fails alone unless the store itself failed. Of two waiting claims of one owner the newer
        wins and both callers get its outcome.
        """

    async def refresh(self) -> bool:
        """Look at the store: True when somebody else has changed it since the last look.

        Then whoever has claims there should claim again. Raises StoreError.
        """

    async def resume(self, former: Sequence[Former]) -> None:
        """Keep for their owners what they had before this writer began, until each of them claims for itself.

        Whoever comes first after a restart must not get what another was first to have. Call it once, before the
        first claim; nothing is contacted, the first look at the store finds out what of it is there. What is named
        first counts. A store that keeps records of its own needs none of it.
        """

    async def finds_foreign(self, path: str) -> bool:
        """Whether something stands at a path that is not known to be made here; raises StoreError."""

    def take_complaints(self) -> tuple[str, ...]:
        """What the writer found in the store since the last call that it cannot read and has set aside.

        Each is a clause that names the place. It concerns one owner, whose claim makes it right again.
        """

    async def release(self, owner: str) -> None:
        """Forget the owner; its files stay as they are. For owners that another writer of the same place has now."""

    async def close(self) -> None:
        """Finish what is being written (within seconds), fail what waits, free everything. Idempotent."""
