"""Waiting for a turn to be rendered: without a slot, with a word about it when it lasts, and not for what has changed.

A request that stands behind two hundred others is waited for in minutes. Meanwhile whoever asked for it wants to know
that it waits and for how many; somebody may edit it, and then the old one need not be rendered any more. An ordinary
rendering takes milliseconds, and a thousand honest ones together seconds, which is worth no write: it is told only
when it has lasted, and will.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from troth.api import Key
from troth.api.pipelines import JinjaPipeline
from troth.controllers.platform import Platform
from troth.engine.rendering.render import Outcome, RenderContext
from troth.engine.workers.pool import Place

_FIRST_SECONDS: Final = 2.0
_APART_SECONDS: Final = 0.02  # between two that are told for the first time
_MOST_APART: Final = 10.0
_AGAIN_SECONDS: Final = 30.0
_LASTS_SECONDS: Final = 3.0


class Overtaken(Exception):
    """What was to be rendered has changed meanwhile; its key is queued again."""


class Attendant(Protocol):
    """Who knows the object that waits."""

    def is_overtaken(self) -> bool:
        """Whether it is another one by now, so that rendering it as it was would be in vain."""

    async def tell(self, before: int) -> None:
        """Says on the object how many are served before it."""


@dataclass(slots=True)
class _Progress:
    """How fast those before it were served."""

    at: float = field(default_factory=time.monotonic)
    before: int | None = None

    def lasts(self, before: int) -> bool:
        now = time.monotonic()
        if self.before is None:
            self.at, self.before = now, before
            return False
        served = max(self.before - before, 0)
        return served == 0 or before * (now - self.at) / served > _LASTS_SECONDS


async def render_in_turn(
    platform: Platform,
    key: Key,
    pipelines: Sequence[JinjaPipeline],
    context: RenderContext,
    attendant: Attendant | None = None,
) -> tuple[Outcome, ...]:
    """The outcomes of pipelines; the slot of this reconcile is lent until they are there.

    Args:
        platform: what reconcilers share.
        key: of the object that is being reconciled.
        pipelines: to render.
        context: what they read.
        attendant: who is asked whether it still matters, and told how long it takes; nobody when None.

    Raises:
        Overtaken: it does not matter any more.
    """
    if attendant is None:
        async with platform.slots.lent():
            return await platform.renderer.render(pipelines, context)
    place, progress = Place(), _Progress()
    rendering: asyncio.Future[Any] = asyncio.ensure_future(platform.renderer.render(pipelines, context, place))
    renewed: asyncio.Future[Any] = platform.queue.renewed(key)
    try:
        await asyncio.sleep(0)  # it takes its place
        if (before := place.before) is not None:
            progress.lasts(before)
        seconds = _FIRST_SECONDS + min(_MOST_APART, _APART_SECONDS * (before or 0))
        while True:
            async with platform.slots.lent():
                await asyncio.wait([rendering, renewed], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if rendering.done():
                outcomes: tuple[Outcome, ...] = rendering.result()
                return outcomes
            was_renewed = renewed.done()
            if was_renewed:
                renewed = platform.queue.renewed(key)
            if attendant.is_overtaken():
                raise Overtaken
            if not was_renewed and (before := place.before) is not None and progress.lasts(before):
                await attendant.tell(before)
                seconds = _AGAIN_SECONDS
    finally:
        renewed.cancel()
        if not rendering.done():
            rendering.cancel()
            await asyncio.gather(rendering, return_exceptions=True)
