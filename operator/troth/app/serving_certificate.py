"""The certificate of the conversion webhook, and the authority that signs it, in a Secret of the operator's namespace.

Both are made at the first start and renewed long before they expire; nothing else, such as cert-manager, is needed. All
replicas read the same Secret. It is written only if nobody else has written it since it was read, so replicas that
renew at the same time agree on what the first of them wrote.

The authority is renewed, too, after eight of its ten years. API servers know the new one as soon as the definitions
have it, which takes seconds; meanwhile they cannot convert, and try again. A replica that did not make it serves the
old certificate until it looks at the Secret again, which it does every hour.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from troth.api import TrothError
from troth.api.resources import SECRET
from troth.api.typed import read_map, read_text
from troth.certificates import Authority, KeyPair, matches, signs, validity
from troth.kube import AlreadyExists, Client, Conflict, Forbidden, NotFound

SECRET_NAME: Final = "troth-conversion"  # noqa: S105 - the name of a Secret

_AUTHORITY_NAME: Final = "troth conversion webhook"
_AUTHORITY_LEFT: Final = timedelta(days=730)
_LEFT: Final = timedelta(days=120)
_TRIES: Final = 5


class NoCertificate(TrothError):
    """The certificate can neither be read nor made. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the Secret holds: an authority, and the certificate that it has signed, both with their keys."""

    authority: KeyPair
    serving: KeyPair


def renewed(held: Held | None, names: Sequence[str], now: datetime) -> Held | None:
    """Returns what is to be held from now on; None if that is what is held already.

    Args:
        held: what is held; None for nothing that can be used.
        names: the names under which the API server connects.
        now: the time.
    """
    if held is None or not _lasts(held.authority, now + _AUTHORITY_LEFT):
        authority = Authority.create(_AUTHORITY_NAME, now=now)
    elif _lasts(held.serving, now + _LEFT) and signs(held.authority.certificate, held.serving.certificate, names):
        return None
    else:
        authority = Authority(held.authority)
    return Held(authority.pair, authority.server(names, now=now))


def _lasts(pair: KeyPair, until: datetime) -> bool:
    """Whether a pair can be used, and is valid until some time."""
    return matches(pair) and validity(pair.certificate)[1] >= until


async def load_certificate(client: Client, namespace: str, names: Sequence[str], now: datetime) -> Held:
    """Reads what the Secret holds, and makes or renews it if necessary.

    Raises:
        NoCertificate: the operator lacks a right, or others write the Secret again and again.
        KubeError: the API server did not answer.
    """
    where = f"the Secret {SECRET_NAME} in the namespace {namespace}"
    try:
        for _ in range(_TRIES):
            try:
                found = await client.get(SECRET, SECRET_NAME, namespace)
            except NotFound:
                found = {}
            held = read_secret(found)
            wanted = renewed(held, names, now)
            if wanted is None and held is not None:
                return held
            if wanted is not None and await _write(client, namespace, found, wanted):
                return wanted
    except Forbidden as error:
        raise NoCertificate(
            f"{where}, which holds the certificate of the conversion webhook, can be neither read nor written: "
            f"{error.message}; give the operator's account the right to create Secrets in that namespace and to get "
            f"and patch this one (the chart does that with rbac.create)"
        ) from None
    except NotFound:
        raise NoCertificate(f"{where} cannot be made: the namespace does not exist; create it") from None
    raise NoCertificate(f"{where} is written by somebody else all the time; delete it")


async def _write(client: Client, namespace: str, found: Mapping[str, Any], held: Held) -> bool:
    """Writes the Secret. Returns whether it was still as it was found."""
    data = {
        "ca.crt": held.authority.certificate,
        "ca.key": held.authority.key,
        "tls.crt": held.serving.certificate,
        "tls.key": held.serving.key,
    }
    body: dict[str, Any] = {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}}
    try:
        if found:
            version = found["metadata"]["resourceVersion"]
            patch = {**body, "metadata": {"resourceVersion": version}}
            await client.merge_patch(SECRET, SECRET_NAME, patch, namespace=namespace)
        else:
            metadata = {
                "name": SECRET_NAME,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/part-of": "troth"},
                "annotations": {
                    "troth.dev/description": "The certificate with which the operator answers the API server when it "
                    "converts requests, and the authority that has signed it. The operator renews both."
                },
            }
            await client.create(
                SECRET,
                {
                    "apiVersion": SECRET.api_version,
                    "kind": SECRET.kind,
                    "type": "Opaque",
                    "metadata": metadata,
                    **body,
                },
            )
    except (AlreadyExists, Conflict):
        return False
    return True


def read_secret(secret: Mapping[str, Any]) -> Held | None:
    """Returns what a Secret holds; None when something is missing."""
    values = {}
    for name in ("ca.crt", "ca.key", "tls.crt", "tls.key"):
        try:
            values[name] = base64.b64decode(read_text(read_map(secret.get("data")).get(name)), validate=True)
        except (binascii.Error, ValueError):
            return None
        if not values[name]:
            return None
    return Held(KeyPair(values["ca.crt"], values["ca.key"]), KeyPair(values["tls.crt"], values["tls.key"]))
