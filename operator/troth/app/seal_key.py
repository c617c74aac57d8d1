"""The operator's key for its seals (`troth.engine.placement.seals`), which is kept in a Secret of its own namespace.

It is made once, at the first start; later starts and other replicas read the same key. The Secret is immutable, since
another key makes every seal invalid. To replace the key, delete the Secret and restart the operator, which then makes
a new one, and seals everything again as the owners are reconciled. Nothing is removed because of that.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from typing import Any, Final

from troth.api import TrothError
from troth.api.resources import SECRET
from troth.engine.placement.seals import KEY_BYTES
from troth.kube import AlreadyExists, Client, Forbidden, NotFound

SECRET_NAME: Final = "troth-seal"  # noqa: S105 - the name of a Secret
_FIELD: Final = "key"


class NoSealKey(TrothError):
    """The key can neither be read nor made. The message says what to do."""


async def load_seal_key(client: Client, namespace: str) -> tuple[bytes, str]:
    """Reads the key, or makes it if there is none. Returns it with the time when it was made (RFC 3339).

    Raises:
        NoSealKey: the operator lacks a right, or somebody has damaged the Secret.
        KubeError: the API server did not answer.
    """
    where = f"the Secret {SECRET_NAME} in the namespace {namespace}"
    try:
        try:
            found = await client.get(SECRET, SECRET_NAME, namespace)
        except NotFound:
            found = await _make(client, namespace)
    except Forbidden as error:
        raise NoSealKey(
            f"{where}, which holds the key of the operator's seals, can be neither read nor made: {error.message}; "
            f"give the operator's account the right to create Secrets in that namespace and to get this one (the chart "
            f"does that with rbac.create)"
        ) from None
    except NotFound:
        raise NoSealKey(f"{where} cannot be made: the namespace does not exist; create it") from None
    key = _read(found)
    if len(key) < KEY_BYTES:
        raise NoSealKey(
            f"{where} does not contain a key of {KEY_BYTES} bytes under data.{_FIELD}; delete it, "
            "and the operator creates a new one"
        )
    return key, found["metadata"].get("creationTimestamp", "")


async def _make(client: Client, namespace: str) -> dict[str, Any]:
    body = {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": SECRET_NAME,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "troth"},
            "annotations": {
                "troth.dev/description": "With this key the operator recognizes what it wrote itself. "
                "Nobody else should be able to read it."
            },
        },
        "immutable": True,
        "type": "Opaque",
        "data": {_FIELD: base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()},
    }
    try:
        return await client.create(SECRET, body)
    except AlreadyExists:
        return await client.get(SECRET, SECRET_NAME, namespace)


def _read(secret: Mapping[str, Any]) -> bytes:
    encoded = (secret.get("data") or {}).get(_FIELD) or ""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
