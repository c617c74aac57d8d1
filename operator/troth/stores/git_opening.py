"""Opens the writer of a GitStateStore from its spec and its Secret.

The fields and keys are those of Kratix (kratix-compatibility.md#git).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from troth.api.store_kinds import read_git_branch
from troth.stores.environment import StoreEnvironment
from troth.stores.errors import Reason, StoreError
from troth.stores.git import GitWriter
from troth.stores.git_remote import BasicAuth, Credentials, SshKey, open_remote
from troth.stores.git_repository import Author
from troth.stores.secret_keys import read_key

_AUTHORITY: Final = "ca.crt"
_GITHUB_USER: Final = "x-access-token"


async def open_git(
    _name: str, spec: Mapping[str, Any], secret: Mapping[str, bytes] | None, environment: StoreEnvironment
) -> GitWriter:
    """Opens the writer of one branch of a repository. Raises StoreError for what cannot work."""
    return await asyncio.to_thread(_open, spec, secret, environment)


def _open(spec: Mapping[str, Any], secret: Mapping[str, bytes] | None, environment: StoreEnvironment) -> GitWriter:
    where = read_git_branch(spec)
    url = where.url
    if not url:
        raise StoreError(
            Reason.INVALID_STORE, "spec.url is missing", "give the repository's address", retryable=False
        )
    author = spec.get("gitAuthor") or {}
    remote = open_remote(
        url,
        read_credentials(url, spec, secret),
        local_root=environment.local_root,
        ca_bundle=(secret or {}).get(_AUTHORITY, b""),
    )
    return GitWriter(
        remote=remote,
        branch=where.branch,
        ownership=environment.ownerships.at(str(where)),
        budget=environment.budget,
        parse=environment.parse,
        author=Author(str(author.get("name") or ""), str(author.get("email") or "")),
        workspace=environment.workspace,
        surroundings=environment.surroundings,
        prefix=str(spec.get("path") or ""),
        settings=environment.git,
    )


def read_credentials(url: str, spec: Mapping[str, Any], secret: Mapping[str, bytes] | None) -> Credentials:
    """The credentials for a repository; None to use none. Raises StoreError."""
    method = spec.get("authMethod") or "basicAuth"
    if method == "ssh":
        return SshKey(
            private_key=read_key(spec, secret, "sshPrivateKey"), known_hosts=read_key(spec, secret, "knownHosts")
        )
    if method == "basicAuth":
        if secret is None or set(secret) == {_AUTHORITY}:
            return None
        password = read_key(spec, secret, "password")
        if not secret.get("username") and _host(url) == "github.com":
            return BasicAuth(_GITHUB_USER, password)
        return BasicAuth(read_key(spec, secret, "username"), password)
    raise StoreError(
        Reason.NOT_SUPPORTED,
        f"spec.authMethod {method} is not supported yet",
        "use basicAuth with a token, or ssh with a deploy key",
        retryable=False,
    )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
