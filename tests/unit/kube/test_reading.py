"""What an API server sends is read object by object: what is beyond the bounds is left out, and hides nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.kube.scripted import serving
from troth.api.nesting import DEEPEST, MOST_VALUES, PartialObject, find_deep, nests_within
from troth.api.objects import read_metadata
from troth.api.resources import CONFIG_MAP
from troth.kube import ApiError, Unintelligible
from troth.kube.reading import read_heavy_object, read_object, read_page, read_typed
from troth.kube.watch import read_event

Object = dict[str, Any]

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ['"', "\\", '\\"', "[{", "}]", ",", "\n", "\0"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
)
OBJECTS = st.dictionaries(TEXTS | st.sampled_from(["metadata", "spec", "status"]), VALUES, max_size=5)


def nest(levels: int, *, in_list: bool = False) -> str:
    """The JSON of something that nests so deep."""
    begin, end = ("[", "]") if in_list else ('{"a":', "}")
    return begin * levels + ("" if in_list else "1") + end * levels


def json_of(name: str, *, spec: str = "{}", status: str = '{"phase":"there"}', bookkeeping: str = "{}") -> bytes:
    """The JSON of an object as the API server writes it."""
    return (
        f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"finalizers":["mine"],"managedFields":[{{"fieldsV1":'
        f'{bookkeeping}}}],"name":"{name}","namespace":"n","resourceVersion":"7","uid":"u"}},'
        f'"spec":{spec},"status":{status}}}'
    ).encode()


def run(reading: Awaitable[Any]) -> Any:
    async def read() -> Any:
        return await reading

    return asyncio.run(read())


WIDE = {
    "lists": "[" + ",".join(["[]"] * 450_000) + "]",
    "nested lists": "[" + ",".join(["[[[]]]"] * 180_000) + "]",
    "keys": "{" + ",".join(f'"k{number}":1' for number in range(110_000)) + "}",
    "maps": "[" + ",".join(['{"a":1}'] * 150_000) + "]",
    "numbers": "[" + ",".join(["1"] * 700_000) + "]",
}
DEEP = {
    f"{levels} {'lists' if lists else 'maps'}": nest(levels, in_list=lists)
    for levels in (DEEPEST, 300, 1_100, 9_000)
    for lists in (False, True)
}


@pytest.mark.slow
@given(OBJECTS)
@example({"spec": {"a": '"}]'}, '"]}': [[], {}, [{}], "\\"]})
def test_the_long_way_reads_what_the_short_way_reads(obj: Object) -> None:
    assert read_heavy_object(orjson.dumps(obj)) == obj
    assert read_heavy_object(orjson.dumps(obj, option=orjson.OPT_INDENT_2)) == obj
    assert run(read_object(orjson.dumps(obj))) == obj


@pytest.mark.slow
@settings(max_examples=300)
@given(st.binary(max_size=60) | VALUES.map(orjson.dumps) | st.text('{}[]",:\\ a1', max_size=40).map(str.encode))
@example(b'{"object":')
@example(b'{"type":1,"object":{}}')
@example(b'{"type":"ERROR","object":{"code":[],"details":7,"message":{}}}')
@example(b'{"type":"ERROR","object":{"code":422,"details":{"causes":7,"retryAfterSeconds":"soon"}}}')
def test_any_bytes_are_an_object_or_no_api_server(body: bytes) -> None:
    for reading in (read_object(body), read_page(body), read_typed(body), read_event(body)):
        with contextlib.suppress(Unintelligible, ApiError):
            run(reading)
    with contextlib.suppress(Unintelligible):
        read_heavy_object(body)


@pytest.mark.slow
@pytest.mark.parametrize("spec", [*DEEP, *WIDE])
def test_an_object_beyond_the_bounds_says_so_and_keeps_the_rest(spec: str) -> None:
    body = json_of("it", spec=(DEEP | WIDE)[spec])
    for obj in (
        run(read_object(body)),
        run(read_typed(b'{"type":"ADDED","object":' + body + b"}"))[1],
        run(read_page(b'{"metadata":{},"items":[' + body + b"]}")).items[0],
    ):
        assert isinstance(obj, PartialObject)
        assert obj.keys() == {"apiVersion", "kind", "metadata", "status"}
        assert obj["metadata"]["finalizers"] == ["mine"]
        assert obj["status"] == {"phase": "there"}
        assert obj.unread.startswith("spec")
        assert (
            f"deeper than {DEEPEST} levels" if spec in DEEP else f"more than {MOST_VALUES} values"
        ) in obj.unread
        assert len(obj.unread) < 200
        assert read_metadata(obj).unread == obj.unread


@pytest.mark.parametrize("where", [*DEEP, *WIDE])
def test_a_status_beyond_the_bounds_loses_what_makes_it_so(where: str) -> None:
    for bookkeeping in ("{}", (DEEP | WIDE)[where] if where in DEEP else "{}"):
        body = json_of("it", status=f'{{"other":{(DEEP | WIDE)[where]},"phase":"there"}}', bookkeeping=bookkeeping)
        obj = run(read_object(body))
        assert not isinstance(obj, PartialObject)
        assert obj["status"] == {"phase": "there"}
        assert obj["spec"] == {}
        assert nests_within([obj], DEEPEST + 10)


@pytest.mark.parametrize("poison", [*DEEP, *WIDE])
def test_one_object_hides_no_other_of_its_page(poison: str) -> None:
    bodies = [
        json_of("before"),
        json_of("it", spec=(DEEP | WIDE)[poison]),
        b"7",
        json_of("behind", spec=nest(DEEPEST - 1)),
    ]
    page = run(
        read_page(b'{"metadata":{"continue":"c","resourceVersion":"9"},"items":[' + b",".join(bodies) + b"]}")
    )
    assert [item["metadata"]["name"] for item in page.items] == ["before", "it", "behind"]
    assert [isinstance(item, PartialObject) for item in page.items] == [False, True, False]
    assert page.metadata == {"continue": "c", "resourceVersion": "9"}


def test_the_field_that_is_too_deep_is_named() -> None:
    obj = run(read_object(json_of("it", spec=f'{{"flat":[{{"x":1}}],"list":[0,{nest(DEEPEST)}]}}')))
    assert isinstance(obj, PartialObject)
    assert obj.unread.startswith("spec.list[1].a.a…")
    obj = run(read_object(json_of("it", spec=f'{{"flat":[{{"x":1}}],"list":[0,{nest(1_100)}]}}')))
    assert obj.unread.startswith("spec.list nests deeper than")
    obj = run(read_object(json_of("it", spec=f'{{"flat":[{{"x":1}}],"list":[0,{WIDE["lists"]}]}}')))
    assert obj.unread.startswith("spec.list holds more than")
    assert find_deep({"a": [1, {"b": 2}]}, 2) == ".a[1]"
    assert find_deep({"a": [1, {"b": 2}]}, 3) == ""


@pytest.mark.slow
@pytest.mark.parametrize("shape", WIDE)
async def test_what_is_heavy_is_read_while_others_run(shape: str) -> None:
    body = json_of("it", spec=WIDE[shape])
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.process_time()  # of this process alone, as the machine may have others
            await asyncio.sleep(0)
            longest = max(longest, time.process_time() - before)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    await read_object(body)
    ticking.cancel()
    assert longest < 0.06  # a piece takes less than 5 ms; parsing the lists at once takes 180 ms


async def test_a_client_reads_a_list_with_a_poisonous_item_and_answers_to_writes() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        poison = json_of("it", spec=nest(1_100))
        if request.method != "GET":
            return web.Response(body=poison, content_type="application/json")
        items = b",".join((json_of("a"), poison, json_of("z")))
        return web.Response(
            body=b'{"kind":"ConfigMapList","metadata":{"resourceVersion":"9"},"items":[' + items + b"]}"
        )

    async with serving(handle) as client:
        listing = await client.list(CONFIG_MAP)
        assert [item["metadata"]["name"] for item in listing.items] == ["a", "it", "z"]
        answer = await client.merge_patch(CONFIG_MAP, "it", {"status": {}}, namespace="n", subresource="status")
        assert isinstance(answer, PartialObject)


async def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("troth.kube.transport.LARGEST_ANSWER", 1 << 20)
    sent = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 1 << 28:
            await response.write(b"x" * (1 << 16))
            sent += 1 << 16
        return response

    async with serving(handle) as client:
        with pytest.raises(Unintelligible, match="longer than 1 MiB"):
            await client.get(CONFIG_MAP, "it", "n")
    assert sent < 1 << 25
