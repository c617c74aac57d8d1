"""Which kinds an API server serves, and where.

The server is asked for one group version at a time, and only when a kind is not known: a full scan of all groups, as
most clients make, fails whenever any aggregated API is down. Kinds that were found are remembered. A kind that is not
served is asked for again each time, because CustomResourceDefinitions come and go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from troth.api import Resource
from troth.kube.errors import NotFound

Read = Callable[[str], Awaitable[dict[str, Any]]]


class Discovery:
    """Finds kinds, and remembers them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._found: dict[str, dict[str, Resource]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._begun: dict[str, int] = {}
        self._answered: dict[str, int] = {}

    async def find(self, api_version: str, kind: str, *, refresh: bool = False) -> Resource | None:
        """The resource of a kind, or None if the server does not serve it now."""
        known = self._found.get(api_version, {}).get(kind)
        if known is not None and not refresh:
            return known
        asked = self._begun.get(api_version, 0)
        async with self._locks.setdefault(api_version, asyncio.Lock()):
            # A look that began after this question answers it; one that was under way might have missed the kind.
            if self._answered.get(api_version, 0) <= asked:
                number = self._begun[api_version] = self._begun.get(api_version, 0) + 1
                self._found[api_version] = await self._look(api_version)
                self._answered[api_version] = number
            return self._found.get(api_version, {}).get(kind)

    async def _look(self, api_version: str) -> dict[str, Resource]:
        group, slash, version = api_version.rpartition("/")
        try:
            path = (
                f"/apis/{quote(group, safe='')}/{quote(version, safe='')}"
                if slash
                else f"/api/{quote(version, safe='')}"
            )
            answer = await self._read(path)
        except NotFound:
            return {}
        entries = answer.get("resources")
        return {
            entry["kind"]: Resource(group, version, entry["name"], entry["kind"], bool(entry.get("namespaced")))
            for entry in (entries if isinstance(entries, list) else ())
            if _is_kind(entry)
        }


def _is_kind(entry: Any) -> bool:
    """Whether an entry is a kind that can be found by its name; subresources are listed too."""
    if not isinstance(entry, dict):
        return False
    name, kind = entry.get("name"), entry.get("kind")
    return isinstance(name, str) and isinstance(kind, str) and "/" not in name
