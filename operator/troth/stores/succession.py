"""Plans what a claim changes in a file store, together with the claims that it exchanges files with (handover.py).

It is the same for Git and for a folder: both say what would change (`plan`) and what is at a path now (`read`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from troth.stores.content import blob_id, load_content
from troth.stores.edits import Edit, Wish, read_claim
from troth.stores.errors import StoreError
from troth.stores.handover import Kept, Spared, departing, keep_back
from troth.stores.kubernetes_objects import Parse
from troth.stores.ownership import Ownership
from troth.stores.state_file import render_state_file

Plan = Callable[[Wish], Awaitable[Edit]]
Read = Callable[[Iterable[str]], Awaitable[Mapping[str, bytes]]]


@dataclass(frozen=True, slots=True)
class Part:
    """What changes for one wish.

    Attributes:
        wish: the wish.
        edit: what changes.
        content: what is written, by path.
        kept: the paths at which something stays that the wish does not want any more.
        marks: the marks under which the clone has what is written, by path. Then `content` is empty.
    """

    wish: Wish
    edit: Edit
    content: Mapping[str, bytes] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def made(self) -> frozenset[str]:
        """The files that the owner has made when the edit is done, without those that it has adopted."""
        return (self.kept | self.wish.files.keys()) - self.edit.adopted


class Successions:
    """Plans claims for one writer.

    Args of the constructor: ``by`` is the writer, as the ownership knows it. ``parse`` reads YAML as Kubernetes does.
    ``load_timeout`` is in seconds.
    """

    def __init__(
        self, *, ownership: Ownership, by: object, prefix: str, parse: Parse | None, load_timeout: float
    ) -> None:
        self._ownership = ownership
        self._by = by
        self._prefix = prefix
        self._parse = parse
        self._load_timeout = load_timeout

    def register(self, wish: Wish) -> bool:
        """Register the paths of a wish. False when others have them and may hand them over. Raises StoreError."""
        try:
            self._assign([wish])
        except StoreError:
            if wish.claim.handover is None:
                raise
            return False
        return True

    async def parts(self, wish: Wish, *, plan: Plan, read: Read) -> list[Part]:
        """What must change, beginning with the wish itself. Raises StoreError."""
        ask = wish.claim.handover
        registered = self.register(wish)
        if registered:
            own = await self._part(wish, plan)
            if ask is None or not (wish.claim.succeeds or await self._departs(own, read)):
                return [own]
        assert ask is not None  # noqa: S101 - `register` has raised otherwise
        handover = await ask()
        spared = handover.spared
        along = [read_claim(claim, prefix=self._prefix) for claim in handover.along]
        try:
            self._assign([*along, wish])
        except StoreError:
            if not registered:
                raise
            along, spared = [], Spared(everything=True)
        parts = [await self._part(wish, plan)]
        for other in along:
            try:
                parts.append(await self._part(other, plan))
            except StoreError:
                # The other claim cannot be in this commit, so nothing may be removed in it.
                spared = Spared(everything=True)
        if not spared:
            return parts
        return [await self._keep(part, spared, read) for part in parts]

    def settle(self, part: Part) -> None:
        """Remember what is in the store, after a part was carried out or did not need any change."""
        provenance = self._ownership.provenance
        if part.wish.claim.directory is None:
            provenance.note(made=part.made, adopted=part.edit.adopted, gone=part.edit.removes)
        provenance.note_found(part.wish.owner)

    def _assign(self, wishes: Iterable[Wish]) -> None:
        self._ownership.assign_together(
            [(wish.owner, wish.files, wish.claim.directory if wish.files else None) for wish in wishes],
            by=self._by,
        )

    async def _part(self, wish: Wish, plan: Plan) -> Part:
        edit = await plan(wish)
        record = wish.claim.state_file
        content: Mapping[str, bytes] = {}
        if any(path != record for path in edit.writes):
            content = await load_content(wish.claim, timeout=self._load_timeout)
        return Part(wish, edit, {path: edit.record if path == record else content[path] for path in edit.writes})

    async def _departs(self, part: Part, read: Read) -> bool:
        """Whether an object would be removed. Otherwise the handover need not be asked for."""
        if not part.edit:
            return False
        old = await read([*part.edit.removes, *part.edit.writes])
        return await asyncio.to_thread(
            lambda: any(departing(path, each, part.content.get(path), self._parse) for path, each in old.items())
        )

    async def _keep(self, part: Part, spared: Spared, read: Read) -> Part:
        if not part.edit:
            return part
        record = part.wish.claim.state_file
        paths = [path for path in (*part.edit.removes, *part.edit.writes) if path != record]
        old = await read(paths)
        edit = replace(part.edit, removes=part.edit.removes - {record} if record else part.edit.removes)

        def work() -> Kept:
            return keep_back(edit, old=old, new=part.content, spared=spared, parse=self._parse)

        kept = await asyncio.to_thread(work)
        if not kept.paths:
            return part
        writes = {path: blob for path, blob in kept.edit.writes.items() if path != record}
        content = {path: kept.content[path] if path in kept.content else part.content[path] for path in writes}
        for path in [path for path in kept.content if old.get(path) == content[path]]:
            del writes[path]  # the file is already as it must be for now
        writes.update({path: blob_id(content[path]) for path in kept.content if path in writes})
        text = b""
        if record:  # after a restart, what stays must be found again, and what is new, too
            made = (part.made | kept.paths) - {record}
            text = render_state_file(sorted(made), prefix=self._prefix, adopted=sorted(edit.adopted))
            if (await read([record])).get(record) != text:
                writes[record], content[record] = blob_id(text), text
        return Part(part.wish, replace(kept.edit, writes=writes, record=text), content, kept.paths)
