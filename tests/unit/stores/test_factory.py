"""From a store's object and its Secret to a writer, or to a sentence that says what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from troth.stores import StateStoreWriter, StoreEnvironment, StoreError, open_writer
from troth.stores.directory import DirectoryWriter
from troth.stores.git import GitWriter
from troth.stores.git_remote import BasicAuth, SshKey
from troth.stores.kubernetes import KubernetesWriter
from troth.stores.kubernetes_client import KubernetesClient

REFERENCE = {"secretRef": {"name": "git", "namespace": "platform"}}


class Closable:
    closed = False

    async def close(self) -> None:
        self.closed = True


def environment(tmp_path: Path, *, connected: Closable | None = None) -> StoreEnvironment:
    async def connect(kubeconfig: bytes) -> KubernetesClient:
        if connected is None:
            raise ValueError(f"{len(kubeconfig)} bytes are no kubeconfig")
        return cast("KubernetesClient", connected)

    return StoreEnvironment(
        workspace=tmp_path / "workspace",
        local_root=tmp_path,
        cluster=cast("KubernetesClient", Closable()),
        connect=connect,
        parse=lambda _: [],
        surroundings={},
    )


async def open_git(
    tmp_path: Path, spec: Mapping[str, Any], secret: Mapping[str, bytes] | None
) -> StateStoreWriter:
    return await open_writer("GitStateStore", "default", spec, secret, environment(tmp_path))


async def test_a_secret_with_nothing_but_an_authority_gives_no_login(tmp_path: Path) -> None:
    spec = {"url": "https://example.com/a.git", **REFERENCE}
    writer = await open_git(tmp_path, spec, {"ca.crt": b"PEM"})
    assert isinstance(writer, GitWriter)
    assert writer._remote.credentials is None
    assert writer._remote.ca_bundle == b"PEM"
    await writer.close()


async def test_a_git_store_with_a_password(tmp_path: Path) -> None:
    spec = {"url": "https://example.com/a.git", **REFERENCE, "path": "/clusters/", "gitAuthor": {"name": "T"}}
    secret = {"username": b" bot\n", "password": b"token\n", "ca.crt": b"PEM"}
    writer = await open_git(tmp_path, spec, secret)
    assert isinstance(writer, GitWriter)
    assert writer._remote.credentials == BasicAuth("bot", "token")
    assert writer._remote.ca_bundle == b"PEM"
    assert (writer._branch_name, writer._prefix, str(writer._author)) == (
        "main",
        "clusters",
        "T <noreply@troth.dev>",
    )
    await writer.close()


async def test_github_needs_no_user_name(tmp_path: Path) -> None:
    writer = await open_git(tmp_path, {"url": "https://github.com/a/b", **REFERENCE}, {"password": b"token"})
    assert isinstance(writer, GitWriter)
    assert writer._remote.credentials == BasicAuth("x-access-token", "token")
    with pytest.raises(StoreError, match="no key username"):
        await open_git(tmp_path, {"url": "https://gitlab.com/a/b", **REFERENCE}, {"password": b"token"})


async def test_a_git_store_with_a_key(tmp_path: Path) -> None:
    spec = {"url": "git@example.com:a.git", "authMethod": "ssh", "branch": "trunk", **REFERENCE}
    writer = await open_git(tmp_path, spec, {"sshPrivateKey": b"key\n", "knownHosts": b"host key"})
    assert isinstance(writer, GitWriter)
    assert writer._remote.credentials == SshKey("key", "host key")
    assert writer._branch_name == "trunk"


async def test_a_repository_that_asks_for_no_login_needs_no_secret(tmp_path: Path) -> None:
    writer = await open_git(tmp_path, {"url": "http://127.0.0.1:1/a.git"}, None)
    assert isinstance(writer, GitWriter)
    assert writer._remote.credentials is None


@pytest.mark.parametrize(
    ("spec", "secret", "reason", "words"),
    [
        (
            {"url": "https://h/a", **REFERENCE},
            {"username": b"u"},
            "SecretKeyMissing",
            "platform/git has no key password",
        ),
        ({"url": "https://h/a", **REFERENCE}, {"password": b"p"}, "SecretKeyMissing", "no key username"),
        ({"url": "https://h/a", **REFERENCE}, {"password": b"\xff"}, "SecretKeyMissing", "not text"),
        (
            {"url": "git@h:a", "authMethod": "ssh", **REFERENCE},
            {"sshPrivateKey": b"k"},
            "SecretKeyMissing",
            "knownHosts",
        ),
        ({"url": "git@h:a", "authMethod": "ssh"}, None, "SecretKeyMissing", "secretRef is missing"),
        ({"url": "https://h/a", "authMethod": "githubApp"}, {}, "NotSupported", "githubApp is not supported yet"),
        ({"url": ""}, None, "InvalidStateStore", "spec.url is missing"),
        ({"url": "https://h/a", "branch": "a b"}, None, "InvalidStateStore", "branch"),
        (
            {"url": "http://example.com/a", **REFERENCE},
            {"username": b"u", "password": b"p"},
            "InsecureTransport",
            "http",
        ),
        ({"url": "/etc"}, None, "LocalPathRefused", "--local-stores"),
    ],
)
async def test_what_is_wrong_is_said(
    tmp_path: Path, spec: dict[str, Any], secret: dict[str, bytes] | None, reason: str, words: str
) -> None:
    with pytest.raises(StoreError) as caught:
        await open_git(tmp_path, spec, secret)
    assert caught.value.reason == reason
    assert words in str(caught.value)


async def test_a_missing_key_names_the_keys_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it has token, user"):
        await open_git(tmp_path, {"url": "https://h/a", **REFERENCE}, {"user": b"u", "token": b"very-secret"})


async def test_a_directory(tmp_path: Path) -> None:
    spec = {"path": str(tmp_path / "state")}
    assert isinstance(
        await open_writer("DirectoryStateStore", "d", spec, None, environment(tmp_path)), DirectoryWriter
    )


async def test_a_cluster_with_a_kubeconfig_closes_its_client_and_the_own_cluster_does_not(tmp_path: Path) -> None:
    connected = Closable()
    around = environment(tmp_path, connected=connected)
    far = await open_writer("KubernetesStateStore", "k", REFERENCE, {"kubeconfig": b"{}"}, around)
    assert isinstance(far, KubernetesWriter)
    await far.close()
    assert connected.closed
    here = await open_writer("KubernetesStateStore", "k", {}, None, around)
    await here.close()
    assert not cast("Closable", around.cluster).closed


async def test_an_unusable_kubeconfig_says_where_it_is(tmp_path: Path) -> None:
    spec = {"secretRef": {"name": "worker", "key": "config"}}
    with pytest.raises(StoreError, match="key config of the Secret default/worker"):
        await open_writer("KubernetesStateStore", "k", spec, {"config": b"{}"}, environment(tmp_path))
    with pytest.raises(StoreError, match="no key config"):
        await open_writer("KubernetesStateStore", "k", spec, {"kubeconfig": b"{}"}, environment(tmp_path))


async def test_other_kinds_are_not_supported_yet(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="BucketStateStore is not supported yet") as caught:
        await open_writer("BucketStateStore", "b", {}, None, environment(tmp_path))
    assert not caught.value.retryable
