"""What is closed is gone at once, and asks nothing more of a server that has fallen silent."""

from __future__ import annotations

import asyncio
import gc
import itertools
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.kube.scripted import Login
from troth.api.resources import CONFIG_MAP
from troth.certificates import Authority
from troth.kube import Client

pytestmark = pytest.mark.slow

_PATIENCE = 5.0
_BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}\n'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK = b"%x\r\n%s\r\n" % (len(_BOOKMARK), _BOOKMARK)


class SilentServer:
    """Speaks TLS until it has answered a watch, or has been asked anything else; then it says nothing more.

    It does not even answer the farewell of TLS. ``asked`` is set when a request has come, ``ended`` when the client's
    side of the connection has ended.
    """

    def __init__(self, folder: Path) -> None:
        authority = Authority.create("silent")
        pair = authority.server(["127.0.0.1"])
        path = folder / "silent.pem"
        path.write_bytes(pair.certificate + pair.key)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(path)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.login = Login(f"https://127.0.0.1:{self._listener.getsockname()[1]}")
        self.login.ssl = ssl.create_default_context(cadata=authority.pair.certificate.decode())
        self.asked = threading.Event()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # it was closed
            connection.settimeout(2 * _PATIENCE)
            try:
                self._answer(connection)
            except TimeoutError:
                continue  # the client has not ended it
            except OSError:
                pass
            self.ended.set()

    def _answer(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as speaking:
            if b"watch=1" in speaking.recv(65536):
                speaking.sendall(_HEAD + _CHUNK)
            silent = socket.socket(fileno=speaking.detach())
        with silent:
            silent.settimeout(2 * _PATIENCE)
            self.asked.set()
            while silent.recv(65536):
                pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SilentServer]:
    server = SilentServer(tmp_path)
    try:
        yield server
    finally:
        server.close()


async def give_up_a_watch(client: Client, _: SilentServer) -> None:
    watch = client.watch(CONFIG_MAP, resource_version="1")
    assert (await anext(watch)).type == "BOOKMARK"
    await watch.aclose()


async def give_up_a_call(client: Client, server: SilentServer) -> None:
    call = asyncio.create_task(client.get(CONFIG_MAP, "a", "n"))
    assert await asyncio.to_thread(server.asked.wait, _PATIENCE)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


GiveUp = Callable[[Client, SilentServer], Coroutine[Any, Any, None]]
ways = pytest.mark.parametrize("give_up", [give_up_a_watch, give_up_a_call], ids=["a watch", "a call"])


@ways
async def test_what_is_given_up_is_gone_at_once_though_the_server_has_fallen_silent(
    server: SilentServer, give_up: GiveUp
) -> None:
    async with Client(server.login) as client:
        await give_up(client, server)
        assert await asyncio.to_thread(server.ended.wait, _PATIENCE), "the connection is still there"


@ways
def test_when_a_client_is_closed_its_loop_may_be_closed_too(server: SilentServer, give_up: GiveUp) -> None:
    async def once() -> None:
        async with Client(server.login) as client:
            await give_up(client, server)

    with warnings.catch_warnings(record=True) as left_behind:
        warnings.simplefilter("always")
        asyncio.run(once())
        gc.collect()
    assert [str(warning.message) for warning in left_behind] == []


def test_a_call_may_be_cancelled_in_any_turn_of_its_connection(server: SilentServer) -> None:
    """Also in the turn in which the connection is made, and in the one after it."""

    async def cancelled_in(turn: int) -> bool:
        async with Client(server.login) as client:
            call = asyncio.create_task(client.get(CONFIG_MAP, "a", "n"))
            for _ in range(turn):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            return server.asked.is_set()

    with warnings.catch_warnings(record=True) as left_behind:
        warnings.simplefilter("always")
        for turn in itertools.count():
            if asyncio.run(cancelled_in(turn)):
                break
        gc.collect()
    assert [str(warning.message) for warning in left_behind] == []
