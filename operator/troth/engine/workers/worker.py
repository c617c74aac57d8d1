"""A process that renders. `RenderPool` starts it, sends jobs to its standard input, and kills it if it does not answer.

It first confines and bounds itself (`confinement`). A timer raises `Deadline` inside a running template, which gives
the line where it hangs; only an operation that blocks the interpreter longer (a regular expression, a huge number) is
left to the parent, which kills the process. The address space is limited, so too much memory leads to a MemoryError
instead of the end of the operator. The worker ends with its parent: the kernel ends it where that is supported;
elsewhere the closed input ends a worker that waits, and a limit on processor time one that loops.

Once it gets a job of the slow lane, it has a lower priority than the operator, its Git and the quick lane (`nice`). So
requests whose templates use all processors slow down nobody else's rendering, nor what the operator does after it.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import resource
import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Final

from troth.api.pipelines import FileTemplate, JinjaPipeline
from troth.engine.failure import Failure, timed_out
from troth.engine.lint_report import LintReport
from troth.engine.placement.work import pack_content
from troth.engine.rendering.check import check_pipeline
from troth.engine.rendering.components import may_hold_components
from troth.engine.rendering.diagnosis import Attempt, diagnose
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Outcome, PackedFile, RenderContext, Rendered, Rendering
from troth.engine.rendering.templates import Environment
from troth.engine.workers.confinement import confine
from troth.engine.workers.wire import LENGTH, framed, outcome_message, pack, read_context, read_pipelines, unpack
from troth.surroundings import module_folders

if TYPE_CHECKING:
    from troth.engine.promises.fitting import Fitting
    from troth.engine.rendering.coverage import CoveringEnvironment

_SPARE_PROCESSOR_SECONDS: Final = 2
_PR_SET_PDEATHSIG: Final = 1
_BACKGROUND: Final = 10
_BEHIND_THE_OPERATOR: Final = 5
_WARM_UP: Final = JinjaPipeline("warm-up", files=(FileTemplate("a.yaml", "a: {{ name | to_yaml }}\n"),))


class Deadline(BaseException):
    """The time of a job is over. It is not an Exception, so that nothing in a template can catch it."""


def main() -> None:
    """Answers jobs until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the operator, which closes the pool
    jobs = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # printed output must not end up between the frames
    settings = _read(jobs)
    if settings is None:
        return
    limits = Limits(**unpack(settings))
    _bound_memory(limits.memory_bytes)
    _end_with_parent()
    confine(module_folders(), keep={0, 1, 2, jobs.fileno(), replies.fileno()})
    worker = Worker(limits)
    worker.warm_up()
    gc.freeze()
    with suppress(BrokenPipeError):  # the parent is gone, perhaps before this process was ready
        replies.write(framed(pack({"ready": True})))
        while (payload := _read(jobs)) is not None:
            for reply in worker.answer(unpack(payload)):
                replies.write(framed(reply))


class Worker:
    """Runs jobs, one at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._environment = Environment()
        self._covering: CoveringEnvironment | None = None
        self._fitting: tuple[str, Fitting] | None = None
        self._armed = False
        self._behind = False
        self._exhausted = False
        self._timer = signal.ITIMER_REAL
        signal.signal(signal.SIGALRM, self._ring)
        signal.signal(signal.SIGPROF, self._ring)

    def warm_up(self) -> None:
        """Loads the modules that the first rendering would load."""
        Rendering(_WARM_UP, RenderContext({}, {}), self._limits, "0", self._environment).outcome()

    def answer(self, job: Mapping[str, Any]) -> Iterator[bytes]:
        """Yields a frame for each pipeline, up to the first failure, and a final one.

        A short job is timed by its processor time, so that a busy machine does not make it late; any other by
        wall-clock time. The processor time is that of this thread, the only one: once a process has a limit on its
        processor time, Linux updates the clock of the whole process only with its ticks, every four to ten
        milliseconds, and most jobs would seem to take no time.
        """
        pipelines = read_pipelines(job["pipelines"])
        context = read_context(job["context"]) if job["context"] is not None else None
        seconds: float = job["seconds"]
        if job.get("behind") and not self._behind:
            self._behind = True
            with suppress(OSError):
                os.nice(_BEHIND_THE_OPERATOR)
        clock = time.thread_time if job["short"] else time.monotonic
        self._timer = signal.ITIMER_PROF if job["short"] else signal.ITIMER_REAL
        _bound_processor(seconds + _SPARE_PROCESSOR_SECONDS)
        begun = time.thread_time()
        end = clock() + seconds
        self._exhausted = False
        if "lint" in job:
            for report in self._lint(job["lint"]):
                yield pack({"outcome": outcome_message(report)})
        if "fitting" in job:
            yield pack({"outcome": self._fit(job["fitting"])})
        covering = self._cover() if job.get("coverage") else None
        rendered = 0
        for pipeline in pipelines:
            if covering is not None:
                covering.recorder.pipeline = pipeline.name
            outcome = self._run(pipeline, context, end - clock(), covering or self._environment)
            if isinstance(outcome, Rendered):
                rendered += sum(len(file.content) for file in outcome.files)
                if rendered > self._limits.workflow_bytes:
                    outcome = _too_much(pipeline.name, rendered, self._limits.workflow_bytes)
                elif job.get("packed"):
                    outcome = _with_packed_files(outcome)
            yield _packed(outcome, pipeline)
            if isinstance(outcome, Failure):
                break
        last: dict[str, Any] = {"exhausted": self._exhausted, "spent": time.thread_time() - begun}
        if covering is not None:
            last["hits"] = covering.recorder.take()
        yield pack(last)

    def _cover(self) -> CoveringEnvironment:
        if self._covering is None:
            from troth.engine.rendering.coverage import CoveringEnvironment  # the operator does not need it

            self._covering = CoveringEnvironment()
        return self._covering

    def _run(
        self, pipeline: JinjaPipeline, context: RenderContext | None, seconds: float, environment: Environment
    ) -> Outcome | None:
        attempt = Attempt(environment, {})
        try:
            self._arm(seconds)
            if context is None:
                outcome: Outcome | None = check_pipeline(pipeline, limits=self._limits, environment=environment)
            else:
                rendering = Rendering(pipeline, context, self._limits, secrets.token_hex(8), environment)
                attempt = rendering.attempt
                outcome = rendering.outcome()
                self._exhausted = rendering.ran_out
            self._armed = False
        except Deadline as error:
            self._armed = False
            return timed_out(self._limits.seconds, diagnose(error, attempt)).within(pipeline.name)
        finally:
            signal.setitimer(self._timer, 0)
        return outcome

    def _lint(self, document: Mapping[str, Any]) -> Iterator[LintReport | Failure]:
        """Checks what the templates read first, so that this result is not lost if rendering them ends this process."""
        from troth.engine.linting.errors import (  # not needed for rendering
            find_object_errors,
            find_path_errors,
        )

        with suppress(OSError):
            os.nice(_BACKGROUND - os.nice(0))
        try:
            self._arm(self._limits.seconds)
            report = find_path_errors(document)
            self._armed = False
        except Deadline:
            self._armed = False
            yield timed_out(self._limits.seconds)
        except Exception as error:  # noqa: BLE001 - what is only advice must not fail a Promise
            self._armed = False
            yield LintReport(unfinished=f"{type(error).__name__} while it was being checked")
        else:
            yield report
        finally:
            signal.setitimer(self._timer, 0)

        def render(pipelines: Sequence[JinjaPipeline], context: RenderContext) -> list[Outcome]:
            outcomes: list[Outcome] = []
            for pipeline in pipelines:
                outcome = self._run(pipeline, context, self._limits.seconds, self._environment)
                if outcome is None:
                    break
                outcomes.append(outcome)
                if isinstance(outcome, Failure):
                    break
            return outcomes

        try:
            yield find_object_errors(document, render, time.thread_time)
        except Exception as error:  # noqa: BLE001 - what is only advice must not fail a Promise
            yield LintReport(unfinished=f"{type(error).__name__} while its output was being checked")

    def _fit(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the requests that do not fit their API. The definition is compiled once and kept for later jobs."""
        from troth.engine.promises.fitting import Fitting  # not needed for rendering

        with suppress(OSError):
            os.nice(_BACKGROUND - os.nice(0))
        if self._fitting is None or self._fitting[0] != job["edition"]:
            self._fitting = job["edition"], Fitting(job["definition"])
        return {"unfit": [asdict(one) for one in self._fitting[1].unfit(job["requests"])]}

    def _arm(self, seconds: float) -> None:
        self._armed = True
        signal.setitimer(self._timer, max(seconds, 0.001))

    def _ring(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._armed:
            self._armed = False
            raise Deadline


def _with_packed_files(outcome: Rendered) -> Rendered:
    """Packs the files as a Work holds them, so that keeping them takes kilobytes instead of megabytes."""
    return replace(
        outcome,
        files=tuple(
            PackedFile(file.path, pack_content(file.content, component=may_hold_components(file.content)))
            for file in outcome.files
        ),
    )


def _too_much(pipeline: str, size: int, limit: int) -> Failure:
    return Failure(
        "TemplateTooLarge",
        f"with this pipeline the files of all pipelines have {size} bytes together, more than {limit}",
        hint="render less: the files of one request, or of one Promise's own workflow, share this limit",
    ).within(pipeline)


def _packed(outcome: Outcome | None, pipeline: JinjaPipeline) -> bytes:
    message = {"outcome": outcome_message(outcome)}
    try:
        return pack(message)
    except TypeError as error:  # not valid in JSON, such as a lone surrogate
        failure = Failure("TemplateError", f"the outcome cannot be sent: {error}").within(pipeline.name)
        return pack({"outcome": outcome_message(failure)})


def _read(stream: IO[bytes]) -> bytes | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    payload = stream.read(length)
    return payload if len(payload) == length else None


def _bound_memory(size: int) -> None:
    with suppress(ValueError, OSError):  # some systems do not have it
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _end_with_parent() -> None:
    """On Linux, makes the kernel end this process when its parent is gone; elsewhere the closed input ends it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _bound_processor(seconds: float) -> None:
    """Sets after how many more seconds of processor time the kernel ends this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(usage.ru_utime + usage.ru_stime + seconds) + 1
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
