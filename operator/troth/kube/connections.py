"""Connections that are gone when they are closed, whatever the other side does.

aiohttp closes a connection politely: over TLS it tells the server and waits up to 30 s for an answer, which TLS 1.3
does not ask of anyone. In that time nobody owns the connection any more: the session may be closed and even the event
loop, and a watch that was given up because its server is silent waits for the same silent server once more. All that
is closed here is a stream that nobody wants to hear the rest of, a call that was cancelled, or a connection that was
idle; nothing is lost when it is cut.

Rejected: aiohttp's ``enable_cleanup_closed``, which Python 3.13 ignores; cutting the transport of a response, which
a call that is cancelled before its answer does not have.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler


class Connector(aiohttp.TCPConnector):
    """As aiohttp's, but to close a connection is to cut it, and `close` leaves none open."""

    def __init__(self, *, limit: int, context: ssl.SSLContext | None, keepalive: float) -> None:
        """Opens nothing yet.

        Args:
            limit: how many connections there may be at once; 0: as many as are asked for.
            context: for TLS; None: what the system trusts.
            keepalive: seconds for which an idle connection is kept.
        """
        super().__init__(limit=limit, ssl=context if context is not None else True, keepalive_timeout=keepalive)
        self._made: WeakSet[ResponseHandler] = WeakSet()
        # There is no public way to say what a connection is made with; tests/unit/kube/test_closing.py watches over it.
        self._factory = functools.partial(_make, self._made, self._loop)

    async def close(self, *, abort_ssl: bool = True) -> None:
        """Cuts all connections, also those that were made for a call which was cancelled at that moment."""
        try:
            await super().close(abort_ssl=abort_ssl)
        finally:
            for connection in list(self._made):
                connection.close()


class _Connection(ResponseHandler):
    def close(self) -> None:
        self.abort()


def _make(made: WeakSet[ResponseHandler], loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    connection = _Connection(loop)
    made.add(connection)
    return connection
