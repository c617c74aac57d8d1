"""Which Destinations of one place keep out of each other's way, and which do not.

A Destination is a folder of a store. Two folders may be one, or one may lie in the other, and then what is written
for one may replace or remove what is written for the other. It is judged by what can be lost:

* One folder of a store for two Destinations, and a folder that lies in what another Destination writes (the
  ``resources`` or the ``dependencies`` of the mode nestedByMetadata, the records of the mode none, the one file of
  aggregatedYAML): the younger of the two is refused. Who was first does not depend on who is looked at first.
* A folder inside another one, apart from that: Kratix allows it, and nothing can be lost, since no file of the outer
  one may lie in the inner one (`Neighbours.stranger_at`). It is said, since whoever reads the outer folder as a whole
  reads the inner one as well.
* One folder through two stores that are one repository: Kratix allows it, the files are told apart one by one by who
  claimed them first (`stores.ownership`). It is said.
* Two spellings that some file systems take for one folder: said as well. Git keeps them apart.

Rejected: *to refuse every folder in another one*, since a Kratix installation with a Destination at the root of its
repository would stand still after an update; *to refuse both*, since a new Destination must not stop an old one.
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
    """What a Destination has of a place.

    Attributes:
        destination: its name.
        since: when it was made, RFC 3339: who was first keeps a place.
        path: the folder, without slashes around it; empty for the whole place.
        store: the store through which it is written to.
        mode: how files are laid out in it.
        filename: the one file, in the mode aggregatedYAML.
    """

    destination: str
    since: str
    path: str
    store: str = ""
    mode: str = NESTED
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """How a Destination stands to the others of its place.

    Attributes:
        taken_by: the older Destination whose files this one's would meet; then it writes nothing. Or "".
        taken_how: how that is, as a clause that ends with the other's name.
        around: Destinations in whose folder this one's lies.
        inside: Destinations whose folders lie in this one's, by their paths in it.
        sharing: Destinations that have the same folder through another store.
        twins: Destinations whose folder some file systems take for this one's.
    """

    taken_by: str = ""
    taken_how: str = ""
    around: tuple[str, ...] = ()
    inside: Mapping[str, str] = field(default_factory=dict)
    sharing: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()

    def stranger_at(self, path: str) -> str:
        """The Destination in whose folder a file would lie, by its path in this one's folder; "" for nobody's."""
        return next((self.inside[each] for each in (path, *_above(path)) if each in self.inside), "")

    def remark(self) -> str:
        """What is to be said of them although nothing is refused, one sentence; or ""."""
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
    """How the Destinations of one place stand to each other, by their names."""
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
    """The Destination that keeps this one out, and how; or twice ""."""
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
    """Whether what is written for the outer one lies in the folder of the inner one by its layout alone."""
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
    """The folders around a folder, the nearest first and the whole place last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _named(destinations: Iterable[str]) -> str:
    names = sorted(destinations)
    shown = ", ".join(names[:_NAMED])
    more = len(names) - _NAMED
    noun = "Destination" if len(names) == 1 else "the Destinations"
    return f"{noun} {shown}" + (f" and {more} more" if more > 0 else "")
