"""The measurements with an operator. Each returns plain figures; rows.py compares them with others."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from tests.bench.counting import breakdown, reads_of, without_polling
from tests.bench.processes import MemoryWatch, Peak
from tests.bench.requests import API, BAD_SIZE, GOOD_SIZE, NAMESPACE, has_failure, send
from tests.bench.site import USER, Site, Span
from tests.platforms import is_ready

_GAP = 0.3  # seconds between two idle requests, so that the last writes of one do not count for the next
_WARM = 32
MODEL = "warm-0"  # a request that is Ready and does not change any more


@dataclass(slots=True)
class Idle:
    """The figures of requests one after another; times are in seconds."""

    committed: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    writes: float = 0.0
    reconciles: float = 0.0
    cpu: float | None = None
    own_cpu: float | None = None
    breakdown: dict[str, float] = field(default_factory=dict)
    others: float | None = None


@dataclass(slots=True)
class Burst:
    """The figures of many requests at once; times are in seconds from the first POST."""

    requests: int
    sent: float
    committed: float
    ready: float
    quiet: float
    commits: int
    writes: float
    reconciles: float
    cpu: float | None
    own_cpu: float | None
    peak: Peak
    breakdown: dict[str, float]
    by_kind: dict[str, float]
    others: float | None


@dataclass(slots=True)
class Restart:
    """The figures of a restart while nothing has to be done; times are in seconds from the start of the process."""

    requests: int
    ready: float
    quiet: float
    writes: int
    reads: int
    commits: int
    reconciles: float
    by_kind: dict[str, float]
    cpu: float | None
    own_cpu: float | None
    peak: Peak
    breakdown: dict[str, float]
    others: float | None


async def warm_up(site: Site) -> None:
    """Makes requests that are not measured, so that connections are open and the API server has set up the new API."""
    site.say(f"warming up: {_WARM} requests")
    names = [f"warm-{number}" for number in range(_WARM)]
    async with site.watch() as watch:
        await send(site.client, names)
        await watch.until_ready(names, within=60)
    await site.span().until_quiet()


async def idle(site: Site, count: int) -> Idle:
    """Makes one request after another, each when the one before is done."""
    site.say(f"idle: {count} requests, one after another")
    result = Idle()
    async with site.watch() as watch:
        span = site.span()
        for number in range(count):
            name = f"idle-{number}"
            began = time.monotonic()
            await send(site.client, [name])
            result.committed.append(await site.commits.until([name], within=60) - began)
            result.ready.append(await watch.until_ready([name], within=60) - began)
            await asyncio.sleep(_GAP)
        result.cpu, result.own_cpu = _each(span.cpu(), count), _each(span.own_cpu(), count)
        result.others = span.others()
        await span.until_quiet()
    result.writes = len(span.writes) / count
    result.reconciles = without_polling(span.reconciles) / count
    result.breakdown = breakdown(span.writes, count)
    return result


async def failing(site: Site, count: int) -> list[float]:
    """The seconds from an edit that a template cannot render to the failure in the status."""
    site.say(f"failing template: {count} edits")
    name, found = "failing", []
    async with site.watch() as watch:
        await send(site.client, [name])
        await watch.until_ready([name], within=60)
        for _ in range(count):
            await asyncio.sleep(_GAP)
            began = time.monotonic()
            generation = await _edit(site, name, BAD_SIZE)
            found.append(await watch.until(name, has_failure(generation), within=60) - began)
            await _edit(site, name, GOOD_SIZE)
            await watch.until(name, lambda obj: is_ready(obj), within=60)
    return found


async def burst(site: Site, prefix: str, count: int) -> Burst:
    """Makes all requests at once."""
    site.say(f"burst: {count} requests at once")
    assert site.operator is not None
    names = [f"{prefix}-{number}" for number in range(count)]
    within = 60 + count * 0.5
    async with site.watch() as watch:
        span = site.span()
        with MemoryWatch(site.operator.pid) as memory:
            began = time.monotonic()
            await send(site.client, names)
            sent = time.monotonic() - began
            committed = await site.commits.until(names, within=within) - began
            site.say(f"burst: committed after {committed:.1f} s")
            ready = await watch.until_ready(names, within=within) - began
            others = span.others()
            site.say(f"burst: Ready after {ready:.1f} s; waiting for the last events")
            quiet = await span.until_quiet(within=within) - began
    return Burst(
        requests=count,
        sent=sent,
        committed=committed,
        ready=ready,
        quiet=quiet,
        commits=await asyncio.to_thread(span.commits),
        writes=len(span.writes) / count,
        reconciles=without_polling(span.reconciles) / count,
        cpu=_each(span.cpu(), count),
        own_cpu=_each(span.own_cpu(), count),
        peak=memory.peak,
        breakdown=breakdown(span.writes, count),
        by_kind=_by_kind(span, count),
        others=others,
    )


async def restart(site: Site) -> Restart:
    """Ends the operator and starts another one."""
    count = len((await site.client.list(API, NAMESPACE)).items)
    site.say(f"restart: with {count} requests that want nothing")
    await site.end_operator()
    span = site.span()
    operator = await site.start_operator()
    ready = time.monotonic() - span.began
    with MemoryWatch(operator.pid) as memory:
        quiet = await span.until_quiet() - span.began
    return Restart(
        requests=count,
        ready=ready,
        quiet=quiet,
        writes=len(span.writes),
        reads=len(reads_of(span.entries, USER)),
        commits=await asyncio.to_thread(span.commits),
        reconciles=without_polling(span.reconciles) / count,
        by_kind=_by_kind(span, count),
        cpu=span.cpu(),
        own_cpu=span.own_cpu(),
        peak=memory.peak,
        breakdown=breakdown(span.writes, 1),
        others=span.others(),
    )


async def _edit(site: Site, name: str, size: str) -> int:
    """Changes the size of a request. Returns its new generation."""
    live = await site.client.merge_patch(API, name, {"spec": {"size": size}}, namespace=NAMESPACE)
    generation: int = live["metadata"]["generation"]
    return generation


def _by_kind(span: Span, count: int) -> dict[str, float]:
    return {kind: round(number / count, 2) for kind, number in sorted(span.reconciles.items())}


def _each(total: float | None, count: int) -> float | None:
    return None if total is None else total / count
