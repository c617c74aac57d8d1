"""A small HTTP client for our own API server, which checks whether it is ready and finishes namespaces.

It is synchronous and only uses the standard library, so that it works in a pytest session fixture and in a thread. The
operator's client is `troth.kube`, on which this package must not depend to start a control plane.

A request has a connection of its own unless it is made within `ApiServer.connected`. The handshake of TLS, in which
both sides show a certificate, takes several times as much processor time as a request, and there are about fifty
requests for a namespace that is finished.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

_JSON = "application/json"
_TABLE = f"{_JSON};as=Table;g=meta.k8s.io;v=v1"
# Who looks after an APIService: those that are made at the start, and then never again, are of the server's own groups.
_BUILT_IN = "labelSelector=kube-aggregator.kubernetes.io/automanaged=onstart"


class ApiServer:
    """Sends requests to an API server as its administrator; on the loopback address unless told otherwise."""

    def __init__(
        self, *, host: str = "127.0.0.1", port: int, authority: bytes, certificate: Path, key: Path
    ) -> None:
        self._host = host
        self._port = port
        self._context = ssl.create_default_context(cadata=authority.decode())
        self._context.load_cert_chain(certificate, key)
        self._kept = threading.local()
        self._built_in: dict[str, list[str]] = {}  # by the URL path of the version

    @contextmanager
    def connected(self) -> Iterator[None]:
        """All requests that this thread makes in the block share one connection."""
        with closing(self._connection()) as self._kept.connection:
            try:
                yield
            finally:
                del self._kept.connection

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        accept: str = _JSON,
        parse: bool = True,
        timeout: float = 30,
    ) -> tuple[int, Any]:
        """Returns the HTTP status and the answer: parsed if it is JSON and ``parse`` is true, or else its text.

        Raises:
            OSError: there is no answer.
            http.client.HTTPException: the answer is not complete HTTP.
        """
        kept: http.client.HTTPSConnection | None = getattr(self._kept, "connection", None)
        connection = kept or self._connection()
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            data = None if body is None else json.dumps(body).encode()
            headers = {"Accept": accept, "User-Agent": "troth-dev"}
            if data is not None:
                merge = method == "PATCH"
                headers["Content-Type"] = "application/merge-patch+json" if merge else _JSON
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            is_json = answer.headers.get_content_type() == _JSON
            return answer.status, json.loads(text) if parse and is_json else text
        finally:
            if connection is not kept:
                connection.close()

    def ready(self) -> bool:
        """Whether the server says that it is ready, and has made the namespaces that always exist."""
        try:
            paths = ("/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system")
            return all(self.request("GET", path, timeout=5)[0] == http.HTTPStatus.OK for path in paths)
        except (OSError, http.client.HTTPException):
            return False

    def deletable_collections(self, namespace: str) -> list[str]:
        """The URL paths of every collection in a namespace that can be listed and deleted at once."""
        found: dict[tuple[str, str], str] = {}  # one of the versions of a resource is enough
        for group, version in self._group_versions():
            for plural in self._deletable(version):
                found.setdefault((group, plural), f"{version}/namespaces/{namespace}/{plural}")
        return list(found.values())

    def is_empty(self, collection: str) -> bool:
        """Ask a collection to delete its objects. Returns whether none are left."""
        if not self.names(collection, limit=1):
            return True
        self.request("DELETE", f"{collection}?propagationPolicy=Background", parse=False)
        return False

    def strip_finalizers(self, collection: str) -> None:
        """Remove the finalizers from every object of a collection, after `is_empty` has asked for their deletion."""
        for name in self.names(collection):
            self.request("PATCH", f"{collection}/{name}", {"metadata": {"finalizers": None}}, parse=False)

    def names(self, collection: str, *, limit: int = 0) -> list[str]:
        """The names of the objects in a collection; empty when its definition is gone.

        Tests make objects that are nested too deeply for a parser, and their managed fields are as deep. So the
        server is asked for a table, whose first column is the name, and its answers to changes are not parsed.
        """
        query = f"includeObject=None&limit={limit}"  # 0 means all of them
        status, answer = self.request("GET", f"{collection}?{query}", accept=_TABLE)
        return [row["cells"][0] for row in answer["rows"] or ()] if status == http.HTTPStatus.OK else []

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, context=self._context)

    def _group_versions(self) -> list[tuple[str, str]]:
        _, answer = self.request("GET", "/apis")
        named = [
            (group["name"], f"/apis/{version['groupVersion']}")
            for group in answer["groups"]
            for version in group["versions"]
        ]
        return [("", "/api/v1"), *named]

    def _deletable(self, version: str) -> list[str]:
        """The plurals of a version that can be listed and deleted at once. Those that are built in stay as they are."""
        if not self._built_in:
            path = f"/apis/apiregistration.k8s.io/v1/apiservices?{_BUILT_IN}"
            _, answer = self.request("GET", path)
            paths = [_version_path(**item["spec"]) for item in answer["items"]]
            self._built_in.update({path: self._discover(path) for path in paths})
        known = self._built_in.get(version)
        return self._discover(version) if known is None else known

    def _discover(self, version: str) -> list[str]:
        status, answer = self.request("GET", version)
        return [
            resource["name"]
            for resource in (answer["resources"] if status == http.HTTPStatus.OK else ())
            if resource["namespaced"] and {"list", "deletecollection"} <= set(resource["verbs"])
        ]


def _version_path(*, version: str, group: str = "", **_: object) -> str:
    return f"/apis/{group}/{version}" if group else f"/api/{version}"
