"""What kind of file a path names: one answer for everything that renders, joins, applies or reads files.

Two different answers would be a security hole: the renderer does not check what it takes for plain text, so a value in
it could add documents that are then applied as YAML. Upper and lower case are therefore the same here, as they are for
most readers.
"""

from __future__ import annotations

from typing import Literal

FileKind = Literal["YAML", "JSON", "text"]


def file_kind(path: str) -> FileKind:
    """Returns ``YAML`` or ``JSON`` for a file of manifests, else ``text``. The case of the suffix does not matter."""
    name = path.lower()
    if name.endswith((".yaml", ".yml")):
        return "YAML"
    return "JSON" if name.endswith(".json") else "text"


def holds_manifests(path: str) -> bool:
    """Whether a file of that name is read as manifests, which is to say as YAML or JSON."""
    return file_kind(path) != "text"
