"""The APIs of Promises, and their informers, which are started and ended with them.

An API is followed from the moment that its definition is established until its Promise gives it up. When a definition
changes, every request is read again, since the API server then fills in other defaults and drops other fields without
changing any resource version. It does not tell when it has begun to do so. Therefore the requests are listed again
after a moment, and once more some seconds later.

What follows when an API has been listed or has ended is decided in `troth.controllers.triggers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api import Key, Resource
from troth.api.objects import ObjectMeta, Request
from troth.controllers.differences import FAILING
from troth.engine.status.facts import RequestsFacts
from troth.engine.status.requests import NAMED
from troth.kube import Informer

BY_FAILING: Final = "failing"
"""The index of the requests that fail and need somebody's attention; its only value is ``FAILING``."""

# The API server serves a changed schema a moment after it has accepted it, and does not tell when.
_SCHEMA_DELAY: Final = 0.5
_SCHEMA_SERVED: Final = 3.0


@dataclass(slots=True)
class RequestApi:
    """The informer of one Promise's API, and the task that runs it.

    ``edition`` changes whenever the spec of the CustomResourceDefinition does, and so whenever the API server may
    return other defaults and fields for the same request.
    """

    promise: str
    resource: Resource
    edition: str
    informer: Informer[Request]
    task: asyncio.Task[None]


class RequestApis:
    """The APIs that are followed now."""

    def __init__(
        self,
        *,
        make_informer: Callable[[Resource], Informer[Request]],
        listed: Callable[[str, Sequence[Key], Sequence[Key]], None],
        ended: Callable[[Sequence[Key]], None],
    ) -> None:
        """Starts without any API.

        Args:
            make_informer: makes the informer of an API, which is then run here.
            listed: called when an API has been listed, with its Promise, the keys that waited for that
                (`await_listing`), and the requests that have components of that kind (`note_parent`).
            ended: called when an API is not followed any more, with the requests that have components of that kind.
        """
        self._make_informer = make_informer
        self._listed = listed
        self._ended = ended
        self._apis: dict[str, RequestApi] = {}
        self._awaiting: dict[str, set[Key]] = {}
        self._parents: dict[tuple[str, str], set[Key]] = {}

    # ---- reading

    def all(self) -> list[RequestApi]:
        """Every API that is followed."""
        return list(self._apis.values())

    def get(self, name: str) -> RequestApi | None:
        """The API with this `Resource.name`, which is the ``kind`` of the keys of its requests."""
        return self._apis.get(name)

    def of_promise(self, promise: str) -> RequestApi | None:
        """The API of a Promise."""
        return next((api for api in self._apis.values() if api.promise == promise), None)

    def of_kind(self, group: str, kind: str) -> RequestApi | None:
        """The API of this group and kind."""
        return next(
            (api for api in self._apis.values() if api.resource.group == group and api.resource.kind == kind),
            None,
        )

    def get_request(self, key: Key) -> Request | None:
        """The request with this key, of any API that is followed."""
        api = self._apis.get(key.kind)
        return api.informer.get(key.namespace, key.name) if api else None

    def facts_of(self, promise: str) -> RequestsFacts | None:
        """How many requests a Promise has and which of them fail. None while they are being listed."""
        api = self.of_promise(promise)
        if api is None or not api.informer.synced.is_set():
            return None
        found = api.informer.by_index(BY_FAILING, FAILING)
        names = (f"{each.metadata.namespace}/{each.metadata.name}" for each in found)
        return RequestsFacts(len(api.informer), len(found), tuple(heapq.nsmallest(NAMED, names)))

    def is_listing(self, promise: str) -> bool:
        """Whether the requests of a Promise are being listed and that has not failed so far."""
        api = self.of_promise(promise)
        return api is not None and not api.informer.synced.is_set() and api.informer.last_error is None

    # ---- waiting for an API

    def await_listing(self, promise: str, key: Key) -> None:
        """Remembers a key that waits until the requests of a Promise have been listed."""
        self._awaiting.setdefault(promise, set()).add(key)

    def note_parent(self, parent: Key, kinds: Iterable[tuple[str, str]]) -> None:
        """Has a request queued when the API of one of its components' kinds (group, kind) comes or goes.

        It is forgotten when it is to be queued and no longer exists. A kind that it no longer needs costs it at most
        one reconcile that changes nothing.
        """
        for kind in kinds:
            self._parents.setdefault(kind, set()).add(parent)

    def _parents_of(self, resource: Resource) -> list[Key]:
        parents = self._parents.get((resource.group, resource.kind), set())
        parents.difference_update([parent for parent in parents if self.get_request(parent) is None])
        return list(parents)

    # ---- following and no longer following

    def follow(
        self, promise: str, resource: Resource, definition: ObjectMeta, *, reread: bool = True
    ) -> Informer[Request]:
        """The informer of an API's requests, which is started unless it runs already for this version.

        When the definition has changed, all requests are read again, since they may have other defaults and fields
        now. Without ``reread`` they stay as they are.
        """
        edition = f"{definition.uid}/{definition.generation}"
        running = self._apis.get(resource.name)
        same = running and running.resource == resource and running.promise == promise
        unchanged = running and (running.edition == edition or definition.deleting or not reread)
        if running and same and unchanged and not running.task.done():
            return running.informer
        if running:
            running.task.cancel()
        if running and same:
            informer = running.informer
            informer.reread()
        else:
            informer = self._make_informer(resource)
        task = asyncio.create_task(
            self._run(promise, informer, running.task if running else None, reread=bool(same)),
            name=f"informer {resource.name}",
        )
        self._apis[resource.name] = RequestApi(promise, resource, edition, informer, task)
        return informer

    async def unfollow(self, promise: str, *, besides: str = "") -> None:
        """Stops following the APIs of a Promise, except the one named ``besides``."""
        ended = [name for name, api in self._apis.items() if api.promise == promise and name != besides]
        for name in ended:
            api = self._apis.pop(name)
            api.task.cancel()
            await asyncio.gather(api.task, return_exceptions=True)
            self._ended(self._parents_of(api.resource))

    async def stop(self) -> None:
        """Ends all informers. What they know can still be read."""
        tasks = [api.task for api in self._apis.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(
        self, promise: str, informer: Informer[Any], before: asyncio.Task[None] | None, *, reread: bool
    ) -> None:
        """Runs an informer, and reports once that its API is served and has been listed."""

        async def announce() -> None:
            await informer.synced.wait()
            waiting = tuple(self._awaiting.pop(promise, ()))
            self._listed(promise, waiting, self._parents_of(informer.resource))

        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        announcement = asyncio.create_task(announce(), name=f"sync {promise}")
        try:
            if reread:
                await asyncio.sleep(_SCHEMA_DELAY)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SCHEMA_SERVED):
                        await informer.run()
                informer.reread()
            await informer.run()
        finally:
            announcement.cancel()
            await asyncio.gather(announcement, return_exceptions=True)
