"""Orders of arrival that a real server shows once in a thousand runs, made to happen every time.

The source is scripted: it lists and streams what a test puts in, in the order that the test chooses. That the
real server behaves like it is for the integration tests to show.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from tests.waiting import eventually
from troth.api import Key, Resource
from troth.api.objects import ObjectMeta, read_metadata
from troth.kube import (
    ApiError,
    ConnectionFailed,
    Forbidden,
    Gone,
    Informer,
    KubeError,
    Listing,
    NotFound,
    TooManyRequests,
    WatchEvent,
)

THING = Resource("example.com", "v1", "things", "Thing")


@dataclass(frozen=True, slots=True)
class View:
    metadata: ObjectMeta
    color: str


def read(obj: dict[str, Any]) -> View:
    return View(read_metadata(obj), obj["spec"]["color"])


def thing(name: str, version: int, *, uid: str = "", color: str = "red", deleting: bool = False) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": metadata, "spec": {"color": color}}


class Source:
    """A server whose list is `objects` at `version`, and whose watch is what `send` is given."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.version = 10
        self.failures: list[Exception] = []
        self.lists = 0
        self.watched: list[str] = []
        self.between_pages: Any = None
        self._events: asyncio.Queue[WatchEvent | Exception | None] = asyncio.Queue()

    def send(self, kind: str, obj: dict[str, Any]) -> None:
        self._events.put_nowait(WatchEvent(kind, obj))

    def end(self, error: Exception | None = None) -> None:
        """The watch ends, with an error or in good order."""
        self._events.put_nowait(error)

    async def list_pages(self, resource: Resource, *_: Any, **__: Any) -> AsyncGenerator[Listing, None]:
        if self.failures:
            raise self.failures.pop(0)
        self.lists += 1
        version = str(self.version)
        for number, obj in enumerate(list(self.objects)):
            if number and self.between_pages:
                self.between_pages()
            yield Listing([obj], version)
        yield Listing([], version)

    async def watch(
        self, resource: Resource, *, resource_version: str, **_: Any
    ) -> AsyncGenerator[WatchEvent, None]:
        self.watched.append(resource_version)
        while True:
            event = await self._events.get()
            if event is None:
                return
            if isinstance(event, Exception):
                raise event
            yield event


@dataclass
class Bench:
    """An informer that runs on a scripted source, and what it told."""

    source: Source
    informer: Informer[View]
    changes: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    async def settled(self, changes: int) -> list[tuple[str, str | None, str | None]]:
        """The changes, when there are that many and the source has nothing more to say."""
        await eventually(
            lambda: len(self.changes) >= changes and self.source._events.empty(), f"{changes} changes"
        )
        await asyncio.sleep(0)
        return self.changes

    def versions(self) -> dict[str, str]:
        return {view.metadata.name: view.metadata.resource_version for view in self.informer.items()}


@asynccontextmanager
async def running(
    source: Source,
    *,
    relist_interval: float = 3600.0,
    synced: bool = True,
    indexes: Mapping[str, Callable[[View], Iterable[str]]] | None = None,
) -> AsyncIterator[Bench]:
    bench: Bench

    def on_change(key: Key, old: View | None, new: View | None) -> None:
        bench.changes.append(
            (
                key.name,
                old.metadata.resource_version if old else None,
                new.metadata.resource_version if new else None,
            )
        )

    informer = Informer(
        client=source,
        resource=THING,
        decode=read,
        on_change=on_change,
        indexes=indexes,
        relist_interval=relist_interval,
        random=Random(1),
    )
    bench = Bench(source, informer)
    task = asyncio.create_task(informer.run())
    try:
        if synced:
            assert await informer.wait_synced(5)
        yield bench
        assert not task.done(), "run() must not end by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_echo_of_our_own_write_is_no_change() -> None:
    source = Source()
    async with running(source) as bench:
        bench.informer.observe(thing("a", 11))
        source.send("ADDED", thing("a", 11))
        source.send("MODIFIED", thing("a", 12))
        assert await bench.settled(2) == [("a", None, "11"), ("a", "11", "12")]


async def test_an_older_event_does_not_overwrite_our_own_newer_write() -> None:
    source = Source()
    source.objects = [thing("a", 5)]
    async with running(source) as bench:
        bench.informer.observe(thing("a", 13, color="blue"))
        source.send("MODIFIED", thing("a", 11))
        source.send("MODIFIED", thing("a", 12))
        source.send("MODIFIED", thing("a", 13, color="blue"))
        source.send("ADDED", thing("b", 14))
        await bench.settled(3)
        assert bench.versions() == {"a": "13", "b": "14"}
        assert bench.changes == [("a", None, "5"), ("a", "5", "13"), ("b", None, "14")]


async def test_versions_are_compared_as_numbers() -> None:
    source = Source()
    source.version = 99
    source.objects = [thing("a", 99)]
    async with running(source) as bench:
        source.send("MODIFIED", thing("a", 100))
        await bench.settled(2)
        assert bench.versions() == {"a": "100"}


async def test_a_late_answer_does_not_bring_back_what_was_deleted() -> None:
    source = Source()
    source.objects = [thing("a", 5)]
    async with running(source) as bench:
        source.send("DELETED", thing("a", 12))
        await bench.settled(2)
        bench.informer.observe(thing("a", 11))
        assert len(bench.informer) == 0
        assert bench.changes[-1] == ("a", "5", None)


async def test_the_answer_that_takes_the_last_finalizer_off_is_a_deletion() -> None:
    source = Source()
    source.objects = [thing("a", 5)]
    async with running(source) as bench:
        bench.informer.observe(thing("a", 12, deleting=True))
        source.send("MODIFIED", thing("a", 11, deleting=True))
        source.send("DELETED", thing("a", 12, deleting=True))
        source.send("ADDED", thing("b", 13))
        await bench.settled(3)
        assert bench.changes == [("a", None, "5"), ("a", "5", None), ("b", None, "13")]


async def test_the_deletion_of_a_former_object_does_not_touch_the_one_that_took_its_name() -> None:
    source = Source()
    source.objects = [thing("a", 5, uid="old")]
    async with running(source) as bench:
        bench.informer.observe(thing("a", 13, uid="new"))  # we deleted and made it again, before the watch told
        source.send("DELETED", thing("a", 12, uid="old"))
        source.send("ADDED", thing("a", 13, uid="new"))
        source.send("ADDED", thing("b", 14))
        await bench.settled(3)
        assert bench.changes == [("a", None, "5"), ("a", "5", "13"), ("b", None, "14")]
        view = bench.informer.get("n", "a")
        assert view is not None
        assert view.metadata.uid == "new"


async def test_a_list_finds_what_was_deleted_and_made_again_while_nobody_watched() -> None:
    source = Source()
    source.objects = [thing("a", 5, uid="old")]
    async with running(source) as bench:
        source.objects, source.version = [thing("a", 20, uid="new")], 21
        source.end(Gone(410, "Expired", "too old"))
        await bench.settled(2)
        assert bench.changes[-1] == ("a", "5", "20")


async def test_a_list_finds_deletions_that_the_watch_missed() -> None:
    source = Source()
    source.objects = [thing("a", 5), thing("b", 6)]
    async with running(source) as bench:
        source.objects, source.version = [thing("b", 6)], 20
        source.end(Gone(410, "Expired", "too old"))
        assert (await bench.settled(3))[-1] == ("a", "5", None)
        assert bench.informer.counters.missed_deletions == 1
        assert bench.versions() == {"b": "6"}


async def test_an_object_that_is_newer_than_the_list_is_not_taken_for_deleted() -> None:
    source = Source()
    source.objects = [thing("a", 5), thing("b", 6)]
    async with running(source) as bench:
        # The list is of version 10; our write of c, at 12, is answered while its pages come in.
        source.between_pages = lambda: bench.informer.observe(thing("c", 12))
        source.end(Gone(410, "Expired", "too old"))
        await eventually(lambda: source.lists == 2)
        await bench.settled(3)
        assert bench.versions() == {"a": "5", "b": "6", "c": "12"}
        assert ("c", "12", None) not in bench.changes


async def test_a_list_does_not_bring_back_what_we_deleted_while_its_pages_came_in() -> None:
    source = Source()
    source.objects = [thing("b", 6), thing("a", 5)]
    async with running(source) as bench:
        source.between_pages = lambda: bench.informer.observe(thing("a", 12, deleting=True))
        source.end(Gone(410, "Expired", "too old"))
        await eventually(lambda: source.lists == 2)
        await bench.settled(3)
        assert bench.versions() == {"b": "6"}
        assert bench.changes[-1] == ("a", "5", None)


async def test_after_a_restored_backup_the_list_is_the_truth_although_it_is_older() -> None:
    source = Source()
    source.version = 1000
    source.objects = [thing("a", 900, color="new"), thing("b", 950)]
    async with running(source) as bench:
        source.objects, source.version = [thing("a", 300, color="old")], 400
        source.end(Gone(410, "Expired", "too old"))
        await bench.settled(4)
        assert bench.versions() == {"a": "300"}
        source.send("MODIFIED", thing("a", 401))
        await bench.settled(5)
        assert bench.versions() == {"a": "401"}


async def test_a_cut_watch_goes_on_from_the_last_version_without_a_list() -> None:
    source = Source()
    async with running(source) as bench:
        source.send("ADDED", thing("a", 11))
        source.send("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
        source.end(ConnectionFailed("cut", ambiguous=False))
        await eventually(lambda: len(source.watched) == 2)
        assert source.watched == ["10", "40"]
        assert source.lists == 1
        assert bench.informer.counters.watch_restarts == 1


@pytest.mark.parametrize(
    "failure",
    [
        NotFound(404, "NotFound", "404 page not found"),
        Forbidden(403, "Forbidden", "not yet"),
        ApiError(429, "TooManyRequests", "storage is (re)initializing"),
        ConnectionFailed("refused", ambiguous=False),
        RuntimeError("a bug"),
    ],
)
async def test_nothing_that_a_server_does_ends_it(failure: Exception) -> None:
    source = Source()
    source.failures = [failure, failure, failure]
    source.objects = [thing("a", 5)]
    async with running(source, synced=False) as bench:
        assert not bench.informer.synced.is_set()
        assert await bench.informer.wait_synced(5)
        assert bench.informer.counters.failures == 3
        assert bench.informer.last_error is None
        assert bench.versions() == {"a": "5"}


async def test_a_busy_server_is_left_alone_for_as_long_as_it_asks() -> None:
    source = Source()
    source.failures = [TooManyRequests(429, "TooManyRequests", "busy", retry_after=3600.0)]
    async with running(source, synced=False) as bench:
        assert not await bench.informer.wait_synced(0.3)
        bench.informer.poke()
        assert await bench.informer.wait_synced(5)


async def test_a_poke_ends_the_back_off() -> None:
    source = Source()
    source.failures = [NotFound(404, "", "not found")] * 40
    async with running(source, synced=False) as bench:
        bench.informer._random.uniform = lambda a, b: 3600.0  # type: ignore[method-assign]
        await eventually(lambda: bench.informer.counters.failures == 1)
        source.failures.clear()

        def synced() -> bool:
            bench.informer.poke()
            return bench.informer.synced.is_set()

        await eventually(synced)


async def test_a_watch_that_is_refused_although_the_list_is_allowed_does_not_list_in_a_tight_loop() -> None:
    source = Source()
    delays: list[float] = []
    for _ in range(6):
        source.end(Forbidden(403, "Forbidden", "may list, not watch"))
    async with running(source) as bench:

        def uniform(a: float, b: float) -> float:
            if b <= 1.0:  # a back-off, not the factor of the next list
                delays.append(b)
                return 0.0
            return b

        bench.informer._random.uniform = uniform  # type: ignore[method-assign]
        await eventually(lambda: len(source.watched) == 7)
    assert len(delays) >= 5
    assert delays == sorted(delays)
    assert delays[-1] > 2 * delays[0]


async def test_the_copy_is_compared_with_a_list_from_time_to_time() -> None:
    source = Source()
    source.objects = [thing("a", 5)]
    async with running(source, relist_interval=0.05) as bench:
        source.objects, source.version = [thing("a", 5), thing("b", 11)], 12  # the watch says nothing
        assert (await bench.settled(2))[-1] == ("b", None, "11")
        assert bench.informer.counters.failures == 0


async def test_an_object_that_cannot_be_read_keeps_its_older_state_and_hinders_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Source()
    source.objects = [thing("a", 5)]
    async with running(source) as bench:
        broken = thing("a", 11)
        broken["spec"] = None
        source.send("MODIFIED", broken)
        source.send("ADDED", thing("b", 12))
        await bench.settled(2)
        assert bench.versions() == {"a": "5", "b": "12"}
    assert "things.example.com/n/a" in caplog.text


async def test_an_owner_that_fails_on_a_change_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    source = Source()
    async with running(source) as bench:
        bench.informer._on_change = lambda *_: 1 / 0  # type: ignore[assignment]
        source.send("ADDED", thing("a", 11))
        await eventually(lambda: len(bench.informer) == 1)
    assert "could not be passed on" in caplog.text


async def test_indexes_follow_the_objects() -> None:
    def color(view: View) -> Iterable[str]:
        return (view.color,)

    source = Source()
    source.objects = [thing("a", 5), thing("b", 6)]
    async with running(source, indexes={"color": color}) as bench:

        def names(value: str) -> list[str]:
            return [view.metadata.name for view in bench.informer.by_index("color", value)]

        assert names("red") == ["a", "b"]
        source.send("MODIFIED", thing("a", 11, color="blue"))
        await bench.settled(3)
        assert (names("red"), names("blue")) == (["b"], ["a"])
        source.send("DELETED", thing("b", 12))
        await bench.settled(4)
        assert (names("red"), names("blue"), names("green")) == ([], ["a"], [])
        assert bench.informer._indexes["color"].keys() == {"blue"}
        with pytest.raises(KeyError):
            bench.informer.by_index("size", "1")


async def test_forget_drops_only_the_object_that_is_meant() -> None:
    source = Source()
    source.objects = [thing("a", 5, uid="new")]
    async with running(source) as bench:
        key = Key(THING.name, "n", "a")
        bench.informer.forget(key, uid="old")
        assert len(bench.informer) == 1
        bench.informer.forget(key, uid="new")
        bench.informer.forget(key, uid="new")
        assert bench.changes[1:] == [("a", "5", None)]


async def test_a_forgotten_object_that_is_still_there_comes_back_with_its_next_event() -> None:
    source = Source()
    source.objects = [thing("a", 5)]
    async with running(source) as bench:
        bench.informer.forget(Key(THING.name, "n", "a"))
        source.send("MODIFIED", thing("a", 11))
        assert (await bench.settled(3))[-1] == ("a", None, "11")


async def test_clear_reports_all_as_gone() -> None:
    source = Source()
    source.objects = [thing("a", 5), thing("b", 6)]
    async with running(source) as bench:
        informer = bench.informer
    informer.clear()
    assert not informer.synced.is_set()
    assert bench.changes[2:] == [("a", "5", None), ("b", "6", None)]


async def test_after_a_change_of_the_schema_objects_of_a_known_version_are_read_anew() -> None:
    source = Source()
    source.objects = [thing("a", 5), thing("b", 6)]
    async with running(source) as bench:
        await bench.settled(2)
    source.objects = [thing("a", 5, color="gold"), thing("b", 6)]
    bench.informer.reread()
    assert not bench.informer.synced.is_set()
    task = asyncio.create_task(bench.informer.run())
    try:
        assert await bench.informer.wait_synced(5)
        assert bench.changes[2:] == [("a", "5", "5")]
        assert {view.color for view in bench.informer.items()} == {"gold", "red"}
        source.objects = [thing("a", 5, color="blue"), thing("b", 6)]
        source.end(Gone(410, "Expired", "too old"))
        await eventually(lambda: source.lists == 3)
        await bench.settled(3)
        assert len(bench.changes) == 3, "only the next list reads anew"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_waiting_for_a_kind_that_never_comes_ends_in_time() -> None:
    source = Source()
    source.failures = [NotFound(404, "", "not found")] * 1000
    async with running(source, synced=False) as bench:
        assert not await bench.informer.wait_synced(0.05)
        assert isinstance(bench.informer.last_error, KubeError)


async def test_the_memory_of_what_is_gone_is_bounded() -> None:
    source = Source()
    async with running(source) as bench:
        for number in range(10_000):
            bench.informer._gone(Key(THING.name, "n", str(number)), f"uid-{number}", number)
        assert len(bench.informer._tombstones) <= 4096


async def test_a_thousand_events_in_one_piece_let_others_run_in_between() -> None:
    source = Source()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with running(source) as bench:
        for number in range(5000):
            source.send("ADDED", thing(str(number), 11 + number))
        neighbour = asyncio.create_task(other())
        await eventually(lambda: len(bench.informer) == 5000)
        neighbour.cancel()
        await asyncio.gather(neighbour, return_exceptions=True)
    assert turns > 5
