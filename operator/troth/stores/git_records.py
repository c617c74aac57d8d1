"""The records (state_file.py) that a branch holds, as far as planning needs them.

They lie where anybody may edit them, and they are YAML. So they are read off the event loop, none that is too large is
read, and what is wrong with one is said once and stops nobody: planning decides what a record that cannot be read
means for its owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from troth.stores.edits import Wish
from troth.stores.foreign import LARGEST
from troth.stores.git_repository import GitRepository
from troth.stores.protocol import Former
from troth.stores.state_file import Record, parse_state_file, recorded_files
from troth.stores.tree import PathTree

_TOO_LARGE: Final = f"is larger than {LARGEST >> 20} MiB, or no file"


class BranchRecords:
    """Reads records out of the clone. ``prefix`` is the store's ``spec.path``."""

    def __init__(self, repository: GitRepository, *, prefix: str) -> None:
        self._repository = repository
        self._prefix = prefix
        self._set_aside: dict[str, str] = {}

    async def of_wishes(
        self, wishes: Iterable[Wish], tree: PathTree, *, known: Mapping[str, Record] | None = None
    ) -> dict[str, Record]:
        """The records that wishes replace, by blob; those that are as wished, or ``known``, are not read."""
        return await self._read(
            {
                path: blob
                for wish in wishes
                if (path := wish.claim.state_file)
                and (blob := tree.ordinary(path))
                and wish.files.get(path) != blob
                and blob not in (known or {})
            }
        )

    async def of_former(self, former: Iterable[Former], tree: PathTree) -> dict[str, Record]:
        """The records of former owners, by blob."""
        return await self._read(
            {
                each.state_file: blob
                for each in former
                if each.state_file and (blob := tree.ordinary(each.state_file))
            }
        )

    def take_complaints(self) -> tuple[str, ...]:
        """See `StateStoreWriter.take_complaints`."""
        complaints, self._set_aside = tuple(self._set_aside.values()), {}
        return complaints

    async def _read(self, wanted: Mapping[str, str]) -> dict[str, Record]:
        """The records at paths, by the blobs that are given with them."""
        if not wanted:
            return {}
        content = await self._repository.read(set(wanted.values()), largest=LARGEST)

        def parse() -> dict[str, Record]:
            found = {blob: parse_state_file(each) for blob, each in content.items()}
            for path, blob in wanted.items():
                recorded_files(found.setdefault(blob, Record(problem=_TOO_LARGE)), path=path, prefix=self._prefix)
            return found

        records = await asyncio.to_thread(parse)
        for path, blob in wanted.items():
            if problem := records[blob].problem:
                self._set_aside[path] = f"the record {path!r} {problem}"
        return records
