"""A proxy in front of a real API server, which fails on demand.

A fake API server would be made after our own idea of Kubernetes, and so agree with our bugs. This one is real; a test
only chooses what happens on the way to it: a watch is cut, a write is done but its answer is lost, a page has expired.

    async with FaultProxy(control_plane.kubeconfig, tmp_path) as proxy:
        client = Client(await load_credentials(proxy.kubeconfig))
        with proxy.inject(conflict(), method="PATCH", path="/configmaps/", times=1) as rule:
            ...
        assert rule.hits == 1

A client with the proxy's kubeconfig acts as the user of the kubeconfig that the proxy was given. If the client sends
an Authorization header, that is passed on instead.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
import yaml
from aiohttp import web
from yarl import URL

from troth.certificates import Authority
from troth.kube import load_credentials
from troth.kube.connections import Connector
from troth.kube.watch import Lines

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host"})
_SHUTDOWN = 1.0
_SEEN = 100_000


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers in place of the server, which does not get the request."""

    status: int
    reason: str = ""
    message: str = "injected"
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """Waits before the request is passed on. Other rules are applied after that."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """Cuts the connection without passing the request on."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Passes the request on, and cuts the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class CutWatch:
    """Cuts a watch after a number of events, in the middle of a line."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class EndWatch:
    """Ends a watch properly after a number of events."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class ExpireWatch:
    """Sends an ERROR event (by default 410 Expired) after a number of events, and ends the watch."""

    after: int = 0
    status: int = 410
    reason: str = "Expired"


@dataclass(frozen=True, slots=True)
class SilenceWatch:
    """Does not send anything more after a number of events, and keeps the connection open."""

    after: int = 0


Fault = Answer | Delay | Refuse | LoseAnswer | CutWatch | EndWatch | ExpireWatch | SilenceWatch
_WatchFault = CutWatch | EndWatch | ExpireWatch | SilenceWatch


def too_many_requests(retry_after: int = 1) -> Answer:
    """429 with Retry-After."""
    return Answer(429, "TooManyRequests", "the server is busy", retry_after)


def gone() -> Answer:
    """410 as an HTTP status; `ExpireWatch` is the other form."""
    return Answer(410, "Expired", "the resourceVersion is too old")


def conflict() -> Answer:
    """409: the object has been modified."""
    return Answer(409, "Conflict", "the object has been modified; please apply your changes to the latest version")


def server_error(status: int = 500) -> Answer:
    """5xx."""
    return Answer(status, "InternalError", "an error on the server")


@dataclass(slots=True)
class Rule:
    """Says when a fault happens: to the first request that matches, and to later ones with a probability.

    If the first request was left to chance, the fault would sometimes never happen, and the test would not show
    anything. ``hits`` counts how often it has happened, and ``skip`` how many requests are still passed on before.
    """

    fault: Fault
    method: re.Pattern[str]
    path: re.Pattern[str]
    times: int | None
    probability: float
    random: Random
    skip: int = 0
    hits: int = 0

    def strikes(self, method: str, path: str, *, watch: bool) -> bool:
        """Whether the fault happens to this request. If so, it is counted."""
        if isinstance(self.fault, _WatchFault) and not watch:
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        if not self.method.fullmatch(method) or not self.path.search(path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.hits and self.probability < 1.0 and self.random.random() >= self.probability:
            return False
        self.hits += 1
        return True


class FaultProxy:
    """The proxy, as an asynchronous context manager.

    Attributes:
        kubeconfig: a kubeconfig for the proxy.
        url: the URL of the proxy.
        seen: the method and the path (with its query) of the newest 100,000 requests.
    """

    kubeconfig: Path
    url: str

    def __init__(self, upstream: Path, folder: Path, *, tls: bool = False) -> None:
        """Makes the proxy, without opening anything yet.

        Args:
            upstream: the kubeconfig of the real server.
            folder: the folder for the proxy's own kubeconfig.
            tls: whether to use TLS towards clients, too.
        """
        self.seen: deque[tuple[str, str]] = deque(maxlen=_SEEN)
        self._upstream = upstream
        self._folder = folder
        self._tls = tls
        self._rules: list[Rule] = []
        self._watches: list[web.BaseRequest] = []

    async def __aenter__(self) -> Self:
        self._login = await load_credentials(self._upstream)
        self._session = aiohttp.ClientSession(
            connector=Connector(limit=0, context=self._login.ssl, keepalive=15.0),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._server = web.Server(self._handle, handler_cancellation=True)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=_SHUTDOWN)
        await self._runner.setup()
        self._context, authority = self._server_context()
        await self._listen(0)
        self._port = self._runner.addresses[0][1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}"
        self.kubeconfig = self._write_kubeconfig(authority)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut_watches()
        try:
            await self._runner.cleanup()
        finally:
            await self._session.close()

    def add(
        self,
        fault: Fault,
        *,
        method: str = ".*",
        path: str = "",
        times: int | None = None,
        probability: float = 1.0,
        random: Random | None = None,
        skip: int = 0,
    ) -> Rule:
        """Makes a fault happen from now on. The first rule that applies decides; after a `Delay` the next ones follow.

        Args:
            fault: what happens.
            method: a regular expression that must match the whole HTTP method.
            path: a regular expression that must be found in the path with its query.
            times: how often it happens; None until the rule is removed.
            probability: the probability for a request that matches, from 0 to 1.
            random: the source of randomness, which is needed when the probability is not 1.
            skip: how many requests that match are passed on before it happens.
        """
        if probability < 1.0 and random is None:
            raise ValueError("a probability needs a random, so that a run can be repeated")
        rule = Rule(fault, re.compile(method), re.compile(path), times, probability, random or Random(0), skip)
        self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Removes a rule."""
        self._rules.remove(rule)

    def heal(self) -> None:
        """Removes all rules."""
        self._rules.clear()

    @contextmanager
    def inject(
        self, fault: Fault, *, method: str = ".*", path: str = "", times: int | None = None
    ) -> Iterator[Rule]:
        """Like `add`, for the length of a ``with`` block."""
        rule = self.add(fault, method=method, path=path, times=times)
        try:
            yield rule
        finally:
            if rule in self._rules:
                self.remove(rule)

    def cut_watches(self, path: str = "") -> int:
        """Cuts the watches that are open now and whose path matches. Returns how many these were."""
        found = [request for request in self._watches if re.search(path, request.raw_path)]
        for request in found:
            _cut(request)
        return len(found)

    @property
    def open_watches(self) -> list[str]:
        """The paths of the watches that are open now."""
        return [request.raw_path for request in self._watches]

    async def stop_listening(self) -> None:
        """Goes away like a server that restarts: open connections are ended, and new ones refused."""
        self.cut_watches()
        await self._site.stop()
        for connection in list(self._server.connections):
            connection.force_close()

    async def listen_again(self) -> None:
        """Listens again, on the same port."""
        await self._listen(self._port)

    async def _listen(self, port: int) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=self._context, reuse_address=True)
        await self._site.start()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        method, path = request.method, request.raw_path
        self.seen.append((method, path))
        watch = method == "GET" and re.search(r"[?&]watch=(1|true)\b", path) is not None
        body = await request.read()
        fault: Fault | None = None
        for rule in list(self._rules):
            if not rule.strikes(method, path, watch=watch):
                continue
            if not isinstance(rule.fault, Delay):
                fault = rule.fault
                break
            await asyncio.sleep(rule.fault.seconds)
        if isinstance(fault, Answer):
            return _answer(fault)
        if isinstance(fault, Refuse):
            return _cut(request)
        async with self._session.request(
            method,
            URL(f"{self._login.server}{path}", encoded=True),
            data=body or None,
            headers=await self._headers(request),
            allow_redirects=False,
            server_hostname=self._login.server_name,
        ) as upstream:
            headers = {name: value for name, value in upstream.headers.items() if name.lower() not in _HOP_BY_HOP}
            if watch and upstream.status == 200:
                headers.pop("Content-Length", None)
                response = web.StreamResponse(status=200, headers=headers)
                return await self._watch(request, response, upstream, fault)
            content = await upstream.read()
            if isinstance(fault, LoseAnswer):
                return _cut(request)
            headers.pop("Content-Length", None)
            return web.Response(status=upstream.status, headers=headers, body=content)

    async def _watch(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        upstream: aiohttp.ClientResponse,
        fault: Fault | None,
    ) -> web.StreamResponse:
        await response.prepare(request)
        self._watches.append(request)
        lines = Lines()
        sent = 0
        try:
            while True:
                if isinstance(fault, _WatchFault) and sent >= fault.after:
                    return await self._break(request, response, fault)
                chunk = await upstream.content.readany()
                if not chunk:
                    return response
                for line in lines.feed(chunk):
                    if isinstance(fault, _WatchFault) and sent >= fault.after:
                        break
                    await response.write(line + b"\n")
                    sent += 1
        except (aiohttp.ClientError, ConnectionError):
            return _cut(request)  # the server has ended the watch, or the client has gone
        finally:
            self._watches.remove(request)

    async def _break(
        self, request: web.BaseRequest, response: web.StreamResponse, fault: _WatchFault
    ) -> web.StreamResponse:
        if isinstance(fault, CutWatch):
            await response.write(b'{"type":"MODI')
            return _cut(request)
        if isinstance(fault, ExpireWatch):
            status = _status(Answer(fault.status, fault.reason))
            await response.write(orjson.dumps({"type": "ERROR", "object": status}) + b"\n")
        if isinstance(fault, SilenceWatch):
            await asyncio.Event().wait()  # this is cancelled when the client goes away
        return response

    async def _headers(self, request: web.BaseRequest) -> dict[str, str]:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        if "Authorization" not in headers:
            headers.update(await self._login.headers())
        headers.pop("Content-Length", None)
        return headers

    def _server_context(self) -> tuple[ssl.SSLContext | None, bytes | None]:
        if not self._tls:
            return None, None
        authority = Authority.create("fault-proxy")
        pair = authority.server(["127.0.0.1"])
        path = self._folder / "fault-proxy.pem"
        path.write_bytes(pair.certificate + pair.key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context, authority.pair.certificate

    def _write_kubeconfig(self, authority: bytes | None) -> Path:
        cluster: dict[str, Any] = {"server": self.url}
        if authority is not None:
            path = self._folder / "fault-proxy-ca.crt"
            path.write_bytes(authority)
            cluster["certificate-authority"] = str(path)
        path = self._folder / "fault-proxy.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "faults",
            "clusters": [{"name": "faults", "cluster": cluster}],
            "users": [{"name": "faults", "user": {}}],
            "contexts": [{"name": "faults", "context": {"cluster": "faults", "user": "faults"}}],
        }
        path.write_text(yaml.safe_dump(document))
        return path


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # it is never sent


def _answer(answer: Answer) -> web.Response:
    headers = {"Retry-After": str(answer.retry_after)} if answer.retry_after is not None else {}
    return web.Response(
        status=answer.status,
        headers=headers,
        body=orjson.dumps(_status(answer)),
        content_type="application/json",
    )


def _status(answer: Answer) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": answer.status,
        "reason": answer.reason,
        "message": answer.message,
    }
