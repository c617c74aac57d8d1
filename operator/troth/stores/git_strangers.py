"""What others changed in paths that are ours, until it is undone: so that the commit which undoes it names theirs.

Whoever edits a file by hand and finds it as it was must learn why from the repository itself. A change is known from
the fetch that brings it. Which commit made it is known at once when there is only one new commit; of several the
history is read, as far back as `git_repository` looks. Where that is not far enough, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Undone:
    """A path that is put back.

    Attributes:
        commits: those that changed it, the newest first; none when they are not known.
    """

    path: str
    commits: tuple[str, ...] = ()


@dataclass(slots=True)
class Strangers:
    """The paths that others changed and that are not as we want them yet."""

    _changed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def changed(self, paths: Iterable[str], commits: Mapping[str, tuple[str, ...]]) -> None:
        """Others changed these paths, in those commits where they are known."""
        for path in paths:
            before = self._changed.get(path)
            known = commits.get(path, ())
            # Of one that is not known, nothing is said about the others either.
            self._changed[path] = known + (before or ()) if known and before != () else ()
        while len(self._changed) > _MOST_REMEMBERED:
            del self._changed[next(iter(self._changed))]

    def settled(self, paths: Iterable[str]) -> None:
        """These paths are as we want them."""
        if self._changed:
            for path in paths:
                self._changed.pop(path, None)

    def among(self, paths: Iterable[str]) -> list[Undone]:
        """Those of these paths that others changed."""
        if not self._changed:
            return []
        return [Undone(path, self._changed[path]) for path in sorted(paths) if path in self._changed]
