"""What people are told when the changes of a kind are not seen any more."""

from __future__ import annotations

import asyncio
import logging
from random import Random

import pytest

from tests.unit.kube.test_informer_races import THING, Source, read, thing
from tests.waiting import eventually
from troth.kube import Informer, LastingRefusal
from troth.kube.errors import ConnectionFailed, Forbidden, KubeError, NotFound
from troth.kube.outage import PATIENCE, REMINDER, Outage, Outages

FORBIDDEN = Forbidden(403, "Forbidden", 'User "operator" cannot watch resource "things"')
CUT = ConnectionFailed("connection refused", ambiguous=False)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _everything_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="troth.kube.outage")


def test_a_cut_is_daily_life_and_only_what_lasts_is_said(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    outage = Outage("things", clock)
    outage.failed(CUT)
    outage.over()
    outage.failed(CUT)
    clock.now += PATIENCE
    assert not caplog.messages
    assert outage.seconds == PATIENCE
    outage.failed(CUT)
    outage.failed(CUT)
    clock.now += 2
    outage.over()
    assert caplog.messages == [
        "the API server: changes are not seen for 10 s now (connection refused); trying again",
        "the API server: changes are seen again, after 12 s",
    ]
    assert outage.seconds == 0


def test_a_refusal_is_said_at_once_and_again_as_a_reminder(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    outage = Outage("things", clock)
    for _ in range(5):
        outage.failed(FORBIDDEN)
    clock.now += REMINDER
    outage.failed(FORBIDDEN)
    assert caplog.messages == [
        f"things: changes are not seen ({FORBIDDEN}); trying again",
        f"things: changes are not seen for 600 s now ({FORBIDDEN}); trying again",
    ]


def test_a_server_that_is_away_is_one_line_for_all_kinds_and_one_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, together = Clock(), Outages()
    kinds = [Outage(name, clock, together) for name in ("things", "works", "destinations")]
    for _ in range(3):
        for kind in kinds:
            kind.failed(CUT)
        clock.now += PATIENCE
    for kind in kinds:
        kind.over()
    assert [message.partition(" (")[0] for message in caplog.messages] == [
        "the API server: changes are not seen for 10 s now",
        "the API server: changes are seen again, after 30 s",
    ]
    for kind in kinds:
        kind.failed(FORBIDDEN)
    assert len(caplog.messages) == 2 + len(kinds), "a right is missing for each kind by itself"


def test_definitions_that_are_missing_are_told_once_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    clock, together = Clock(), Outages()
    kinds = [Outage(f"{name}.platform.kratix.io", clock, together) for name in ("works", "promises")]
    for kind in kinds:
        kind.failed(NotFound(404, "NotFound", "the server could not find the requested resource"))
    assert len(caplog.messages) == 1
    assert "works.platform.kratix.io: the API server does not know this kind; install the CRDs" in caplog.text
    foreign = Outage("orders.shop.example.com", clock, together)
    foreign.failed(NotFound(404, "NotFound", "the server could not find the requested resource"))
    assert len(caplog.messages) == 1, "the API of a Promise comes and goes"


async def test_an_informer_that_may_not_watch_any_more_says_so_and_when_it_may_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Source()
    source.failures = [FORBIDDEN, FORBIDDEN]
    informer = Informer(client=source, resource=THING, decode=read, on_change=lambda *_: None, random=Random(1))
    task = asyncio.create_task(informer.run())
    try:
        await eventually(lambda: informer.outage.seconds > 0, "it is known that changes are not seen")
        source.send("ADDED", thing("a", 11))
        await eventually(lambda: informer.outage.seconds == 0, "the first event shows that they are seen")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [message.partition(" (")[0] for message in caplog.messages] == [
        f"{THING.name}: changes are not seen",
        f"{THING.name}: changes are seen again, after 0 s",
    ]


@pytest.mark.parametrize("between", [CUT, None], ids=["another failure", "a watch that works"])
def test_only_refusals_with_nothing_else_between_them_count_as_a_lasting_one(between: KubeError | None) -> None:
    clock = Clock()
    outage = Outage("things", clock)
    outage.failed(FORBIDDEN)
    clock.now += 10
    outage.failed(NotFound(404, "NotFound", "the server could not find the requested resource"))
    assert outage.refused_seconds == 10
    if between:
        outage.failed(between)
    else:
        outage.over()
    clock.now += 10
    outage.failed(FORBIDDEN)
    assert outage.refused_seconds == 0


async def test_an_informer_gives_up_a_kind_that_is_refused_beyond_the_limit_and_says_what_to_grant() -> None:
    source = Source()
    source.failures = [FORBIDDEN] * 1000
    informer = Informer(
        client=source,
        resource=THING,
        decode=read,
        on_change=lambda *_: None,
        random=Random(1),
        refusal_limit=0.3,
    )
    with pytest.raises(LastingRefusal) as raised:
        await asyncio.wait_for(informer.run(), 30)
    assert "grant the operator's account the rights to get, list and watch it" in str(raised.value)
    assert str(FORBIDDEN) in str(raised.value)
    assert informer.outage.refused_seconds >= 0.3
    assert 2 <= informer.counters.failures < 20, "it is tried again before it is given up, and not in a tight loop"


async def test_a_refusal_that_is_over_at_the_last_try_ends_nothing() -> None:
    source = Source()
    source.failures = [FORBIDDEN, ConnectionFailed("cut", ambiguous=False), FORBIDDEN]
    informer = Informer(
        client=source,
        resource=THING,
        decode=read,
        on_change=lambda *_: None,
        random=Random(1),
        refusal_limit=30,
    )
    task = asyncio.create_task(informer.run())
    try:
        assert await informer.wait_synced(10)
        source.send("ADDED", thing("a", 11))
        await eventually(lambda: informer.outage.seconds == 0, "the first event shows that it is seen")
        assert informer.outage.refused_seconds == 0
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
