"""The pool renders like the pure function, and no template can hang or end it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.engine.pipelines import context, pipeline, render
from tests.waiting import eventually, stretched
from troth.engine.failure import Failure
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Outcome, PackedFile, Rendered, RenderedFile
from troth.engine.workers.pool import Place, RenderPool, RenderPoolError

LIMITS = Limits(seconds=0.5)
LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}\n"
HOLDS_THE_INTERPRETER = (
    "{% set a = namespace(l=[1]) %}{% set b = namespace(l=[1]) %}{% for i in range(90) %}"
    "{% set a.l = [a.l, a.l] %}{% set b.l = [b.l, b.l] %}{% endfor %}\na: {{ a.l == b.l }}\n"
)
pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes through /proc")


@pytest.fixture
async def pool() -> AsyncIterator[RenderPool]:
    pool = RenderPool(size=2, limits=LIMITS)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()
    assert workers_of(os.getpid()) == []


def workers_of(parent: int) -> list[int]:
    """The workers that are children of a process."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"troth.engine.workers.worker" in command:
            found.append(int(entry.name))
    return found


def kill_workers() -> None:
    for pid in workers_of(os.getpid()):
        os.kill(pid, signal.SIGKILL)


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.02)


async def one(pool: RenderPool, template: str, number: int = 0) -> Outcome:
    (outcome,) = await pool.render([pipeline(template)], context({"n": number}, name=f"r{number}"))
    return outcome


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Failure), outcome
    return outcome.reason


async def test_the_pool_renders_what_the_pure_function_renders(pool: RenderPool) -> None:
    given = pipeline(
        "a: {{ spec.n }}\n",
        values={"b": "{{ spec.n + 1 }}"},
        status={"b": "{{ b }}", "text": "ä\n\u2028"},
        control={"retryAfter": "10s", "message": "later"},
        partials={"p": "x"},
        destinations=[{"matchLabels": {"env": "{{ name }}"}}],
    )
    (outcome,) = await pool.render([given], context({"n": 1}))
    assert isinstance(outcome, Rendered)
    unpacked = tuple(RenderedFile(file.path, file.content) for file in outcome.files)
    assert replace(outcome, files=unpacked) == render(given, context({"n": 1}))


async def test_what_all_pipelines_render_together_is_bounded_and_comes_packed() -> None:
    pool = RenderPool(size=1, limits=Limits(seconds=10, workflow_bytes=2_000_000))
    pipelines = [pipeline("{{ 'a' * 900000 }}", path="a.txt", name=name) for name in "abc"]
    await pool.start()
    try:
        *rendered, failed = await pool.render(pipelines, context({}))
    finally:
        await pool.close()

    for outcome in rendered:
        assert isinstance(outcome, Rendered)
        (file,) = outcome.files
        assert isinstance(file, PackedFile)
        assert len(file.packed.encoded) < 5000
        assert file.packed.size == len(file.content) == 900_000
    assert len(rendered) == 2
    assert isinstance(failed, Failure)
    assert (failed.reason, failed.pipeline) == ("TemplateTooLarge", "c")
    assert "2700000 bytes together, more than 2000000" in failed.message


async def test_the_pipelines_after_a_failure_are_not_rendered(pool: RenderPool) -> None:
    pipelines = [pipeline("a: 1", name="a"), pipeline("{{ nope }}", name="b"), pipeline("c: 1", name="c")]
    first, second = await pool.render(pipelines, context())
    assert isinstance(first, Rendered)
    assert isinstance(second, Failure)
    assert second.pipeline == "b"


async def test_nothing_is_nothing(pool: RenderPool) -> None:
    assert await pool.render([], context()) == ()
    assert await pool.check([]) is None


@pytest.mark.slow
async def test_fifty_others_do_not_wait_behind_endless_loops() -> None:
    pool = RenderPool(size=2, limits=Limits(seconds=10))
    await pool.start()
    hanging = [asyncio.create_task(one(pool, LOOP + f"# {number}")) for number in range(3)]
    try:
        others = await asyncio.gather(*(one(pool, "a: {{ spec.n }}", number) for number in range(50)))
        assert all(isinstance(outcome, Rendered) for outcome in others)
        assert not any(task.done() for task in hanging)
    finally:
        await pool.close()
        await asyncio.gather(*hanging, return_exceptions=True)


@pytest.mark.slow
async def test_an_endless_loop_is_found_with_its_line(pool: RenderPool) -> None:
    outcome = await one(pool, "a: 1\n{% for i in range(99999) %}\n" + LOOP + "{% endfor %}")
    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.pipeline, outcome.file, outcome.line) == (
        "TemplateTimeout",
        "main",
        "file.yaml",
        3,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "template",
    [
        HOLDS_THE_INTERPRETER,
        "{{ ('a' * 60 ~ '!') | regex_replace('(a+)+$', '') }}",
        "{% set a = namespace(l=[1]) %}{% for i in range(90) %}{% set a.l = [a.l, a.l] %}{% endfor %}\na: {{ a.l }}",
    ],
    ids=["compare", "regex", "copies"],
)
async def test_whatever_hangs_is_ended(pool: RenderPool, template: str) -> None:
    assert reason(await one(pool, template)) == "TemplateTimeout"
    assert isinstance(await one(pool, "a: 1"), Rendered)


@pytest.mark.slow
@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10**10 }}",
        "{{ 'a' | center(10**10) }}",
        "{{ '{:>10000000000}'.format(1) }}",
        "{{ '%010000000000d' % 1 }}",
        "{{ 'a'.zfill(10**10) }}",
        "{% set ns = namespace(a='x') %}{% for i in range(100) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
        "{% for i in range(99999) %}{{ 'x' * 100000 }}{% endfor %}",
        "{{ ('x' * 100000) | replace('x', 'x' * 100000) }}",
    ],
)
async def test_what_asks_for_too_much_memory_is_too_large(template: str) -> None:
    pool = RenderPool(size=1, limits=Limits(seconds=10))
    await pool.start()
    try:
        assert reason(await one(pool, template)) == "TemplateTooLarge"
        assert isinstance(await one(pool, "a: 1"), Rendered)
    finally:
        await pool.close()


@pytest.mark.slow
async def test_what_hung_is_answered_at_once(pool: RenderPool) -> None:
    first = await one(pool, HOLDS_THE_INTERPRETER)
    async with asyncio.timeout(LIMITS.seconds / 2):
        assert await one(pool, HOLDS_THE_INTERPRETER) == first


@pytest.mark.slow
async def test_what_hung_is_tried_again_after_a_while() -> None:
    pool = RenderPool(size=1, limits=Limits(seconds=0.2), quarantine_seconds=0.0)
    await pool.start()
    try:
        for _ in range(2):
            start = time.monotonic()
            assert reason(await one(pool, LOOP)) == "TemplateTimeout"
            assert time.monotonic() - start >= 0.2
    finally:
        await pool.close()


@pytest.mark.slow
async def test_fifty_requests_of_a_broken_promise_do_not_take_turns_at_hanging(pool: RenderPool) -> None:
    start = time.monotonic()
    outcomes = await asyncio.gather(*(one(pool, LOOP, number) for number in range(50)))
    assert {reason(outcome) for outcome in outcomes} == {"TemplateTimeout"}
    assert time.monotonic() - start < stretched(50 * LIMITS.seconds / 4)


@pytest.mark.slow
async def test_requests_that_hang_do_not_hold_back_others_of_a_promise_that_works(pool: RenderPool) -> None:
    template = "{% if spec.n > 100 %}" + LOOP + "{% endif %}\na: {{ spec.n }}\n"
    assert isinstance(await one(pool, template, 1), Rendered)
    hanging = await asyncio.gather(*(one(pool, template, number) for number in (101, 102, 103)))
    assert {reason(outcome) for outcome in hanging} == {"TemplateTimeout"}
    assert isinstance(await one(pool, template, 2), Rendered)


@pytest.mark.slow
async def test_a_job_whose_workers_end_fails_alone() -> None:
    pool = RenderPool(size=2, limits=Limits(seconds=30))
    await pool.start()
    try:
        job = asyncio.create_task(one(pool, HOLDS_THE_INTERPRETER))
        while not job.done():
            kill_workers()
            await asyncio.wait([job], timeout=0.05)
        assert reason(await job) == "RenderCrashed"
        assert isinstance(await one(pool, "a: 1"), Rendered)
    finally:
        await pool.close()


@pytest.mark.slow
async def test_workers_that_end_while_they_are_idle_are_replaced(pool: RenderPool) -> None:
    for number in range(3):
        kill_workers()
        outcomes = await asyncio.gather(*(one(pool, "a: {{ spec.n }}", 10 * number + n) for n in range(4)))
        assert all(isinstance(outcome, Rendered) for outcome in outcomes)


async def test_a_check_finds_what_does_not_compile(pool: RenderPool) -> None:
    assert await pool.check([pipeline("a: {{ name }}")]) is None
    found = await pool.check([pipeline("a: 1", name="a"), pipeline("{{ x | nope }}", name="b")])
    assert isinstance(found, Failure)
    assert (found.reason, found.pipeline) == ("TemplateSyntax", "b")


@pytest.mark.slow
async def test_a_source_that_takes_too_long_to_compile_is_ended(pool: RenderPool) -> None:
    found = await pool.check([pipeline("{{ [1] }}" * 28_000)])
    assert isinstance(found, Failure)
    assert found.reason == "TemplateTimeout"


@pytest.mark.slow
async def test_large_files_pass(pool: RenderPool) -> None:
    text = "x" * 1_000_000
    (outcome,) = await pool.render([pipeline("{{ spec.t }}", path="a.txt")], context({"t": text}))
    assert isinstance(outcome, Rendered)
    assert outcome.files[0].content == text.encode()


async def test_who_stops_waiting_disturbs_nobody(pool: RenderPool) -> None:
    tasks = [asyncio.create_task(one(pool, "a: {{ spec.n }}", number)) for number in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, Rendered) for outcome in outcomes[1::2])


async def test_only_what_takes_long_yields_to_the_operator_and_to_everybody_else() -> None:
    def priorities() -> list[int]:
        return sorted(os.getpriority(os.PRIO_PROCESS, pid) for pid in workers_of(os.getpid()))

    ours = os.getpriority(os.PRIO_PROCESS, 0)
    pool = RenderPool(size=2, limits=Limits(seconds=60))
    await pool.start()
    endless = asyncio.create_task(one(pool, LOOP))
    try:
        assert priorities() == [ours, ours]
        await eventually(lambda: priorities() == [ours, min(19, ours + 5)], "one yields", within=20)
        assert isinstance(await one(pool, "a: 0\n"), Rendered)
        assert priorities() == [ours, min(19, ours + 5)]
    finally:
        endless.cancel()
        await asyncio.gather(endless, return_exceptions=True)
        await pool.close()


async def test_a_worker_that_yielded_is_replaced_before_it_gets_a_quick_job() -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    pool = RenderPool(size=1, limits=Limits(seconds=60))
    await pool.start()
    try:
        first = workers_of(os.getpid())
        long = "{% for i in range(5000) %}{% for j in range(5000) %}{% endfor %}{% endfor %}a: 1\n"
        assert isinstance(await one(pool, long), Rendered), "it takes more than the short time, and ends"
        assert isinstance(await one(pool, "a: 0\n"), Rendered)
        last = workers_of(os.getpid())
        assert len(last) == 1
        assert last != first
        assert os.getpriority(os.PRIO_PROCESS, last[0]) == ours
    finally:
        await pool.close()


@pytest.mark.slow
async def test_a_crowd_of_whatever_hangs_holds_up_no_stranger() -> None:
    """Whose values hold the interpreter cost a second each until their process is ended; they get few of them."""
    hangs = "a: {{ (10**100) | round(0 - spec.n) if spec.n else 1 }}\n"
    pool = RenderPool(size=2, limits=Limits(seconds=1))
    await pool.start()
    try:
        for number in range(2):
            (well,) = await pool.render([pipeline(hangs)], context({"n": 0}, namespace=f"hostile{number}"))
            assert isinstance(well, Rendered), "the Promise does well, so its failing inputs are to blame"
        crowd = [
            asyncio.create_task(
                pool.render(
                    [pipeline(hangs)],
                    context({"n": 10**9 + number}, name=f"r{number}", namespace=f"hostile{number % 2}"),
                )
            )
            for number in range(40)
        ]
        waits = []
        for number in range(10):
            begun, stretch = time.monotonic(), stretched(1.0)
            stranger = [pipeline(f"a: {number}\n")]
            (outcome,) = await pool.render(stranger, context(namespace=f"stranger{number}"))
            assert isinstance(outcome, Rendered)
            waits.append((time.monotonic() - begun) / max(stretch, stretched(1.0)))
            await asyncio.sleep(0.2)
        assert not all(task.done() for task in crowd)
        assert max(waits) < 1.5
        assert sorted(waits)[6] < 0.5
    finally:
        await pool.close()
        await asyncio.gather(*crowd, return_exceptions=True)


@pytest.mark.slow
async def test_who_waits_for_a_processor_does_not_hang_and_keeps_its_lane() -> None:
    """On a machine where others want the processors, a worker gets none for seconds; the slow lane takes minutes."""
    pool = RenderPool(size=2, limits=Limits(seconds=60))
    await pool.start()
    endless = asyncio.create_task(one(pool, LOOP))
    try:
        await eventually(lambda: pool._slow_running, "the slow lane is taken", within=20)
        assert isinstance(await one(pool, "a: 0\n"), Rendered), "the other worker is there"
        for pid in workers_of(os.getpid()):
            os.kill(pid, signal.SIGSTOP)
            asyncio.get_running_loop().call_later(2.0, os.kill, pid, signal.SIGCONT)
        outcome = await asyncio.wait_for(one(pool, "a: 1\n"), 30)
        assert isinstance(outcome, Rendered)
        assert not endless.done()
    finally:
        await pool.close()
        await asyncio.gather(endless, return_exceptions=True)


@pytest.mark.slow
async def test_what_got_no_processor_at_all_sends_none_of_its_namespace_into_the_slow_lane() -> None:
    pool = RenderPool(size=2, limits=Limits(seconds=60))
    await pool.start()
    endless = asyncio.create_task(one(pool, LOOP))
    starved: asyncio.Task[Outcome] | None = None
    try:
        await eventually(lambda: pool._slow_running, "the slow lane is taken", within=20)
        assert isinstance(await one(pool, "a: 0\n"), Rendered), "the other worker is there"
        stopped = workers_of(os.getpid())
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        starved = asyncio.create_task(one(pool, "a: 1\n"))
        await eventually(lambda: set(workers_of(os.getpid())) - set(stopped), "its worker is given up", within=20)
        assert isinstance(await asyncio.wait_for(one(pool, "a: 2\n"), 30), Rendered)
        assert not endless.done()
    finally:
        await pool.close()
        await asyncio.gather(endless, *([starved] if starved else []), return_exceptions=True)


async def test_who_waits_is_told_how_many_are_before_it_and_leaves_no_place_behind() -> None:
    pool = RenderPool(size=1, limits=Limits(seconds=1))
    await pool.start()
    places = [Place() for _ in range(4)]
    tasks = [
        asyncio.create_task(pool.render([pipeline(LOOP)], context({"n": number}, name=f"r{number}"), place))
        for number, place in enumerate(places)
    ]
    try:
        await eventually(lambda: places[0].before is None and places[3].before == 2, "the first is being rendered")
        tasks[1].cancel()
        await eventually(lambda: places[3].before == 1, "one has left")
    finally:
        await pool.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_closing_answers_those_who_wait() -> None:
    pool = RenderPool(size=1, limits=LIMITS)
    with pytest.raises(RenderPoolError):
        await one(pool, "a: 1")
    await pool.start()
    waiting = [asyncio.create_task(one(pool, LOOP, number)) for number in range(3)]
    await asyncio.sleep(0)
    await pool.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, RenderPoolError) for outcome in outcomes)
    with pytest.raises(RenderPoolError):
        await one(pool, "a: 1")
    assert workers_of(os.getpid()) == []


async def test_workers_that_do_not_start_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    pool = RenderPool(size=2, limits=LIMITS)
    with pytest.raises(RenderPoolError, match="do not start"):
        await pool.start()


async def test_a_worker_finds_no_secrets_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_PASSWORD", "hunter2")
    pool = RenderPool(size=1, limits=LIMITS)
    await pool.start()
    try:
        (pid,) = workers_of(os.getpid())
        environment = environment_of(pid)
        assert b"hunter2" not in environment
        assert b"PYTHONPATH" in environment
    finally:
        await pool.close()


def test_workers_end_with_their_parent_even_when_they_hang() -> None:
    script = f"""
import asyncio
from tests.unit.engine.pipelines import pipeline, context
from troth.engine.rendering.limits import Limits
from troth.engine.workers.pool import RenderPool

async def main():
    pool = RenderPool(size=2, limits=Limits(seconds=1))
    await pool.start()
    job = asyncio.create_task(pool.render([pipeline({HOLDS_THE_INTERPRETER!r})], context()))
    await asyncio.sleep(0.1)
    print("started", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"started\n"
            workers = workers_of(parent.pid)
            assert len(workers) == 2
        finally:
            parent.kill()
    wait_until(lambda: not any(is_running(pid) for pid in workers))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
