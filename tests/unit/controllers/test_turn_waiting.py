"""Who waits for its turn is told when it lasts, lets others have its slot, and waits for nothing that has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.unit.engine.pipelines import context, pipeline
from tests.waiting import eventually
from troth.api import Key
from troth.api.pipelines import JinjaPipeline
from troth.controllers import turn_waiting
from troth.controllers.platform import Platform
from troth.controllers.slots import Slots
from troth.controllers.turn_waiting import Overtaken, render_in_turn
from troth.engine.rendering.render import Outcome, RenderContext
from troth.engine.workers.pool import Place
from troth.kube import WorkQueue

KEY = Key("widgets.example.com", "default", "a")


@dataclass
class Renderer:
    """Renders when it is told to."""

    released: asyncio.Event = field(default_factory=asyncio.Event)
    before: int = 12
    cancelled: bool = False

    async def render(
        self, pipelines: Sequence[JinjaPipeline], context: RenderContext, place: Place | None = None
    ) -> tuple[Outcome, ...]:
        if place is not None:
            place.follow(lambda: self.before)
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return ()


@dataclass
class Attendant:
    told: list[int] = field(default_factory=list)
    overtaken: bool = False

    def is_overtaken(self) -> bool:
        return self.overtaken

    async def tell(self, before: int) -> None:
        self.told.append(before)


@dataclass
class Shared:
    renderer: Renderer
    slots: Slots
    queue: WorkQueue


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Shared:
    monkeypatch.setattr(turn_waiting, "_FIRST_SECONDS", 0.05)
    monkeypatch.setattr(turn_waiting, "_APART_SECONDS", 0.0)
    return Shared(Renderer(), Slots(size=1, bound=10), WorkQueue())


def begin(shared: Shared, attendant: Attendant | None) -> asyncio.Task[tuple[Outcome, ...]]:
    shared.queue.add(KEY)
    assert shared.queue.get_nowait() == KEY
    shared.slots.use(shared.slots.take(("default", KEY.kind)))
    platform = cast("Platform", cast("Any", shared))
    return asyncio.create_task(render_in_turn(platform, KEY, [pipeline("a: 1")], context(), attendant))


async def test_it_is_told_once_how_many_are_before_it_when_that_lasts(shared: Shared) -> None:
    attendant = Attendant()
    task = begin(shared, attendant)
    await eventually(lambda: attendant.told == [12], "it is told")
    assert shared.slots._free == 1, "its slot is for others"
    shared.renderer.released.set()
    assert await task == ()
    assert shared.slots._free == 0
    assert attendant.told == [12]


async def test_what_moves_fast_is_not_worth_a_word(shared: Shared) -> None:
    attendant = Attendant()
    shared.renderer.before = 900
    task = begin(shared, attendant)

    async def serve() -> None:
        while shared.renderer.before:
            await asyncio.sleep(0.01)
            shared.renderer.before -= 20

    shared.renderer.before = 900
    await serve()
    shared.renderer.released.set()
    await task
    assert attendant.told == []


async def test_what_was_changed_is_not_waited_for(shared: Shared) -> None:
    attendant = Attendant()
    task = begin(shared, attendant)
    await eventually(lambda: attendant.told == [12], "it waits")
    shared.queue.add(KEY)  # by somebody who changed nothing that matters
    await asyncio.sleep(0)
    assert not task.done()
    attendant.overtaken = True
    shared.queue.add(KEY)
    with pytest.raises(Overtaken):
        await task
    assert shared.renderer.cancelled
    assert attendant.told == [12]


async def test_without_somebody_to_tell_it_waits_all_the_same(shared: Shared) -> None:
    task = begin(shared, None)
    await eventually(lambda: shared.slots._free == 1, "its slot is for others")
    shared.renderer.released.set()
    assert await task == ()


async def test_a_cancelled_wait_ends_what_it_began(shared: Shared) -> None:
    task = begin(shared, Attendant())
    await eventually(lambda: shared.slots._free == 1, "it waits")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert shared.renderer.cancelled
