"""Objects that nest too deep, or hold too much: how somebody who does not use Python gets them into a cluster."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from troth.api import Resource
from troth.dev import CommandResult

Object = dict[str, Any]
Kubectl = Callable[..., Awaitable[CommandResult]]

HOLE = '"the hole"'
LISTS = "[" + ",".join(["[]"] * 300_000) + "]"


def nest(levels: int) -> str:
    """The JSON of maps in maps."""
    return '{"a":' * levels + "1" + "}" * levels


class Refused(Exception):
    """The API server did not take it."""


class Hand:
    """Somebody who writes what Python would not: objects whose JSON is put together as text."""

    def __init__(self, kubectl: Kubectl, folder: Path) -> None:
        self._kubectl = kubectl
        self._folder = folder

    async def post(self, resource: Resource, obj: Object, filling: str) -> None:
        """Creates an object, with a text in the place of `HOLE`."""
        await self._send("create", resource, obj, filling, name="")

    async def put(self, resource: Resource, obj: Object, filling: str, *, subresource: str = "") -> None:
        """Replaces an object."""
        await self._send("replace", resource, obj, filling, name=obj["metadata"]["name"], subresource=subresource)

    async def _send(
        self, verb: str, resource: Resource, obj: Object, filling: str, *, name: str, subresource: str = ""
    ) -> None:
        file = self._folder / f"{uuid.uuid4().hex}.json"
        await asyncio.to_thread(file.write_text, json.dumps(obj).replace(HOLE, filling))
        path = resource.path(obj["metadata"].get("namespace", ""), name, subresource)
        result = await self._kubectl(verb, "--raw", path, "-f", file, check=False)
        await asyncio.to_thread(file.unlink)
        if result.code != 0:
            raise Refused(result.stderr[-500:])
