"""Finds Secrets in plain text among manifests, in the same way for the operator, for lint and for the commands.

Everybody who can read a repository can read all of its content, for as long as its history is kept. So a ``Secret``
whose data is not encrypted does not belong there. It is looked for wherever an object can be: in documents, in lists,
and inside other objects (a template, a manifest in a manifest). A Secret whose values are encrypted by SOPS does not
count, and neither does one without data, nor a kind that stands for a Secret (SealedSecret, ExternalSecret). Messages
name objects and files, never a value.

Reading YAML costs milliseconds, and hardly any file contains a Secret. So a quick search first finds out whether a file
may contain one, and only such documents are read.

Rejected: *guessing which values look like passwords* in other kinds (half of the reports would be wrong, and nobody
would read the other half).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from troth.api.files import holds_manifests
from troth.api.store_kinds import holds_files

Policy = Literal["allow", "warn", "refuse"]

REMEDY: Final = (
    "Let External Secrets, Sealed Secrets or an operator of the destination make it, or encrypt its values "
    "with SOPS"
)
_WORD: Final = re.compile(rb"""(?<![\w-])secret(?:list)?(?![\w-])(?!["']?\s*:)""")
_DOCUMENT: Final = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_ENCRYPTED: Final = re.compile(r"ENC\[.*\]", re.DOTALL)
_OVERLAP: Final = 32
_NAMED: Final = 3
_LONGEST_NAME: Final = 130


def may_hold_secrets(content: bytes) -> bool:
    """Whether a file may contain a Secret. False is certain. It does not parse YAML."""
    lowered = content.lower()
    return b"secret" in lowered and _WORD.search(lowered) is not None


class SecretScan:
    """`may_hold_secrets` for a content in pieces. ``found`` is certain when it is False."""

    def __init__(self) -> None:
        self.found = False
        self._end = b""

    def feed(self, piece: bytes) -> None:
        """Searches the next piece."""
        if not self.found:
            seen = self._end + piece.lower()
            self.found = b"secret" in seen and _WORD.search(seen) is not None
            self._end = seen[-_OVERLAP:]


def find_plain_secrets(path: str, content: bytes) -> tuple[str, ...]:
    """Returns the plain-text Secrets in a file, as ``Secret namespace/name``; none for a file without manifests.

    A text that Kubernetes cannot read as YAML contains no objects.
    """
    if not holds_manifests(path) or not may_hold_secrets(content):
        return ()
    # Imported here: who packs files only scans them, and a parser takes half of the time that such a program starts in.
    from troth.engine.yaml.manifests import InvalidManifest, load_documents

    found: list[str] = []
    for part in _DOCUMENT.split(content.decode("utf-8", "replace")):
        if not may_hold_secrets(part.encode()):
            continue
        try:
            for document in load_documents(part):
                found.extend(plain_secrets_of(document))
        except InvalidManifest:
            continue
    return tuple(found)


def plain_secrets_of(document: Any) -> Iterator[str]:
    """Yields the plain-text Secrets in a document, at any depth, as ``Secret namespace/name``."""
    waiting = [(document, False)]
    while waiting:
        value, is_item = waiting.pop()
        if isinstance(value, Mapping):
            kind = str(value.get("kind") or "").strip().lower()
            core = str(value.get("apiVersion") or "").strip().lower()
            if (kind == "secret" and core == "v1") or (is_item and not kind):
                if _is_in_the_clear(value):
                    yield f"Secret {_name_of(value)}"
                    continue
            elif kind == "secretlist":
                items = value.get("items")
                waiting.extend((item, True) for item in reversed(items if isinstance(items, list) else []))
                continue
            waiting.extend(
                (child, False) for child in reversed([*value.values()]) if isinstance(child, (dict, list))
            )
        elif isinstance(value, list):
            waiting.extend((child, False) for child in reversed(value) if isinstance(child, (dict, list)))


def policy_of(kind: str, spec: Mapping[str, Any]) -> Policy:
    """Returns a store's policy for plain-text Secrets, ``warn`` by default. Clusters always allow them."""
    said = spec.get("plainSecrets")
    if not holds_files(kind):
        return "allow"
    return said if said in ("allow", "refuse") else "warn"


def describe(found: Iterable[tuple[str, str]]) -> str:
    """Returns a short list such as ``Secret a/b in file.yaml``, from pairs of a Secret and its file."""
    entries = [f"{secret} in {path}" for secret, path in found]
    more = len(entries) - _NAMED
    return ", ".join(entries[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def exposed(secrets: str, store: str) -> str:
    """Returns the sentence about plain-text Secrets that are written nevertheless."""
    return (
        f"{secrets}: goes to {store} in the clear, so everybody who can read the store can read it. {REMEDY}; "
        "if this is intended, set plainSecrets: allow on the store"
    )


def withheld(secrets: str, store: str) -> str:
    """Returns the sentence about plain-text Secrets that are not written."""
    return (
        f"{secrets}: not written, because {store} refuses Secrets in the clear (plainSecrets: refuse). {REMEDY}. "
        "What is in the store already stays as it is"
    )


def _is_in_the_clear(secret: Mapping[str, Any]) -> bool:
    encrypted = isinstance(secret.get("sops"), Mapping)
    for field in ("data", "stringData"):
        values = secret.get(field)
        held = list(values.values()) if isinstance(values, Mapping) else [values]
        for value in held:
            if value in (None, ""):
                continue
            if not (encrypted and isinstance(value, str) and _ENCRYPTED.fullmatch(value)):
                return True
    return False


def _name_of(secret: Mapping[str, Any]) -> str:
    metadata = secret.get("metadata")
    meta = metadata if isinstance(metadata, Mapping) else {}
    name = str(meta.get("name") or f"{meta.get('generateName') or ''}…")
    namespace = meta.get("namespace")
    return (f"{namespace}/{name}" if namespace else name)[:_LONGEST_NAME]
