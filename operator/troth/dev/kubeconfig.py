"""Writes kubeconfig files completely or not at all, and readable only by their owner."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path

import yaml

from troth.certificates import KeyPair


def kubeconfig(*, server: str, authority: bytes, user: KeyPair, cluster: str = "troth-dev") -> str:
    """The text of a kubeconfig with all certificates inline.

    Args:
        server: the URL of the API server.
        authority: the certificate, in PEM, by which the server's certificate must be signed.
        user: the client's certificate and key.
        cluster: the name of the cluster, the user and the context.
    """
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority-data": _base64(authority)}}
        ],
        "users": [
            {
                "name": cluster,
                "user": {
                    "client-certificate-data": _base64(user.certificate),
                    "client-key-data": _base64(user.key),
                },
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster, "namespace": "default"}}],
        "current-context": cluster,
    }
    return yaml.safe_dump(document, sort_keys=False)


def write_private(path: Path, content: bytes | str) -> Path:
    """Write a file that only its owner may read. It appears with its complete content. Returns the path."""
    data = content.encode() if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp: mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
