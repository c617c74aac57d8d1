"""The keys of a store's Secret.

A password or user name loses the white space at its ends: a trailing newline from
``kubectl create secret --from-file`` is never meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troth.stores.errors import Reason, StoreError


def read_key(spec: Mapping[str, Any], secret: Mapping[str, bytes] | None, key: str) -> str:
    """The value of a key of the Secret, without white space at its ends; raises StoreError when it is not there."""
    if secret is None:
        raise StoreError(
            Reason.SECRET_KEY_MISSING,
            f"spec.secretRef is missing, so there is no {key}",
            f"name a Secret that has the key {key}",
        )
    try:
        text = secret.get(key, b"").decode().strip()
    except UnicodeDecodeError:  # which holds all of it
        raise StoreError(
            Reason.SECRET_KEY_MISSING, f"the key {key} of the Secret {secret_name(spec)} is not text"
        ) from None
    if not text:
        raise StoreError(
            Reason.SECRET_KEY_MISSING,
            f"the Secret {secret_name(spec)} has no key {key}",
            f"add {key} to it" + (f"; it has {', '.join(sorted(secret))}" if secret else ""),
        )
    return text


def secret_name(spec: Mapping[str, Any]) -> str:
    """The namespace and the name of the Secret that a store's spec names, for a message."""
    reference = spec.get("secretRef") or {}
    return f"{reference.get('namespace') or 'default'}/{reference.get('name', '?')}"
