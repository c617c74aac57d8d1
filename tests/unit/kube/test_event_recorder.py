"""Events: counted instead of repeated, bounded, paced, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from tests.waiting import eventually
from troth.api import Resource
from troth.kube import EventRecorder, Forbidden, NotFound, ObjectReference

REQUEST = ObjectReference("example.com/v1", "Thing", "orders", "shop", "uid-1")


class Writer:
    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def create(self, resource: Resource, obj: Mapping[str, Any]) -> dict[str, Any]:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.created.append(dict(obj))
        return dict(obj)

    async def merge_patch(
        self, resource: Resource, name: str, patch: Mapping[str, Any], *, namespace: str = ""
    ) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        self.patched.append((name, dict(patch)))
        return {}


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def today(self) -> datetime:
        return datetime.fromtimestamp(1_700_000_000 + self.seconds, UTC)


def recorder(
    writer: Writer, clock: Clock | None = None, *, rate: float = 20.0, burst: float = 50.0, capacity: int = 1024
) -> EventRecorder:
    now = clock.today if clock is not None else None
    return EventRecorder(writer, instance="pod-1", rate=rate, burst=burst, capacity=capacity, clock=clock, now=now)


def record(events: EventRecorder, message: str = "done", regarding: Any = REQUEST, type: str = "Normal") -> None:
    events.record(regarding, type=type, reason="Tested", message=message, action="Test")


@asynccontextmanager
async def running(events: EventRecorder) -> AsyncIterator[None]:
    task = asyncio.create_task(events.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_event_names_its_object_and_who_reports() -> None:
    writer = Writer()
    events = recorder(writer)
    async with running(events):
        record(events)
        await eventually(lambda: writer.created)
    (event,) = writer.created
    assert event["regarding"] == {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "name": "orders",
        "namespace": "shop",
        "uid": "uid-1",
    }
    assert event["metadata"]["namespace"] == "shop"
    assert event["metadata"]["name"].startswith("orders.")
    assert (event["reportingController"], event["reportingInstance"]) == ("troth.dev/operator", "pod-1")
    assert (event["type"], event["reason"], event["action"]) == ("Normal", "Tested", "Test")
    assert event["note"] == "done"
    assert "series" not in event


async def test_a_reference_may_be_as_the_api_writes_it_and_without_a_namespace() -> None:
    writer = Writer()
    events = recorder(writer)
    record(events, regarding={"apiVersion": "v1", "kind": "Node", "name": "n1"})
    await events.flush()
    assert writer.created[0]["metadata"]["namespace"] == "default"
    assert "namespace" not in writer.created[0]["regarding"]


async def test_the_same_event_again_is_one_object_whose_count_grows() -> None:
    clock, writer = Clock(), Writer()
    events = recorder(writer, clock)
    record(events)
    await events.flush()
    for _ in range(500):
        clock.seconds += 1
        record(events)
    await events.flush()
    assert len(writer.created) == 1
    ((name, patch),) = writer.patched
    assert name == writer.created[0]["metadata"]["name"]
    assert patch["series"]["count"] == 501
    assert patch["series"]["lastObservedTime"] == "2023-11-14T22:21:40.000000Z"


async def test_a_count_is_written_once_a_minute_and_not_at_once() -> None:
    clock, writer = Clock(), Writer()
    events = recorder(writer, clock)
    async with running(events):
        record(events)
        await eventually(lambda: writer.created)
        record(events)
        assert events._next_due() == 60
        clock.seconds = 61
        record(events)
        await eventually(lambda: writer.patched)
    assert writer.patched[0][1]["series"]["count"] == 3


async def test_what_came_several_times_before_it_was_written_is_written_with_its_count() -> None:
    writer = Writer()
    events = recorder(writer)
    for _ in range(3):
        record(events)
    await events.flush()
    assert writer.created[0]["series"]["count"] == 3
    assert writer.patched == []


async def test_another_message_is_another_event() -> None:
    writer = Writer()
    events = recorder(writer)
    record(events, "line 1")
    record(events, "line 2")
    await events.flush()
    assert [event["note"] for event in writer.created] == ["line 1", "line 2"]
    assert len({event["metadata"]["name"] for event in writer.created}) == 2


async def test_after_ten_quiet_minutes_it_is_a_new_event() -> None:
    clock, writer = Clock(), Writer()
    events = recorder(writer, clock)
    record(events)
    await events.flush()
    clock.seconds = 601
    record(events)
    await events.flush()
    assert len({event["metadata"]["name"] for event in writer.created}) == 2


async def test_a_series_that_the_server_forgot_is_written_anew() -> None:
    writer = Writer()
    events = recorder(writer)
    record(events)
    await events.flush()
    record(events)
    patch = writer.merge_patch

    async def forgotten(*_: Any, **__: Any) -> dict[str, Any]:
        raise NotFound(404, "NotFound", "gone after an hour", {"name": "x"})

    writer.merge_patch = forgotten  # type: ignore[method-assign]
    await events.flush()
    writer.merge_patch = patch  # type: ignore[method-assign]
    assert [event.get("series", {}).get("count") for event in writer.created] == [None, 2]


async def test_one_object_whose_message_changes_every_time_is_held_back() -> None:
    clock, writer = Clock(), Writer()
    events = recorder(writer, clock)
    for number in range(100):
        record(events, f"attempt {number}")
    record(events, regarding=REQUEST._replace(name="other"))
    await events.flush()
    assert len(writer.created) == 26
    assert events.dropped == 75
    clock.seconds = 61
    record(events, "a minute later there is room for one more")
    await events.flush()
    assert len(writer.created) == 27


async def test_what_waits_is_bounded_and_what_is_too_much_is_counted() -> None:
    writer = Writer()
    events = recorder(writer, capacity=10)
    for number in range(100):
        record(events, regarding=REQUEST._replace(name=f"n{number}"))
    assert events.dropped == 90
    await events.flush()
    assert len(writer.created) == 10


async def test_writing_keeps_to_its_rate() -> None:
    clock, writer = Clock(), Writer()
    events = recorder(writer, clock, rate=0.001, burst=5)
    async with running(events):
        for number in range(20):
            record(events, regarding=REQUEST._replace(name=f"n{number}"))
        await eventually(lambda: len(writer.created) == 5)
        assert len(events._pending) == 15


async def test_a_server_that_refuses_events_disturbs_nobody() -> None:
    writer = Writer()
    writer.failure = Forbidden(403, "Forbidden", "events is forbidden")
    events = recorder(writer)
    async with running(events):
        record(events)
        await eventually(lambda: not events._pending)
        writer.failure = None
        record(events, "later")
        await eventually(lambda: writer.created)
    assert [event["note"] for event in writer.created] == ["later"]


async def test_recording_waits_for_nothing_and_flushing_gives_up_in_time() -> None:
    writer = Writer()
    writer.gate.clear()
    events = recorder(writer)
    record(events)
    record(events, "second")
    await events.flush(timeout=0.05)
    assert writer.created == []


async def test_a_long_message_is_cut_between_characters() -> None:
    writer = Writer()
    events = recorder(writer)
    record(events, "é" * 2000)
    await events.flush()
    note = writer.created[0]["note"]
    assert len(note.encode()) <= 1024
    assert note.endswith("é…")
