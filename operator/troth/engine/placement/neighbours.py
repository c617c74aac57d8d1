"""Finds Destinations whose folders in one place overlap, and decides which of these are refused.

A Destination is a folder of a store. Two folders may be the same, or one may be inside the other, so that files of one
may replace or remove files of the other. What can be lost decides:

* Two Destinations with the same folder of a store, or a folder inside what another Destination writes (``resources``
  and ``dependencies`` in the mode nestedByMetadata, the records of the mode ``none``, the single file of
  aggregatedYAML): the younger of the two is refused, in whichever order they are checked.
* Any other folder inside another one: Kratix allows it, and nothing can be lost, since a file of the outer folder must
  not be inside the inner one (`Neighbours.stranger_at`). It is reported, because a tool that reads the outer folder
  also reads the inner one.
* The same folder through two stores that are the same repository: Kratix allows it, and each file belongs to the one
  that claimed it first (`stores.ownership`). It is reported.
* Two spellings that some file systems treat as the same folder: Git keeps them apart. It is reported.

Rejected: *refusing every folder inside another one*, since a Kratix installation with a Destination at the root of its
repository would stop working after an update; *refusing both*, since a new Destination must not stop an old one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from troth.engine.placement.file_paths import as_one_file
from troth.engine.placement.layout import (
    AGGREGATED,
    CANARY_CONFIG_MAP,
    CANARY_NAMESPACE,
    DEPENDENCIES,
    NESTED,
    NONE,
    PLACEHOLDER,
    RESOURCES,
    STATE_DIRECTORY,
)

_NAMED: Final = 3
_OWN_FILES: Final = frozenset({CANARY_NAMESPACE, CANARY_CONFIG_MAP, PLACEHOLDER})


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of a Destination in a place.

    Attributes:
        destination: the name of the Destination.
        since: its creation time in RFC 3339; the older Destination keeps a folder.
        path: the path of the folder, without slashes at its ends; empty for the whole place.
        store: the store through which it is written.
        mode: how files are laid out in it.
        filename: the name of the single file in the mode aggregatedYAML.
    """

    destination: str
    since: str
    path: str
    store: str = ""
    mode: str = NESTED
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The overlaps of a Destination with the others in its place.

    Attributes:
        taken_by: the older Destination because of which this one is refused, so that it writes nothing; or "".
        taken_how: how the two overlap, as a clause.
        around: Destinations whose folders contain this one's.
        inside: Destinations whose folders are inside this one's, by their paths in it.
        sharing: Destinations with the same folder through another store.
        twins: Destinations whose folder is the same as this one's for some file systems.
    """

    taken_by: str = ""
    taken_how: str = ""
    around: tuple[str, ...] = ()
    inside: Mapping[str, str] = field(default_factory=dict)
    sharing: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()

    def stranger_at(self, path: str) -> str:
        """Returns the Destination in whose folder a file would be written, by its path in this one's folder; or ""."""
        return next((self.inside[each] for each in (path, *_above(path)) if each in self.inside), "")

    def remark(self) -> str:
        """Returns a sentence about overlaps for which nothing is refused; or ""."""
        said = []
        if self.around:
            said.append(
                f"its folder is inside that of {_named(self.around)}: a tool that reads that folder as a whole also "
                "applies what is meant for this one"
            )
        if self.inside:
            said.append(
                f"its folder contains that of {_named(self.inside.values())}: a tool that reads this folder as a whole "
                "also applies what is meant for others"
            )
        if self.sharing:
            said.append(
                f"its folder is that of {_named(self.sharing)}, through another store: if both want the same path "
                "there, the second is refused"
            )
        if self.twins:
            said.append(
                f"some file systems treat its folder as that of {_named(self.twins)}: their names differ only "
                "in case or in their Unicode form"
            )
        return "; ".join(said)


def find_neighbours(folders: Iterable[Folder]) -> dict[str, Neighbours]:
    """Returns the overlaps of the Destinations of one place, by their names."""
    accepted: defaultdict[str, list[Folder]] = defaultdict(list)
    below: defaultdict[str, list[Folder]] = defaultdict(list)
    alike: defaultdict[str, list[Folder]] = defaultdict(list)
    found: dict[str, Neighbours] = {}
    for folder in sorted(folders, key=lambda each: (each.since, each.destination)):
        other, how = _taken(folder, accepted, below)
        if other:
            found[folder.destination] = Neighbours(taken_by=other, taken_how=how)
            continue
        accepted[folder.path].append(folder)
        alike[as_one_file(folder.path)].append(folder)
        for above in _above(folder.path):
            below[above].append(folder)
    for folder in [each for same in accepted.values() for each in same]:
        others = [each for each in alike[as_one_file(folder.path)] if each is not folder]
        found[folder.destination] = Neighbours(
            around=tuple(outer.destination for above in _above(folder.path) for outer in accepted.get(above, ())),
            inside={_within(folder, inner.path): inner.destination for inner in below.get(folder.path, ())},
            sharing=tuple(each.destination for each in others if each.path == folder.path),
            twins=tuple(each.destination for each in others if each.path != folder.path),
        )
    return found


def _taken(
    folder: Folder, accepted: Mapping[str, Iterable[Folder]], below: Mapping[str, Iterable[Folder]]
) -> tuple[str, str]:
    """Returns the Destination because of which this one is refused, and how they overlap; or twice ""."""
    for same in accepted.get(folder.path, ()):
        if same.store == folder.store:
            return same.destination, f"is the place of Destination {same.destination}"
    for above in _above(folder.path):
        for outer in accepted.get(above, ()):
            if _writes_at(outer, folder.path):
                return outer.destination, f"is inside what is written for Destination {outer.destination}"
    for inner in below.get(folder.path, ()):
        if _writes_at(folder, inner.path):
            name = inner.destination
            return name, f"is a folder in which the place of Destination {name} would be written to"
    return "", ""


def _writes_at(outer: Folder, inner: str) -> bool:
    """Whether the outer Destination's layout alone makes it write into the folder of the inner one."""
    rest = _within(outer, inner)
    top = rest.partition("/")[0]
    if outer.mode == NESTED:
        return top in {DEPENDENCIES, RESOURCES}
    if top in _OWN_FILES:
        return True
    if outer.mode == NONE:
        return top == STATE_DIRECTORY
    if outer.mode == AGGREGATED:
        return f"{outer.filename}/".startswith(f"{rest}/") or f"{rest}/".startswith(f"{outer.filename}/")
    return False


def _within(outer: Folder, inner: str) -> str:
    return inner[len(outer.path) + 1 :] if outer.path else inner


def _above(path: str) -> Iterator[str]:
    """Yields the folders that contain a folder, the nearest first and the whole place last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _named(destinations: Iterable[str]) -> str:
    names = sorted(destinations)
    shown = ", ".join(names[:_NAMED])
    more = len(names) - _NAMED
    noun = "Destination" if len(names) == 1 else "the Destinations"
    return f"{noun} {shown}" + (f" and {more} more" if more > 0 else "")
