"""Remembers what others changed in our paths, so that the commit that undoes a change names the commit that made it.

People who edit a file by hand and find it changed back must be able to learn the reason from the repository itself. A
change is noticed in the fetch that brings it. If there is only one new commit, that one made it; otherwise the history
is read, as far back as `git_repository` looks. If that is not far enough, nothing is guessed.
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
        commits: the commits that changed it, the newest first; empty when they are not known.
    """

    path: str
    commits: tuple[str, ...] = ()


@dataclass(slots=True)
class Strangers:
    """The paths that others changed and that have not been put back yet."""

    _changed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def changed(self, paths: Iterable[str], commits: Mapping[str, tuple[str, ...]]) -> None:
        """Note that others changed these paths, and in which commits, where these are known."""
        for path in paths:
            before = self._changed.get(path)
            known = commits.get(path, ())
            # If one commit is not known, the others are not named either.
            self._changed[path] = known + (before or ()) if known and before != () else ()
        while len(self._changed) > _MOST_REMEMBERED:
            del self._changed[next(iter(self._changed))]

    def settled(self, paths: Iterable[str]) -> None:
        """Note that these paths are as we want them."""
        if self._changed:
            for path in paths:
                self._changed.pop(path, None)

    def among(self, paths: Iterable[str]) -> list[Undone]:
        """The changes of others in these paths."""
        if not self._changed:
            return []
        return [Undone(path, self._changed[path]) for path in sorted(paths) if path in self._changed]
