"""The load: requests of a Promise with three small files, sent as fast as the API server accepts them, and watched."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.platforms import Object, api_of, failure, is_ready, promise, request
from troth.kube import Client, ConnectionFailed, Gone

PROMISE_NAME = "bench"
NAMESPACE = "bench"
API = api_of(PROMISE_NAME)
IN_FLIGHT = 32

_FILES = {
    "config.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ name }}", namespace: "{{ namespace }}"}
data: {size: "{{ sizes[spec.size].memory }}"}
""",
    "account.yaml": """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ name }}
  namespace: {{ namespace }}
""",
    "service.yaml": """\
apiVersion: v1
kind: Service
metadata:
  name: {{ name }}-{{ spec.size }}
  namespace: {{ namespace }}
spec:
  ports: [{port: 5432}]
""",
}
FILES = len(_FILES)
GOOD_SIZE = "small"
BAD_SIZE = "nowhere"


def bench_promise() -> Object:
    """A Promise with an API, one JinjaPipeline and three files. Its templates fail with `BAD_SIZE`."""
    return promise(
        PROMISE_NAME,
        files=[{"path": path, "template": template} for path, template in _FILES.items()],
        pipeline={"values": {"sizes": {GOOD_SIZE: {"memory": "512Mi"}}}},
    )


def bench_request(name: str) -> Object:
    """A request of this Promise."""
    return request(PROMISE_NAME, name, NAMESPACE, size=GOOD_SIZE)


async def send(client: Client, names: Iterable[str]) -> None:
    """Creates requests, with 32 calls in flight."""
    waiting = iter(names)

    async def sender() -> None:
        for name in waiting:
            await client.create(API, bench_request(name))

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(sender())


class RequestWatch:
    """A context manager that watches the requests and notes when they changed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._task: asyncio.Task[None] | None = None
        self._listed = asyncio.Event()
        self._news = asyncio.Event()
        self._objects: dict[str, tuple[Mapping[str, Any], float]] = {}
        self.ready: dict[str, float] = {}

    async def __aenter__(self) -> RequestWatch:
        self._task = asyncio.create_task(self._run(), name="request watch")
        await self._listed.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def until(self, name: str, test: Callable[[Mapping[str, Any]], bool], *, within: float) -> float:
        """The time at which a request passed a test, on the clock of `time.monotonic`. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while True:
                self._news.clear()
                obj, at = self._objects.get(name, ({}, 0.0))
                if obj and test(obj):
                    return at
                self._check()
                await self._news.wait()

    async def until_ready(self, names: Iterable[str], *, within: float) -> float:
        """The time at which the last of the requests became Ready for the first time. Raises TimeoutError."""
        wanted = list(names)
        async with asyncio.timeout(within):
            while True:
                self._news.clear()
                if all(name in self.ready for name in wanted):
                    return max(self.ready[name] for name in wanted)
                self._check()
                await self._news.wait()

    def object(self, name: str) -> Mapping[str, Any]:
        """The newest state of a request."""
        return self._objects[name][0]

    def _check(self) -> None:
        if self._task is not None and self._task.done():
            self._task.result()

    async def _run(self) -> None:
        while True:
            listing = await self._client.list(API, NAMESPACE)
            for item in listing.items:
                self._note(item)
            self._listed.set()
            version = listing.resource_version
            with contextlib.suppress(Gone, ConnectionFailed):
                while True:
                    async for event in self._client.watch(API, resource_version=version, namespace=NAMESPACE):
                        version = event.object["metadata"]["resourceVersion"]
                        if event.type in ("ADDED", "MODIFIED"):
                            self._note(event.object)

    def _note(self, obj: Mapping[str, Any]) -> None:
        now = time.monotonic()
        name = obj["metadata"]["name"]
        self._objects[name] = (obj, now)
        if name not in self.ready and is_ready(obj):
            self.ready[name] = now
        self._news.set()


def has_failure(generation: int) -> Callable[[Mapping[str, Any]], bool]:
    """A test for requests: whether ``status.troth.failure`` is about this generation."""

    def test(obj: Mapping[str, Any]) -> bool:
        observed = (obj.get("status") or {}).get("observedGeneration")
        return bool(failure(obj)) and observed == generation

    return test
