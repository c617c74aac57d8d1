"""The process in which an operator checks Promises. It has low priority, and ends when there is nothing to check.

To find faults in what a Promise renders, some sixty requests are rendered and validated, which takes up to a second of
processor time, only to give advice. So it is not done by the workers that requests wait for, whose memory also stays
free of compiled schemas and rules. Requests that may no longer fit a changed API are checked here as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from troth.api import Promise
from troth.engine.admission.unfit import Unfit
from troth.engine.failure import Failure
from troth.engine.lint_report import LintReport
from troth.engine.linting.report import joined, lintable
from troth.engine.rendering.limits import Limits
from troth.engine.workers.process import ProcessEnded, ProcessError, RenderProcess
from troth.engine.workers.wire import pack, read_answer

_PROCESSOR_SECONDS: Final = 20.0
_PATIENCE_SECONDS: Final = 100.0
_MOST_REQUESTS: Final = 200
_LARGEST_PART: Final = 256 * 1024


class PromiseInspector:
    """Checks one Promise after another. Each check has a deadline; waiting for one's turn does not.

    It need not be started or closed, because its process only exists while there is something to check.

    Args:
        limits: the limits of one rendering.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._process: RenderProcess | None = None

    async def find_errors(self, promise: Promise) -> LintReport:
        """Returns the errors of a Promise that the operator accepts; if that fails, the report says so."""
        payload = await asyncio.to_thread(_job, promise)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._ask(payload)
        finally:
            self._waiting -= 1
            if not self._waiting:  # it may have been kept for a caller that gave up
                await self._end()

    async def find_unfit(
        self, edition: str, definition: Mapping[str, Any], requests: Iterable[Mapping[str, Any]]
    ) -> list[Unfit]:
        """Returns the requests that do not fit their API. They are checked in parts, so that other callers get a turn.

        Args:
            edition: a text that changes whenever the definition does.
            definition: as the API server has it.
            requests: any number of requests.

        Raises:
            ProcessError: the check could not be completed.
        """
        head = b'{"seconds":%f,"short":true,"pipelines":[],"context":null,"fitting":' % _PROCESSOR_SECONDS
        head += pack({"edition": edition, "definition": definition})[:-1] + b',"requests":['
        found: list[Unfit] = []
        self._waiting += 1  # counted once for all parts, so that the process is kept between them
        try:
            for part in _parts(requests):
                async with self._turn:
                    found += await self._ask_for_unfit(head + b",".join(part) + b"]}}")
        finally:
            self._waiting -= 1
            if not self._waiting:
                await self._end()
        return found

    async def _ask_for_unfit(self, payload: bytes) -> list[Unfit]:
        process, self._process = self._process, None
        healthy = False
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                process = process or await RenderProcess.start(self._limits)
                await process.send(payload)
                found = [Unfit(**one) for one in (await process.receive())["outcome"]["unfit"]]
                healthy = not (await process.receive())["exhausted"]
                return found
        except (TimeoutError, ProcessEnded, OSError) as error:
            raise ProcessError(f"requests could not be checked against their API: {error}") from error
        finally:
            if healthy:
                self._process = process
            elif process is not None:
                await process.end()

    async def _end(self) -> None:
        if self._process is not None:
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
            reports.append(LintReport(unfinished=f"the check did not finish within {_PATIENCE_SECONDS:g} seconds"))
        except ProcessEnded:
            reports.append(LintReport(unfinished="the process that checks it ended before it had finished"))
        except (ProcessError, OSError) as error:
            reports.append(LintReport(unfinished=f"the process that checks it does not start: {error}"))
        finally:
            if healthy and self._waiting > 1:
                self._process = process  # for the next caller
            elif process is not None:
                await process.end()
        return joined(reports)


def _parts(requests: Iterable[Mapping[str, Any]]) -> Iterator[list[bytes]]:
    """Yields the packed requests in parts, each of which is quick to make and takes seconds to check."""
    part: list[bytes] = []
    size = 0
    for request in requests:
        part.append(pack({key: value for key, value in request.items() if key != "status"}))
        size += len(part[-1])
        if len(part) >= _MOST_REQUESTS or size >= _LARGEST_PART:
            yield part
            part, size = [], 0
    if part:
        yield part


def _job(promise: Promise) -> bytes:
    head = b'{"seconds":%f,"short":true,"pipelines":[],"context":null,"lint":' % _PROCESSOR_SECONDS
    return head + pack(lintable(promise)) + b"}"


def _report(answer: object, limits: Limits) -> LintReport:
    if isinstance(answer, LintReport):
        return answer
    if isinstance(answer, Failure) and answer.reason == "TemplateTimeout":
        return LintReport(unfinished=f"the templates take longer than {limits.seconds:g} s to follow")
    return LintReport(unfinished=answer.message if isinstance(answer, Failure) else "there is no answer")
