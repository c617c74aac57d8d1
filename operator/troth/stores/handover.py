"""What must not leave a store before it has arrived where it is wanted now.

An object may change its keeper: its pipeline is renamed, another pipeline renders it, its group goes to another
Destination. Each keeper has a claim of its own, and what one claim no longer wants would be removed before the other
has it, or a commit would lack it for a moment. So whoever submits a claim can be asked for its `Handover`: which claims
of the same owner of everything (a request, a Promise) belong into the same commit, and which objects are still on their
way to another place. Those are kept here until they have arrived there: a file that holds one is not removed, and
one that is written anew gets the document that left it appended.

It is asked only when something would leave, so the claims of ordinary days cost nothing.

Rejected: two phases for every change (everything is added, then everything is removed). Between the two, a folder that
Flux reads would have every object twice, which it refuses as a whole.
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
    """Objects that must not leave.

    Attributes:
        keys: the objects.
        everything: it is not known yet which, so none may but those that are ``released``.
        released: objects of which it is known that nobody else has them; only read with ``everything``.
    """

    keys: frozenset[ObjectKey] = frozenset()
    everything: bool = False
    released: frozenset[ObjectKey] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.keys) or self.everything

    def holds(self, key: ObjectKey) -> bool:
        """Whether the object must stay; a manifest without a namespace may mean the one of any namespace."""
        if key in self.keys or key._replace(namespace="") in self.keys:
            return True
        if self.everything and key not in self.released:
            return True
        return not key.namespace and any(key == other._replace(namespace="") for other in self.keys)

    def any_of(self, keys: Iterable[ObjectKey]) -> bool:
        """Whether one of them must stay."""
        return any(self.holds(key) for key in keys)


@dataclass(frozen=True, slots=True)
class Yielding:
    """Another claim of the same request or Promise that gives away what it does not want any more.

    Attributes:
        store: the store that has it on record.
        owner: its owner there.
        wants: what it still wants.
    """

    store: str
    owner: str
    wants: Spared


@dataclass(frozen=True, slots=True)
class Handover:
    """How a claim and the others of the same request or Promise change hands.

    Attributes:
        along: claims that belong into the same commit, in this store.
        spared: objects that somebody else wants and does not have yet, the claims ``along`` aside.
        yielding: whose objects the claim may take over.
    """

    along: tuple[Claim, ...] = ()
    spared: Spared = Spared()
    yielding: tuple[Yielding, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """An edit after `keep_back`.

    Attributes:
        edit: what may be done now.
        content: path → what to write there instead of what the claim has.
        paths: where something stays that the claim does not want any more.
    """

    edit: Edit
    content: Mapping[str, bytes] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()


def objects_of(path: str, content: bytes, parse: Parse | None) -> frozenset[ObjectKey]:
    """The Kubernetes objects in a file, as it names them; none when it cannot be read as such."""
    if parse is None or not holds_manifests(path):
        return frozenset()
    try:
        documents = parse(content.decode())
    except (TrothError, UnicodeDecodeError):
        return frozenset()
    return frozenset(key for document in documents for key in _keys(document))


def departing(path: str, old: bytes, new: bytes | None, parse: Parse | None) -> frozenset[ObjectKey]:
    """The objects that a file had and does not have any more; ``new`` is None when it is to be removed."""
    had = objects_of(path, old, parse)
    if new is None or not had:
        return had
    has = objects_of(path, new, parse)
    return frozenset(key for key in had if key not in has)


def keep_back(
    edit: Edit, *, old: Mapping[str, bytes], new: Mapping[str, bytes], spared: Spared, parse: Parse | None
) -> Kept:
    """The edit without the removal of what must stay.

    Args:
        edit: what the claim wants.
        old: the present content of every path that is removed or written over.
        new: the content that is written, by path.
        spared: what must stay.
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
