"""When an identity is read anew, and what callers see meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from troth.kube import Credentials, CredentialsError
from troth.kube.kubeconfig import Identity


class Source:
    """Gives a new token each time; fails while it is told to; waits at its gate."""

    def __init__(self, renew_after: float | None = 60.0) -> None:
        self.renew_after = renew_after
        self.loads = 0
        self.failing = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self) -> Identity:
        self.loads += 1
        number = self.loads
        await self.gate.wait()
        if self.failing:
            raise CredentialsError("the token file is empty")
        return Identity("http://127.0.0.1:1", authorization=f"Bearer {number}", renew_after=self.renew_after)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def made(source: Source, clock: Clock) -> Credentials:
    return Credentials(source, await source.load(), clock=clock)


async def token(credentials: Credentials) -> str:
    return (await credentials.headers())["Authorization"]


async def test_nothing_is_read_while_it_is_fresh() -> None:
    source, clock = Source(), Clock()
    credentials = await made(source, clock)
    clock.now = 59.0
    assert await token(credentials) == "Bearer 1"
    assert source.loads == 1


async def test_it_is_read_anew_when_its_time_has_come() -> None:
    source, clock = Source(), Clock()
    credentials = await made(source, clock)
    clock.now = 60.0
    assert await token(credentials) == "Bearer 2"
    clock.now = 119.0
    assert await token(credentials) == "Bearer 2"


async def test_while_one_renews_the_others_go_on() -> None:
    source, clock = Source(), Clock()
    credentials = await made(source, clock)
    clock.now = 60.0
    source.gate.clear()
    renewing = asyncio.create_task(token(credentials))
    await asyncio.sleep(0)
    assert await token(credentials) == "Bearer 1"
    source.gate.set()
    assert await renewing == "Bearer 2"
    assert source.loads == 2


async def test_a_renewal_that_fails_keeps_what_is_valid_and_is_tried_again_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, clock = Source(), Clock()
    credentials = await made(source, clock)
    source.failing = True
    clock.now = 60.0
    assert await token(credentials) == "Bearer 1"
    assert await token(credentials) == "Bearer 1"
    assert source.loads == 2
    assert "the token file is empty" in caplog.text
    assert "Bearer" not in caplog.text
    source.failing = False
    clock.now = 71.0
    assert await token(credentials) == "Bearer 3"


async def test_many_refusals_at_once_read_it_once() -> None:
    source, clock = Source(renew_after=None), Clock()
    credentials = await made(source, clock)
    clock.now = 500.0
    await asyncio.gather(*(credentials.refresh() for _ in range(20)))
    assert source.loads == 2
    assert await token(credentials) == "Bearer 2"


async def test_a_refusal_that_cannot_be_mended_is_an_error() -> None:
    source, clock = Source(renew_after=None), Clock()
    credentials = await made(source, clock)
    clock.now = 500.0
    source.failing = True
    with pytest.raises(CredentialsError, match="empty"):
        await credentials.refresh()


async def test_an_identity_is_never_printed() -> None:
    source, clock = Source(), Clock()
    credentials = await made(source, clock)
    assert "Bearer" not in repr(credentials.identity) + repr(credentials) + str(credentials.identity)
