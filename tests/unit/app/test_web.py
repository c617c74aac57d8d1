"""Probes and metrics over HTTP."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.documents import ROOT
from troth.app.metrics import Metrics, Snapshot
from troth.app.settings import load_settings
from troth.app.web import ProbeServer, listening_address


@asynccontextmanager
async def serving(*, alive: str = "", ready: str = "") -> AsyncIterator[tuple[ProbeServer, Metrics]]:
    metrics = Metrics()
    server = ProbeServer(
        probes_host="127.0.0.1",
        probes_port=0,
        metrics_host="127.0.0.1",
        metrics_port=0,
        alive=lambda: alive,
        ready=lambda: ready,
        metrics=metrics,
    )
    await server.start()
    try:
        yield server, metrics
    finally:
        await server.close()


async def fetch(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_probes_answer_200_when_nothing_is_wrong() -> None:
    async with serving() as (server, _):
        assert await fetch(server.ports["probes"], "/healthz") == (200, "ok\n")
        assert await fetch(server.ports["probes"], "/readyz") == (200, "ok\n")


async def test_probes_say_what_is_wrong() -> None:
    async with serving(alive="the event loop stood still for 12.0 s", ready="not listed yet: promises") as (
        server,
        _,
    ):
        assert await fetch(server.ports["probes"], "/healthz") == (503, "the event loop stood still for 12.0 s\n")
        assert await fetch(server.ports["probes"], "/readyz") == (503, "not listed yet: promises\n")


async def test_the_metrics_show_what_was_counted_and_what_is_looked_up() -> None:
    async with serving() as (server, metrics):
        metrics.reconciled("promises.platform.kratix.io", "done", 0.01)
        metrics.called("PATCH", "/api", 200, 0.003)
        metrics.wrote("GitStateStore/s", "changed", files=3)
        metrics.committed("GitStateStore/s")
        metrics.rendered("TemplateUndefined", 0.1)
        metrics.read(
            lambda: Snapshot(
                queue_depth=4,
                objects={"works": 7},
                ready={("works", "False", "A"): 2},
                watch_restarts={"works": 1},
                outages={"works": 12.5},
            )
        )
        status, text = await fetch(server.ports["metrics"], "/metrics")
    assert status == 200
    for line in (
        'troth_reconciles_total{kind="promises.platform.kratix.io",outcome="done"} 1.0',
        'troth_api_calls_total{method="PATCH",status="200"} 1.0',
        'troth_store_files_total{store="GitStateStore/s"} 3.0',
        'troth_store_commits_total{store="GitStateStore/s"} 1.0',
        'troth_renders_total{outcome="TemplateUndefined"} 1.0',
        "troth_queue_depth 4.0",
        'troth_objects{kind="works"} 7.0',
        'troth_ready{kind="works",ready="False",reason="A"} 2.0',
        'troth_watch_restarts_total{kind="works"} 1.0',
        'troth_watch_outage_seconds{kind="works"} 12.5',
    ):
        assert line in text


def test_the_guide_for_operators_has_a_row_for_each_metric() -> None:
    metrics = Metrics()
    metrics.read(Snapshot)
    exposed = {
        family.name + ("_total" if family.type == "counter" else "") for family in metrics.registry.collect()
    }
    page = (ROOT / "docs" / "how-to" / "run-the-operator.md").read_text("utf-8")
    documented = re.findall(r"^\| `(troth_\w+)` \|", page, re.MULTILINE)
    assert sorted(documented) == sorted(exposed)


async def test_the_ports_are_written_whole(tmp_path: Path) -> None:
    async with serving() as (server, _):
        server.write_ports(tmp_path / "ports.json")
        ports = dict(server.ports)
    assert files_of(tmp_path) == {"ports.json": json.dumps(ports)}


def files_of(folder: Path) -> dict[str, str]:
    """Name to content of what a folder holds."""
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_outside_a_cluster_nobody_else_reaches_the_ports() -> None:
    settings = load_settings({}, {}, None)
    assert (settings.probes_host, settings.metrics_host) == ("", "")
    assert listening_address(settings.probes_host, {}) == "127.0.0.1"
    in_a_pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert listening_address(settings.probes_host, in_a_pod) is None
    for surroundings in ({}, in_a_pod):
        assert listening_address("*", surroundings) is None
        assert listening_address("10.1.2.3", surroundings) == "10.1.2.3"
        assert listening_address("127.0.0.1", surroundings) == "127.0.0.1"


async def test_the_metrics_may_have_another_address_than_the_probes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = ProbeServer(
        probes_host="127.0.0.1",
        probes_port=port,
        metrics_host="127.0.0.2",
        metrics_port=port,
        alive=str,
        ready=str,
        metrics=Metrics(),
    )
    await server.start()
    try:
        assert (await fetch(port, "/healthz"))[0] == 200
        assert (await fetch(port, "/metrics"))[0] == 404
        assert (await fetch(port, "/metrics", "127.0.0.2"))[0] == 200
        assert (await fetch(port, "/healthz", "127.0.0.2"))[0] == 404
    finally:
        await server.close()
