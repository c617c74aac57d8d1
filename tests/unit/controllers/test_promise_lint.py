"""Lint is asked once for each generation, never waited for, and never in anybody's way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.authoring.lint.linted import promise
from tests.waiting import eventually
from troth.api import Key, Promise, TrothError
from troth.api.objects import read_promise
from troth.controllers.platform import Platform
from troth.controllers.promise_lint import PromiseLint
from troth.engine.lint_report import LintReport

KEY = Key("promises", "", "things")
CLEAN = LintReport()
WRONG = LintReport(count=1)


class Inspector:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[LintReport]] = []

    async def find_errors(self, promise: Promise) -> LintReport:
        future: asyncio.Future[LintReport] = asyncio.get_running_loop().create_future()
        self.asked.append(future)
        return await future


class Parts:
    """What the linting of Promises needs, and the linting."""

    def __init__(self) -> None:
        self.inspector = Inspector()
        self.queued: list[Key] = []
        queue = SimpleNamespace(add=lambda key, *, priority: self.queued.append(key))
        platform: Any = SimpleNamespace(inspector=self.inspector, queue=queue)
        self.lint = PromiseLint(cast("Platform", platform))

    def report(self) -> LintReport | None:
        return self.lint.report(KEY)


def of_generation(number: int) -> Promise:
    read = read_promise(promise({}))
    return replace(read, metadata=replace(read.metadata, generation=number))


async def settled(condition: Any) -> None:
    """Waits until something is so."""
    await eventually(condition, "what the test waits for")


@pytest.fixture
def parts() -> Parts:
    return Parts()


async def test_an_answer_that_is_there_is_given_at_once_and_asked_for_once(parts: Parts) -> None:
    parts.lint.begin(of_generation(1))
    await settled(lambda: parts.inspector.asked)
    parts.inspector.asked[0].set_result(WRONG)
    await settled(lambda: parts.report() == WRONG)
    parts.queued.clear()
    parts.lint.begin(of_generation(1))
    assert parts.report() == WRONG
    assert len(parts.inspector.asked) == 1
    assert parts.queued == []


async def test_an_answer_that_is_late_queues_the_promise(parts: Parts) -> None:
    parts.lint.begin(of_generation(1))
    await settled(lambda: parts.inspector.asked)
    assert parts.report() is None
    assert parts.report() is None  # not waited for again
    parts.inspector.asked[0].set_result(CLEAN)
    await settled(lambda: parts.queued)
    assert parts.queued == [KEY]
    assert parts.report() == CLEAN


async def test_a_new_generation_is_asked_about_anew_and_the_old_answer_forgotten(parts: Parts) -> None:
    parts.lint.begin(of_generation(1))
    await settled(lambda: parts.inspector.asked)
    assert parts.report() is None
    parts.lint.begin(of_generation(2))
    await settled(lambda: len(parts.inspector.asked) == 2)
    assert parts.inspector.asked[0].cancelled()
    parts.inspector.asked[1].set_result(CLEAN)
    await settled(lambda: parts.report() == CLEAN)


async def test_an_inspector_that_fails_is_reported_in_its_own_words(parts: Parts) -> None:
    parts.lint.begin(of_generation(1))
    await settled(lambda: parts.inspector.asked)
    parts.inspector.asked[0].set_exception(TrothError("the pool is closed"))
    await settled(lambda: parts.report() == LintReport(unfinished="the pool is closed"))


async def test_what_is_under_way_ends_with_the_operator_and_with_the_promise(parts: Parts) -> None:
    parts.lint.begin(of_generation(1))
    await settled(lambda: parts.inspector.asked)
    parts.lint.forget("things")
    parts.lint.forget("things")
    await settled(parts.inspector.asked[0].cancelled)
    parts.lint.begin(of_generation(1))
    await settled(lambda: len(parts.inspector.asked) == 2)
    await parts.lint.close()
    assert parts.inspector.asked[1].cancelled()
