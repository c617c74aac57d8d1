"""Events that people see in ``kubectl describe``, in the API of events.k8s.io/v1.

Reporting must never slow down or break what it reports on. `EventRecorder.record` only takes note of an event; one task
writes, with a limited rate, and events that cannot be written are dropped. An event that occurs again is still one
object, whose count grows (a series) and is written once in a while: an operator that retries for a night leaves one
line, not ten thousand.

Two events are the same only if their messages are equal, too: a failure with another message is another event. The
limit for each object keeps a message that changes every time from becoming a flood.

Rejected: posting from the reconciliation itself (which would wait for the write); kopf's posting (one object for each
line, no series).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, Protocol

from troth.api import InvalidObject, Resource
from troth.api.resources import EVENT
from troth.kube.errors import Forbidden, KubeError, NotFound

logger = logging.getLogger(__name__)

EventType = Literal["Normal", "Warning"]

CONTROLLER: Final = "troth.dev/operator"
_LONGEST_NOTE = 1024
_LONGEST_WORD = 128
_LONGEST_NAME = 200
_SERIES_LIFE = 600.0
_SERIES_INTERVAL = 60.0
_REMINDER = 600.0
_KNOWN_SERIES = 2048
_KNOWN_OBJECTS = 2048
_OBJECT_BURST = 25.0
_OBJECT_RATE = 1 / 60


class ObjectReference(NamedTuple):
    """The object that an event is about."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""


class EventWriter(Protocol):
    """What the recorder needs of a client."""

    async def create(self, resource: Resource, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Creates an object."""

    async def merge_patch(
        self, resource: Resource, name: str, patch: Mapping[str, Any], *, namespace: str = ""
    ) -> dict[str, Any]:
        """Patches an object."""


class _Key(NamedTuple):
    regarding: ObjectReference
    type: str
    reason: str
    action: str
    note: str


@dataclass(slots=True)
class _Series:
    """An event that may come again; ``written`` is the count that the API server knows."""

    name: str
    first: datetime
    last: datetime
    seen: float
    count: int = 1
    written: int = 0
    written_at: float = 0.0


class _Bucket:
    """A token bucket."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, now

    def wait(self, now: float) -> float:
        """Returns the seconds until there is a token; 0 when there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self._rate

    def take(self) -> None:
        self._tokens -= 1.0


class EventRecorder:
    """Takes note of events and writes them in the background, while `run` runs."""

    def __init__(
        self,
        client: EventWriter,
        *,
        instance: str,
        rate: float = 20.0,
        burst: float = 50.0,
        capacity: int = 1024,
        clock: Callable[[], float] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Begins empty.

        Args:
            client: writes the events.
            instance: which process reports, such as the pod's name.
            rate: the most events written in a second, over time.
            burst: the most written at once.
            capacity: the most events that wait; any more are dropped and counted in `dropped`.
            clock: monotonic seconds; the running loop's when None.
            now: the time of day.
        """
        self.dropped = 0
        self._client = client
        self._instance = instance[:_LONGEST_WORD]
        self._rate, self._burst = rate, burst
        self._capacity = capacity
        self._clock = clock or _loop_time
        self._now = now or _utc_now
        self._series: OrderedDict[_Key, _Series] = OrderedDict()
        self._pending: OrderedDict[_Key, None] = OrderedDict()
        self._objects: OrderedDict[ObjectReference, _Bucket] = OrderedDict()
        self._noted = asyncio.Event()
        self._missed_at: float | None = None

    def record(
        self,
        regarding: ObjectReference | Mapping[str, Any],
        *,
        type: EventType | str,  # noqa: A002 - the API's word
        reason: str,
        message: str,
        action: str,
    ) -> None:
        """Takes note of an event. Never waits and never raises.

        Args:
            regarding: the object, as a reference or as an object reference of the API.
            type: ``Normal`` or ``Warning``.
            reason: why, in CamelCase.
            message: one sentence for people; it is cut at 1,024 bytes.
            action: what was being done, in CamelCase.
        """
        reference = regarding if isinstance(regarding, ObjectReference) else _reference(regarding)
        note = _cut(message, _LONGEST_NOTE)
        key = _Key(reference, type, reason[:_LONGEST_WORD], action[:_LONGEST_WORD], note)
        clock = self._clock()
        series = self._series.get(key)
        if series is not None and clock - series.seen < _SERIES_LIFE:
            series.count += 1
            series.last = self._now()
            series.seen = clock
            self._series.move_to_end(key)
        elif not self._may_begin(reference, clock):
            self.dropped += 1
            return
        else:
            today = self._now()
            self._series[key] = _Series(_event_name(key, today), today, today, clock)
            self._series.move_to_end(key)
            self._forget_old()
        self._pending[key] = None
        self._noted.set()

    async def run(self) -> None:
        """Writes the events that were recorded, until it is cancelled."""
        bucket = _Bucket(self._rate, self._burst, self._clock())
        while True:
            delay = self._next_due()
            if delay is None or delay > 0:
                self._noted.clear()
                try:
                    async with asyncio.timeout(delay):
                        await self._noted.wait()
                except TimeoutError:
                    pass
                continue
            wait = bucket.wait(self._clock())
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            bucket.take()
            await self._write(self._pop_due())

    async def flush(self, timeout: float = 5.0) -> None:
        """Writes all waiting events without regard to rates; gives up after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while self._pending:
                    key, _ = self._pending.popitem(last=False)
                    await self._write(key)
        except TimeoutError:
            logger.debug("%d events were not written in time", len(self._pending))

    def _may_begin(self, reference: ObjectReference, clock: float) -> bool:
        if len(self._pending) >= self._capacity:
            return False
        bucket = self._objects.get(reference)
        if bucket is None:
            bucket = self._objects[reference] = _Bucket(_OBJECT_RATE, _OBJECT_BURST, clock)
            if len(self._objects) > _KNOWN_OBJECTS:
                self._objects.popitem(last=False)
        if bucket.wait(clock) > 0:
            return False
        bucket.take()
        return True

    def _forget_old(self) -> None:
        while len(self._series) > max(_KNOWN_SERIES, self._capacity):
            key, _ = self._series.popitem(last=False)
            self._pending.pop(key, None)

    def _next_due(self) -> float | None:
        """Returns the seconds until something may be written: 0 for a new event, more for a count; None for nothing."""
        soonest: float | None = None
        clock = self._clock()
        for key in self._pending:
            due = self._due(key, clock)
            if due <= 0:
                return 0.0
            soonest = due if soonest is None else min(soonest, due)
        return soonest

    def _pop_due(self) -> _Key:
        clock = self._clock()
        key = next(key for key in self._pending if self._due(key, clock) <= 0)
        del self._pending[key]
        return key

    def _due(self, key: _Key, clock: float) -> float:
        series = self._series[key]
        return 0.0 if not series.written else series.written_at + _SERIES_INTERVAL - clock

    async def _write(self, key: _Key) -> None:
        series = self._series[key]
        known, series.written, series.written_at = series.written, series.count, self._clock()
        try:
            if known:
                try:
                    await self._client.merge_patch(
                        EVENT,
                        series.name,
                        {"series": _series(series)},
                        namespace=_namespace(key.regarding),
                    )
                except NotFound:  # the server keeps events for an hour
                    await self._client.create(EVENT, self._event(key, series))
            else:
                await self._client.create(EVENT, self._event(key, series))
        except (KubeError, InvalidObject) as error:
            logger.debug("the event %s of %s was not written: %s", key.reason, key.regarding.name, error)
            if isinstance(error, Forbidden) and not error.namespace_terminating:
                self._miss_right(error)

    def _miss_right(self, error: Forbidden) -> None:
        now = self._clock()
        if self._missed_at is None or now - self._missed_at >= _REMINDER:
            self._missed_at = now
            logger.warning("Events cannot be written, and describe shows none: %s", error)

    def _event(self, key: _Key, series: _Series) -> dict[str, Any]:
        event: dict[str, Any] = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": series.name, "namespace": _namespace(key.regarding)},
            "eventTime": _micro_time(series.first),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "type": key.type,
            "reason": key.reason,
            "action": key.action,
            "note": key.note,
            "regarding": {
                "apiVersion": key.regarding.api_version,
                "kind": key.regarding.kind,
                "name": key.regarding.name,
                **({"namespace": key.regarding.namespace} if key.regarding.namespace else {}),
                **({"uid": key.regarding.uid} if key.regarding.uid else {}),
            },
        }
        if series.count > 1:
            event["series"] = _series(series)
        return event


def _reference(regarding: Mapping[str, Any]) -> ObjectReference:
    return ObjectReference(
        regarding.get("apiVersion", ""),
        regarding.get("kind", ""),
        regarding.get("name", ""),
        regarding.get("namespace") or "",
        regarding.get("uid") or "",
    )


def _namespace(regarding: ObjectReference) -> str:
    return regarding.namespace or "default"  # the namespace of events about cluster-scoped objects


def _series(series: _Series) -> dict[str, Any]:
    return {"count": series.count, "lastObservedTime": _micro_time(series.last)}


def _event_name(key: _Key, now: datetime) -> str:
    # Made of the event and its time: the name is unique, and needs no randomness.
    seed = "\0".join((*key.regarding, *key[1:], now.isoformat()))
    return f"{key.regarding.name[:_LONGEST_NAME]}.{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


def _cut(text: str, size: int) -> str:
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= size else encoded[: size - 3].decode("utf-8", "ignore") + "…"


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
