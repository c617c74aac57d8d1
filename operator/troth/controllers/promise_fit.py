"""Finds the live requests that no longer fit the API of their Promise, once for each change of the API.

A request that was accepted stays, whatever its API says later, and nobody would notice until it is edited or deleted.
So all requests are validated against an API that has changed since it was created, in another process, without anybody
waiting for it. After that only those that did not fit are validated again, when they change: everything else that is
written meanwhile is validated by the API server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.api import Key, Promise, TrothError
from troth.api.objects import Request
from troth.controllers.platform import Platform
from troth.controllers.request_apis import RequestApi
from troth.engine.admission.unfit import Unfit
from troth.engine.promises.definitions import Definition
from troth.kube import PRIORITY_DEPENDENT

_FIRST: Final = 1
_AGAIN: Final = 30.0

Name = tuple[str, str]


@dataclass(slots=True)
class _Look:
    """What is known of the requests under one edition of an API.

    ``unfit`` is None until all of them have been validated.
    """

    edition: str
    task: asyncio.Task[None] | None = None
    unfit: dict[Name, Unfit] | None = None


class PromiseFit:
    """Has requests validated, and remembers which do not fit."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._looks: dict[str, _Look] = {}

    def report(self, key: Key, promise: Promise) -> tuple[Unfit, ...] | None:
        """The requests that do not fit. None while this is not known; the Promise is queued as soon as it is."""
        api = self._platform.caches.request_apis.of_promise(promise.name)
        live = self._platform.caches.definitions.get("", api.resource.name) if api else None
        if api is None or live is None or live.metadata.generation == _FIRST:
            self.forget(promise.name)  # the API that exists has accepted every request
            return ()
        look = self._looks.get(promise.name)
        if look is None or look.edition != api.edition:
            self.forget(promise.name)
            look = self._looks[promise.name] = _Look(api.edition)
        if not api.informer.synced.is_set():
            return None  # the Promise is queued when they have been listed
        if look.task is not None and not look.task.done():
            return None
        changed = self._changed(api, look)
        if changed:
            look.task = asyncio.create_task(self._ask(key, api, live, look, changed), name=f"fit {promise.name}")
            return None
        return tuple((look.unfit or {}).values())

    def forget(self, name: str) -> None:
        """Drops what is known of a Promise that is gone, or that has another API now."""
        self._platform.caches.unfit.pop(name, None)
        look = self._looks.pop(name, None)
        if look is not None and look.task is not None:
            look.task.cancel()

    async def close(self) -> None:
        """Ends the validations that are under way."""
        tasks = [look.task for look in self._looks.values() if look.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, api: RequestApi, look: _Look) -> list[Request]:
        """The requests that have to be validated. Those that are gone are forgotten."""
        if look.unfit is None:
            return [request for request in api.informer.items() if not request.metadata.unread]
        changed = []
        for name, unfit in list(look.unfit.items()):
            request = api.informer.get(*name)
            if request is None:
                del look.unfit[name]
            elif request.metadata.generation != unfit.generation:
                changed.append(request)
        self._watch(api, look)
        return changed

    async def _ask(
        self, key: Key, api: RequestApi, live: Definition, look: _Look, requests: list[Request]
    ) -> None:
        try:
            found = await self._platform.inspector.find_unfit(
                look.edition, _definition(live), (request.raw for request in requests)
            )
        except TrothError:
            self._platform.queue.add(key, priority=PRIORITY_DEPENDENT, after=_AGAIN)
            return
        unfit = dict(look.unfit or {})
        for request in requests if unfit else ():
            unfit.pop((request.metadata.namespace, request.metadata.name), None)
        look.unfit = unfit | {(one.namespace, one.name): one for one in found}
        self._watch(api, look)
        self._platform.queue.add(key, priority=PRIORITY_DEPENDENT)

    def _watch(self, api: RequestApi, look: _Look) -> None:
        self._platform.caches.unfit[api.promise] = frozenset(look.unfit or ())


def _definition(live: Definition) -> Mapping[str, Any]:
    return {"spec": live.spec}
