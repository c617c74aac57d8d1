"""The record of Kratix's mode ``none``, which says which files a placement has in the store.

It is ``.kratix/<namespace>-<name>.yaml`` under the Destination's path, with ``{files: [...]}``. Kratix writes paths
that begin with the Destination's path; older releases wrote them relative to it. Both are read and the first is
written, so that Kratix and Troth can each continue with the other's records. If a record was written while the store
had another ``spec.path``, this is recognised by its own place. Everybody may be able to edit the record, so it is
only believed about files below its own Destination, and never about files of another owner (edits.py).

Files that existed before and were taken over are in another list, ``adopted``, which Kratix does not read. They are
never deleted.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import yaml

from troth.stores.errors import StoreError
from troth.stores.foreign import Unreadable, read_yaml
from troth.stores.paths import confine_file


@dataclass(frozen=True, slots=True)
class Record:
    """The content of a state file.

    Attributes:
        entries: the paths as they are written in the file.
        adopted: the paths, also as written, of files that existed before and were taken over.
        problem: why the record, or a part of it, cannot be read; empty when all of it can.
        placed: a cache of what `recorded_files` has found, by the record's path and the store's prefix.
    """

    entries: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    problem: str = ""
    placed: dict[tuple[str, str], list[str]] = field(default_factory=dict, compare=False, repr=False)


def render_state_file(files: Iterable[str], *, prefix: str, adopted: Iterable[str] = ()) -> bytes:
    """The record of these paths, without the store's own prefix, in the caller's order."""
    start = f"{prefix}/" if prefix else ""
    listed = {"files": [path.removeprefix(start) for path in files]}
    if taken := [path.removeprefix(start) for path in adopted]:
        listed["adopted"] = taken
    return yaml.safe_dump(
        listed, default_flow_style=False, allow_unicode=True, width=1 << 20, sort_keys=False
    ).encode()


def parse_state_file(content: bytes) -> Record:
    """Reads the record in any bytes. This takes a while if they are many, so do not call it on the event loop."""
    try:
        document = read_yaml(content)
    except Unreadable as error:
        return Record(problem=str(error))
    if document is None:
        return Record()
    listed = document.get("files", []) if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(listed, list):
        return Record(problem="has no list in the field files")
    taken = document.get("adopted", [])
    if not isinstance(taken, list):
        return Record(problem="has something else than a list in the field adopted")
    entries = tuple(entry for entry in listed if isinstance(entry, str))
    adopted = tuple(entry for entry in taken if isinstance(entry, str))
    complete = len(entries) + len(adopted) == len(listed) + len(taken)
    return Record(entries, adopted, "" if complete else "lists something that is not a path")


def recorded_files(record: Record, *, path: str, prefix: str) -> list[str]:
    """The paths inside the store that a record at ``path`` names as made. Paths that lead outside are left out.

    Paths that are also named as adopted are left out. For a long record the first call takes a while, so do not make
    it on the event loop.
    """
    found = record.placed.get((path, prefix))
    if found is None:
        adopted = set(adopted_files(record, path=path, prefix=prefix))
        found = [each for each in _places(record.entries, path=path, prefix=prefix) if each not in adopted]
        record.placed[path, prefix] = found
    return found


def adopted_files(record: Record, *, path: str, prefix: str) -> list[str]:
    """The same for the files that existed before and were taken over."""
    return _places(record.adopted, path=path, prefix=prefix)


def _places(entries: Iterable[str], *, path: str, prefix: str) -> list[str]:
    base = posixpath.dirname(posixpath.dirname(path))
    return [inside for entry in entries if (inside := _place(entry, base=base, prefix=prefix))]


def _under_another_prefix(entry: str, base: str) -> Iterator[str]:
    """The possible places of an entry that was written under another prefix, which is the beginning of ``base``."""
    folders = base.split("/")
    for start in range(len(folders)):
        shared = "/".join(folders[start:])
        if entry.startswith(f"{shared}/"):
            yield posixpath.join("", *folders[:start], entry)


def _place(entry: str, *, base: str, prefix: str) -> str | None:
    for candidate in (
        posixpath.join(prefix, entry),
        *_under_another_prefix(entry, base),
        posixpath.join(base, entry),
    ):
        try:
            normal = confine_file(candidate, owner="a state file")
        except StoreError:
            continue
        if not base or normal.startswith(f"{base}/"):
            return normal
    return None
