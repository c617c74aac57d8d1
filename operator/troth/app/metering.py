"""Counts renderings and writes to stores, so that neither the engine nor the stores need to know about metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from troth.api.pipelines import JinjaPipeline
from troth.app.metrics import Metrics
from troth.controllers.platform import Renderer
from troth.engine.failure import Failure
from troth.engine.rendering.render import Outcome, RenderContext
from troth.engine.workers.pool import Place
from troth.stores import Claim, Former, StateStoreWriter, StoreError, Written

logger = logging.getLogger(__name__)


class MeteredRenderer:
    """A renderer that counts renderings and passes them on to another one."""

    def __init__(self, renderer: Renderer, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._renderer = renderer
        self._metrics = metrics
        self._clock = clock

    async def render(
        self, pipelines: Sequence[JinjaPipeline], context: RenderContext, place: Place | None = None
    ) -> tuple[Outcome, ...]:
        """Renders and counts."""
        started = self._clock()
        outcomes = await self._renderer.render(pipelines, context, place)
        failed = next((outcome for outcome in outcomes if isinstance(outcome, Failure)), None)
        self._metrics.rendered(failed.reason if failed else "rendered", self._clock() - started)
        return outcomes

    async def check(self, pipelines: Sequence[JinjaPipeline]) -> Failure | None:
        """Checks. This is not counted, since it happens once for each version of a Promise."""
        return await self._renderer.check(pipelines)


class MeteredWriter:
    """A store's writer that counts writes and passes all calls on to another one."""

    def __init__(self, writer: StateStoreWriter, store: str, metrics: Metrics) -> None:
        self._writer = writer
        self._store = store
        self._metrics = metrics
        self._version = ""

    async def check(self) -> None:
        """See `StateStoreWriter.check`."""
        await self._writer.check()

    async def write(self, claim: Claim) -> Written:
        """See `StateStoreWriter.write`."""
        try:
            written = await self._writer.write(claim)
        except StoreError:
            self._metrics.wrote(self._store, "failed")
            raise
        self._metrics.wrote(self._store, "changed" if written.changed else "unchanged", files=len(claim.files))
        if written.changed and written.version != self._version:
            self._version = written.version
            logger.info("%s: version %s", self._store, written.version, extra={"store": self._store})
            self._metrics.committed(self._store)
        return written

    async def refresh(self) -> bool:
        """See `StateStoreWriter.refresh`."""
        return await self._writer.refresh()

    async def resume(self, former: Sequence[Former]) -> None:
        """See `StateStoreWriter.resume`."""
        await self._writer.resume(former)

    async def finds_foreign(self, path: str) -> bool:
        """See `StateStoreWriter.finds_foreign`."""
        return await self._writer.finds_foreign(path)

    def take_complaints(self) -> tuple[str, ...]:
        """See `StateStoreWriter.take_complaints`."""
        return self._writer.take_complaints()

    async def release(self, owner: str) -> None:
        """See `StateStoreWriter.release`."""
        await self._writer.release(owner)

    async def close(self) -> None:
        """See `StateStoreWriter.close`."""
        await self._writer.close()
