"""Keeps the paths of a branch and their blob ids in memory.

The tree is nested dictionaries, as in Git, because two questions are asked of it: "which blob is at this
path?" and "what is in this folder?". A flat map could answer the second only by looking at every path.
If a file is not an ordinary one (but a link, an executable or a submodule), its mode is put before its id, so it is
never equal to a claim's blob, and becomes an ordinary file when the path is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from troth.stores.paths import as_one_path

ORDINARY = "100644"

Node = dict[str, "str | Node"]


class PathTree:
    """The files of one commit."""

    def __init__(self) -> None:
        self._root: Node = {}
        # folder → name as one path → the names in it; only for folders that were asked for
        self._spellings: dict[str, dict[str, set[str]]] = {}

    @classmethod
    def of(cls, files: Mapping[str, str]) -> PathTree:
        """A tree of paths and blob ids."""
        tree = cls()
        for path, blob in files.items():
            tree.put(path, blob)
        return tree

    def get(self, path: str) -> str | None:
        """The blob id at a path; None when a file does not exist there."""
        found = self._find(path)
        return found if isinstance(found, str) else None

    def ordinary(self, path: str) -> str | None:
        """The blob id of the ordinary file at a path; None when there is no file, or another kind of it."""
        blob = self.get(path)
        return blob if blob and ":" not in blob else None

    def under(self, folder: str) -> Iterator[str]:
        """The paths of all files below a folder."""
        found = self._find(folder)
        if isinstance(found, dict):
            yield from _walk(found, folder)

    def files(self) -> Iterator[str]:
        """The paths of all files."""
        yield from _walk(self._root, "")

    def twins(self, path: str) -> Iterator[str]:
        """Existing other spellings of a path (`as_one_path`), and files in other spellings of its folders."""
        yield from self._twins(self._root, "", path.split("/"), path)

    def _twins(self, node: Node, folder: str, parts: Sequence[str], path: str) -> Iterator[str]:
        first, *rest = parts
        for name in sorted(self._spelled(node, folder).get(as_one_path(first), ())):
            found = f"{folder}/{name}" if folder else name
            below = node[name]
            if rest and isinstance(below, dict):
                yield from self._twins(below, found, rest, path)
            elif found != path and not path.startswith(f"{found}/"):
                yield found

    def _spelled(self, node: Node, folder: str) -> dict[str, set[str]]:
        known = self._spellings.get(folder)
        if known is None:
            known = self._spellings[folder] = {}
            for name in node:
                known.setdefault(as_one_path(name), set()).add(name)
        return known

    def _note(self, folder: str, name: str, *, there: bool) -> None:
        known = self._spellings.get(folder)
        if known is None:
            return
        if there:
            known.setdefault(as_one_path(name), set()).add(name)
        else:
            known.get(as_one_path(name), set()).discard(name)

    def put(self, path: str, blob: str) -> None:
        """Set a file. Whatever was in its way is removed, as in Git."""
        node = self._root
        *folders, name = path.split("/")
        above = ""
        for folder in folders:
            below = node.get(folder)
            if not isinstance(below, dict):
                below = node[folder] = {}
                if self._spellings:
                    self._note(above, folder, there=True)
            node = below
            above = f"{above}/{folder}" if above else folder
        if isinstance(node.get(name), dict):
            self._spellings.clear()
        node[name] = blob
        if self._spellings:
            self._note(above, name, there=True)

    def remove(self, path: str) -> None:
        """Remove a file, and the folders that are empty without it; it is not an error if the path does not exist."""
        node = self._root
        trail: list[tuple[Node, str]] = []
        *folders, name = path.split("/")
        for folder in folders:
            below = node.get(folder)
            if not isinstance(below, dict):
                return
            trail.append((node, folder))
            node = below
        if isinstance(node.get(name), str):
            del node[name]
            self._note("/".join(folders), name, there=False)
        for depth, (parent, folder) in reversed(list(enumerate(trail))):
            if parent[folder]:
                return
            del parent[folder]
            self._spellings.pop("/".join(folders[: depth + 1]), None)
            self._note("/".join(folders[:depth]), folder, there=False)

    def _find(self, path: str) -> str | Node | None:
        node: str | Node | None = self._root
        for part in path.split("/"):
            if not isinstance(node, dict):
                return None
            node = node.get(part)
        return node


def _walk(node: Node, prefix: str) -> Iterator[str]:
    """The paths of all files, without recursion, since folders may be nested to any depth."""
    names = [prefix] if prefix else []
    open_ = [iter(node.items())]
    while open_:
        name, below = next(open_[-1], (None, ""))
        if name is None:
            open_.pop()
            if names:
                names.pop()
        elif isinstance(below, str):
            yield "/".join((*names, name))
        else:
            names.append(name)
            open_.append(iter(below.items()))


def differing(old: PathTree, new: PathTree) -> list[str]:
    """The paths that differ between two trees, in order."""
    paths = {*old.files(), *new.files()}
    return sorted(path for path in paths if old.get(path) != new.get(path))
