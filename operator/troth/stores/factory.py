"""From a state store's object and its Secret to its writer: the only place that reads either.

Kratix's fields and keys, as they are (kratix-compatibility.md#git). A password or user name loses the white space
at its ends: a trailing newline from ``kubectl create secret --from-file`` is never meant.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from troth.api import TrothError
from troth.budget import Budget
from troth.stores.directory import DirectoryWriter, directory_root
from troth.stores.errors import Reason, StoreError
from troth.stores.git import GitSettings, GitWriter
from troth.stores.git_remote import BasicAuth, Credentials, SshKey, open_remote
from troth.stores.git_repository import Author
from troth.stores.kubernetes import KubernetesSettings, KubernetesWriter
from troth.stores.kubernetes_client import KubernetesClient
from troth.stores.kubernetes_objects import Parse
from troth.stores.ownership import Ownership, Ownerships
from troth.stores.protocol import StateStoreWriter

Connect = Callable[[bytes], Awaitable[KubernetesClient]]

_BRANCH: Final = "main"
_AUTHORITY: Final = "ca.crt"
_GITHUB_USER: Final = "x-access-token"


@dataclass(frozen=True, slots=True)
class StoreEnvironment:
    """What writers need of the process they run in.

    Attributes:
        workspace: a private folder for clones; made if missing.
        local_root: the folder that local repositories and directories must lie in; None refuses them.
        cluster: the client of the cluster that the operator works on.
        connect: makes a client from a kubeconfig; what it raises is an unusable kubeconfig, and the words of a
            TrothError are shown, so they must quote nothing of it.
        parse: reads YAML as Kubernetes does; raises a TrothError.
        inventory_namespace: where inventories are kept on a cluster.
        surroundings: the environment that PATH and proxies are taken from.
        ownerships: who has what in each place, for all stores together: two of them may be one place.
        budget: of what writers load and have not handed on yet, for all stores together.
        git: how Git writers behave.
        kubernetes: how Kubernetes writers behave.
    """

    workspace: Path
    local_root: Path | None
    cluster: KubernetesClient
    connect: Connect
    parse: Parse
    inventory_namespace: str = "kratix-platform-system"
    surroundings: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    ownerships: Ownerships = field(default_factory=Ownerships)
    budget: Budget = field(default_factory=Budget)
    git: GitSettings = field(default_factory=GitSettings)
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)


async def open_writer(
    kind: str,
    name: str,
    spec: Mapping[str, Any],
    secret: Mapping[str, bytes] | None,
    environment: StoreEnvironment,
) -> StateStoreWriter:
    """The writer of a state store; raises StoreError for what cannot work. Nothing is contacted yet.

    Args:
        kind: GitStateStore, KubernetesStateStore or DirectoryStateStore.
        name: the store's name.
        spec: the store's spec as written.
        secret: the decoded data of the Secret that ``spec.secretRef`` names; None when it names none.
        environment: of the process.
    """
    if kind == "GitStateStore":
        ownership = environment.ownerships.at(f"{spec.get('url')}#{spec.get('branch') or _BRANCH}")
        return await asyncio.to_thread(_open_git, spec, secret, environment, ownership)
    if kind == "KubernetesStateStore":
        return await _open_kubernetes(name, spec, secret, environment)
    if kind == "DirectoryStateStore":
        path = str(spec.get("path") or "")
        root = await asyncio.to_thread(directory_root, path, local_root=environment.local_root)
        return DirectoryWriter(root, ownership=environment.ownerships.at(str(root)), parse=environment.parse)
    raise StoreError(
        Reason.NOT_SUPPORTED,
        f"a store of kind {kind} is not supported yet",
        "use a GitStateStore, a KubernetesStateStore or a DirectoryStateStore",
        retryable=False,
    )


def _open_git(
    spec: Mapping[str, Any],
    secret: Mapping[str, bytes] | None,
    environment: StoreEnvironment,
    ownership: Ownership,
) -> GitWriter:
    url = str(spec.get("url") or "")
    if not url:
        raise StoreError(
            Reason.INVALID_STORE, "spec.url is missing", "give the repository's address", retryable=False
        )
    author = spec.get("gitAuthor") or {}
    remote = open_remote(
        url,
        _git_credentials(url, spec, secret),
        local_root=environment.local_root,
        ca_bundle=(secret or {}).get(_AUTHORITY, b""),
    )
    return GitWriter(
        remote=remote,
        branch=str(spec.get("branch") or _BRANCH),
        ownership=ownership,
        budget=environment.budget,
        parse=environment.parse,
        author=Author(str(author.get("name") or ""), str(author.get("email") or "")),
        workspace=environment.workspace,
        surroundings=environment.surroundings,
        prefix=str(spec.get("path") or ""),
        settings=environment.git,
    )


def _git_credentials(url: str, spec: Mapping[str, Any], secret: Mapping[str, bytes] | None) -> Credentials:
    method = spec.get("authMethod") or "basicAuth"
    if method == "ssh":
        return SshKey(
            private_key=_text(spec, secret, "sshPrivateKey"), known_hosts=_text(spec, secret, "knownHosts")
        )
    if method == "basicAuth":
        if secret is None or set(secret) == {_AUTHORITY}:
            return None
        password = _text(spec, secret, "password")
        if not secret.get("username") and _host(url) == "github.com":
            return BasicAuth(_GITHUB_USER, password)
        return BasicAuth(_text(spec, secret, "username"), password)
    raise StoreError(
        Reason.NOT_SUPPORTED,
        f"spec.authMethod {method} is not supported yet",
        "use basicAuth with a token, or ssh with a deploy key",
        retryable=False,
    )


async def _open_kubernetes(
    name: str, spec: Mapping[str, Any], secret: Mapping[str, bytes] | None, environment: StoreEnvironment
) -> KubernetesWriter:
    client = environment.cluster
    owns = secret is not None or bool(spec.get("secretRef"))
    if owns:
        key = str((spec.get("secretRef") or {}).get("key") or "kubeconfig")
        kubeconfig = _text(spec, secret, key)
        try:
            client = await environment.connect(kubeconfig.encode())
        except Exception as error:  # noqa: BLE001 - a library's words quote what they are about: here, a secret
            said = str(error) if isinstance(error, TrothError) else "it is not what kubectl reads"
            raise StoreError(
                Reason.INVALID_STORE,
                f"the kubeconfig in the key {key} of the Secret {_secret_name(spec)} cannot be used: {said}",
                "put a kubeconfig there that holds everything itself: certificates and token as data",
            ) from None
    return KubernetesWriter(
        client,
        store=name,
        parse=environment.parse,
        namespace=environment.inventory_namespace,
        owns_client=owns,
        settings=environment.kubernetes,
    )


def _text(spec: Mapping[str, Any], secret: Mapping[str, bytes] | None, key: str) -> str:
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
            Reason.SECRET_KEY_MISSING, f"the key {key} of the Secret {_secret_name(spec)} is not text"
        ) from None
    if not text:
        raise StoreError(
            Reason.SECRET_KEY_MISSING,
            f"the Secret {_secret_name(spec)} has no key {key}",
            f"add {key} to it" + (f"; it has {', '.join(sorted(secret))}" if secret else ""),
        )
    return text


def _secret_name(spec: Mapping[str, Any]) -> str:
    reference = spec.get("secretRef") or {}
    return f"{reference.get('namespace') or 'default'}/{reference.get('name', '?')}"


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
