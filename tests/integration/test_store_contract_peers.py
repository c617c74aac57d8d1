"""The promises of every store, kept by what is on the other end of a network: Git over http and ssh, a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cluster_store import ClusterStore
from tests.file_stores import GitStore
from tests.ssh_server import SshServer, find_sshd
from tests.store_contract import StoreContract, claims
from troth.dev.git_server import GitServer
from troth.kube import Client
from troth.stores.git_remote import BasicAuth, SshKey

__all__ = ["claims"]


class TestGitOverHttp(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[GitStore]:
        with GitServer(tmp_path / "server", username="bot", password="s3cret/+ word") as server:
            repository = server.create_repository("state")
            store = GitStore(
                tmp_path,
                url=server.url("state"),
                credentials=BasicAuth("bot", "s3cret/+ word"),
                repository=repository,
            )
            yield store
            await store.close()


@pytest.fixture(scope="module")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with SshServer(tmp_path_factory.mktemp("ssh") / "server") as server:
        yield server


@pytest.mark.skipif(find_sshd() is None, reason="sshd is not installed (Debian: openssh-server)")
class TestGitOverSsh(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path, ssh_server: SshServer) -> AsyncIterator[GitStore]:
        store = GitStore(
            tmp_path,
            url=ssh_server.url(tmp_path / "state.git"),
            credentials=SshKey(ssh_server.private_key, ssh_server.known_hosts),
        )
        yield store
        await store.close()


class TestCluster(StoreContract):
    @pytest.fixture
    async def store(self, client: Client, namespace: str) -> AsyncIterator[ClusterStore]:
        store = ClusterStore(client, namespace)
        yield store
        await store.close()
