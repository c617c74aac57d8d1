"""What a file is, by its name: one answer for whoever renders, joins, applies or reads it.

Two answers are a hole: what the renderer takes for text it does not check, and whoever then applies it as YAML reads
documents that a value has made. So upper and lower case are the same here, as they are for most readers.
"""

from __future__ import annotations

from typing import Literal

FileKind = Literal["YAML", "JSON", "text"]


def file_kind(path: str) -> FileKind:
    """``YAML`` or ``JSON`` for what holds manifests, ``text`` for all else; upper and lower case are the same."""
    name = path.lower()
    if name.endswith((".yaml", ".yml")):
        return "YAML"
    return "JSON" if name.endswith(".json") else "text"


def holds_manifests(path: str) -> bool:
    """Whether a file is read for the objects in it."""
    return file_kind(path) != "text"
