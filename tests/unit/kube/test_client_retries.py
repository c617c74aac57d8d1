"""What is tried again and what is not: a write only where the server certainly did nothing."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from aiohttp import web

from tests.unit.kube.scripted import Login, serving, status
from troth.api import InvalidObject
from troth.api.resources import CONFIG_MAP
from troth.kube import (
    Client,
    ConnectionFailed,
    DeadlineExceeded,
    Forbidden,
    ServerError,
    TooLarge,
    TooManyRequests,
    Unauthorized,
)

OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}}


async def test_a_read_is_tried_again_after_a_failure_of_the_server() -> None:
    calls = 0

    async def handle(_: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return status(503, "ServiceUnavailable") if calls < 3 else web.json_response(OBJECT)

    async with serving(handle) as client:
        assert await client.get(CONFIG_MAP, "a", "n") == OBJECT
    assert calls == 3


async def test_a_read_is_tried_again_after_a_lost_answer() -> None:
    calls = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        if calls < 3:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(OBJECT)

    async with serving(handle) as client:
        assert await client.get(CONFIG_MAP, "a", "n") == OBJECT
    assert calls == 3


async def test_a_write_that_was_refused_with_429_waits_as_long_as_the_server_says() -> None:
    calls: list[float] = []

    async def handle(_: web.Request) -> web.StreamResponse:
        calls.append(time.monotonic())
        if len(calls) == 1:
            return status(429, "TooManyRequests", headers={"Retry-After": "1"})
        return web.json_response(OBJECT)

    async with serving(handle) as client:
        await client.apply(CONFIG_MAP, OBJECT)
    assert calls[1] - calls[0] >= 1.0


async def test_a_write_that_failed_on_the_server_is_not_sent_again() -> None:
    calls = 0

    async def handle(_: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return status(500, "InternalError")

    async with serving(handle) as client:
        with pytest.raises(ServerError):
            await client.apply(CONFIG_MAP, OBJECT)
    assert calls == 1


@pytest.mark.parametrize("write", ["apply", "create", "merge_patch"])
async def test_a_write_whose_answer_was_lost_is_not_sent_again_and_says_so(write: str) -> None:
    calls = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        if request.method == "GET":
            return web.json_response(OBJECT)
        calls += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(handle) as client:
        await client.get(CONFIG_MAP, "a", "n")  # so that the write meets a connection that was used before
        writes = {
            "apply": lambda: client.apply(CONFIG_MAP, OBJECT),
            "create": lambda: client.create(CONFIG_MAP, OBJECT),
            "merge_patch": lambda: client.merge_patch(CONFIG_MAP, "a", {}, namespace="n"),
        }
        with pytest.raises(ConnectionFailed) as caught:
            await writes[write]()
    assert caught.value.ambiguous
    assert calls == 1


async def test_a_write_is_sent_again_while_nobody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    refused = asyncio.Event()
    login = Login(f"http://127.0.0.1:{port}")
    client = Client(login, deadline=20.0, on_call=lambda *_: refused.set())

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response(OBJECT)

    writing = asyncio.create_task(client.apply(CONFIG_MAP, OBJECT))
    try:
        await refused.wait()
        async with serving(handle, port=port):
            assert await writing == OBJECT
    finally:
        await client.close()


async def test_who_has_little_patience_hears_early_that_nobody_listens_and_of_no_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = Client(Login(f"http://somebody:s3cret@127.0.0.1:{port}"), deadline=60, patience=0.3)
        try:
            async with asyncio.timeout(20):
                with pytest.raises(ConnectionFailed) as refused:
                    await client.get(CONFIG_MAP, "a", "n")
        finally:
            await client.close()
    assert f"no answer from http://127.0.0.1:{port}" in str(refused.value)
    assert "s3cret" not in str(refused.value)


async def test_no_answer_in_time_is_ambiguous_for_a_write_only() -> None:
    release = asyncio.Event()

    async def handle(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.json_response(OBJECT)

    async with serving(handle, deadline=0.2) as client:
        with pytest.raises(DeadlineExceeded) as read:
            await client.get(CONFIG_MAP, "a", "n")
        with pytest.raises(DeadlineExceeded) as write:
            await client.apply(CONFIG_MAP, OBJECT)
        release.set()
    assert not read.value.ambiguous
    assert write.value.ambiguous


async def test_when_time_runs_out_the_last_refusal_is_what_is_told() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return status(429, "TooManyRequests", "storage is (re)initializing", headers={"Retry-After": "30"})

    async with serving(handle, deadline=1.0) as client:
        began = time.monotonic()
        with pytest.raises(TooManyRequests, match="initializing") as caught:
            await client.get(CONFIG_MAP, "a", "n")
    assert caught.value.retry_after == 30
    assert time.monotonic() - began < 1.0


async def test_a_login_that_was_refused_is_read_anew_once() -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        if seen[-1] == "Bearer token-0":
            return status(401, "Unauthorized")
        return web.json_response(OBJECT)

    async with serving(handle) as client:
        await client.apply(CONFIG_MAP, OBJECT)
    assert seen == ["Bearer token-0", "Bearer token-1"]


async def test_a_login_that_is_refused_for_good_is_an_error_at_the_second_refusal() -> None:
    calls = 0

    async def handle(_: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return status(401, "Unauthorized")

    async with serving(handle) as client:
        with pytest.raises(Unauthorized):
            await client.get(CONFIG_MAP, "a", "n")
        with pytest.raises(Unauthorized):
            await anext(client.watch(CONFIG_MAP, resource_version="1"))
    assert calls == 4


async def test_what_is_forbidden_is_not_tried_again() -> None:
    calls = 0

    async def handle(_: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return status(403, "Forbidden", "configmaps is forbidden")

    async with serving(handle) as client:
        with pytest.raises(Forbidden, match="configmaps is forbidden"):
            await client.get(CONFIG_MAP, "a", "n")
    assert calls == 1


async def test_something_else_that_answers_is_told_from_an_api_server() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>It works!</html>", content_type="text/html")

    async with serving(handle) as client:
        with pytest.raises(ConnectionFailed, match="not JSON"):
            await client.get(CONFIG_MAP, "a", "n")


async def test_watches_leave_connections_for_calls() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response(OBJECT)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}\n')
        await request.content.read()
        await asyncio.sleep(0)
        await release.wait()
        return response

    release = asyncio.Event()
    async with serving(handle, connections=2) as client:
        watches = [client.watch(CONFIG_MAP, resource_version="1") for _ in range(8)]
        for watch in watches:
            assert (await anext(watch)).type == "BOOKMARK"
        assert await client.get(CONFIG_MAP, "a", "n") == OBJECT
        for watch in watches:
            await watch.aclose()
        release.set()


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../secrets/x", "a%2fb"])
async def test_a_name_cannot_become_another_path(name: str) -> None:
    client = Client(Login("http://127.0.0.1:1"))
    with pytest.raises(InvalidObject, match="cannot be a name"):
        await client.get(CONFIG_MAP, name, "n")
    with pytest.raises(InvalidObject, match="cannot be a name"):
        await client.delete(CONFIG_MAP, "a", name)


async def test_a_namespaced_object_without_a_namespace_is_refused_before_it_is_sent() -> None:
    client = Client(Login("http://127.0.0.1:1"))
    with pytest.raises(InvalidObject, match="lives in a namespace"):
        await client.apply(CONFIG_MAP, {"metadata": {"name": "a"}})


async def test_a_closed_client_refuses_and_opens_nothing() -> None:
    client = Client(Login("http://127.0.0.1:1"))
    await client.close()
    with pytest.raises(ConnectionFailed, match="closed"):
        await client.get(CONFIG_MAP, "a", "n")


async def test_an_object_that_no_api_server_reads_is_not_sent() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise AssertionError("it was sent")

    async with serving(handler) as client:
        with pytest.raises(TooLarge, match="an API server reads 3145728 at most"):
            await client.create(
                CONFIG_MAP, {"metadata": {"name": "a", "namespace": "n"}, "data": {"a": "b" * (3 << 20)}}
            )
