"""Creates objects that are nested too deeply or too large for Python's own parsers, as any other program could."""

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
    """The JSON of maps inside maps, with this many levels."""
    return '{"a":' * levels + "1" + "}" * levels


class Refused(Exception):
    """The API server has refused an object."""


class Hand:
    """Writes objects whose JSON is put together as text, because Python could not write it."""

    def __init__(self, kubectl: Kubectl, folder: Path) -> None:
        self._kubectl = kubectl
        self._folder = folder

    async def post(self, resource: Resource, obj: Object, filling: str) -> None:
        """Creates an object, with ``filling`` in the place of `HOLE`."""
        await self._send("create", resource, obj, filling, name="")

    async def put(self, resource: Resource, obj: Object, filling: str, *, subresource: str = "") -> None:
        """Replaces an object, with ``filling`` in the place of `HOLE`."""
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
