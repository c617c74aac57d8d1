"""What is known here of a branch on a server: Git's remote-tracking branch, with its tree in memory.

Plans are made against it without asking the server. So it says how old it is, and each fetch says whether somebody
else has changed what is ours since, and in which commits.

It outlives the clone by which it is known. The clone is thrown away at the first doubt, and what others have changed in
the meantime is found by comparing the trees.

Rejected: the reference that Git keeps in the clone. It goes with the clone, and it does not tell our own commits, whose
push was interrupted and carried out all the same, from those of others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Final

from troth.stores.errors import Reason, StoreError
from troth.stores.git_repository import GitRepository
from troth.stores.git_strangers import Strangers
from troth.stores.ownership import Ownership
from troth.stores.tree import PathTree, differing

logger = logging.getLogger(__name__)

# After these the clone may hold locks or halves of packs: it is cheaper to make a new one than to know.
_DOUBTFUL: Final = frozenset(
    {Reason.GIT_FAILED, Reason.LOCKED, Reason.STORAGE_FAILED, Reason.STORAGE_FULL, Reason.DEADLINE_EXCEEDED}
)


class TrackingBranch:
    """The branch as it was last seen. One task at a time fetches; whoever uses the clone does it within `guarded`.

    Args of the constructor: ``repository`` is the clone; ``url`` names the remote in messages; ``ownership`` knows
    which paths ``writer`` has; ``fresh_for`` is how many seconds a look counts as new.

    Attributes:
        head: the id of the newest commit; empty before the first fetch.
        tree: what that commit holds.
        strangers: what others have changed of ours, until it is undone.
        commits: how many of ours the clone has taken in since its history was cut.
    """

    def __init__(
        self, repository: GitRepository, *, url: str, ownership: Ownership, writer: object, fresh_for: float
    ) -> None:
        self._repository = repository
        self._url = url
        self._ownership = ownership
        self._writer = writer
        self._fresh_for = fresh_for
        self.head = ""
        self.tree = PathTree()
        self.strangers = Strangers()
        self.commits = 0
        self._looked = -math.inf
        self._tried: set[str] = set()
        self._disturbed = False
        self._closed = False

    @property
    def is_at_hand(self) -> bool:
        """Whether the branch was seen, and the clone has its newest commit."""
        return bool(self.head) and self._repository.is_open

    @property
    def is_fresh(self) -> bool:
        """Whether what is known of the branch is new enough to call something unchanged."""
        age = asyncio.get_running_loop().time() - self._looked
        return age <= self._fresh_for and self._repository.is_open

    def take_disturbance(self) -> bool:
        """Whether somebody else has changed a claimed path since this was last asked."""
        disturbed, self._disturbed = self._disturbed, False
        return disturbed

    async def fetch(self) -> None:
        """Bring all of this up to the branch on the server; makes the clone if there is none. Raises StoreError."""
        made = not self._repository.is_open
        if made and self._closed:
            raise StoreError(Reason.CLOSED, f"the writer of {self._url} is closed")
        if made:
            await self._repository.open()
        try:
            head = await self._repository.fetch()
        except StoreError:
            if made:  # an empty clone would pass for one that holds the last known head
                await self._repository.drop()
            raise
        looked = asyncio.get_running_loop().time()
        if not self.head:
            self.tree = await self._repository.tree(head)
            self.head, self._looked = head, looked
            return
        self._looked = looked
        if head == self.head:
            return
        ours = head in self._tried
        # of a new clone the trees are compared: it does not have the old commit
        changed = await self._replace_tree(head, compare=not ours) if made else await self._follow(head)
        before, self.head = self.head, head
        if not ours:
            await self._blame(before, head, changed)
            self._disturbed = self._disturbed or made

    async def _follow(self, head: str) -> Sequence[str]:
        """Bring the tree from the commit that was seen last to this one; the paths that differ."""
        changes = await self._repository.difference(self.head, head)
        if changes is None:
            return await self._replace_tree(head, compare=True)
        for path, blob in changes:
            if blob is None:
                self.tree.remove(path)
            else:
                self.tree.put(path, blob)
        return [path for path, _ in changes]

    async def _replace_tree(self, head: str, *, compare: bool) -> Sequence[str]:
        """Read the whole tree of a commit; the paths that differ, when they are asked for."""
        tree = await self._repository.tree(head)
        changed = await asyncio.to_thread(differing, self.tree, tree) if compare else []
        self.tree = tree
        return changed

    async def _blame(self, before: str, head: str, different: Sequence[str]) -> None:
        """Remember who changed what is ours, for the commit that undoes it."""
        claimed = [path for path in different if self._ownership.is_claimed(path, by=self._writer)]
        if not claimed:
            return
        self._disturbed = True
        commits: Mapping[str, tuple[str, ...]] = {}
        try:
            commits = await self._repository.culprits(before, head, claimed, ours=self._tried)
        finally:
            self.strangers.changed(claimed, commits)

    def note_tried(self, commit: str) -> None:
        """A commit of ours is about to be pushed; if it turns up on the branch, that was not somebody else."""
        self._tried.add(commit)

    def advance(self, commit: str, *, writes: Mapping[str, str], removes: Iterable[str]) -> None:
        """A commit of ours was pushed: the branch is there now, with these blobs by path, and without these paths."""
        for path in removes:
            self.tree.remove(path)
        for path, blob in writes.items():
            self.tree.put(path, blob)
        self.head = commit
        self._looked = asyncio.get_running_loop().time()
        self._tried.clear()
        self.commits += 1

    @contextlib.asynccontextmanager
    async def guarded(self) -> AsyncIterator[None]:
        """Drop the clone after an error that may have left it half done."""
        try:
            yield
        except StoreError as error:
            if error.reason in _DOUBTFUL:
                await self._repository.drop()
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._repository.drop())
            raise

    async def compact(self) -> None:
        """Cut the clone's history; a clone with which that fails is made again by the next fetch."""
        self.commits = 0
        try:
            await self._repository.compact()
        except StoreError as error:
            logger.info("the clone of %s is created again: %s", self._url, error)
            await self._repository.drop()

    def forbid_clones(self) -> None:
        """Make no clone from now on: the next fetch that needs one raises StoreError. One that is there stays."""
        self._closed = True
