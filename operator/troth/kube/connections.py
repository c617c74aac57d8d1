"""Connections that are closed at once, whatever the other side does.

aiohttp closes a TLS connection gracefully: it tells the server and waits up to 30 s for an answer, which TLS 1.3 does
not require. During that time nobody owns the connection any more: the session and even the event loop may be closed
already, and a watch that was given up because its server is silent waits for the same silent server once more. What is
closed here is a stream whose rest is not wanted, a call that was cancelled, or an idle connection; nothing is lost when
it is cut.

Rejected: aiohttp's ``enable_cleanup_closed``, which has no effect on Python 3.13; cutting the transport of a response,
since a call that is cancelled before its answer does not have one.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector, except that it closes connections without waiting, and that `close` leaves none open."""

    def __init__(self, *, limit: int, context: ssl.SSLContext | None, keepalive: float) -> None:
        """Opens nothing yet.

        Args:
            limit: how many connections there may be at once; 0 for no limit.
            context: the TLS context; None for one with the authorities that the system trusts.
            keepalive: seconds for which an idle connection is kept.
        """
        super().__init__(limit=limit, ssl=context if context is not None else True, keepalive_timeout=keepalive)
        self._made: WeakSet[ResponseHandler] = WeakSet()
        # aiohttp has no public way to set the class of connections; tests/unit/kube/test_closing.py notices if this
        # breaks.
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
