"""Pages that expire, pages that are heavy, lines that are long, streams that end in the middle."""

from __future__ import annotations

import gzip
import tracemalloc
from contextlib import suppress
from itertools import pairwise

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.kube.scripted import serving, status
from troth.api.resources import CONFIG_MAP
from troth.kube import ConnectionFailed, Gone, ServerError, WatchEvent
from troth.kube.watch import Lines, read_event


@pytest.mark.slow
@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_come_out_whole_however_the_chunks_fall(lines: list[bytes], data: st.DataObject) -> None:
    text = b"".join(line + b"\n" for line in lines) + b"unfinished"
    splitter, at = Lines(), 0
    seen: list[bytes] = []
    while at < len(text):
        size = data.draw(st.integers(1, len(text) - at))
        seen += splitter.feed(text[at : at + size])
        at += size
    assert seen == lines


async def test_an_error_event_is_raised_as_the_error_it_holds() -> None:
    expired = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    with pytest.raises(Gone, match="too old"):
        await read_event(orjson.dumps({"type": "ERROR", "object": expired}))
    with pytest.raises(ServerError):
        await read_event(orjson.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 500}}))
    with pytest.raises(ConnectionFailed):
        await read_event(b"<html>")


def item(number: int, size: int = 0) -> dict[str, object]:
    return {"metadata": {"name": str(number), "namespace": "n", "uid": str(number)}, "data": {"x": "y" * size}}


def page(items: list[dict[str, object]], following: str = "") -> web.Response:
    metadata = {"resourceVersion": "17"} | ({"continue": following} if following else {})
    return web.json_response({"kind": "ConfigMapList", "metadata": metadata, "items": items})


async def test_a_list_begins_again_when_its_pages_expired() -> None:
    expired = False

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal expired
        if "continue" not in request.query:
            return page([item(1)], "more")
        if not expired:
            expired = True
            return status(410, "Expired", "The provided continue parameter is too old")
        return page([item(2)])

    async with serving(handle) as client:
        listing = await client.list(CONFIG_MAP)
    assert [each["metadata"]["name"] for each in listing.items] == ["1", "2"]
    assert listing.resource_version == "17"


async def test_a_list_whose_pages_always_expire_is_given_up() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return status(410, "Expired") if "continue" in request.query else page([item(1)], "more")

    async with serving(handle) as client:
        with pytest.raises(Gone):
            await client.list(CONFIG_MAP)


async def test_heavy_objects_come_in_smaller_pages_and_light_ones_in_larger() -> None:
    limits: dict[str, list[int]] = {"heavy": [], "light": []}

    async def handle(request: web.Request) -> web.StreamResponse:
        namespace = request.path.split("/")[4]
        limit = int(request.query["limit"])
        limits[namespace].append(limit)
        start = int(request.query.get("continue", "0"))
        end = min(1000, start + limit)
        size = 40_000 if namespace == "heavy" else 10
        return page([item(number, size) for number in range(start, end)], str(end) if end < 1000 else "")

    async with serving(handle) as client:
        assert len((await client.list(CONFIG_MAP, "light")).items) == 1000
        heavy = client.list_pages(CONFIG_MAP, "heavy")
        for _ in range(3):
            await anext(heavy)
        await heavy.aclose()
    assert limits["light"] == [20, 500, 500]
    assert limits["heavy"] == [20, 4, 4]


async def test_items_of_a_built_in_kind_say_what_they_are() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return page([item(1)])

    async with serving(handle) as client:
        (only,) = (await client.list(CONFIG_MAP)).items
    assert (only["apiVersion"], only["kind"]) == ("v1", "ConfigMap")


async def test_a_watch_reads_a_line_of_megabytes_and_stops_at_a_cut() -> None:
    obj = {"metadata": {"name": "big", "resourceVersion": "8"}, "data": "x" * 3_000_000}
    big = {"type": "ADDED", "object": obj}

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(orjson.dumps(big) + b"\n" + b'{"type":"ADDED","obj')
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handle) as client:
        watch = client.watch(CONFIG_MAP, resource_version="7")
        assert await anext(watch) == WatchEvent("ADDED", obj)
        with pytest.raises(ConnectionFailed):
            await anext(watch)


async def test_a_watch_asks_for_bookmarks_and_ends_when_the_server_ends_it() -> None:
    asked: list[dict[str, str]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        return web.Response(body=b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}\n')

    async with serving(handle) as client:
        events = [event async for event in client.watch(CONFIG_MAP, resource_version="7", label_selector="a=b")]
    assert [event.type for event in events] == ["BOOKMARK"]
    assert asked[0]["resourceVersion"] == "7"
    assert asked[0]["labelSelector"] == "a=b"
    assert asked[0]["allowWatchBookmarks"] == "true"
    assert int(asked[0]["timeoutSeconds"]) >= 290


async def test_a_watch_of_a_version_that_is_too_old_is_gone() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return status(410, "Expired", "too old resource version")

    async with serving(handle) as client:
        with pytest.raises(Gone):
            await anext(client.watch(CONFIG_MAP, resource_version="7"))


async def test_a_page_that_is_too_long_is_asked_for_in_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("troth.kube.transport.LARGEST_ANSWER", 1_000_000)
    everything = [item(number, 10) for number in range(30)] + [item(30 + number, 300_000) for number in range(20)]
    asked: list[int] = []

    async def handler(request: web.Request) -> web.Response:
        begin, limit = int(request.query.get("continue", 0)), int(request.query["limit"])
        asked.append(limit)
        end = begin + limit
        metadata = {"resourceVersion": "7", "continue": str(end) if end < len(everything) else ""}
        return web.json_response({"kind": "List", "metadata": metadata, "items": everything[begin:end]})

    async with serving(handler) as client:
        listing = await client.list(CONFIG_MAP)

    assert [found["metadata"]["name"] for found in listing.items] == [str(number) for number in range(50)]
    assert all(after <= 25 * before for before, after in pairwise(asked))


async def test_an_object_that_is_too_long_and_one_that_is_packed_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("troth.kube.transport.LARGEST_ANSWER", 1_000_000)

    bomb = gzip.compress(bytes(50_000_000))

    async def handler(request: web.Request) -> web.StreamResponse:
        match request.path.rpartition("/")[2]:
            case "endless":
                answer = web.StreamResponse()
                await answer.prepare(request)
                with suppress(ConnectionError):
                    while True:
                        await answer.write(b" " * 65536)
                return answer
            case "packed":
                return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})
            case _:
                return web.Response(body=b" " * 2_000_000, status=500)

    tracemalloc.start()
    try:
        async with serving(handler) as client:
            with pytest.raises(ConnectionFailed, match="longer than"):
                await client.get(CONFIG_MAP, "endless", "n")
            with pytest.raises(ConnectionFailed, match="compressed, although no compression was requested"):
                await client.get(CONFIG_MAP, "packed", "n")
            with pytest.raises(ServerError):
                await client.delete(CONFIG_MAP, "long-refusal", "n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
