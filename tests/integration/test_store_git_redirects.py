"""A Git server that sends its clients elsewhere gets no password carried there, and the message says where it was."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.file_stores import GitStore
from tests.store_contract import Claims
from troth.dev import git_server
from troth.dev.git_server import GitServer
from troth.stores import StoreError
from troth.stores.git_remote import BasicAuth

PASSWORD = "correct-horse-battery"


class Elsewhere:
    """A server that is not the store's. It answers nothing, and remembers what it was asked and with which login."""

    def __init__(self) -> None:
        seen = self.seen = list[tuple[str, str, str]]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append((self.command, self.path, self.headers.get("Authorization") or ""))
                self.send_error(404)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    found = Elsewhere()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "server", username="bot", password=PASSWORD) as server:
        server.create_repository("state")
        yield server


@pytest.fixture
async def store(server: GitServer, tmp_path: Path) -> AsyncIterator[GitStore]:
    store = GitStore(
        tmp_path, url=server.url("old"), credentials=BasicAuth("bot", PASSWORD),
        repository=tmp_path / "server" / "state.git",
    )  # fmt: skip
    yield store
    await store.close()


def redirect(monkeypatch: pytest.MonkeyPatch, to: str, *, service: str = "") -> None:
    """Lets the server send what is asked of ``old.git`` to another address; only one service of it if told so."""
    serve = git_server._Handler._serve

    def answer(handler: git_server._Handler) -> None:
        if not handler.path.startswith("/old.git/"):
            return serve(handler)
        if service not in handler.path:
            handler.path = handler.path.replace("/old.git/", "/state.git/")
            return serve(handler)
        handler.send_response(302)
        handler.send_header("Location", to + handler.path.removeprefix("/old.git"))
        handler.send_header("Content-Length", "0")
        return handler.end_headers()

    monkeypatch.setattr(git_server._Handler, "_serve", answer)


@pytest.mark.parametrize("service", ["", "git-receive-pack"])
async def test_a_password_is_not_taken_to_another_server(
    store: GitStore, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch, claims: Claims, service: str
) -> None:
    redirect(monkeypatch, f"{elsewhere.address}/new.git", service=service)
    writer = store.writer()
    for attempt in (writer.check(), writer.write(claims("a", {"a/x.yaml": "1"}))):
        with pytest.raises(StoreError, match=r"put the new address into spec.url") as caught:
            await attempt
        assert caught.value.reason == "Redirected"
        assert f"{elsewhere.address}/new.git" in str(caught.value)
        assert PASSWORD not in str(caught.value)
    assert elsewhere.seen == []


async def test_a_repository_that_has_another_name_on_the_same_server_is_found(
    store: GitStore, server: GitServer, monkeypatch: pytest.MonkeyPatch, claims: Claims
) -> None:
    redirect(monkeypatch, server.url("state"))
    writer = store.writer()
    await writer.check()
    written = await writer.write(claims("a", {"a/x.yaml": "1"}))
    assert written.changed


async def test_a_server_that_sends_its_clients_round_in_circles_is_told(
    store: GitStore, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect(monkeypatch, server.url("old"))
    with pytest.raises(StoreError) as caught:
        await store.writer().check()
    assert caught.value.reason == "Redirected"


@pytest.fixture
def claims() -> Claims:
    return Claims("default")
