"""The pool of processes that render, and how they are shared.

Jinja does not bound time or memory, so templates run in worker processes that bound themselves (`worker`) and are
killed when they do not answer. Three rules keep one author's endless loop from delaying everybody else:

* A job first gets a short time, which is many times what templates usually need. A job that does not end within it
  starts again in the slow lane, with the full time of the limits; the slow lane never occupies the last worker. Jobs
  whose like have cost the quick lane too much time go directly to the slow lane.
* In both lanes namespaces and Promises take turns (`lanes`).
* A pipeline that timed out or crashed is not tried again for a while (`quarantine`). The pipelines before it are still
  rendered, so that the result of a request depends on nothing but its own inputs.

A waiting job only refers to objects that its caller has anyway, and is packed when a worker takes it. So a thousand of
them need little memory, and their number is only bounded by the number of callers.

Promises are linted elsewhere (`inspection`), so that renderings do not wait for advice.

Rejected: `concurrent.futures`, which cannot end a single process that hangs.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from troth.api import TrothError
from troth.api.pipelines import JinjaPipeline
from troth.engine.failure import Failure, timed_out
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Outcome, RenderContext
from troth.engine.workers.lanes import Lane
from troth.engine.workers.process import ProcessEnded, ProcessError, RenderProcess
from troth.engine.workers.quarantine import Held, Identity, Quarantine, is_unended
from troth.engine.workers.wire import Answer, pack_context, pack_pipelines, read_answer

_logger = logging.getLogger(__name__)

_SHORT_SECONDS: Final = 0.15  # of processor time
_SHORT_PATIENCE_SECONDS: Final = 1.0  # of wall-clock time, where processor time is not known
_STARVED_PATIENCE_SECONDS: Final = 6.0  # of wall-clock time: a process that waits for a processor does not hang
_GRACE_SECONDS: Final = 0.5
_CHECKS: Final = (
    "(checks)"  # in the place of a namespace: Promises whose own pipelines do not end slow no check down
)
_LEAST_LOOK_SECONDS: Final = 0.02


class RenderPoolError(TrothError):
    """The pool cannot render, because it is closed or its workers do not start."""


@dataclass(eq=False, slots=True)
class _Job:
    """A list of pipelines to render, or to check if there is no context.

    Attributes:
        identity: the identity of the job.
        edited: whether its request was rendered with other inputs before.
        patient: whether it did not end in the short time, and so waits in the slow lane.
    """

    pipelines: Sequence[JinjaPipeline]
    context: RenderContext | None
    identity: Identity
    answer: asyncio.Future[tuple[Answer | None, ...] | Held]
    edited: bool = False
    patient: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the pipelines."""
        return tuple(pipeline.name for pipeline in self.pipelines)

    def payload(self, seconds: float, *, short: bool, behind: bool) -> bytes:
        """Returns the message for a worker."""
        context = b"null" if self.context is None else pack_context(self.context)
        flags = b'"short":%s,"behind":%s' % tuple(b"true" if flag else b"false" for flag in (short, behind))
        head = b'{"packed":true,"seconds":%f,%s,"pipelines":' % (seconds, flags)
        return head + pack_pipelines(self.pipelines) + b',"context":' + context + b"}"


class Place:
    """The position of a job, for the caller that waits for it."""

    def __init__(self) -> None:
        self._look: Callable[[], int | None] = lambda: None

    @property
    def before(self) -> int | None:
        """Returns about how many jobs are served before it; None when it is not waiting for its turn."""
        return self._look()

    def follow(self, look: Callable[[], int | None]) -> None:
        """Sets the function that returns the position from now on."""
        self._look = look


class RenderPool:
    """Renders pipelines in worker processes.

    Args:
        size: the number of workers; with two or more, jobs that hang never occupy all of them.
        limits: the limits of each job.
        quarantine_seconds: for how long a job that hung is not tried again after the first time.
    """

    def __init__(self, *, size: int, limits: Limits | None = None, quarantine_seconds: float = 60.0) -> None:
        self._size = max(1, size)
        self._limits = limits or Limits()
        self._quarantine = Quarantine(quarantine_seconds)
        self._quick: Lane[_Job] = Lane()
        self._slow: Lane[_Job] = Lane()
        self._slow_running = 0
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._unused: list[RenderProcess] = []
        self._closed = False

    async def start(self) -> None:
        """Starts the workers and waits until they are ready.

        Raises:
            RenderPoolError: the workers do not start.
        """
        started = False
        try:
            answers = await asyncio.gather(*(self._add() for _ in range(self._size)), return_exceptions=True)
            cause = next((error for error in answers if error is not None), None)
            if cause is not None:
                raise RenderPoolError(f"the processes that render do not start: {cause}") from cause
            started = True
        finally:
            if not started:
                await self._end_unused()
        self._tasks = [
            asyncio.create_task(self._work(), name=f"render-worker-{number}") for number in range(self._size)
        ]

    async def _add(self) -> None:
        self._unused.append(await RenderProcess.start(self._limits))

    async def _end_unused(self) -> None:
        """Ends processes that no task has taken, because a task was cancelled before it began."""
        unused, self._unused = self._unused, []
        await asyncio.gather(*(process.end() for process in unused))

    async def render(
        self, pipelines: Sequence[JinjaPipeline], context: RenderContext, place: Place | None = None
    ) -> tuple[Outcome, ...]:
        """Returns an outcome for each pipeline in order, up to and including the first failure.

        Args:
            pipelines: the pipelines to render.
            context: what they read; it must not change until there is an answer.
            place: is updated meanwhile with how many jobs are served before.

        Raises:
            RenderPoolError: the pool is closed.
        """
        if not pipelines:
            return ()
        identity = _identity_of(pipelines, context)
        answer = await self._submit(pipelines, context, identity, place or Place())
        if not isinstance(answer, Held):
            return cast("tuple[Outcome, ...]", answer)
        before = await self.render(pipelines[: answer.index], context, place)
        if before and isinstance(before[-1], Failure):
            return before
        return (*before, answer.failure)

    async def check(self, pipelines: Sequence[JinjaPipeline]) -> Failure | None:
        """Returns the first template that cannot be used, without rendering (`check_pipeline`).

        Raises:
            RenderPoolError: the pool is closed.
        """
        if not pipelines:
            return None
        program = hashlib.sha256(b"check" + pack_pipelines(pipelines)).digest()
        answer = await self._submit(pipelines, None, Identity(program, program, _CHECKS), Place())
        if isinstance(answer, Held):
            return answer.failure
        return next((outcome for outcome in answer if isinstance(outcome, Failure)), None)

    async def close(self) -> None:
        """Ends the workers. Callers that still wait get a RenderPoolError."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._end_unused()
        for job in (*self._quick.clear(), *self._slow.clear()):
            if not job.answer.done():
                job.answer.set_exception(RenderPoolError("the pool is closed"))

    async def _submit(
        self, pipelines: Sequence[JinjaPipeline], context: RenderContext | None, identity: Identity, place: Place
    ) -> tuple[Answer | None, ...] | Held:
        if self._closed or not self._tasks:
            raise RenderPoolError("the pool is closed" if self._closed else "the pool is not started")
        loop = asyncio.get_running_loop()
        job = _Job(pipelines, context, identity, loop.create_future(), self._quarantine.asks(identity))
        held = self._quarantine.recall(identity, job.names, loop.time(), edited=job.edited)
        if held is not None:
            return held
        place.follow(lambda: self._before(job))
        self._enqueue(job)
        try:
            return await job.answer
        finally:
            for lane in (self._quick, self._slow):
                lane.remove(job)  # nobody waits for it any more

    def _before(self, job: _Job) -> int | None:
        quick = self._quick.before(job)
        return self._slow.before(job) if quick is None else quick

    # ---- the next job

    def _is_slow(self, job: _Job) -> bool:
        return job.patient or self._quarantine.is_slow(job.identity, asyncio.get_running_loop().time())

    def _enqueue(self, job: _Job) -> None:
        (self._slow if self._is_slow(job) else self._quick).add(job)
        self._changed.set()

    def _pick(self) -> _Job | None:
        """Returns the next job that may run. One worker prefers the slow lane, which so makes progress at any load."""
        if not self._slow_running and self._slow:
            return self._slow.take()
        while self._quick:
            job = self._quick.take()
            if not self._is_slow(job):
                return job
            self._enqueue(job)
        if self._slow and self._slow_running < max(1, self._size - 1):
            return self._slow.take()
        return None

    async def _next(self) -> _Job:
        while (job := self._pick()) is None:
            self._changed.clear()
            await self._changed.wait()
        return job

    # ---- one worker

    async def _work(self) -> None:
        process: RenderProcess | None = self._unused.pop()
        try:
            while True:
                if not self._slow:
                    process = await _unless_behind(process)
                process = process or await self._replace()
                job = await self._next()
                slow = self._is_slow(job)
                self._slow_running += slow
                try:
                    process = await self._serve(job, process, slow=slow)
                except asyncio.CancelledError:
                    if not job.answer.done():
                        job.answer.set_exception(RenderPoolError("the pool is closed"))
                    raise
                finally:
                    self._slow_running -= slow
                    self._changed.set()
        finally:
            if process is not None:
                await process.end()

    async def _replace(self) -> RenderProcess | None:
        """Starts a process in place of one that was ended. Returns None when it does not start.

        It is called before the next job is taken, so that another worker can take the job meanwhile, and once more with
        a job, which fails if no process starts. So nobody waits for ever.
        """
        try:
            return await RenderProcess.start(self._limits)
        except (ProcessError, OSError) as error:
            _logger.warning("a process that renders does not start: %s", error)
            return None

    async def _serve(self, job: _Job, process: RenderProcess | None, *, slow: bool) -> RenderProcess | None:
        """Answers a job. Returns the process to continue with, or None when it must be replaced."""
        now = asyncio.get_running_loop().time
        if job.answer.done():
            return process  # nobody waits any more
        held = self._quarantine.recall(job.identity, job.names, now(), edited=job.edited)
        if held is not None:
            job.answer.set_result(held)
            return process
        if not slow:
            process = await _unless_behind(process)
        process = process or await self._replace()
        if process is None:
            job.answer.set_result((_crashed(job, 0, "another one does not start"),))
            await asyncio.sleep(1.0)
            return None
        seconds = self._limits.seconds if slow else min(_SHORT_SECONDS, self._limits.seconds)
        short = seconds < self._limits.seconds
        begun = now()
        process.behind = slow
        reply = await self._ask(process, job, seconds, short=short)
        if reply.outcomes and is_unended(reply.outcomes[-1]) and short:
            # The process may have ended while it was idle, for which this job is not to blame.
            job.patient = True
            self._quarantine.took_long(job.identity, reply.seconds, now())
            if not job.answer.done():
                self._enqueue(job)
        else:
            self._conclude(job, reply.outcomes, now(), seconds=now() - begun, quick=reply.quick)
        return process if reply.healthy else None

    async def _ask(self, process: RenderProcess, job: _Job, seconds: float, *, short: bool) -> _Reply:
        """Returns what a process answers within a time. Ends the process if it cannot continue."""
        clock = asyncio.get_running_loop().time
        begun, before = clock(), process.spent()
        outcomes: list[Answer | None] = []
        healthy = quick = False
        used = 0.0
        try:
            async with asyncio.timeout(_patience(process) if short else seconds + _GRACE_SECONDS) as deadline:
                watch = _Watch(process, deadline, seconds + _GRACE_SECONDS / 2) if short else None
                try:
                    await process.send(job.payload(seconds, short=short, behind=process.behind))
                    while "outcome" in (reply := await process.receive()):
                        outcomes.append(read_answer(reply["outcome"]))
                finally:
                    if watch is not None:
                        watch.cancel()
            healthy = not reply["exhausted"]
            quick = reply["spent"] < _SHORT_SECONDS
        except TimeoutError:
            outcomes.append(timed_out(seconds).within(job.names[min(len(outcomes), len(job.names) - 1)]))
        except ProcessEnded:
            code = await process.end()
            outcomes.append(_crashed(job, len(outcomes), f"exit code {code}"))
        finally:
            used = process.spent() - before  # for a process that has ended, the system does not report it
            if not healthy:
                await process.end()
        return _Reply(tuple(outcomes), healthy, quick, used if before and used >= 0 else clock() - begun)

    def _conclude(
        self, job: _Job, outcomes: tuple[Answer | None, ...], now: float, *, seconds: float, quick: bool
    ) -> None:
        last = outcomes[-1] if outcomes else None
        if isinstance(last, Failure) and is_unended(last):
            failure = self._quarantine.misbehaved(job.identity, len(outcomes) - 1, last, now, seconds=seconds)
            outcomes = (*outcomes[:-1], failure)
        else:
            self._quarantine.succeeded(job.identity, quick=quick)
            if quick and not self._quarantine.is_slow(job.identity, now):
                for other in self._slow.take_party(job.identity):
                    self._enqueue(other)
        if not job.answer.done():
            job.answer.set_result(outcomes)


@dataclass(frozen=True, slots=True)
class _Reply:
    """The answer of a process to a job.

    Attributes:
        outcomes: the outcome of each pipeline, up to the first failure; the last may be that it did not end.
        healthy: whether the process can continue; otherwise it has been ended.
        quick: whether it took less than the short time.
        seconds: the processor time that it took; the wall-clock time where that is not known.
    """

    outcomes: tuple[Answer | None, ...]
    healthy: bool
    quick: bool
    seconds: float


class _Watch:
    """Ends a wait early once a process has used its processor time, without waiting for the wall-clock time."""

    def __init__(self, process: RenderProcess, deadline: asyncio.Timeout, seconds: float) -> None:
        self._process = process
        self._deadline = deadline
        self._end = process.spent() + seconds
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        left = self._end - self._process.spent()
        if left <= 0:
            if not self._deadline.expired():
                self._deadline.reschedule(self._loop.time())
        else:
            self._handle = self._loop.call_later(max(left, _LEAST_LOOK_SECONDS), self._look)

    def cancel(self) -> None:
        self._handle.cancel()


async def _unless_behind(process: RenderProcess | None) -> RenderProcess | None:
    """Ends a process of the slow lane, and returns any other: nothing can raise its priority again."""
    if process is None or not process.behind:
        return process
    await process.end()
    return None


def _patience(process: RenderProcess) -> float:
    """Returns the wall-clock time for a job with a short time. A job that hangs is ended earlier (`_Watch`)."""
    return _STARVED_PATIENCE_SECONDS if process.spent() else _SHORT_PATIENCE_SECONDS


def _identity_of(pipelines: Sequence[JinjaPipeline], context: RenderContext) -> Identity:
    program = hashlib.sha256(pack_pipelines(pipelines)).digest()
    key = hashlib.sha256(program + pack_context(context)).digest()
    request = context.request or {}
    metadata = request.get("metadata") or {}
    namespace = str(metadata.get("namespace") or "")
    names = (request.get("apiVersion"), request.get("kind"), namespace, metadata.get("name"))
    # The deletion of a request is a different job, and not an edit of the former one.
    asked = (context.promise.get("name"), *names, *(pipeline.name for pipeline in pipelines))
    return Identity(key, program, namespace, hashlib.sha256(repr(asked).encode()).digest())


def _crashed(job: _Job, index: int, cause: str) -> Failure:
    return Failure(
        "RenderCrashed",
        f"the process that renders ended unexpectedly ({cause})",
        hint="the template asks for something that the interpreter cannot do; simplify it",
    ).within(job.names[min(index, len(job.names) - 1)])
