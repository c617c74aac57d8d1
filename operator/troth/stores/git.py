"""The Git store: one writer task for one branch, optimistic and grouped.

A flush plans against the tree that the last push or fetch left in memory, makes one commit of everything that
waits, and pushes it without looking first. If the branch is still where we left it, which is nearly always, a
write costs one commit and one push; if not, the push is refused, the stranger's commits are fetched, and the
same wishes are planned again on top of them. Nothing is merged (paths belong to one owner) and nothing is
overwritten.

What is unchanged is decided by blob ids alone. So that a file which somebody else removed is noticed, the tree
must have been looked at within ``minimum_fetch_interval``; a successful push counts as a look, because it
proves where the branch was. What is known of the branch is kept by git_tracking.py.

Rejected: fetching before every write (twice the time, and no safer: the branch can move in between); a work
tree; one commit a claim (a thousand requests would be a thousand pushes).
"""

from __future__ import annotations

import asyncio
import contextlib
import random as random_module
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from troth.budget import Budget
from troth.stores.edits import Edit, Had, Wish, former_holding, plan, read_claim, restore
from troth.stores.errors import Reason, StoreError
from troth.stores.gathering import Gatherer, Pace, Waiting
from troth.stores.git_import import Import
from troth.stores.git_message import Entry, commit_message
from troth.stores.git_records import BranchRecords
from troth.stores.git_remote import GitRemote, require_branch
from troth.stores.git_repository import Author, Change, GitRepository, Pushed
from troth.stores.git_tracking import TrackingBranch
from troth.stores.kubernetes_objects import Parse
from troth.stores.ownership import Ownership
from troth.stores.paths import confine_file
from troth.stores.protocol import Claim, Former, Written
from troth.stores.state_file import Record
from troth.stores.succession import Part, Successions
from troth.stores.tree import PathTree

_LOADS_AT_ONCE: Final = 16
_OVERHEAD: Final = 128 * 1024  # of loading any claim: what the API server answers, and what is made of it
_RESTORED_AT_ONCE: Final = 100


@dataclass(slots=True)
class _Isolation:
    """The search for the entries of one batch that a rule of the server refuses.

    Attributes:
        pushes: how many may still be spent on it.
        refused: the entries that were found, with the server's words. They are told at its end.
        took: whether the server has taken something of the same batch.
    """

    pushes: int
    refused: list[tuple[Waiting, StoreError]] = field(default_factory=list)
    took: bool = False

    def end(self) -> None:
        """Fails the entries that were refused; whether the rule means them only is known by now."""
        for entry, why in self.refused:
            entry.fail(StoreError(why.reason, why.message, why.hint, retryable=why.retryable, selective=self.took))


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
        self._ownership = ownership or Ownership()
        self._branch = TrackingBranch(
            self._repository,
            url=remote.url,
            ownership=self._ownership,
            writer=self,
            fresh_for=self._settings.minimum_fetch_interval,
        )
        self._records = BranchRecords(self._repository, prefix=self._prefix)
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
        self._former: list[Former] = []

    async def check(self) -> None:
        """Prove that the branch can be read and would take a push."""
        async with self._lock, self._branch.guarded():
            await self._look()
            await self._repository.try_push(self._branch.head)

    async def write(self, claim: Claim) -> Written:
        """Make the branch hold the claim; returns when it is pushed, at once when it is there already."""
        wish = read_claim(claim, prefix=self._prefix)
        if self._former:
            async with self._lock, self._branch.guarded():
                if self._former:
                    await self._look()
        if self._branch.is_fresh and wish.owner not in self._gatherer:
            registered = self._successions.register(wish)
            if registered and not claim.succeeds and (edit := self._unchanging(wish)) is not None:
                return self._unchanged(Part(wish, edit))
        return await self._gatherer.submit(wish)

    async def refresh(self) -> bool:
        """Fetch; True when somebody else has changed a claimed path since the last refresh."""
        async with self._lock, self._branch.guarded():
            await self._look()
            return self._branch.take_disturbance()

    async def resume(self, former: Sequence[Former]) -> None:
        """See `StateStoreWriter.resume`."""
        self._former = list(former)

    async def finds_foreign(self, path: str) -> bool:
        """See `StateStoreWriter.finds_foreign`."""
        normal = confine_file(path, owner="a Destination")
        async with self._lock, self._branch.guarded():
            if not self._branch.is_fresh:
                await self._look()
        made = self._ownership.provenance.is_made(normal) or any(normal in held for held in self._held.values())
        return self._branch.tree.get(normal) is not None and not made

    def take_complaints(self) -> tuple[str, ...]:
        """See `StateStoreWriter.take_complaints`."""
        return self._records.take_complaints()

    async def release(self, owner: str) -> None:
        """See `StateStoreWriter.release`."""
        self._ownership.release(owner, by=self)
        self._held.pop(owner, None)
        self._versions.pop(owner, None)

    async def close(self) -> None:
        """See `StateStoreWriter.close`; the clone is removed."""
        self._branch.forbid_clones()
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
                async with self._branch.guarded():
                    isolation = _Isolation(self._settings.isolation_pushes)
                    await self._bring_in(entries, isolation)
                    isolation.end()
            if self._branch.commits >= self._settings.compact_after and not len(self._gatherer):
                await self._branch.compact()

    async def _bring_in(self, entries: Sequence[Waiting], isolation: _Isolation) -> None:
        """Answers every entry of a batch, or of a part of it. ``isolation`` finds whom a rule of the server refuses."""
        try:
            refusal = await self._try(entries, isolation)
            if refusal is None:
                return
            refused, why = refusal
            if len(refused) == 1 or isolation.pushes < 2:
                isolation.refused += [(entry, why) for entry in refused]
                refused = ()
            # a rule of the server refuses the commit: the claims that it does not mean must not suffer
            found = {entry for entry, _ in isolation.refused}
            others = [entry for entry in entries if not (entry in refused or entry in found or entry.abandoned)]
            middle = len(refused) // 2
            for part in (refused[:middle], refused[middle:], others):
                if part:
                    isolation.pushes -= 1
                    await self._bring_in(part, isolation)
        except StoreError as error:
            isolation.end()
            for entry in entries:
                entry.fail(error)
            raise

    async def _try(
        self, entries: Sequence[Waiting], isolation: _Isolation
    ) -> tuple[Sequence[Waiting], StoreError] | None:
        """Write the entries; returns whom a rule of the server refuses, and its words, when there is one."""
        outcome = Pushed.MOVED
        looked = False
        for attempt in range(self._settings.attempts):
            if not self._branch.is_at_hand:
                await self._look()
            async with self._repository.importing() as new:
                planned = await self._plan_all(entries, new)
                before = {
                    part.wish.owner: self._held.get(part.wish.owner) for _, parts in planned for part in parts
                }
                commit = ""
                if any(part.edit for _, parts in planned for part in parts):
                    commit = await self._commit(planned, new)
            if not commit:
                if looked or self._branch.is_fresh:
                    self._answer(planned, commit=None)
                    return None
                await self._look()
                looked = True
                continue
            try:
                outcome = await self._repository.push(old=self._branch.head, new=commit)
            except StoreError as error:
                if error.reason != Reason.PUSH_REFUSED:
                    raise
                self._take_back(before)
                return [entry for entry, parts in planned if any(part.edit for part in parts)], error
            if outcome is Pushed.DONE:
                isolation.took = True
                self._advance(commit, planned)
                self._answer(planned, commit=commit)
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

    def _unchanging(self, wish: Wish) -> Edit | None:
        """The edit of a wish that changes nothing; None when it changes something, or it takes more to tell."""
        try:
            edit = self._plan(wish, {})
        except StoreError:  # perhaps for want of its record
            return None
        return None if edit else edit

    def _plan(self, wish: Wish, records: Mapping[str, Record]) -> Edit:
        return plan(
            wish,
            self._branch.tree,
            self._ownership,
            former=self._held.get(wish.owner, ()),
            read=lambda blob: records.get(blob, Record()),
            prefix=self._prefix,
        )

    async def _plan_all(self, entries: Sequence[Waiting], new: Import) -> list[tuple[Waiting, Sequence[Part]]]:
        """What each entry changes; without those whose content could not be had.

        The contents go into the clone one by one. Their marks stand in the parts, and no content is kept.
        """
        tree = self._branch.tree
        records = await self._records.of_wishes([entry.wish for entry in entries], tree)
        slots = asyncio.Semaphore(_LOADS_AT_ONCE)
        found: dict[Waiting, Sequence[Part]] = {}
        broken: list[StoreError] = []

        async def edit(wish: Wish) -> Edit:
            records.update(await self._records.of_wishes([wish], tree, known=records))
            return self._plan(wish, records)

        async def read(paths: Iterable[str]) -> Mapping[str, bytes]:
            blobs = {path: blob for path in paths if (blob := tree.ordinary(path))}
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

    async def _commit(self, planned: Sequence[tuple[Waiting, Sequence[Part]]], new: Import) -> str:
        writes: dict[str, str] = {}
        removes: set[str] = set()
        described: dict[str, Entry] = {}
        for part in (part for _, parts in planned for part in parts if part.edit):
            wish, edit = part.wish, part.edit
            writes.update(part.marks)
            removes |= edit.removes
            added = sum(self._branch.tree.get(path) is None for path in edit.writes)
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
            parent=self._branch.head,
            change=Change(writes, removes - writes.keys()),
            message=commit_message(
                list(described.values()), self._branch.strangers.among(writes.keys() | removes)
            ),
            author=self._author,
            when=int(self._now()),
        )
        self._branch.note_tried(commit)
        return commit

    def _advance(self, commit: str, planned: Sequence[tuple[Waiting, Sequence[Part]]]) -> None:
        writes: dict[str, str] = {}
        removes: set[str] = set()
        for part in (part for _, parts in planned for part in parts if part.edit):
            writes.update(part.edit.writes)
            removes |= part.edit.removes
            self._versions[part.wish.owner] = commit
        self._branch.advance(commit, writes=writes, removes=removes)
        self._branch.strangers.settled(removes)

    def _answer(self, planned: Sequence[tuple[Waiting, Sequence[Part]]], *, commit: str | None) -> None:
        for entry, (own, *along) in planned:
            for part in along:
                self._settle(part)
            if own.edit and commit is not None:
                self._settle(own)
                entry.succeed(Written(commit, changed=True, held=bool(own.kept)))
            else:
                entry.succeed(self._unchanged(own))

    def _unchanged(self, part: Part) -> Written:
        version = self._versions.get(part.wish.owner, self._branch.head)
        self._settle(part)
        return Written(version, changed=False, held=bool(part.kept))

    def _settle(self, part: Part) -> None:
        wish = part.wish
        self._branch.strangers.settled(wish.files)
        self._successions.settle(part)
        if wish.files or part.kept:
            self._held[wish.owner] = part.made
        else:
            self._held.pop(wish.owner, None)
            self._versions.pop(wish.owner, None)

    async def _look(self) -> None:
        """Fetch; the first time, give former owners what the branch still holds of theirs."""
        await self._branch.fetch()
        tree = self._branch.tree
        records = await self._records.of_former(self._former, tree)
        while self._former:
            part = self._former[:_RESTORED_AT_ONCE]
            holdings = await asyncio.to_thread(_holdings, part, tree, records, self._prefix)
            del self._former[: len(part)]
            for former, had in zip(part, holdings, strict=True):
                restore(had, self._ownership, owner=former.owner, by=self)


async def _handed_over(part: Part, new: Import) -> Part:
    """The part with marks in the place of contents."""
    marks = {path: await new.add(content) for path, content in part.content.items()}
    return replace(part, content={}, marks=marks)


def _holdings(part: Sequence[Former], tree: PathTree, records: Mapping[str, Record], prefix: str) -> list[Had]:
    def read(blob: str) -> Record:
        return records.get(blob, Record())

    return [former_holding(former, tree, read=read, prefix=prefix) for former in part]
