"""Reads from a cluster what commands need when the user names one. Nothing is written.

Only commands use the network; `troth.authoring` is given what they have read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from troth.api import InvalidObject, TrothError
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION, PROMISE
from troth.engine.promises.definitions import request_resource
from troth.kube import Client, Forbidden, KubeError, NotFound, load_credentials

_WORD: Final = "cluster"
_SECONDS: Final = 60.0
_T = TypeVar("_T")


class ClusterError(TrothError):
    """The cluster cannot be read. The message is one sentence that says what to do."""


def context_of(text: str) -> str | None:
    """The context in ``cluster:CONTEXT``; "" for ``cluster``, and None for any other text."""
    if text == _WORD:
        return ""
    word, colon, context = text.partition(":")
    return context if word == _WORD and colon and context else None


def read_schemas(context: str) -> list[Any]:
    """The CustomResourceDefinitions of a cluster, and the OpenAPI of its API server.

    Raises:
        ClusterError: it does not answer, or does not let these be read.
    """

    async def read(client: Client) -> list[Any]:
        definitions = await client.list(CUSTOM_RESOURCE_DEFINITION)
        kind = {"apiVersion": CUSTOM_RESOURCE_DEFINITION.api_version, "kind": CUSTOM_RESOURCE_DEFINITION.kind}
        return [await client.openapi(), *({**kind, **obj} for obj in definitions.items)]

    return _run(context, read, "list customresourcedefinitions")


def read_api(context: str, promise: str, definition: str) -> Mapping[str, Any] | None:
    """The API in the cluster: from the Promise, or else from the installed definition; None when it has neither.

    Raises:
        ClusterError: it does not answer, or does not let these be read.
    """

    async def read(client: Client) -> Mapping[str, Any] | None:
        try:
            found = (await client.get(PROMISE, promise)).get("spec", {}).get("api")
        except NotFound:
            found = None
        if found or not definition:
            return found or None
        try:
            return await client.get(CUSTOM_RESOURCE_DEFINITION, definition)
        except NotFound:
            return None

    return _run(context, read, "get promises and customresourcedefinitions")


def read_requests(context: str, api: Mapping[str, Any]) -> list[Any]:
    """The requests of an API in all namespaces of the cluster; empty when the API is not served.

    Raises:
        ClusterError: it does not answer, or does not let these be read.
    """
    try:
        resource = request_resource(api)
    except InvalidObject:
        return []

    async def read(client: Client) -> list[Any]:
        try:
            return (await client.list(resource)).items
        except NotFound:
            return []

    return _run(context, read, f"list {resource.name}")


def _run(context: str, read: Callable[[Client], Awaitable[_T]], right: str) -> _T:
    where = f"the cluster of the context {context}" if context else "the cluster"

    async def work() -> _T:
        async with asyncio.timeout(_SECONDS), Client(await load_credentials(None, context or None)) as client:
            return await read(client)

    try:
        return asyncio.run(work())
    except TimeoutError:
        raise ClusterError(f"{where} does not answer within {_SECONDS:g} s") from None
    except Forbidden as error:
        raise ClusterError(f"{where} does not let you {right}: {error}") from None
    except KubeError as error:
        raise ClusterError(f"{where} cannot be read: {error}") from None
