"""Spreads tasks over several processes, each with its own child that renders.

The processes are forks of this one and have what was read already, so they are there in milliseconds. A process with
threads must not fork (`engine.workers.forking`): then they are new interpreters, which are sent what was read. Threads
must not be started here, since the processes fork again. For that reason the executors of the standard library, which
manage their processes from a thread, are not used.
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
from troth.authoring.input_files import HomeError
from troth.authoring.testing.running import Done, Runner, Task
from troth.engine.workers.forking import has_threads

_CHUNK: Final = 25
_END_SECONDS: Final = 5.0


class SpreadError(TrothError):
    """A process that runs cases has ended, or could not be started."""


def split(runner: Runner) -> list[Task]:
    """Splits the work into tasks, the long ones first."""
    tasks = [Task(index) for index, subject in enumerate(runner.subjects) if subject.generated]
    for index, subject in enumerate(runner.subjects):
        count = len(subject.cases)
        tasks += [Task(index, first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
    return tasks


def cores() -> int:
    """The number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def run_tasks(
    runner: Runner, tasks: Sequence[Task], *, jobs: int, on_done: Callable[[Done], None] | None = None
) -> list[Done]:
    """Runs all tasks, and returns their results in the order of the tasks.

    When a task finds that its Promise cannot be used, its result says so. The Promise's other tasks are left out, and
    those that run at that moment are ended.

    Args:
        runner: runs the tasks in each process.
        tasks: the tasks.
        jobs: the number of processes; with 1, everything runs in this process.
        on_done: called with each result as it comes.

    Raises:
        SpreadError: a process has ended.
        TrothError: a task raised an exception; the message is the same.
    """
    found: dict[Task, Done] = {}
    answers = (
        _alone(runner, tasks) if min(jobs, len(tasks)) <= 1 else _spread(runner, tasks, min(jobs, len(tasks)))
    )
    for done in answers:
        found[done.task] = done
        if on_done is not None:
            on_done(done)
    return [found[task] for task in tasks if task in found]


def _alone(runner: Runner, tasks: Sequence[Task]) -> Iterator[Done]:
    broken: set[int] = set()
    try:
        for task in tasks:
            if task.subject in broken:
                continue
            done = _attempt(runner, task)
            if done.problem:
                broken.add(task.subject)
            yield done
    finally:
        runner.close()


def _attempt(runner: Runner, task: Task) -> Done:
    """Runs a task. That its Promise cannot be used is a result, too: the other Promises go on."""
    try:
        return runner.run(task)
    except HomeError as error:
        return Done(task, (), problem=str(error))


def _spread(runner: Runner, tasks: Sequence[Task], jobs: int) -> Iterator[Done]:
    forks = not has_threads()
    context: ForkContext | SpawnContext = get_context("fork") if forks else get_context("spawn")
    waiting = list(reversed(tasks))
    processes = []
    pipes: list[Connection] = []
    running: dict[Connection, Task] = {}
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
            running[here] = waiting.pop()
            here.send(running[here])
        while running:
            for ready in connection.wait(list(running)):
                pipe = cast("Connection", ready)
                if pipe not in running:  # it was given up for the answer of another
                    continue
                answer = _receive(pipe)
                del running[pipe]
                if answer.problem:
                    subject = answer.task.subject
                    waiting = [task for task in waiting if task.subject != subject]
                    for other in [each for each, task in running.items() if task.subject == subject]:
                        del running[other]
                        processes[pipes.index(other)].kill()  # its task may take as long as the one that failed
                if waiting:
                    running[pipe] = waiting.pop()
                    pipe.send(running[pipe])
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
    """Blocks Ctrl-C inside the block, so that it does not reach a new process before that ignores it."""
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
    """Runs tasks in a process until its pipe is closed. So the process must close its own copy of the other end."""
    for other in others:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command gets the signal, and closes the pipe
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        while True:
            try:
                task = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                answer: Done | str = _attempt(runner, task)
            except TrothError as error:
                answer = str(error)
            try:
                pipe.send(answer)
            except OSError:
                return
    finally:
        runner.close()
