"""The record that Kratix's mode ``none`` keeps in the store: which files a placement has there.

``.kratix/<namespace>-<name>.yaml`` under the Destination's path, ``{files: [...]}``. Kratix writes paths that
begin with the Destination's path; older releases wrote them relative to it. Both are read, the first is
written, so neither side notices when the other takes over. A record that was written while the store had another
``spec.path`` is understood by where it lies. The record lies where anybody may edit it, so it is
believed only about files beneath its own Destination, and never about what another owner has (edits.py).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

import yaml

from troth.stores.errors import StoreError
from troth.stores.paths import confine_file


def render_state_file(files: Iterable[str], *, prefix: str) -> bytes:
    """The record of these paths, without the store's own prefix, in the caller's order."""
    start = f"{prefix}/" if prefix else ""
    listed = [path.removeprefix(start) for path in files]
    return yaml.safe_dump({"files": listed}, default_flow_style=False, allow_unicode=True, width=1 << 20).encode()


def read_state_file(content: bytes, *, path: str, prefix: str) -> list[str]:
    """The paths inside the store that a record names; what is unreadable or reaches outside is left out."""
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError):
        return []
    listed = document.get("files") if isinstance(document, dict) else None
    base = posixpath.dirname(posixpath.dirname(path))
    entries = [entry for entry in listed if isinstance(entry, str)] if isinstance(listed, list) else []
    return [inside for entry in entries if (inside := _place(entry, base=base, prefix=prefix))]


def _under_another_prefix(entry: str, base: str) -> Iterator[str]:
    """Where the entry is if it was written while the store had another prefix: that is the beginning of ``base``."""
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
