"""One HTTP exchange with an API server: log in, send, turn failures into errors, try again where that is safe.

Reads are tried again on 429, 5xx and lost connections until their deadline. Writes are tried again only where the
server certainly did nothing: 429 and a connection that was never made. Every other failure of a write is raised: only
the caller can look at the object and decide whether to write again. (aiohttp itself repeats a PUT or a DELETE once when
a kept connection turns out to be closed; the second then meets its own Conflict or NotFound.)

Two pools of connections, because a watch holds its connection for minutes: with one pool of 64, the 64th informer would
leave no connection for a write. Bodies are bytes, and are not interpreted here.

Rejected: the generated and dynamic clients of ``kubernetes`` and httpx, three to twelve times the CPU for a
request; aiohttp's own retry middleware, which cannot tell a write that was refused from one whose answer was lost.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import Final, Protocol
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from troth.kube.connections import Connector
from troth.kube.errors import (
    AnswerTooLong,
    ApiError,
    ConnectionFailed,
    DeadlineExceeded,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unintelligible,
    error_from_answer,
    without_login,
)

JSON: Final = "application/json"

LARGEST_ANSWER: Final = 24 << 20
"""The most bytes of one answer: sixteen of the largest objects that are stored. When a page of a list has more, smaller
pages are asked for."""

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0
_CONNECT_TIMEOUT = 10.0
_KEEPALIVE = 60.0  # the server closes idle connections after 90 s; being earlier avoids the race
_SILENCE = 75.0  # a watch gets a bookmark every minute, so a stream that is silent for longer is dead
_TRANSIENT_STATUS = frozenset({500, 502, 503, 504})

Observer = Callable[[str, str, int, float], None]


class Login(Protocol):
    """The part of `Credentials` that the transport uses."""

    @property
    def server(self) -> str:
        """The URL of the API server, which may have a path."""

    @property
    def ssl(self) -> ssl.SSLContext | None:
        """The TLS context; None for plain HTTP."""

    @property
    def server_name(self) -> str | None:
        """The name to expect in the server's certificate, if not the URL's host."""

    @property
    def proxy(self) -> str | None:
        """The URL of the proxy to the server, or None."""

    async def headers(self) -> Mapping[str, str]:
        """The headers that authenticate a request now."""

    async def refresh(self) -> None:
        """Reads the credentials again, after the server refused them."""


class Transport:
    """The connections to one API server."""

    def __init__(
        self,
        login: Login,
        *,
        connections: int = 64,
        user_agent: str = "troth",
        random: Random | None = None,
        on_call: Observer | None = None,
        patience: float | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            login: the server and the credentials.
            connections: how many calls may be on their way at once; watches are not counted.
            user_agent: what the server's logs and audit show.
            random: adds jitter to the delays between attempts.
            on_call: is called after each call with its verb, path, status (0 without an answer) and seconds.
            patience: for how many seconds of a call a server that does not answer is tried again; None for as long as
                the call may take.
        """
        self._login = login
        self._base = without_login(
            login.server.rstrip("/")
        )  # the server as it is shown in errors; headers hold the login
        self._patience = patience
        self._connections = connections
        self._headers = {
            "User-Agent": user_agent,
            "Accept": JSON,
            # Within a cluster, gzip costs both sides more CPU than the saved bytes are worth.
            "Accept-Encoding": "identity",
        }
        self._random = random or Random()  # noqa: S311 - spreads delays, guards nothing
        self._on_call = on_call
        self._calls: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        self._retired: list[aiohttp.ClientSession] = []
        self._context: ssl.SSLContext | None = None
        self._closed = False

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self._base

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        deadline: float,
        retry: bool = True,
    ) -> bytes:
        """Sends one request and returns the body of its answer.

        Args:
            method: HTTP method; GET is a read, all others are writes.
            path: path below the server's URL, already quoted.
            query: query parameters.
            body: what to send.
            content_type: what the body is.
            deadline: seconds for all attempts together.
            retry: whether to try again after a failure that may pass; the login is refreshed once in any case.

        Raises:
            ApiError: the server refused.
            ConnectionFailed: there was no answer.
            DeadlineExceeded: there was no answer in time.
            CredentialsError: the login cannot be read.
        """
        url = self._url(path, query)
        headers = {"Content-Type": content_type} if body is not None else {}
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline
        patient = end if self._patience is None else loop.time() + self._patience
        attempt = 0
        refreshed = False
        try:
            async with asyncio.timeout_at(end):
                while True:
                    try:
                        return await self._send(method, url, headers, body)
                    except Unauthorized:
                        if refreshed:
                            raise
                        refreshed = True
                        await self._login.refresh()
                    except (ApiError, ConnectionFailed) as error:
                        if not retry or not _may_try_again(error, reading=method == "GET"):
                            raise
                        delay = self._delay(attempt, error)
                        attempt += 1
                        last = patient if isinstance(error, ConnectionFailed) else end
                        if loop.time() + delay >= last:
                            raise  # the server's answer says more than "too late"
                        await asyncio.sleep(delay)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"no answer to {method} {path} from {self._base} within {deadline:g} s", ambiguous=method != "GET"
            ) from error

    async def stream(self, path: str, *, query: Mapping[str, str], deadline: float) -> AsyncGenerator[bytes, None]:
        """Yields the chunks of a stream, until the server ends it.

        ``deadline`` is the number of seconds within which the answer must begin. Raises ConnectionFailed when the
        connection is lost, or when nothing came for 75 s.
        """
        response = await self._open(path, query, deadline)
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _connection_failed(self._base, error) from error
        finally:
            response.close()

    async def close(self) -> None:
        """Closes all connections. Calls that have not been answered fail."""
        self._closed = True
        sessions = [session for session in (self._calls, self._streams, *self._retired) if session is not None]
        self._calls = self._streams = None
        self._retired.clear()
        await _close_all(sessions)

    async def _open(self, path: str, query: Mapping[str, str], deadline: float) -> aiohttp.ClientResponse:
        url = self._url(path, query)
        refreshed = False
        try:
            async with asyncio.timeout(deadline):
                while True:
                    headers = await self._login.headers()
                    response = await self._request(await self._stream_session(), "GET", url, headers, None)
                    if response.status == 200:
                        return response
                    async with response:
                        error = await _refusal(response)
                    if not isinstance(error, Unauthorized) or refreshed:
                        raise error
                    refreshed = True
                    await self._login.refresh()
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"the watch of {path} at {self._base} did not begin within {deadline:g} s", ambiguous=False
            ) from error

    async def _send(self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> bytes:
        login = await self._login.headers()
        session = await self._call_session()
        began = asyncio.get_running_loop().time()
        status = 0
        try:
            async with await self._request(session, method, url, {**headers, **login}, body) as response:
                if response.status >= 300:
                    error = await _refusal(response)
                    status = response.status
                    raise error
                answer = await _read(response)
                status = response.status
                return answer
        except (aiohttp.ClientError, OSError) as error:
            # TimeoutError is an OSError: the deadline's own arrives as CancelledError here, so this is aiohttp's.
            raise _connection_failed(self._base, error) from error
        finally:
            if self._on_call is not None:
                self._on_call(method, url.path, status, asyncio.get_running_loop().time() - began)

    async def _request(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> aiohttp.ClientResponse:
        try:
            return await session.request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                server_hostname=self._login.server_name,
                proxy=self._login.proxy,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _connection_failed(self._base, error) from error

    def _url(self, path: str, query: Mapping[str, str] | None) -> URL:
        text = f"{self._base}{path}?{urlencode(query)}" if query else f"{self._base}{path}"
        return URL(text, encoded=True)

    def _delay(self, attempt: int, error: ApiError | ConnectionFailed) -> float:
        if isinstance(error, ApiError) and error.retry_after is not None:
            # A little later than asked, so that calls that were refused together do not come back together.
            return error.retry_after + self._random.uniform(0.0, 0.1)
        ceiling: float = min(_LONGEST_DELAY, _FIRST_DELAY * 2**attempt)
        return self._random.uniform(ceiling / 2, ceiling)

    async def _call_session(self) -> aiohttp.ClientSession:
        await self._follow_certificates()
        if self._calls is None:
            self._calls = self._session(self._connections, silence=None)
        return self._calls

    async def _stream_session(self) -> aiohttp.ClientSession:
        await self._follow_certificates()
        if self._streams is None:
            self._streams = self._session(0, silence=_SILENCE)
        return self._streams

    async def _follow_certificates(self) -> None:
        """Gives new calls new connections after the certificates changed; calls on the old ones may finish."""
        if self._context is self._login.ssl:
            return
        self._context = self._login.ssl
        forgotten, self._retired = self._retired, [s for s in (self._calls, self._streams) if s is not None]
        self._calls = self._streams = None
        await _close_all(forgotten)

    def _session(self, connections: int, *, silence: float | None) -> aiohttp.ClientSession:
        if self._closed:
            raise ConnectionFailed(f"the client of {self._base} is closed", ambiguous=False, permanent=True)
        return aiohttp.ClientSession(
            connector=Connector(limit=connections, context=self._context, keepalive=_KEEPALIVE),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=silence),
        )


async def _close_all(sessions: Iterable[aiohttp.ClientSession]) -> None:
    """Closes all of the sessions, even if it is cancelled meanwhile."""
    async with AsyncExitStack() as stack:
        for session in sessions:
            stack.push_async_callback(session.close)


def _may_try_again(error: ApiError | ConnectionFailed, *, reading: bool) -> bool:
    if isinstance(error, TooManyRequests):
        return True
    if isinstance(error, Unintelligible):
        return False
    if isinstance(error, ConnectionFailed):
        return not error.permanent and (reading or not error.ambiguous)
    return reading and isinstance(error, ServerError) and error.status in _TRANSIENT_STATUS


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Reads the body. Refuses one that is too long, and a compressed one, which could unpack to much more."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        response.close()
        raise Unintelligible("the answer is compressed, although no compression was requested")
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > LARGEST_ANSWER:
            response.close()
            raise AnswerTooLong(f"the answer is longer than {LARGEST_ANSWER >> 20} MiB")
        parts.append(part)
    return b"".join(parts)


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    body = b""
    with suppress(aiohttp.ClientError, Unintelligible):  # the status alone is enough
        body = await _read(response)
    return error_from_answer(response.status, body, response.headers.get("Retry-After"))


def _connection_failed(server: str, error: Exception) -> ConnectionFailed:
    certificate = isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError)
    unsent = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    said = str(error) or type(error).__name__
    return ConnectionFailed(
        without_login(f"no answer from {server}: {said}"), ambiguous=not unsent, permanent=certificate
    )
