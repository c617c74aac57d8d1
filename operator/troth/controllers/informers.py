"""Runs an informer for each kind that is followed, which keeps the caches and queues what its changes trigger.

This module only connects them. `troth.controllers.kinds` says which kinds there are, and `troth.controllers.triggers`
says what their changes mean.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from troth.api import InvalidObject, Key, Resource
from troth.api.objects import Request
from troth.controllers import triggers
from troth.controllers.caches import Caches
from troth.controllers.differences import readiness
from troth.controllers.kinds import Kind, fixed_kinds, pipeline_kinds, request_kind
from troth.controllers.request_apis import RequestApis
from troth.controllers.triggers import Change, queue_all
from troth.engine.placement.seals import Seals
from troth.kube import Client, Informer, LastingRefusal, Outages, WorkQueue
from troth.kube.informer import HasMetadata

_BY_READY: Final = "ready"

T = TypeVar("T", bound=HasMetadata)


class Informers:
    """The informers of all kinds, and the `caches` that they keep."""

    def __init__(
        self,
        *,
        client: Client,
        queue: WorkQueue,
        random: random.Random,
        relist_interval: float,
        seals: Seals,
        system_namespace: str,
        runs_containers: bool = False,
        on_unreadable: Callable[[Mapping[str, Any], InvalidObject], None] | None = None,
        refusal_limit: float | None = None,
        on_refusal: Callable[[LastingRefusal], None] = lambda _: None,
    ) -> None:
        """Makes the informers; they are empty before `start`.

        Args:
            client: reads the objects from the API server.
            queue: gets the keys that changes trigger.
            random: draws the jitter.
            relist_interval: seconds between the lists that make up for anything missed.
            seals: recognises what the operator wrote itself.
            system_namespace: the namespace with the Works of Promises.
            runs_containers: whether the Jobs and Pods of container pipelines are followed.
            on_unreadable: called with an object of any kind that cannot be read as a view, and the reason.
            refusal_limit: for how many seconds the API server may refuse an indispensable kind; None means for ever.
            on_refusal: called when it has refused for longer. The kind is not followed any more then.
        """
        self._client = client
        self._queue = queue
        self._random = random
        self._relist_interval = relist_interval
        self._on_unreadable = on_unreadable
        self._refusal_limit = refusal_limit
        self._on_refusal = on_refusal
        self._outages = Outages()
        self._tasks: list[asyncio.Task[None]] = []
        self._request_apis = RequestApis(
            make_informer=self._make_request_informer, listed=self._requests_listed, ended=self._api_ended
        )
        self.caches = Caches(seals, system_namespace, self._request_apis)
        self._kinds = (*fixed_kinds(seals, self.caches.digests), *(pipeline_kinds() if runs_containers else ()))
        for kind in self._kinds:
            self.caches.informers[kind.resource.name] = self._make_informer(kind)

    def start(self) -> None:
        """Starts the informers of the fixed kinds."""
        for informer in self.fixed():
            task = asyncio.create_task(informer.run(), name=f"informer {informer.resource.name}")
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def wait_synced(self) -> None:
        """Waits until every fixed kind has been listed once."""
        for informer in self.fixed():
            await informer.synced.wait()

    async def stop(self) -> None:
        """Ends all informers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, self._request_apis.stop(), return_exceptions=True)

    def fixed(self) -> list[Informer[Any]]:
        """The informers that run from start to end."""
        return list(self.caches.informers.values())

    def all(self) -> list[Informer[Any]]:
        """All informers that run now."""
        return [*self.fixed(), *(api.informer for api in self._request_apis.all())]

    def readiness(self) -> dict[tuple[str, str, str], int]:
        """The number of objects by kind, status of Ready, and its reason."""
        found: dict[tuple[str, str, str], int] = {}
        counted = [self.caches.informers[kind.resource.name] for kind in self._kinds if kind.has_ready]
        for informer in (*counted, *(api.informer for api in self._request_apis.all())):
            for value, count in informer.index_sizes(_BY_READY).items():
                status, _, reason = value.partition("/")
                found[informer.resource.name, status, reason] = count
        return found

    def _make_informer(self, kind: Kind[T]) -> Informer[T]:
        def changed(key: Key, old: T | None, new: T | None) -> None:
            change = Change(key, old, new, listed=informer.synced.is_set(), ours=informer.observing)
            queue_all(self._queue, kind.changed(change, self.caches))
            if kind.has_ready:
                queue_all(self._queue, triggers.status_changed_by_others(change))

        informer: Informer[T] = Informer(
            client=self._client,
            resource=kind.resource,
            decode=kind.read,
            on_change=changed,
            indexes={**kind.indexes, _BY_READY: readiness} if kind.has_ready else kind.indexes,
            label_selector=kind.label_selector,
            relist_interval=self._relist_interval,
            random=self._random,
            outages=self._outages,
            is_heavy=kind.is_heavy,
            on_unreadable=self._on_unreadable,
            refusal_limit=self._refusal_limit if kind.is_indispensable else None,
        )
        return informer

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, LastingRefusal):
            self._on_refusal(error)

    def _make_request_informer(self, resource: Resource) -> Informer[Request]:
        return self._make_informer(request_kind(resource))

    def _requests_listed(self, promise: str, waiting: Sequence[Key], parents: Sequence[Key]) -> None:
        queue_all(self._queue, triggers.requests_listed(promise, waiting, parents, self.caches))

    def _api_ended(self, parents: Sequence[Key]) -> None:
        queue_all(self._queue, triggers.api_ended(parents))
