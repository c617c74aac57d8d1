"""Git over http, https and ssh: logins refused, servers away, strangers' keys; and secrets stay secret."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.file_stores import GitStore
from tests.ssh_server import SshServer, find_sshd
from tests.store_contract import Claims
from troth.certificates import Authority
from troth.dev.git_server import GitServer, git
from troth.stores import StateStoreWriter, StoreError
from troth.stores.environment import Connect, StoreEnvironment
from troth.stores.factory import open_writer
from troth.stores.git import GitSettings
from troth.stores.git_remote import BasicAuth, Credentials, SshKey
from troth.stores.kubernetes_client import KubernetesClient
from troth.stores.kubernetes_objects import Parse

PASSWORD = "correct horse/battery+staple"


@pytest.fixture
def claims() -> Claims:
    return Claims("default")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "server", username="bot", password=PASSWORD) as server:
        server.create_repository("state")
        yield server


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[list[GitStore]]:
    opened: list[GitStore] = []
    yield opened
    for store in opened:
        await store.close()


def http_store(server: GitServer, tmp_path: Path, credentials: Credentials, *, name: str = "state") -> GitStore:
    return GitStore(
        tmp_path, url=server.url(name), credentials=credentials, repository=tmp_path / "server" / f"{name}.git"
    )


@pytest.mark.parametrize("credentials", [BasicAuth("bot", "wrong-secret"), None])
async def test_a_login_that_is_refused_says_so_and_keeps_the_secret(
    server: GitServer, tmp_path: Path, stores: list[GitStore], claims: Claims, credentials: Credentials
) -> None:
    store = http_store(server, tmp_path, credentials)
    stores.append(store)
    writer = store.writer()
    for attempt in (writer.check(), writer.write(claims("a", {"a/x.yaml": "1"})), writer.refresh()):
        with pytest.raises(StoreError) as caught:
            await attempt
        assert caught.value.reason == "AuthenticationRefused"
        assert caught.value.retryable
        assert "wrong-secret" not in str(caught.value)


async def test_a_missing_repository_on_a_server_says_so(
    server: GitServer, tmp_path: Path, stores: list[GitStore]
) -> None:
    store = http_store(server, tmp_path, BasicAuth("bot", PASSWORD), name="gone")
    stores.append(store)
    with pytest.raises(StoreError) as caught:
        await store.writer().check()
    assert caught.value.reason == "RepositoryMissing"


async def test_no_argument_and_no_file_holds_the_password(
    server: GitServer, tmp_path: Path, stores: list[GitStore], claims: Claims
) -> None:
    store = http_store(server, tmp_path, BasicAuth("bot", PASSWORD))
    stores.append(store)
    seen = tmp_path / "seen"
    # the server's hook runs while the push does: it sees the arguments of every program there is
    store.hook("pre-receive", f"cat /proc/[0-9]*/cmdline | tr '\\0' ' ' >> {seen}; exit 0")
    writer = store.writer()
    await writer.write(claims("a", {"a/x.yaml": "1"}))
    spelled = [PASSWORD, *store.remote().secrets()]
    arguments = seen.read_text(errors="replace")
    assert "remote-http" in arguments
    assert not [secret for secret in spelled if secret in arguments]
    kept = [path.read_bytes() for path in store.workspace.rglob("*") if path.is_file()]
    assert not [secret for secret in spelled for content in kept if secret.encode() in content]


async def test_a_server_that_goes_away_and_comes_back(
    server: GitServer, tmp_path: Path, stores: list[GitStore], claims: Claims
) -> None:
    store = http_store(server, tmp_path, BasicAuth("bot", PASSWORD))
    stores.append(store)
    writer = store.writer()
    await writer.write(claims("a", {"a/x.yaml": "1"}, directory="a"))
    port = server.port
    server.stop()
    with pytest.raises(StoreError) as caught:
        await writer.write(claims("a", {"a/x.yaml": "2"}, directory="a"))
    assert caught.value.reason == "Unreachable"
    with GitServer(tmp_path / "server", username="bot", password=PASSWORD, port=port):
        assert (await writer.write(claims("a", {"a/x.yaml": "2"}, directory="a"))).changed
    assert await store.contents() == {"a/x.yaml": "2"}


async def test_a_server_that_says_nothing_does_not_hold_a_claim_for_ever(
    tmp_path: Path, stores: list[GitStore]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = GitStore(tmp_path, url=f"http://127.0.0.1:{silent.getsockname()[1]}/a.git")
        stores.append(store)
        writer = store.writer(settings=GitSettings(command_timeout=0.5))
        with pytest.raises(StoreError) as caught:
            await writer.check()
    assert caught.value.reason == "DeadlineExceeded"


@pytest.mark.parametrize("trusted", [True, False])
async def test_https_with_an_authority_of_its_own(
    tmp_path: Path, stores: list[GitStore], claims: Claims, trusted: bool
) -> None:
    authority = Authority.create("git")
    pair = authority.server(["127.0.0.1"])
    (tmp_path / "pair.pem").write_bytes(pair.certificate + pair.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pair.pem")
    with GitServer(tmp_path / "server", username="bot", password=PASSWORD, tls=tls) as server:
        repository = server.create_repository("state")
        store = GitStore(
            tmp_path,
            url=server.url("state"),
            credentials=BasicAuth("bot", PASSWORD),
            repository=repository,
            ca_bundle=authority.pair.certificate if trusted else b"",
        )
        stores.append(store)
        writer = store.writer()
        if trusted:
            await writer.write(claims("a", {"a/x.yaml": "1"}))
            assert await store.contents() == {"a/x.yaml": "1"}
        else:
            with pytest.raises(StoreError, match=r"ca\.crt") as caught:
                await writer.check()
            assert caught.value.reason == "CertificateRefused"


async def test_the_authority_of_a_secret_is_believed_and_a_variable_of_the_pod_changes_nothing(
    tmp_path: Path, claims: Claims
) -> None:
    """The chart's page says so: ``ca.crt`` works, and what git would read of the pod's environment does not."""
    authority, stranger = Authority.create("git"), Authority.create("stranger")
    pair = authority.server(["127.0.0.1"])
    (tmp_path / "pair.pem").write_bytes(pair.certificate + pair.key)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(authority.pair.certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pair.pem")
    login = {"username": b"bot", "password": PASSWORD.encode()}
    with GitServer(tmp_path / "server", username="bot", password=PASSWORD, tls=tls) as server:
        server.create_repository("state")
        spec = {"url": server.url("state"), "secretRef": {"name": "git", "namespace": "default"}}

        async def opened(**secret: bytes) -> StateStoreWriter:
            surroundings = {
                "PATH": os.environ["PATH"],
                "GIT_SSL_CAINFO": str(bundle),
                "GIT_SSL_NO_VERIFY": "true",
            }
            environment = StoreEnvironment(
                workspace=tmp_path / "work",
                local_root=None,
                cluster=cast("KubernetesClient", None),
                connect=cast("Connect", None),
                parse=cast("Parse", None),
                surroundings=surroundings,
            )
            return await open_writer("GitStateStore", "default", spec, {**login, **secret}, environment)

        for secret in ({}, {"ca.crt": stranger.pair.certificate}):
            writer = await opened(**secret)
            with pytest.raises(StoreError, match=r"ca\.crt") as caught:
                await writer.check()
            assert caught.value.reason == "CertificateRefused"
            await writer.close()
        writer = await opened(**{"ca.crt": authority.pair.certificate})
        assert (await writer.write(claims("a", {"a/x.yaml": "1"}))).changed
        await writer.close()


@pytest.fixture(scope="module")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    if find_sshd() is None:
        pytest.skip("sshd is not installed (Debian: openssh-server)")
    with SshServer(tmp_path_factory.mktemp("ssh") / "server") as server:
        yield server


@pytest.mark.parametrize(
    ("key", "known_hosts", "reason"),
    [
        ("private_key", "wrong_known_hosts", "HostKeyMismatch"),
        ("other_key", "known_hosts", "AuthenticationRefused"),
        ("known_hosts", "known_hosts", "AuthenticationRefused"),
    ],
)
async def test_ssh_believes_the_known_host_and_shows_the_given_key_only(
    tmp_path: Path, ssh_server: SshServer, stores: list[GitStore], key: str, known_hosts: str, reason: str
) -> None:
    credentials = SshKey(getattr(ssh_server, key), getattr(ssh_server, known_hosts))
    store = GitStore(tmp_path, url=ssh_server.url(tmp_path / "state.git"), credentials=credentials)
    stores.append(store)
    with pytest.raises(StoreError) as caught:
        await store.writer().check()
    assert caught.value.reason == reason
    assert "PRIVATE KEY" not in str(caught.value)


async def test_a_missing_repository_over_ssh_says_so(
    tmp_path: Path, ssh_server: SshServer, stores: list[GitStore]
) -> None:
    store = GitStore(
        tmp_path,
        url=ssh_server.url(tmp_path / "gone.git"),
        credentials=SshKey(ssh_server.private_key, ssh_server.known_hosts),
    )
    stores.append(store)
    with pytest.raises(StoreError) as caught:
        await store.writer().check()
    assert caught.value.reason == "RepositoryMissing"


def test_an_ordinary_git_works_with_the_server_of_the_demo(server: GitServer, tmp_path: Path) -> None:
    # clone, commit, push in chunks (a tiny post buffer), pull: as a person would
    url = server.url("state").replace("http://", f"http://bot:{PASSWORD.replace('/', '%2F').replace(' ', '%20')}@")
    git(tmp_path, "clone", "--quiet", url, "work")
    work = tmp_path / "work"
    (work / "big.bin").write_bytes(bytes(range(256)) * 2000)
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "By hand")
    git(work, "-c", "http.postBuffer=1024", "-c", "core.compression=0", "push", "--quiet", "origin", "HEAD:main")
    git(work, "pull", "--quiet")
    assert b"big.bin" in git(tmp_path / "server" / "state.git", "ls-tree", "--name-only", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(tmp_path, "ls-remote", server.url("state"))
