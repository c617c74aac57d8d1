"""Reads a kubeconfig from a Secret. Errors name the line, and never quote the content."""

from __future__ import annotations

from typing import Any, Final

from troth.engine.yaml.manifests import InvalidManifest, load_document
from troth.kube import CredentialsError

_LARGEST: Final = 1 << 20


def read_kubeconfig(content: bytes) -> dict[str, Any]:
    """The document of a kubeconfig, read as kubectl reads it. This blocks for a while if it is long.

    Raises:
        CredentialsError: it is not a map in YAML or JSON.
    """
    if len(content) > _LARGEST:
        raise CredentialsError("the kubeconfig is larger than 1 MiB")
    try:
        document = load_document(content.decode())
    except InvalidManifest as error:
        where = f", see its line {error.line}" if error.line is not None else ""
        raise CredentialsError(f"the kubeconfig is not YAML as kubectl reads it{where}") from None
    except (ValueError, RecursionError):
        raise CredentialsError("the kubeconfig is not YAML as kubectl reads it") from None
    if not isinstance(document, dict):
        raise CredentialsError("the kubeconfig is not a map: it must begin with kind: Config")
    return document
