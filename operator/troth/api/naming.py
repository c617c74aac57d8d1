"""Names that are computed, never drawn: creating twice is one object (kratix-compatibility.md#names)."""

from __future__ import annotations

import hashlib

_LONGEST_BASE = 57


def digest(text: str) -> str:
    """The md5 of a text in hex: Kratix's hash for names and ids. Not used where security matters."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def deterministic_name(base: str, *inputs: str) -> str:
    """``base`` cut to fit, then ``-`` and five hex characters of the md5 of the inputs, or of the base.

    Lower-cased, and what a Kubernetes name cannot hold at its end is stripped before the suffix.
    """
    suffix = digest("-".join(inputs) if inputs else base)[:5]
    cut = base.lower() if len(base) <= _LONGEST_BASE else base.lower()[: _LONGEST_BASE - 1]
    while cut and not cut[-1].isalnum():
        cut = cut[:-1]
    return f"{cut}-{suffix}"


def group_id(directory: str) -> str:
    """The id of a workload group: the md5 of its directory (``.`` gives ``5058f…``)."""
    return digest(directory)


def short_group_id(identifier: str) -> str:
    """The first five characters of a group id, as they stand in paths and names of placements."""
    return identifier[:5]
