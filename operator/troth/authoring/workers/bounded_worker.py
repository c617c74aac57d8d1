"""A worker of the engine as a fork, which starts in milliseconds and has the same limits as in the operator.

`RenderPool` starts new interpreters. The operator does that once, but a command would do it for each request, and it
would take longer than everything else. `forks` decides which process is forked. The child runs the same `worker`,
which limits its memory and its time, and it is killed here when it does not answer. A command works for one author
only, so lanes and a quarantine are not needed; a job that hung is reported, and the next job gets a new child.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from troth.api import TrothError
from troth.api.pipelines import JinjaPipeline
from troth.authoring.workers.forks import Fork, fork
from troth.engine.failure import Failure, timed_out
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Outcome, RenderContext
from troth.engine.workers.wire import LENGTH, framed, pack, pack_context, pack_pipelines, read_outcome, unpack

if TYPE_CHECKING:
    from troth.engine.rendering.coverage import Hit

_GRACE_SECONDS: Final = 1.0
_START_SECONDS: Final = 10.0
_LONGEST_REPLY: Final = 64 * 1024 * 1024
_CHUNK: Final = 1 << 16


class WorkerError(TrothError):
    """The process that renders cannot be started."""


class _Gone(Exception):
    """The child has ended."""


class _Late(Exception):
    """The child did not answer in time."""


class BoundedWorker:
    """A child that renders and checks, one job at a time.

    Args:
        limits: the limits of one job.
        coverage: whether to measure which lines and branches of the templates are reached (`hits`), which is slower.
    """

    def __init__(self, *, limits: Limits | None = None, coverage: bool = False) -> None:
        self._limits = limits or Limits()
        self._coverage = coverage
        self._hits: set[Hit] = set()
        self._spent = 0.0
        self._fork: Fork | None = None
        self._jobs = self._replies = -1
        self._ready = False
        self._packed: tuple[Sequence[JinjaPipeline], bytes] = ((), b"[]")

    def __enter__(self) -> BoundedWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def render_now(self, pipelines: Sequence[JinjaPipeline], context: RenderContext) -> tuple[Outcome, ...]:
        """Renders pipelines in order, and returns their outcomes up to and including the first failure."""
        outcomes = self._ask(pipelines, pack_context(context)) if pipelines else ()
        return tuple(outcome for outcome in outcomes if outcome is not None)

    def check(self, pipelines: Sequence[JinjaPipeline]) -> Failure | None:
        """The failure of the first template that `check_pipeline` finds unusable; None when all are usable."""
        found = self._ask(pipelines, b"null") if pipelines else ()
        return next((outcome for outcome in found if isinstance(outcome, Failure)), None)

    def hits(self) -> frozenset[Hit]:
        """What its renderings have reached so far, without jobs that had to be killed."""
        return frozenset(self._hits)

    @property
    def spent(self) -> float:
        """The processor time that its jobs have used so far, in seconds, without jobs that had to be killed."""
        return self._spent

    def close(self) -> None:
        """Ends the child."""
        if self._fork is not None:
            self._fork.end()
            os.close(self._jobs)
            os.close(self._replies)
        self._fork, self._jobs, self._replies = None, -1, -1

    def start(self) -> None:
        """Forks the child, unless there is one. It gets ready while this process goes on.

        Raises:
            WorkerError: the system does not allow it to start.
        """
        if self._fork is not None:
            return
        ends: list[int] = []
        try:
            ends += os.pipe()
            ends += os.pipe()
            jobs_in, jobs_out, replies_in, replies_out = ends
            worker = fork(jobs_in, replies_out, (jobs_out, replies_in))
        except OSError as error:
            for end in ends:
                os.close(end)
            raise WorkerError(f"the process that renders does not start: {error.strerror or error}") from None
        os.close(jobs_in)
        os.close(replies_out)
        os.set_blocking(jobs_out, False)
        self._fork, self._jobs, self._replies = worker, jobs_out, replies_in
        # A fork begins with everything that the forked process has mapped, which its templates did not ask for.
        bounds = replace(self._limits, memory_bytes=self._limits.memory_bytes + worker.mapped)
        self._send(pack(asdict(bounds)), time.monotonic() + _START_SECONDS)
        self._ready = False

    def _ask(self, pipelines: Sequence[JinjaPipeline], context: bytes) -> list[Outcome | None]:
        seconds = self._limits.seconds
        if self._packed[0] is not pipelines:
            self._packed = (pipelines, pack_pipelines(pipelines))
        outcomes: list[Outcome | None] = []
        # Time is measured by the wall clock: in a command one author waits, and "short" is for sharing between many.
        payload = b'{"seconds":%f,"short":false,"coverage":%s,"pipelines":%s,"context":%s}' % (
            seconds,
            b"true" if self._coverage else b"false",
            self._packed[1],
            context,
        )
        try:
            self.start()
            end = time.monotonic() + seconds + _GRACE_SECONDS + (0 if self._ready else _START_SECONDS)
            if not self._ready:
                self._receive(end)
                self._ready = True
            self._send(payload, end)
            while "outcome" in (reply := self._receive(end)):
                outcomes.append(read_outcome(reply["outcome"]))
            self._spent += reply["spent"]
            self._hits.update((pipeline, place, point) for pipeline, place, point in reply.get("hits") or ())
            if reply["exhausted"]:
                self.close()
        except (_Gone, _Late) as error:
            self.close()
            name = pipelines[min(len(outcomes), len(pipelines) - 1)].name
            outcomes.append((timed_out(seconds) if isinstance(error, _Late) else _crashed()).within(name))
        return outcomes

    def _send(self, payload: bytes, end: float) -> None:
        frame = memoryview(framed(payload))
        while frame:
            self._wait(self._jobs, end, writing=True)
            try:
                frame = frame[os.write(self._jobs, frame[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise _Gone from None

    def _receive(self, end: float) -> Any:
        (length,) = LENGTH.unpack(self._read(LENGTH.size, end))
        if length > _LONGEST_REPLY:
            raise _Gone
        return unpack(self._read(length, end))

    def _read(self, length: int, end: float) -> bytes:
        content = bytearray()
        while len(content) < length:
            self._wait(self._replies, end, writing=False)
            part = os.read(self._replies, min(length - len(content), _CHUNK))
            if not part:
                raise _Gone
            content += part
        return bytes(content)

    def _wait(self, descriptor: int, end: float, *, writing: bool) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
        if not poll.poll(max(0, (end - time.monotonic()) * 1000)):
            raise _Late


def _crashed() -> Failure:
    return Failure(
        "RenderCrashed",
        "the process that renders ended unexpectedly",
        hint="the template asks for something that the interpreter cannot do; simplify it",
    )
