"""A process with threads never forks, and what is started in its place ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.test_test_command import case, make
from tests.unit.engine.pipelines import context, pipeline
from tests.unit.engine.workers.test_pool import is_running
from tests.waiting import eventually_sync
from troth.authoring.testing.running import Options
from troth.authoring.testing.selecting import choose
from troth.authoring.testing.session import collect, run
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.authoring.workers.fork_server import server
from troth.engine.rendering.render import Rendered

STARTS_A_WORKER = """
import os, threading, time
from tests.unit.engine.pipelines import pipeline
from troth.authoring.workers.bounded_worker import BoundedWorker

if {threads}:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
worker = BoundedWorker()
assert worker.check([pipeline("a: b")]) is None
print(os.getpid(), flush=True)
time.sleep(600)
"""

INTERRUPTS_ITS_FORK = """
import os, signal
from troth.authoring.workers.bounded_worker import BoundedWorker

os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    BoundedWorker().start()
except KeyboardInterrupt:
    print("interrupted")
"""


@contextlib.contextmanager
def beside_a_thread() -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def started(*, threads: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has a worker which is ready, with a second thread or without."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-W", "error", "-c", STARTS_A_WORKER.format(threads=threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == str(process.pid).encode()
            yield process
        finally:
            process.kill()


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                child = int(entry.name)
                found += [child, *descendants(child)]
    return found


def refuse(*arguments: Any) -> int:
    raise AssertionError("a process with threads was forked")


def rendered(worker: BoundedWorker, size: str) -> bytes:
    (outcome,) = worker.render_now([pipeline("size: {{ spec.size }}\n")], context({"size": size}))
    assert isinstance(outcome, Rendered), outcome
    return outcome.files[0].content


def test_a_process_with_threads_renders_without_forking_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", refuse)
    with beside_a_thread(), BoundedWorker() as worker:
        assert rendered(worker, "small") == b"size: small\n"


@pytest.mark.slow
def test_a_process_with_threads_spreads_cases_without_forking_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make(tmp_path, *(case(f"case {number}") for number in range(30)))
    collected = collect([home], choose(""), generated=False)
    monkeypatch.setattr(os, "fork", refuse)
    with beside_a_thread():
        session = run(collected, Options(coverage=True), jobs=2)
    assert [result.name for result in session.results] == [f"case {number}" for number in range(30)]
    assert not session.failed


def test_all_threads_of_a_process_may_render_at_once() -> None:
    def render(size: str) -> bytes:
        with BoundedWorker() as worker:
            return rendered(worker, size)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(render, "abcdefgh")) == [f"size: {size}\n".encode() for size in "abcdefgh"]


def test_a_command_forks_itself_and_starts_no_other_program() -> None:
    with started(threads=False) as process:
        (worker,) = descendants(process.pid)
        assert Path(f"/proc/{worker}/cmdline").read_bytes() == Path(f"/proc/{process.pid}/cmdline").read_bytes()


@pytest.mark.parametrize("threads", [False, True])
def test_no_worker_outlives_a_process_that_is_killed(*, threads: bool) -> None:
    with started(threads=threads) as process:
        there = descendants(process.pid)
        assert len(there) == 1 + threads
        process.kill()
        process.wait()
        eventually_sync(lambda: not any(is_running(pid) for pid in there))


def test_a_worker_is_gone_once_it_is_closed() -> None:
    with beside_a_thread():
        others = set(descendants(server().pid))
        with BoundedWorker() as worker:
            worker.start()
            (there,) = set(descendants(server().pid)) - others
        assert there not in descendants(server().pid), "not even as a zombie: its owner has it reaped"


def test_a_server_that_was_killed_is_replaced() -> None:
    with beside_a_thread():
        with BoundedWorker() as worker:
            rendered(worker, "small")
            killed = server()
            os.kill(killed.pid, signal.SIGKILL)
            eventually_sync(lambda: not killed.is_running)
        with BoundedWorker() as worker:
            assert rendered(worker, "large") == b"size: large\n"


def test_an_interrupt_during_a_fork_is_not_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTS_ITS_FORK], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
