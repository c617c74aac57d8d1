"""Waits for a turn to be rendered, without holding a slot, and reports in the status when that takes long.

A request that is behind two hundred slow ones may wait for minutes. Meanwhile its user wants to know that it waits,
and for how many others. Somebody may also edit it, and then the old version need not be rendered any more. An ordinary
rendering takes milliseconds, and a thousand ordinary ones take seconds together, which is not worth a write. So the
waiting is reported only when it has lasted for a while and will go on.
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
_APART_SECONDS: Final = 0.02  # between the first reports of two objects
_MOST_APART: Final = 10.0
_AGAIN_SECONDS: Final = 30.0
_LASTS_SECONDS: Final = 3.0


class Overtaken(Exception):
    """The object that was to be rendered has changed meanwhile. Its key is queued again."""


class Attendant(Protocol):
    """Attends an object that waits for its turn."""

    def is_overtaken(self) -> bool:
        """Whether the object has changed, so that rendering it as it was would be in vain."""

    async def tell(self, before: int) -> None:
        """Reports on the object how many others are served before it."""


@dataclass(slots=True)
class _Progress:
    """How fast the turns before an object's own have been served."""

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
    """Renders pipelines and returns their outcomes. The slot of this reconcile is lent until they are there.

    Args:
        platform: what reconcilers share.
        key: the key of the object that is being reconciled.
        pipelines: the pipelines to render.
        context: what their templates read.
        attendant: is asked whether the rendering is still needed, and told how long it takes; None for nobody.

    Raises:
        Overtaken: the rendering is not needed any more.
    """
    if attendant is None:
        async with platform.slots.lent():
            return await platform.renderer.render(pipelines, context)
    place, progress = Place(), _Progress()
    rendering: asyncio.Future[Any] = asyncio.ensure_future(platform.renderer.render(pipelines, context, place))
    renewed: asyncio.Future[Any] = platform.queue.renewed(key)
    try:
        await asyncio.sleep(0)  # the rendering takes its place among those that wait
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
