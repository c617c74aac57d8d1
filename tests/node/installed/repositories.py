"""A Git server that Pods and this machine reach alike: https, a login, and a certificate of an authority of its own.

It runs in the process of the tests, on the machine's end of the link to the node. So a test reads the repositories as
bare folders, and a Pod needs nothing but the Secret of its store.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.node.node import Node
from tests.platforms import Platform, Repository, destination, git_store
from troth.api.resources import DESTINATION, GIT_STATE_STORE, SECRET
from troth.certificates import Authority
from troth.dev.git_server import GitServer

_USERNAME, _PASSWORD = "bot", "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Repositories:
    """The server, and what its clients have to know.

    Attributes:
        server: the server, which is running.
        authority: the certificate of the authority, in PEM.
    """

    server: GitServer
    authority: bytes

    def secret(self, name: str, namespace: str = "default") -> dict[str, Any]:
        """The Secret of a store: the login, and the authority under ``ca.crt``."""
        data = {"username": _USERNAME.encode(), "password": _PASSWORD.encode(), "ca.crt": self.authority}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }

    def store(self, name: str, secret: str, namespace: str = "default") -> dict[str, Any]:
        """The GitStateStore of the repository of this name."""
        return git_store(name, self.server.url(name), secretRef={"name": secret, "namespace": namespace})

    async def connect(self, platform: Platform, name: str) -> Repository:
        """Make a new repository, and a store and a Destination of this name; the Destination has the label ``for``."""
        repository = Repository(self.server.root / f"{name}.git")
        await platform.make(SECRET, self.secret(name))
        await platform.make(GIT_STATE_STORE, self.store(name, name))
        await platform.make(DESTINATION, destination(name, store=name, labels={"for": name}))
        return repository


@contextmanager
def served_repositories(node: Node, folder: Path) -> Iterator[Repositories]:
    """A server for the time of the block.

    Args:
        node: whose Pods reach it.
        folder: is made, for the repositories and the certificate.
    """
    authority = Authority.create("git")
    pair = authority.server([node.machine])
    folder.mkdir()
    chain = folder / "pair.pem"
    chain.touch(mode=0o600)
    chain.write_bytes(pair.certificate + pair.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain)
    with GitServer(
        folder / "repositories", username=_USERNAME, password=_PASSWORD, host=node.machine, tls=tls
    ) as server:
        yield Repositories(server, authority.pair.certificate)
