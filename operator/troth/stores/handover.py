"""Keeps objects in a store until they have arrived where they are wanted now.

An object may change its keeper: its pipeline is renamed, another pipeline renders it, or its group goes to another
Destination. Each keeper has a claim of its own. What one claim no longer wants could be removed before the other one
has it, or be missing in one commit. So the submitter of a claim can be asked for its `Handover`, which says which
claims of the same request or Promise belong into the same commit, and which objects are still on their way to another
place. These objects are kept until they have arrived there: a file with such an object is not removed, and when a
file is written anew without it, its document is appended.

This is only asked when something would be removed, so ordinary claims do not cost anything.

Rejected: two phases for every change (everything is added, then everything is removed). Between the two, a folder that
Flux reads would contain every object twice, and Flux would refuse the whole folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from troth.api import TrothError
from troth.api.files import file_kind, holds_manifests
from troth.stores.content import blob_id
from troth.stores.edits import Edit
from troth.stores.kubernetes_objects import ObjectKey, Parse

if TYPE_CHECKING:
    from troth.stores.protocol import Claim

_MARKER: Final = re.compile(rb"^---(?=\s|$)[^\n]*\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Spared:
    """Objects that must not be removed.

    Attributes:
        keys: the objects.
        everything: whether it is not known yet which objects these are, so that only the ``released`` ones may be
            removed.
        released: objects that nobody else wants; only used with ``everything``.
    """

    keys: frozenset[ObjectKey] = frozenset()
    everything: bool = False
    released: frozenset[ObjectKey] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.keys) or self.everything

    def holds(self, key: ObjectKey) -> bool:
        """Whether an object must stay. A manifest without a namespace may stand for an object in any namespace."""
        if key in self.keys or key._replace(namespace="") in self.keys:
            return True
        if self.everything and key not in self.released:
            return True
        return not key.namespace and any(key == other._replace(namespace="") for other in self.keys)

    def any_of(self, keys: Iterable[ObjectKey]) -> bool:
        """Whether one of these objects must stay."""
        return any(self.holds(key) for key in keys)


@dataclass(frozen=True, slots=True)
class Yielding:
    """Another claim of the same request or Promise, which gives away what it does not want any more.

    Attributes:
        store: the store in which it is recorded.
        owner: its owner there.
        wants: the objects that it still wants.
    """

    store: str
    owner: str
    wants: Spared


@dataclass(frozen=True, slots=True)
class Handover:
    """What a claim exchanges with the other claims of the same request or Promise.

    Attributes:
        along: the claims that belong into the same commit, in this store.
        spared: the objects that others want and do not have yet, apart from the claims ``along``.
        yielding: the claims whose objects this claim may take over.
    """

    along: tuple[Claim, ...] = ()
    spared: Spared = Spared()
    yielding: tuple[Yielding, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """The result of `keep_back`.

    Attributes:
        edit: what may be done now.
        content: what to write instead of the claim's content, by path.
        paths: the paths at which something stays that the claim does not want any more.
    """

    edit: Edit
    content: Mapping[str, bytes] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()


def objects_of(path: str, content: bytes, parse: Parse | None) -> frozenset[ObjectKey]:
    """The Kubernetes objects in a file, as it names them; empty when it does not contain any."""
    if parse is None or not holds_manifests(path):
        return frozenset()
    try:
        documents = parse(content.decode())
    except (TrothError, UnicodeDecodeError):
        return frozenset()
    return frozenset(key for document in documents for key in _keys(document))


def departing(path: str, old: bytes, new: bytes | None, parse: Parse | None) -> frozenset[ObjectKey]:
    """The objects that a file had and will not have any more. ``new`` is None when it is to be removed."""
    had = objects_of(path, old, parse)
    if new is None or not had:
        return had
    has = objects_of(path, new, parse)
    return frozenset(key for key in had if key not in has)


def keep_back(
    edit: Edit, *, old: Mapping[str, bytes], new: Mapping[str, bytes], spared: Spared, parse: Parse | None
) -> Kept:
    """Changes an edit so that it does not remove what must stay.

    Args:
        edit: what the claim wants.
        old: the present content of every path that is removed or overwritten.
        new: the content that is written, by path.
        spared: the objects that must stay.
        parse: reads YAML as Kubernetes does.
    """
    kept: set[str] = set()
    writes = dict(edit.writes)
    content: dict[str, bytes] = {}
    for path in edit.removes:
        had = old.get(path, b"")
        leaving = departing(path, had, None, parse)
        if not (spared.any_of(leaving) or (spared.everything and not leaving)):
            continue
        kept.add(path)
        if leaving & spared.released and file_kind(path) == "YAML":
            content[path] = _with_documents(path, b"", had, leaving, spared, parse)
            writes[path] = blob_id(content[path])
    for path in edit.writes:
        if path not in old or path not in new:
            continue
        leaving = departing(path, old[path], new[path], parse)
        if not spared.any_of(leaving):
            continue
        kept.add(path)
        if file_kind(path) == "YAML":
            content[path] = _with_documents(path, new[path], old[path], leaving, spared, parse)
        else:
            del writes[path]
    return Kept(replace(edit, writes=writes, removes=edit.removes - kept), content, frozenset(kept))


def _with_documents(
    path: str, new: bytes, old: bytes, leaving: frozenset[ObjectKey], spared: Spared, parse: Parse | None
) -> bytes:
    stay = [part for part in _MARKER.split(old) if _stays(objects_of(path, part, parse), leaving, spared)]
    return b"---\n".join(part if part.endswith(b"\n") else part + b"\n" for part in (new, *stay) if part)


def _stays(keys: Iterable[ObjectKey], leaving: frozenset[ObjectKey], spared: Spared) -> bool:
    return any(key in leaving and spared.holds(key) for key in keys)


def _keys(document: Any) -> Sequence[ObjectKey]:
    if not isinstance(document, dict):
        return ()
    items = document.get("items")
    if document.get("kind") == "List" and isinstance(items, list):
        return [key for item in items for key in _keys(item)]
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return ()
    texts = (document.get("apiVersion"), document.get("kind"), metadata.get("name"))
    namespace = metadata.get("namespace") or ""
    if not all(isinstance(text, str) and text for text in texts) or not isinstance(namespace, str):
        return ()
    return [ObjectKey(str(texts[0]).rpartition("/")[0], str(texts[1]), namespace, str(texts[2]))]
