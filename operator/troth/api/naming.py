"""Names that are computed and never random, so that creating twice gives one object (kratix-compatibility.md#names)."""

from __future__ import annotations

import hashlib

_LONGEST_BASE = 57


def digest(text: str) -> str:
    """Returns the MD5 of a text in hex, which Kratix uses for names and ids. It is not used where security matters."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def deterministic_name(base: str, *inputs: str) -> str:
    """Returns ``base``, cut to fit, then ``-`` and five hex characters of the MD5 of the inputs, or of the base.

    The name is in lower case. Characters that a Kubernetes name cannot end with are stripped before the suffix.
    """
    suffix = digest("-".join(inputs) if inputs else base)[:5]
    cut = base.lower() if len(base) <= _LONGEST_BASE else base.lower()[: _LONGEST_BASE - 1]
    while cut and not cut[-1].isalnum():
        cut = cut[:-1]
    return f"{cut}-{suffix}"


def group_id(directory: str) -> str:
    """Returns the id of a workload group: the MD5 of its directory (``.`` gives ``5058f…``)."""
    return digest(directory)


def short_group_id(identifier: str) -> str:
    """Returns the first five characters of a group id, as they are used in paths and in names of placements."""
    return identifier[:5]
