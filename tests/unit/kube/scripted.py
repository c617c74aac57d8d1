"""A server on 127.0.0.1 that answers what a test says, for what a real API server does only when it is ill."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from troth.kube import Client

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Login:
    """Credentials of a plain HTTP server; counts how often they were read anew."""

    ssl: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | None = None

    def __init__(self, server: str) -> None:
        self.server = server
        self.refreshed = 0

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer token-{self.refreshed}"}

    async def refresh(self) -> None:
        self.refreshed += 1


@asynccontextmanager
async def serving(
    handler: Handler, *, port: int | None = None, deadline: float = 5.0, connections: int = 64
) -> AsyncIterator[Client]:
    """A client of a server with this handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    server = TestServer(app, port=port or 0)
    await server.start_server()
    login = Login(str(server.make_url("")).rstrip("/"))
    client = Client(login, deadline=deadline, connections=connections)
    try:
        yield client
    finally:
        await client.close()
        await asyncio.wait_for(server.close(), 10)


def status(code: int, reason: str, message: str = "no", headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer with a Status."""
    body = {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code, headers=headers)
