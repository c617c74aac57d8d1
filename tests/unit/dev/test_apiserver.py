"""Requests to an API server share a connection where that is asked for, and only there."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from troth.certificates import Authority, KeyPair
from troth.dev.apiserver import ApiServer


class _Server(http.server.ThreadingHTTPServer):
    """Answers each request with the number of the connection that it came by."""

    daemon_threads = False

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.connections = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        assert isinstance(self.server, _Server)
        self.number = self.server.connections

    def do_GET(self) -> None:
        body = json.dumps({"connection": self.number}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def _written(folder: Path, name: str, pair: KeyPair) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return certificate, key


@contextmanager
def _serving(authority: Authority, folder: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_written(folder, "server", authority.server(["127.0.0.1"])))
    with _Server(context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    authority = Authority.create("test authority")
    certificate, key = _written(tmp_path, "client", authority.client("somebody"))
    with _serving(authority, tmp_path) as port:
        yield ApiServer(port=port, authority=authority.pair.certificate, certificate=certificate, key=key)


def test_requests_within_connected_share_a_connection_and_others_have_their_own(api: ApiServer) -> None:
    def connection() -> int:
        status, answer = api.request("GET", "/version")
        assert status == 200
        return int(answer["connection"])

    assert [connection(), connection()] == [1, 2]
    with api.connected():
        assert [connection(), connection()] == [3, 3]
        others: list[int] = []
        other = threading.Thread(target=lambda: others.append(connection()))
        other.start()
        other.join()
        assert others == [4]
        assert connection() == 3
    assert connection() == 5
