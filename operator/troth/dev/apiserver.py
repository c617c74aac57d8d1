"""Just enough HTTP to look after our own API server: is it ready, finish a namespace.

Synchronous and made of the standard library, so that it works in a pytest session fixture as in a thread. The
operator's client is `troth.kube`, which this package may not depend on for coming up.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ApiServer:
    """Requests to one API server on the loopback, as its admin."""

    def __init__(self, *, port: int, authority: bytes, certificate: Path, key: Path) -> None:
        self._port = port
        self._context = ssl.create_default_context(cadata=authority.decode())
        self._context.load_cert_chain(certificate, key)

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout: float = 30
    ) -> tuple[int, Any]:
        """Returns the HTTP status and the answer: parsed when it is JSON, else its text.

        Raises:
            OSError: nobody answers.
            http.client.HTTPException: what answers does not speak HTTP to the end.
        """
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=self._context, timeout=timeout)
        try:
            data = None if body is None else json.dumps(body).encode()
            headers = {"Accept": "application/json", "User-Agent": "troth-dev"}
            if data is not None:
                merge = method == "PATCH"
                headers["Content-Type"] = "application/merge-patch+json" if merge else "application/json"
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(text) if is_json else text
        finally:
            connection.close()

    def ready(self) -> bool:
        """Whether it says that it is ready and has made the namespaces that everything presumes."""
        try:
            paths = ("/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system")
            return all(self.request("GET", path, timeout=5)[0] == http.HTTPStatus.OK for path in paths)
        except (OSError, http.client.HTTPException):
            return False

    def deletable_collections(self, namespace: str) -> list[str]:
        """The URL paths of every collection in a namespace that can be listed and deleted at once."""
        found: dict[tuple[str, str], str] = {}  # the same objects are served under several versions: one is enough
        for group, version in self._group_versions():
            status, answer = self.request("GET", version)
            if status != http.HTTPStatus.OK:
                continue
            for resource in answer["resources"]:
                if resource["namespaced"] and {"list", "deletecollection"} <= set(resource["verbs"]):
                    plural = resource["name"]
                    found.setdefault((group, plural), f"{version}/namespaces/{namespace}/{plural}")
        return list(found.values())

    def strip_finalizers(self, collection: str) -> None:
        """Take the finalizers off every object of a collection that is being deleted."""
        _, answer = self.request("GET", collection)
        for item in answer.get("items", ()):
            metadata = item["metadata"]
            if metadata.get("finalizers") and "deletionTimestamp" in metadata:
                self.request("PATCH", f"{collection}/{metadata['name']}", {"metadata": {"finalizers": None}})

    def _group_versions(self) -> list[tuple[str, str]]:
        _, answer = self.request("GET", "/apis")
        named = [
            (group["name"], f"/apis/{version['groupVersion']}")
            for group in answer["groups"]
            for version in group["versions"]
        ]
        return [("", "/api/v1"), *named]
