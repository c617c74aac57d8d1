"""Paths of fields in a request, such as ``("spec", "members", "[]", "name")``; ``*`` stands for any key of a map."""

from __future__ import annotations

Path = tuple[str, ...]


def path_words(path: Path) -> str:
    """Returns a path of the request as messages show it, such as ``spec.members[].name``."""
    return ".".join(path).replace(".[]", "[]")
