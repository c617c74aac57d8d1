"""What lint says about a Promise: lint is run once for each generation, and nobody waits for it.

A Promise that renders well is installed whatever lint finds, so the findings are advice. Lint takes about a second,
and the Promise is available long before; when the findings come, the Promise is queued again. Waiting for them, to
save a write of the status, was rejected.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from troth.api import Key, Promise, TrothError
from troth.controllers.platform import Platform
from troth.engine.lint_report import LintReport
from troth.kube import PRIORITY_DEPENDENT


@dataclass(slots=True)
class _Look:
    generation: tuple[str, int]
    task: asyncio.Task[LintReport]
    late: bool = False


class PromiseLint:
    """Asks the inspector, and remembers what it found in each Promise's newest generation."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._looks: dict[str, _Look] = {}

    def begin(self, promise: Promise) -> None:
        """Starts lint for this generation, unless that has been done."""
        generation = (promise.metadata.uid, promise.metadata.generation)
        known = self._looks.get(promise.name)
        if known is not None and known.generation == generation:
            return
        self.forget(promise.name)
        task = asyncio.create_task(self._ask(promise), name=f"lint {promise.name}")
        self._looks[promise.name] = _Look(generation, task)

    def report(self, key: Key) -> LintReport | None:
        """The findings. None while they are not known; the Promise is queued as soon as they are."""
        look = self._looks[key.name]
        if look.task.done():
            return None if look.task.cancelled() else look.task.result()
        if not look.late:
            look.late = True
            look.task.add_done_callback(lambda task: self._queue(key, task))
        return None

    def forget(self, name: str) -> None:
        """Drops what is known of a Promise that is gone, or that was deleted and created again."""
        look = self._looks.pop(name, None)
        if look is not None:
            look.task.cancel()

    async def close(self) -> None:
        """Ends the inspections that are under way."""
        tasks = [look.task for look in self._looks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _queue(self, key: Key, task: asyncio.Task[LintReport]) -> None:
        if not task.cancelled():
            self._platform.queue.add(key, priority=PRIORITY_DEPENDENT)

    async def _ask(self, promise: Promise) -> LintReport:
        try:
            # Each inspection has its deadline. How long it waits for its turn depends on the number of Promises.
            return await self._platform.inspector.find_errors(promise)
        except TrothError as error:
            return LintReport(unfinished=str(error))
