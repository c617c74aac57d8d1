"""Reads the YAML files beside a pipeline's output, within bounds, as Troth reads all YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from troth.adapter.errors import Unusable
from troth.adapter.files import read_file

LARGEST_DOCUMENT: Final = 512 * 1024
"""Bytes of one file. An object of the API server has 1.5 MiB at most, with all that others have written into it."""


def read_document(path: Path, seen_as: str) -> Any:
    """Reads a YAML file. Returns None if it does not exist or is empty.

    Args:
        path: where it is.
        seen_as: its path as the containers know it, for messages.

    Raises:
        Unusable: it is too large, not a file, not UTF-8, or not one YAML document as Kubernetes reads it.
    """
    try:
        content = read_file(path, seen_as, LARGEST_DOCUMENT)
    except FileNotFoundError:
        return None
    # Imported here: most pipelines leave no such file, and a parser takes a third of the start.
    from troth.engine.yaml.manifests import InvalidManifest, load_document

    try:
        return load_document(content.decode())
    except UnicodeDecodeError:
        raise Unusable(seen_as, "is not UTF-8") from None
    except InvalidManifest as error:
        raise Unusable(seen_as, f"is not YAML as Kubernetes reads it: {error}") from None
