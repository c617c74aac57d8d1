"""Where an operator looks at Promises: a process of its own, behind everything else, and gone when nobody asks.

To find what is wrong with what a Promise renders, some sixty requests are rendered and held against schemas: up to a
second of a processor, for advice. So it is never done by the workers that requests wait for, and it leaves no schemas
and no rules compiled in their memory.
"""

from __future__ import annotations

import asyncio
from typing import Final

from troth.api import Promise
from troth.engine.failure import Failure
from troth.engine.limits import Limits
from troth.engine.linting.report import LintReport, joined, lintable
from troth.engine.process import ProcessEnded, ProcessError, RenderProcess
from troth.engine.wire import pack, read_answer

_PROCESSOR_SECONDS: Final = 20.0
_PATIENCE_SECONDS: Final = 100.0


class LintProcess:
    """Looks at one Promise after the other; each look has a deadline, waiting for one's turn has none.

    Args:
        limits: what one rendering may cost.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._process: RenderProcess | None = None

    async def lint(self, promise: Promise) -> LintReport:
        """The errors of a Promise that the operator would take; a report that says so when they cannot be found."""
        payload = await asyncio.to_thread(_job, promise)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._ask(payload)
        finally:
            self._waiting -= 1
            if not self._waiting and self._process is not None:  # it was kept for somebody who gave up
                process, self._process = self._process, None
                await process.end()

    async def _ask(self, payload: bytes) -> LintReport:
        reports: list[LintReport] = []
        healthy = False
        process, self._process = self._process, None
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                process = process or await RenderProcess.start(self._limits)
                await process.send(payload)
                while "outcome" in (reply := await process.receive()):
                    reports.append(_report(read_answer(reply["outcome"]), self._limits))
            healthy = not reply["exhausted"]
        except TimeoutError:
            reports.append(LintReport(unfinished=f"nothing was found out within {_PATIENCE_SECONDS:g} seconds"))
        except ProcessEnded:
            reports.append(LintReport(unfinished="the process that looks at it ended before it was done"))
        except (ProcessError, OSError) as error:
            reports.append(LintReport(unfinished=f"the process that looks at it does not start: {error}"))
        finally:
            if healthy and self._waiting > 1:
                self._process = process  # for whoever is next
            elif process is not None:
                await process.end()
        return joined(reports)


def _job(promise: Promise) -> bytes:
    head = b'{"seconds":%f,"short":true,"pipelines":[],"context":null,"lint":' % _PROCESSOR_SECONDS
    return head + pack(lintable(promise)) + b"}"


def _report(answer: object, limits: Limits) -> LintReport:
    if isinstance(answer, LintReport):
        return answer
    if isinstance(answer, Failure) and answer.reason == "TemplateTimeout":
        return LintReport(unfinished=f"the templates take longer than {limits.seconds:g} s to follow")
    return LintReport(unfinished=answer.message if isinstance(answer, Failure) else "there is no answer")
