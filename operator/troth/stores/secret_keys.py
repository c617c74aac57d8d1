"""Reads the keys of a store's Secret.

White space at both ends of a password or user name is removed, since a trailing newline from
``kubectl create secret --from-file`` is never intended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troth.stores.errors import Reason, StoreError


def read_key(spec: Mapping[str, Any], secret: Mapping[str, bytes] | None, key: str) -> str:
    """The value of a key of the Secret, without white space at its ends. Raises StoreError when it is missing."""
    if secret is None:
        raise StoreError(
            Reason.SECRET_KEY_MISSING,
            f"spec.secretRef is missing, so there is no {key}",
            f"name a Secret that has the key {key}",
        )
    try:
        text = secret.get(key, b"").decode().strip()
    except UnicodeDecodeError:  # the exception contains the whole value
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
