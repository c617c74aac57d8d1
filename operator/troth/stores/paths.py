"""Normalises and checks paths inside a store, in the same way for every store.

A path comes from a Promise's author and is joined to a folder that other people share. It must not leave the store,
lead into `.git` under any spelling that some Git or file system takes for that name, or be a path that one machine
accepts and with which the checkout of another machine fails.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from pathlib import Path
from typing import Final

from troth.stores.errors import Reason, StoreError

LOCAL_ROOT_SETTING: Final = "the setting --local-stores (TROTH_LOCAL_STORES)"
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 1024
_LONGEST_LOCAL_PATH: Final = 4096
"""What Linux takes (PATH_MAX). Resolving a path takes time that grows with the square of its length."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# Characters that HFS+ ignores inside a name: ".g\u200cit" is ".git" there. Git refuses the same set.
_IGNORABLE: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# Characters that Windows ignores at the end of a name.
_TRAILING: Final = re.compile(r"(?<=[^/. ])[. ]+(?=/|$)")
_GIT_NAME: Final = re.compile(r"(\.git|git~[0-9]+)[. ]*", re.IGNORECASE)


def confine(path: str, *, owner: str) -> str:
    """The normalised path of a file. Raises StoreError (InvalidPath, final), which names the owner and the path."""
    problem = _problem(path)
    if problem:
        raise _invalid(path, owner, problem)
    normal = posixpath.normpath(path)
    parts = normal.split("/")
    if parts[0] == "..":
        raise _invalid(path, owner, "leaves the store")
    if normal == ".":
        raise _invalid(path, owner, "does not name a file")
    for part in parts:
        if _GIT_NAME.fullmatch(_IGNORABLE.sub("", part).split(":", 1)[0]):
            raise _invalid(path, owner, f"holds {part!r}, a name that Git keeps for itself")
        if len(part.encode()) > _LONGEST_NAME:
            raise _invalid(path, owner, f"has a part longer than {_LONGEST_NAME} bytes")
    return normal


def confine_file(path: str, *, owner: str) -> str:
    """Like `confine`, but a path that ends like a folder's is refused."""
    if path.endswith(("/", "/.", "/..")) or path in {".", ".."}:
        raise _invalid(path, owner, "names a folder, not a file")
    return confine(path, owner=owner)


def require_local(path: str, root: Path | None) -> Path:
    """The real path of something on this machine. This blocks.

    Raises StoreError (final) outside ``root``, and for a path that is longer than the machine takes.

    ``root`` is the folder in which local stores must be; None does not allow any. Otherwise everybody who may write a
    state store could write anywhere on the operator's machine. A relative path is relative to ``root``.
    """
    if root is None:
        raise StoreError(
            Reason.LOCAL_PATH_REFUSED,
            f"{path[:200]} is a path of the machine that the operator runs on",
            f"use a store on the network, or allow a folder with {LOCAL_ROOT_SETTING}",
            retryable=False,
        )
    if len(path) > _LONGEST_LOCAL_PATH:
        raise StoreError(
            Reason.LOCAL_PATH_REFUSED,
            f"{path[:200]}... is longer than {_LONGEST_LOCAL_PATH} characters, which no path on a machine may be",
            "use a shorter path",
            retryable=False,
        )
    allowed = Path(os.path.realpath(root))
    found = Path(os.path.realpath(allowed / path))
    if not found.is_relative_to(allowed):
        raise StoreError(
            Reason.LOCAL_PATH_REFUSED,
            f"{path[:200]} is not inside {allowed}, the only folder allowed for local stores",
            f"move the store there, or change {LOCAL_ROOT_SETTING}",
            retryable=False,
        )
    return found


def as_one_path(path: str) -> str:
    """A text that is equal for all spellings that some file system takes for the same path.

    Spellings differ in case, in Unicode's normal forms, in characters that HFS+ ignores, or in dots and spaces at the
    end of a name.
    """
    if path.isascii():
        plain = path.lower()
    else:
        plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", _IGNORABLE.sub("", path)).casefold())
    if "./" in plain or " /" in plain or plain.endswith((".", " ")):
        return _TRAILING.sub("", plain)
    return plain


def ancestors(path: str) -> list[str]:
    """The folders above a normalised path without the root itself, beginning with the one nearest to the root."""
    found = []
    at = path.find("/")
    while at >= 0:
        found.append(path[:at])
        at = path.find("/", at + 1)
    return found


def _problem(path: str) -> str:
    if not path:
        return "is empty"
    if path.startswith("/"):
        return "is absolute"
    if _CONTROL.search(path):
        return "holds a control character"
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return f"is longer than {_LONGEST_PATH} bytes" if len(encoded) > _LONGEST_PATH else ""


def _invalid(path: str, owner: str, problem: str) -> StoreError:
    shown = path if len(path) <= 120 else f"{path[:117]}..."
    return StoreError(
        Reason.INVALID_PATH,
        f"the path {shown!r} of {owner} {problem}",
        "change the path in the Promise's pipeline or in the Destination",
        retryable=False,
    )
