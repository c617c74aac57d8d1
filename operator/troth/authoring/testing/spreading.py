"""Tasks over processes, each with its own child that renders.

They are forks of this one, with what was read already, so a command has them in milliseconds. A process with threads
must not fork (`engine.workers.forking`): there they are fresh interpreters, which are given what was read. No thread is
started here, since the processes fork again; so there is no executor of the standard library, which manages its
processes from one.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from typing import Any, Final, cast

from troth.api import TrothError
from troth.authoring.testing.running import Done, Runner, Task
from troth.engine.workers.forking import has_threads

_CHUNK: Final = 25
_END_SECONDS: Final = 5.0


class SpreadError(TrothError):
    """A process that runs cases ended, or could not be started."""


def split(runner: Runner) -> list[Task]:
    """The tasks that there are, the long ones first."""
    tasks = [Task(index) for index, subject in enumerate(runner.subjects) if subject.generated]
    for index, subject in enumerate(runner.subjects):
        count = len(subject.cases)
        tasks += [Task(index, first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
    return tasks


def cores() -> int:
    """The processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def run_tasks(
    runner: Runner, tasks: Sequence[Task], *, jobs: int, on_done: Callable[[Done], None] | None = None
) -> list[Done]:
    """Runs all tasks, and gives their answers in the order of the tasks.

    Args:
        runner: what each process does.
        tasks: what to do.
        jobs: how many processes; 1 for this one alone.
        on_done: is told each answer as it comes.

    Raises:
        SpreadError: a process ended.
        TrothError: what a task raised, with its words.
    """
    found: dict[Task, Done] = {}
    answers = (
        _alone(runner, tasks) if min(jobs, len(tasks)) <= 1 else _spread(runner, tasks, min(jobs, len(tasks)))
    )
    for done in answers:
        found[done.task] = done
        if on_done is not None:
            on_done(done)
    return [found[task] for task in tasks]


def _alone(runner: Runner, tasks: Sequence[Task]) -> Iterator[Done]:
    try:
        for task in tasks:
            yield runner.run(task)
    finally:
        runner.close()


def _spread(runner: Runner, tasks: Sequence[Task], jobs: int) -> Iterator[Done]:
    forks = not has_threads()
    context: ForkContext | SpawnContext = get_context("fork") if forks else get_context("spawn")
    waiting = list(reversed(tasks))
    processes = []
    pipes: list[Connection] = []
    try:
        for _ in range(jobs):
            here, there = context.Pipe()
            others = (*pipes, here) if forks else ()
            process = context.Process(target=_serve, args=(runner, there, others), daemon=True)
            try:
                with _no_interrupt():
                    process.start()
            except OSError as error:
                raise SpreadError(f"a process to run cases does not start: {error.strerror}") from None
            there.close()
            processes.append(process)
            pipes.append(here)
            here.send(waiting.pop())
        busy = set(pipes)
        while busy:
            for ready in connection.wait(list(busy)):
                pipe = cast("Connection", ready)
                answer = _receive(pipe)
                if waiting:
                    pipe.send(waiting.pop())
                else:
                    busy.discard(pipe)
                yield answer
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(_END_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C waits, so that it never meets a process that does not pass it over yet."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _receive(pipe: Connection) -> Done:
    try:
        answer: Any = pipe.recv()
    except (EOFError, OSError):
        raise SpreadError("a process that runs cases ended unexpectedly; try --jobs 1") from None
    if isinstance(answer, str):
        raise SpreadError(answer)
    return cast("Done", answer)


def _serve(runner: Runner, pipe: Connection, others: Sequence[Connection]) -> None:
    """What each process does until its pipe is closed: by nobody, as long as it holds the other end itself."""
    for other in others:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command is told, and closes the pipe
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        while True:
            try:
                task = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                answer: Done | str = runner.run(task)
            except TrothError as error:
                answer = str(error)
            try:
                pipe.send(answer)
            except OSError:
                return
    finally:
        runner.close()
