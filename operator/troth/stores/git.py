"""The Git store: one writer task for one branch, optimistic and grouped.

A flush plans against the tree that the last push or fetch left in memory, makes one commit of everything that
waits, and pushes it without looking first. If the branch is still where we left it, which is nearly always, a
write costs one commit and one push; if not, the push is refused, the stranger's commits are fetched, and the
same wishes are planned again on top of them. Nothing is merged (paths belong to one owner) and nothing is
overwritten.

What is unchanged is decided by blob ids alone. So that a file which somebody else removed is noticed, the tree
must have been looked at within ``minimum_fetch_interval``; a successful push counts as a look, because it
proves where the branch was.

Rejected: fetching before every write (twice the time, and no safer: the branch can move in between); a work
tree; one commit a claim (a thousand requests would be a thousand pushes).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random as random_module
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from troth.budget import Budget
from troth.stores.edits import Edit, Had, Wish, former_holding, plan, read_claim, restore
from troth.stores.errors import Reason, StoreError
from troth.stores.foreign import LARGEST
from troth.stores.gathering import Gatherer, Pace, Waiting
from troth.stores.git_import import Import
from troth.stores.git_message import Entry, commit_message
from troth.stores.git_remote import GitRemote, require_branch
from troth.stores.git_repository import Author, Change, GitRepository, Pushed
from troth.stores.git_strangers import Strangers
from troth.stores.kubernetes_objects import Parse
from troth.stores.ownership import Ownership
from troth.stores.paths import confine_file
from troth.stores.protocol import Claim, Former, Written
from troth.stores.state_file import Record, parse_state_file, recorded_files
from troth.stores.succession import Part, Successions
from troth.stores.tree import PathTree, differing

logger = logging.getLogger(__name__)

# After these the clone may hold locks or halves of packs: it is cheaper to make a new one than to know.
_DOUBTFUL: Final = frozenset(
    {Reason.GIT_FAILED, Reason.LOCKED, Reason.STORAGE_FAILED, Reason.STORAGE_FULL, Reason.DEADLINE_EXCEEDED}
)
_LOADS_AT_ONCE: Final = 16
_OVERHEAD: Final = 128 * 1024  # of loading any claim: what the API server answers, and what is made of it
_RESTORED_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class GitSettings:
    """How a Git writer behaves; times are in seconds.

    Attributes:
        minimum_fetch_interval: how old the last look may be when a claim is called unchanged; also how often at
            most the remote is asked. 0 looks every time.
        command_timeout: for one git command; a first fetch of a large repository is the longest.
        load_timeout: for the content of one claim.
        attempts: pushes tried on a branch that keeps moving before the claims fail (retryable).
        compact_after: commits after which the clone's history is cut, when nothing waits.
        close_grace: for the commit that is under way when the writer is closed.
        isolation_pushes: pushes spent on finding which claim of a batch a server's rule refuses.
        pace: how long a batch waits for company.
    """

    minimum_fetch_interval: float = 5.0
    command_timeout: float = 90.0
    load_timeout: float = 30.0
    attempts: int = 12
    compact_after: int = 500
    close_grace: float = 10.0
    isolation_pushes: int = 24
    pace: Pace = field(default_factory=Pace)


@dataclass(slots=True)
class _Branch:
    """What is known of the remote branch."""

    head: str
    tree: PathTree
    looked: float


class GitWriter:
    """The writer of one branch of one repository; see `StateStoreWriter` for what the methods promise.

    Args of the constructor: ``workspace`` is a folder of its own or shared with other writers; ``prefix`` the
    store's ``spec.path``; ``ownership`` is shared with other writers of the branch, ``budget`` with all writers;
    ``surroundings`` the environment that PATH and proxies are taken from; ``parse`` reads YAML as Kubernetes does, to
    tell which objects a file holds; ``now`` gives seconds since 1970 for commits; ``random`` spreads retries.
    """

    def __init__(
        self,
        *,
        remote: GitRemote,
        branch: str,
        author: Author,
        workspace: Path,
        surroundings: Mapping[str, str],
        prefix: str = "",
        settings: GitSettings | None = None,
        ownership: Ownership | None = None,
        budget: Budget | None = None,
        parse: Parse | None = None,
        now: Callable[[], float] = time.time,
        random: random_module.Random | None = None,
    ) -> None:
        self._remote = remote
        self._branch_name = require_branch(branch)
        self._author = author
        self._prefix = prefix.strip("/")
        self._settings = settings or GitSettings()
        self._now = now
        self._random = random or random_module.Random()  # noqa: S311 - spreads retries, guards nothing
        self._repository = GitRepository(
            remote=remote,
            branch=branch,
            workspace=workspace,
            surroundings=surroundings,
            timeout=self._settings.command_timeout,
        )
        self._gatherer = Gatherer(self._flush, pace=self._settings.pace, name=f"{remote.url} ({branch})")
        self._lock = asyncio.Lock()
        self._branch: _Branch | None = None
        self._ownership = ownership or Ownership()
        self._budget = budget or Budget()
        self._successions = Successions(
            ownership=self._ownership,
            by=self,
            prefix=self._prefix,
            parse=parse,
            load_timeout=self._settings.load_timeout,
        )
        self._held: dict[str, frozenset[str]] = {}
        self._versions: dict[str, str] = {}
        self._tried: set[str] = set()
        self._disturbed = False
        self._strangers = Strangers()
        self._set_aside: dict[str, str] = {}
        self._commits = 0
        self._former: list[Former] = []
        self._closed = False

    async def check(self) -> None:
        """Prove that the branch can be read and would take a push."""
        async with self._lock, self._clone():
            branch = await self._look()
            await self._repository.try_push(branch.head)

    async def write(self, claim: Claim) -> Written:
        """Make the branch hold the claim; returns when it is pushed, at once when it is there already."""
        wish = read_claim(claim, prefix=self._prefix)
        if self._former:
            async with self._lock, self._clone():
                if self._former:
                    await self._look()
        branch = self._branch
        if branch is not None and self._is_fresh(branch) and wish.owner not in self._gatherer:
            registered = self._successions.register(wish)
            if registered and not claim.succeeds and (edit := self._unchanging(wish, branch)) is not None:
                return self._unchanged(Part(wish, edit), branch)
        return await self._gatherer.submit(wish)

    async def refresh(self) -> bool:
        """Fetch; True when somebody else has changed a claimed path since the last refresh."""
        async with self._lock, self._clone():
            await self._look()
            disturbed, self._disturbed = self._disturbed, False
            return disturbed

    async def resume(self, former: Sequence[Former]) -> None:
        """See `StateStoreWriter.resume`."""
        self._former = list(former)

    async def finds_foreign(self, path: str) -> bool:
        """See `StateStoreWriter.finds_foreign`."""
        normal = confine_file(path, owner="a Destination")
        async with self._lock, self._clone():
            branch = self._branch
            if branch is None or not self._is_fresh(branch):
                branch = await self._look()
        made = self._ownership.provenance.is_made(normal) or any(normal in held for held in self._held.values())
        return branch.tree.get(normal) is not None and not made

    async def release(self, owner: str) -> None:
        """See `StateStoreWriter.release`."""
        self._ownership.release(owner, by=self)
        self._held.pop(owner, None)
        self._versions.pop(owner, None)

    async def close(self) -> None:
        """See `StateStoreWriter.close`; the clone is removed."""
        self._closed = True
        await self._gatherer.close(grace=self._settings.close_grace)
        self._ownership.abandon(self)
        async with self._lock:
            await self._repository.drop()

    # one batch ---------------------------------------------------------------------------------------------

    async def _flush(self, batch: Sequence[Waiting]) -> None:
        entries = []
        for entry in batch:
            try:
                self._successions.register(entry.wish)
                entries.append(entry)
            except StoreError as error:
                entry.fail(error)
        async with self._lock:
            with contextlib.suppress(StoreError):  # the entries have been told
                async with self._clone():
                    await self._bring_in(entries, [self._settings.isolation_pushes])
            if self._commits >= self._settings.compact_after and not len(self._gatherer):
                await self._compact()

    async def _bring_in(self, entries: Sequence[Waiting], pushes: list[int]) -> None:
        """Answer every entry. ``pushes`` holds one number: how many are left for finding who is refused."""
        try:
            refusal = await self._try(entries)
            if refusal is None:
                return
            refused, why = refusal
            if len(refused) == 1 or pushes[0] < 2:
                for entry in refused:
                    entry.fail(why)
                refused = ()
            # a rule of the server refuses the commit: the claims that it does not mean must not suffer
            others = [entry for entry in entries if entry not in refused and not entry.abandoned]
            middle = len(refused) // 2
            for part in (refused[:middle], refused[middle:], others):
                if part:
                    pushes[0] -= 1
                    await self._bring_in(part, pushes)
        except StoreError as error:
            for entry in entries:
                entry.fail(error)
            raise

    async def _try(self, entries: Sequence[Waiting]) -> tuple[Sequence[Waiting], StoreError] | None:
        """Write the entries; returns whom a rule of the server refuses, and its words, when there is one."""
        outcome = Pushed.MOVED
        looked = False
        for attempt in range(self._settings.attempts):
            branch = await self._known()
            async with self._repository.importing() as new:
                planned = await self._plan_all(entries, branch, new)
                before = {
                    part.wish.owner: self._held.get(part.wish.owner) for _, parts in planned for part in parts
                }
                commit = ""
                if any(part.edit for _, parts in planned for part in parts):
                    commit = await self._commit(planned, branch, new)
            if not commit:
                if looked or self._is_fresh(branch):
                    self._answer(planned, branch, commit=None)
                    return None
                await self._look()
                looked = True
                continue
            try:
                outcome = await self._repository.push(old=branch.head, new=commit)
            except StoreError as error:
                if error.reason != Reason.PUSH_REFUSED:
                    raise
                self._take_back(before)
                return [entry for entry, parts in planned if any(part.edit for part in parts)], error
            if outcome is Pushed.DONE:
                self._advance(branch, commit, planned)
                self._answer(planned, branch, commit=commit)
                return None
            self._take_back(before)
            if attempt:
                await asyncio.sleep(self._random.uniform(0, min(0.02 * 2**attempt, 1.0)))
            await self._look()
            looked = True
        reason = Reason.LOCKED if outcome is Pushed.LOCKED else Reason.CONTENTION
        raise StoreError(
            reason,
            f"{self._remote.url} ({self._branch_name}) could not be pushed in {self._settings.attempts} tries: "
            f"{outcome.value}",
            "Troth tries again; give this store a branch of its own if others push all the time",
        )

    def _take_back(self, before: Mapping[str, frozenset[str] | None]) -> None:
        """What was certainly not pushed, nobody has."""
        for owner, held in before.items():
            if held is None:
                self._held.pop(owner, None)
            else:
                self._held[owner] = held

    def _unchanging(self, wish: Wish, branch: _Branch) -> Edit | None:
        """The edit of a wish that changes nothing; None when it changes something, or it takes more to tell."""
        try:
            edit = self._plan(wish, branch, {})
        except StoreError:  # perhaps for want of its record
            return None
        return None if edit else edit

    def _plan(self, wish: Wish, branch: _Branch, records: Mapping[str, Record]) -> Edit:
        return plan(
            wish,
            branch.tree,
            self._ownership,
            former=self._held.get(wish.owner, ()),
            read=lambda blob: records.get(blob, Record()),
            prefix=self._prefix,
        )

    async def _plan_all(
        self, entries: Sequence[Waiting], branch: _Branch, new: Import
    ) -> list[tuple[Waiting, Sequence[Part]]]:
        """What each entry changes; without those whose content could not be had.

        The contents go into the clone one by one. Their marks stand in the parts, and no content is kept.
        """
        records = dict(await self._read_records([entry.wish for entry in entries], branch))
        slots = asyncio.Semaphore(_LOADS_AT_ONCE)
        found: dict[Waiting, Sequence[Part]] = {}
        broken: list[StoreError] = []

        async def edit(wish: Wish) -> Edit:
            records.update(await self._read_records([wish], branch, known=records))
            return self._plan(wish, branch, records)

        async def read(paths: Iterable[str]) -> Mapping[str, bytes]:
            blobs = {path: blob for path in paths if (blob := branch.tree.get(path)) and ":" not in blob}
            content = await self._repository.read(set(blobs.values())) if blobs else {}
            return {path: content[blob] for path, blob in blobs.items() if blob in content}

        async def work(entry: Waiting) -> None:
            async with slots, self._budget.hold(_OVERHEAD + entry.wish.claim.size):
                try:
                    parts = await self._successions.parts(entry.wish, plan=edit, read=read)
                except StoreError as error:
                    entry.fail(error)
                    return
                try:
                    found[entry] = [await _handed_over(part, new) for part in parts]
                except StoreError as error:
                    broken.append(error)

        async with asyncio.TaskGroup() as group:
            for entry in entries:
                if not entry.abandoned:
                    group.create_task(work(entry))
        if broken:
            raise broken[0]
        return [(entry, found[entry]) for entry in entries if entry in found and not entry.abandoned]

    async def _read_records(
        self, wishes: Sequence[Wish], branch: _Branch, *, known: Mapping[str, Record] | None = None
    ) -> Mapping[str, Record]:
        wanted: dict[str, str] = {}
        for wish in wishes:
            path = wish.claim.state_file
            blob = branch.tree.get(path) if path else None
            if path and blob and ":" not in blob and wish.files.get(path) != blob and blob not in (known or {}):
                wanted[path] = blob
        return await self._parse_records(wanted)

    async def _parse_records(self, wanted: Mapping[str, str]) -> Mapping[str, Record]:
        """The records at paths, by the blobs that are given with them. Off the loop: they are YAML, and anybody's."""
        if not wanted:
            return {}
        content = await self._repository.read(set(wanted.values()), largest=LARGEST)
        missing = Record(problem=f"is larger than {LARGEST >> 20} MiB, or no file")

        def read() -> dict[str, Record]:
            found = {blob: parse_state_file(each) for blob, each in content.items()}
            for path, blob in wanted.items():
                recorded_files(found.setdefault(blob, missing), path=path, prefix=self._prefix)
            return found

        records = await asyncio.to_thread(read)
        for path, blob in wanted.items():
            if problem := records[blob].problem:
                self._set_aside[path] = f"the record {path!r} {problem}"
        return records

    def take_complaints(self) -> tuple[str, ...]:
        """See `StateStoreWriter.take_complaints`."""
        complaints, self._set_aside = tuple(self._set_aside.values()), {}
        return complaints

    async def _commit(
        self, planned: Sequence[tuple[Waiting, Sequence[Part]]], branch: _Branch, new: Import
    ) -> str:
        writes: dict[str, str] = {}
        removes: set[str] = set()
        described: dict[str, Entry] = {}
        for part in (part for _, parts in planned for part in parts if part.edit):
            wish, edit = part.wish, part.edit
            writes.update(part.marks)
            removes |= edit.removes
            added = sum(branch.tree.get(path) is None for path in edit.writes)
            described.setdefault(
                wish.owner,
                Entry(
                    owner=wish.owner,
                    message=wish.claim.message,
                    added=added,
                    changed=len(edit.writes) - added,
                    removed=len(edit.removes),
                    removal=not wish.files,
                ),
            )
            # an interrupted push may yet have been carried out: until it is known, the owner has both
            self._held[wish.owner] = self._held.get(wish.owner, frozenset()) | part.made
        commit = await self._repository.commit(
            new,
            parent=branch.head,
            change=Change(writes, removes - writes.keys()),
            message=commit_message(list(described.values()), self._strangers.among(writes.keys() | removes)),
            author=self._author,
            when=int(self._now()),
        )
        self._tried.add(commit)
        return commit

    def _advance(self, branch: _Branch, commit: str, planned: Sequence[tuple[Waiting, Sequence[Part]]]) -> None:
        changed = [part for _, parts in planned for part in parts if part.edit]
        for part in changed:
            for path in part.edit.removes:
                branch.tree.remove(path)
        for part in changed:
            for path, blob in part.edit.writes.items():
                branch.tree.put(path, blob)
            self._versions[part.wish.owner] = commit
            self._strangers.settled(part.edit.removes)
        branch.head = commit
        branch.looked = asyncio.get_running_loop().time()
        self._tried.clear()
        self._commits += 1

    def _answer(
        self, planned: Sequence[tuple[Waiting, Sequence[Part]]], branch: _Branch, *, commit: str | None
    ) -> None:
        for entry, (own, *along) in planned:
            for part in along:
                self._settle(part)
            if own.edit and commit is not None:
                self._settle(own)
                entry.succeed(Written(commit, changed=True, held=bool(own.kept)))
            else:
                entry.succeed(self._unchanged(own, branch))

    def _unchanged(self, part: Part, branch: _Branch) -> Written:
        version = self._versions.get(part.wish.owner, branch.head)
        self._settle(part)
        return Written(version, changed=False, held=bool(part.kept))

    def _settle(self, part: Part) -> None:
        wish = part.wish
        self._strangers.settled(wish.files)
        self._successions.settle(part)
        if wish.files or part.kept:
            self._held[wish.owner] = part.made
        else:
            self._held.pop(wish.owner, None)
            self._versions.pop(wish.owner, None)

    # the remote --------------------------------------------------------------------------------------------

    def _is_fresh(self, branch: _Branch) -> bool:
        age = asyncio.get_running_loop().time() - branch.looked
        return age <= self._settings.minimum_fetch_interval and self._repository.is_open

    async def _known(self) -> _Branch:
        """The branch as last seen, looked at first when there is nothing to plan against."""
        if self._branch is None or not self._repository.is_open:
            return await self._look()
        return self._branch

    async def _look(self) -> _Branch:
        """Fetch and bring the tree up to the branch; the first time, find out who had what of it."""
        branch = await self._fetch()
        await self._restore(branch)
        return branch

    async def _fetch(self) -> _Branch:
        made = not self._repository.is_open
        if made and self._closed:
            raise StoreError(Reason.CLOSED, f"the writer of {self._remote.url} is closed")
        if made:
            await self._repository.open()
        try:
            head = await self._repository.fetch()
        except StoreError:
            if made:  # an empty clone would pass for one that holds the last known head
                await self._repository.drop()
            raise
        looked = asyncio.get_running_loop().time()
        old = self._branch
        if old is None:
            self._branch = _Branch(head, await self._repository.tree(head), looked)
            return self._branch
        old.looked = looked
        if head == old.head:
            return old
        ours = head in self._tried
        if made:
            # the old commit is not in the new clone, so the trees are compared here
            tree = await self._repository.tree(head)
            different = [] if ours else await asyncio.to_thread(differing, old.tree, tree)
            old.tree = tree
        else:
            changes = await self._repository.difference(old.head, head)
            if changes is None:
                tree = await self._repository.tree(head)
                different = await asyncio.to_thread(differing, old.tree, tree)
                old.tree = tree
            else:
                different = [path for path, _ in changes]
                for path, blob in changes:
                    if blob is None:
                        old.tree.remove(path)
                    else:
                        old.tree.put(path, blob)
        before, old.head = old.head, head
        if not ours:
            await self._blame(before, head, different)
            self._disturbed = self._disturbed or made
        return old

    async def _blame(self, before: str, head: str, different: Sequence[str]) -> None:
        """Remember who changed what is ours, for the commit that undoes it."""
        claimed = [path for path in different if self._ownership.is_claimed(path, by=self)]
        if not claimed:
            return
        self._disturbed = True
        commits: Mapping[str, tuple[str, ...]] = {}
        try:
            commits = await self._repository.culprits(before, head, claimed, ours=self._tried)
        finally:
            self._strangers.changed(claimed, commits)

    async def _restore(self, branch: _Branch) -> None:
        """Give former owners what the branch still holds of theirs."""
        wanted = {
            former.state_file: blob
            for former in self._former
            if former.state_file and (blob := branch.tree.get(former.state_file)) and ":" not in blob
        }
        records = await self._parse_records(wanted)
        while self._former:
            part = self._former[:_RESTORED_AT_ONCE]
            holdings = await asyncio.to_thread(_holdings, part, branch.tree, records, self._prefix)
            del self._former[: len(part)]
            for former, had in zip(part, holdings, strict=True):
                restore(had, self._ownership, owner=former.owner, by=self)

    @contextlib.asynccontextmanager
    async def _clone(self) -> AsyncIterator[None]:
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

    async def _compact(self) -> None:
        self._commits = 0
        try:
            await self._repository.compact()
        except StoreError as error:
            logger.info("the clone of %s is created again: %s", self._remote.url, error)
            await self._repository.drop()


async def _handed_over(part: Part, new: Import) -> Part:
    """The part with marks in the place of contents."""
    marks = {path: await new.add(content) for path, content in part.content.items()}
    return replace(part, content={}, marks=marks)


def _holdings(part: Sequence[Former], tree: PathTree, records: Mapping[str, Record], prefix: str) -> list[Had]:
    def read(blob: str) -> Record:
        return records.get(blob, Record())

    return [former_holding(former, tree, read=read, prefix=prefix) for former in part]
