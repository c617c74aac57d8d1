"""Serves the probes and the metrics over HTTP.

This is a small aiohttp server of our own, because kopf's liveness endpoint has a single path and answers 200 as long
as its loop runs, which does not show that the loop stood still or that a cache was never filled.

``/healthz`` fails when the event loop stood still for longer than the limit; Kubernetes then restarts the process.
``/readyz`` says whether every kind has been listed once. Both explain a failure in one line.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web

from troth.app.metrics import Metrics

Check = Callable[[], str]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def listening_address(chosen: str, environment: Mapping[str, str]) -> str | None:
    """The address to listen on; None for all addresses.

    The kubelet and Prometheus use the address of the pod, so in a pod the default is to listen on all addresses.
    Elsewhere only this machine has a reason to connect, so the default is the loopback address.
    """
    if chosen == "*" or (not chosen and environment.get("KUBERNETES_SERVICE_HOST")):
        return None
    return chosen or "127.0.0.1"


async def listen(runner: web.AppRunner, host: str | None, port: int, context: ssl.SSLContext | None = None) -> int:
    """Serves an application until its runner is cleaned up, and returns the port.

    Args:
        runner: runs the application. It is cleaned up by its owner, also if the port cannot be opened.
        host: the address; None for all.
        port: the port; 0 for a free one.
        context: the certificate of the server; None for HTTP without TLS.
    """
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=context).start()
    return int(runner.addresses[0][1])


class ProbeServer:
    """Serves /healthz, /readyz and /metrics until it is closed."""

    def __init__(
        self,
        *,
        probes_host: str | None,
        probes_port: int,
        metrics_host: str | None,
        metrics_port: int,
        alive: Check,
        ready: Check,
        metrics: Metrics,
    ) -> None:
        """Takes addresses (None for all), ports and checks. A check returns what is wrong, or an empty text."""
        self._probes_host = probes_host
        self._metrics_host = metrics_host
        self._probes_port = probes_port
        self._metrics_port = metrics_port
        self._alive = alive
        self._ready = ready
        self._metrics = metrics
        self._runners: list[web.AppRunner] = []
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        """Opens the ports."""
        probes = web.Application()
        probes.router.add_get("/healthz", self._answer(self._alive))
        probes.router.add_get("/readyz", self._answer(self._ready))
        probes_at, metrics_at = (self._probes_host, self._probes_port), (self._metrics_host, self._metrics_port)
        shared = probes_at == metrics_at and self._probes_port != 0
        if shared:
            probes.router.add_get("/metrics", self._show_metrics)
        self.ports["probes"] = await self._serve(probes, *probes_at)
        if shared:
            self.ports["metrics"] = self.ports["probes"]
            return
        metrics = web.Application()
        metrics.router.add_get("/metrics", self._show_metrics)
        self.ports["metrics"] = await self._serve(metrics, *metrics_at)

    async def close(self) -> None:
        """Closes the ports."""
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))

    def write_ports(self, path: Path) -> None:
        """Writes the ports to a file as JSON. The file is written completely or not at all."""
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(self.ports), encoding="utf-8")
        draft.replace(path)

    async def _serve(self, application: web.Application, host: str | None, port: int) -> int:
        runner = web.AppRunner(application, access_log=None, handle_signals=False)
        self._runners.append(runner)
        return await listen(runner, host, port)

    def _answer(self, check: Check) -> Handler:
        async def handle(_: web.Request) -> web.StreamResponse:
            problem = check()
            return web.Response(text=(problem or "ok") + "\n", status=503 if problem else 200)

        return handle

    async def _show_metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self._metrics.render(), content_type="text/plain", charset="utf-8")
