"""Makes commit messages that tell who changed what, and how much, without looking at the diff.

A commit for one claim has the subject that Kratix writes, ``Update from: <placement>``. A commit for many claims lists
all of them, sorted, so that searching the log for a placement finds every commit that changed its files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.stores.git_strangers import Undone

_MOST_NAMED: Final = 20
_MOST_COMMITS: Final = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """What one claim changes in a commit. ``removal`` says that nothing of its owner is left."""

    owner: str
    message: str
    added: int
    changed: int
    removed: int
    removal: bool


def commit_message(entries: Sequence[Entry], undone: Sequence[Undone] = ()) -> str:
    """The message of a commit for these claims (at least one), which also undoes what others changed in their files."""
    return _carried(entries) + _undoing(undone, len(entries))


def _carried(entries: Sequence[Entry]) -> str:
    counts = [sum(values) for values in zip(*((e.added, e.changed, e.removed) for e in entries), strict=True)]
    if len(entries) == 1:
        entry = entries[0]
        verb = "Delete" if entry.removal else "Update"
        name = _line(entry.message) or _line(entry.owner).rpartition("/")[2]
        return f"{verb} from: {name}\n\n{_line(entry.owner)}: {_counts(*counts)}\n"
    lines = [f"Update from: {len(entries)} placements ({_counts(*counts)})", ""]
    for entry in sorted(entries, key=lambda each: each.owner):
        note = f" ({_line(entry.message)})" if entry.message and entry.message not in entry.owner else ""
        gone = "deleted, " if entry.removal else ""
        counted = _counts(entry.added, entry.changed, entry.removed)
        lines.append(f"* {_line(entry.owner)}: {gone}{counted}{note}")
    return "\n".join(lines) + "\n"


def _undoing(undone: Sequence[Undone], placements: int) -> str:
    if not undone:
        return ""
    owner = "the placement above" if placements == 1 else "the placements above"
    lines = ["", f"This undoes what others changed in files of {owner}:", ""]
    for one in undone[:_MOST_NAMED]:
        commits = " and ".join(one.commits[:_MOST_COMMITS]) + (
            " and others" if one.commits[_MOST_COMMITS:] else ""
        )
        by = f"changed by {commits}" if commits else "changed earlier, in an unknown commit"
        lines.append(f"* {_line(one.path)}: {by}")
    if len(undone) > _MOST_NAMED:
        lines.append(f"* and {len(undone) - _MOST_NAMED} more")
    return "\n".join(lines) + "\n"


def _counts(added: int, changed: int, removed: int) -> str:
    named = ((added, "added"), (changed, "changed"), (removed, "removed"))
    parts = [(count, word) for count, word in named if count]
    if not parts:
        return "nothing changed"
    (first, word), *rest = parts
    files = "file" if first == 1 else "files"
    return ", ".join([f"{first} {files} {word}", *(f"{count} {other}" for count, other in rest)])


def _line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()
