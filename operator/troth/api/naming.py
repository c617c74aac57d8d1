"""Names that are computed and never random, so that creating twice gives one object (kratix-compatibility.md#names)."""

from __future__ import annotations

import hashlib

_LONGEST_BASE = 57
_LONG_SUFFIX = 16


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


def shortened_name(name: str, identity: str, longest: int) -> str:
    """Returns ``name``, cut so that ``-`` and 16 hex characters of the md5 of ``identity`` fit into ``longest``.

    For names of which so much is cut off that only the suffix tells two owners apart: five characters, which Kratix
    takes, are too few for that. What a Kubernetes name cannot hold at its end is stripped before the suffix.
    """
    cut = name[: longest - _LONG_SUFFIX - 1]
    while cut and not cut[-1].isalnum():
        cut = cut[:-1]
    return f"{cut}-{digest(identity)[:_LONG_SUFFIX]}"


def group_id(directory: str) -> str:
    """Returns the id of a workload group: the MD5 of its directory (``.`` gives ``5058f…``)."""
    return digest(directory)


def short_group_id(identifier: str) -> str:
    """Returns the first five characters of a group id, as they are used in paths and in names of placements."""
    return identifier[:5]
