"""All requests are judged once for each change of their API, and after that only those that did not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.authoring.lint.linted import promise
from tests.waiting import eventually
from troth.api import Key
from troth.api.objects import Request, read_promise, read_request
from troth.controllers.platform import Platform
from troth.controllers.promise_fit import PromiseFit
from troth.engine.admission.unfit import Unfit

PROMISE = read_promise(promise({}))
KEY = Key("promises", "", PROMISE.name)


def request(name: str, *, generation: int = 1) -> Request:
    return read_request({"metadata": {"name": name, "namespace": "team", "generation": generation}})


class Parts:
    """An API with requests, and a judge for whom those named ``bad…`` do not fit in their first generation."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.queued: list[Key] = []
        self.requests = {("team", name): request(name) for name in ("bad1", "bad2", "good")}
        self.generation = 2
        informer = SimpleNamespace(
            synced=SimpleNamespace(is_set=lambda: True),
            items=lambda: self.requests.values(),
            get=lambda namespace, name: self.requests.get((namespace, name)),
        )
        self.api = SimpleNamespace(
            promise=PROMISE.name, edition="one", informer=informer, resource=SimpleNamespace(name="things")
        )
        live = SimpleNamespace(metadata=SimpleNamespace(generation=0), spec={})
        self.live = live
        caches = SimpleNamespace(
            unfit={},
            request_apis=SimpleNamespace(of_promise=lambda name: self.api),
            definitions=SimpleNamespace(get=lambda namespace, name: self._live()),
        )
        self.caches = caches
        queue = SimpleNamespace(add=lambda key, **options: self.queued.append(key))
        platform: Any = SimpleNamespace(caches=caches, queue=queue, inspector=self)
        self.fit = PromiseFit(cast("Platform", platform))

    def _live(self) -> Any:
        self.live.metadata.generation = self.generation
        return self.live

    async def find_unfit(
        self, edition: str, definition: Mapping[str, Any], requests: Iterable[Mapping[str, Any]]
    ) -> list[Unfit]:
        judged = [one["metadata"] for one in requests]
        self.asked.append([one["name"] for one in judged])
        return [
            Unfit("team", one["name"], "no", False, 1)
            for one in judged
            if one["name"].startswith("bad") and one["generation"] == 1
        ]

    def names(self) -> list[str] | None:
        found = self.fit.report(KEY, PROMISE)
        return None if found is None else sorted(one.name for one in found)


@pytest.fixture
def parts() -> Parts:
    return Parts()


async def test_all_are_judged_once_and_the_promise_is_queued_with_the_answer(parts: Parts) -> None:
    assert parts.names() is None
    await eventually(lambda: parts.queued == [KEY], "the Promise is queued")
    assert parts.names() == ["bad1", "bad2"]
    assert parts.asked == [["bad1", "bad2", "good"]]
    assert parts.caches.unfit == {PROMISE.name: {("team", "bad1"), ("team", "bad2")}}


async def test_only_those_that_did_not_fit_are_judged_again_when_they_changed(parts: Parts) -> None:
    parts.names()
    await eventually(lambda: parts.names() == ["bad1", "bad2"], "all were judged")
    parts.requests["team", "bad1"] = request("bad1", generation=2)
    del parts.requests["team", "bad2"]
    await eventually(lambda: parts.names() == [], "those that changed were judged")
    assert parts.asked == [["bad1", "bad2", "good"], ["bad1"]]


async def test_another_edition_of_the_api_is_another_question(parts: Parts) -> None:
    await eventually(lambda: parts.names() == ["bad1", "bad2"], "all were judged")
    parts.api.edition = "two"
    assert parts.names() is None
    await eventually(lambda: len(parts.asked) == 2, "all were judged again")


async def test_an_api_that_was_never_changed_is_not_asked_about(parts: Parts) -> None:
    parts.generation = 1
    assert parts.names() == []
    assert parts.asked == []
