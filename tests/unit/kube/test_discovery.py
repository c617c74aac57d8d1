"""Discovery: what is known is kept, what is not is asked for, once for all who ask together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from troth.api import Resource
from troth.kube import NotFound, ServerError
from troth.kube.discovery import Discovery


class Server:
    def __init__(self) -> None:
        self.kinds: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    async def read(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        kinds = self.kinds.get(path)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if kinds is None:
            raise NotFound(404, "NotFound", "404 page not found")
        return {"kind": "APIResourceList", "resources": kinds}


THINGS = [
    {"name": "things", "kind": "Thing", "namespaced": True},
    {"name": "things/status", "kind": "Thing", "namespaced": True},
    {"name": "things/scale", "kind": "Scale", "namespaced": True},
]


async def test_a_kind_is_asked_for_once() -> None:
    server = Server()
    server.kinds["/apis/example.com/v1"] = THINGS
    discovery = Discovery(server.read)
    for _ in range(3):
        found = await discovery.find("example.com/v1", "Thing")
        assert found == Resource("example.com", "v1", "things", "Thing", namespaced=True)
    assert server.asked == ["/apis/example.com/v1"]
    assert await discovery.find("example.com/v1", "Scale") is None, "a subresource is no kind"


async def test_a_kind_that_was_not_there_is_found_when_it_is() -> None:
    server = Server()
    discovery = Discovery(server.read)
    assert await discovery.find("example.com/v1", "Thing") is None
    server.kinds["/apis/example.com/v1"] = THINGS
    assert await discovery.find("example.com/v1", "Thing") is not None


async def test_a_kind_that_is_gone_is_forgotten_on_refresh() -> None:
    server = Server()
    server.kinds["/apis/example.com/v1"] = THINGS
    discovery = Discovery(server.read)
    assert await discovery.find("example.com/v1", "Thing") is not None
    del server.kinds["/apis/example.com/v1"]
    assert await discovery.find("example.com/v1", "Thing") is not None
    assert await discovery.find("example.com/v1", "Thing", refresh=True) is None


async def test_many_who_ask_together_share_a_look_that_began_after_they_asked() -> None:
    server = Server()
    discovery = Discovery(server.read)
    server.gate.clear()
    first = asyncio.create_task(discovery.find("example.com/v1", "Thing"))
    await asyncio.sleep(0)
    server.kinds["/apis/example.com/v1"] = THINGS  # too late for the look that is under way
    others = [asyncio.create_task(discovery.find("example.com/v1", "Thing")) for _ in range(20)]
    await asyncio.sleep(0)
    server.gate.set()
    assert await first is None
    assert all(await asyncio.gather(*others)), "who asked after the kind was there must find it"
    assert len(server.asked) == 2


async def test_a_look_that_fails_is_an_error_and_is_made_again() -> None:
    server = Server()
    server.kinds["/api/v1"] = [{"name": "pods", "kind": "Pod", "namespaced": True}]
    server.failure = ServerError(503, "", "down")
    discovery = Discovery(server.read)
    with pytest.raises(ServerError):
        await discovery.find("v1", "Pod")
    server.failure = None
    assert await discovery.find("v1", "Pod") == Resource("", "v1", "pods", "Pod", namespaced=True)


async def test_a_look_that_fails_is_no_answer_for_those_who_wait() -> None:
    server = Server()
    server.kinds["/api/v1"] = [{"name": "pods", "kind": "Pod", "namespaced": True}]
    server.failure = ServerError(503, "", "down")
    discovery = Discovery(server.read)
    asking = [asyncio.create_task(discovery.find("v1", "Pod")) for _ in range(5)]
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(result, ServerError) for result in results), "None would say that there is no such kind"


async def test_an_api_version_cannot_become_another_path() -> None:
    server = Server()
    discovery = Discovery(server.read)
    assert await discovery.find("../../api/v1", "Pod") is None
    assert server.asked == ["/apis/..%2F..%2Fapi/v1"]
