"""What the operator knows of the cluster: one informer for each kind, and which change queues which key.

This is the only place that says "when that changes, look at this". A trigger never decides what to do, it only
queues keys; whoever is queued once too often finds nothing to do. Changes that we wrote ourselves arrive here
through `Informer.observe` at once, so the watch is a safety net and not the path.

A change of status alone that we made does not queue the object itself: its reconciler wrote it, and would find
nothing. One that somebody else made does, after a moment: two who want the same field to say different things must not
keep each other busy. What somebody else writes into a Work or a placement queues whoever made it, who knows better.
Our own writes are not left out in any other way: the answer to a write may carry what somebody else changed a moment
before.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from troth.api import InvalidObject, Key, Resource
from troth.api import labels as names
from troth.api.objects import (
    Destination,
    ObjectMeta,
    Promise,
    Request,
    StateStore,
    Work,
    WorkPlacement,
    read_destination,
    read_promise,
    read_request,
    read_state_store,
)
from troth.api.resources import (
    CUSTOM_RESOURCE_DEFINITION,
    DESTINATION,
    PROMISE,
    WORK,
    WORK_PLACEMENT,
)
from troth.api.store_kinds import STORE_KINDS, StoreRef
from troth.controllers.differences import (
    FAILING,
    as_component,
    as_dependent,
    as_keeper,
    as_offer,
    as_place,
    as_target,
    failing,
    meant_differs,
    readiness,
    rewritten,
    told_differs,
    was_ever_written,
)
from troth.controllers.owners import (
    claim_of_owner,
    claims_of,
    is_of_old,
    may_be_works,
    promise_of,
    work_of,
    work_owner,
)
from troth.controllers.stores import place_of
from troth.engine.placement.scheduling import may_be_ready
from troth.engine.placement.seals import Seals
from troth.engine.placement.work import ContentDigests
from troth.engine.promises.definitions import Definition, read_definition
from troth.engine.rendering.components import Parent, read_parent
from troth.engine.status import NAMED, RequestsFacts
from troth.kube import Client, Informer, Outages, WorkQueue

USER: Final = 0
DEPENDENT: Final = -10
START: Final = -100

BY_OWNER: Final = "owner"
BY_PROMISE: Final = "promise"
BY_WORK: Final = "work"
BY_DESTINATION: Final = "destination"
BY_UNWRITTEN: Final = "unwritten"
BY_REQUIREMENT: Final = "requirement"
BY_STORE: Final = "store"
BY_CLAIM: Final = "claim"
BY_READY: Final = "ready"
BY_FAILING: Final = "failing"


# Somebody else's status is put right, but not at the speed at which two operators would correct each other.
_STATUS_DELAY: Final = 1.0

# How soon a Promise says how many of its requests fail: a burst of them costs it a write in that time, not one each.
_COUNT_DELAY: Final = 10.0

# The API server serves a changed schema a moment after it has accepted it, and tells nobody when.
_SCHEMA_DELAY: Final = 0.5
_SCHEMA_SERVED: Final = 3.0


@dataclass(slots=True)
class RequestApi:
    """The informer of one Promise's API, and the task that runs it.

    ``edition`` changes with the spec of the CustomResourceDefinition, and so with what the API server makes of a
    request.
    """

    promise: str
    resource: Resource
    edition: str
    informer: Informer[Request]
    task: asyncio.Task[None]


@dataclass(slots=True)
class Caches:
    """The informers. `start` must have been called; `requests` grows and shrinks with the Promises."""

    client: Client
    queue: WorkQueue
    random: random.Random
    relist_interval: float
    seals: Seals
    system_namespace: str
    requests: dict[str, RequestApi] = field(default_factory=dict)
    promises: Informer[Promise] = field(init=False)
    destinations: Informer[Destination] = field(init=False)
    works: Informer[Work] = field(init=False)
    placements: Informer[WorkPlacement] = field(init=False)
    definitions: Informer[Definition] = field(init=False)
    stores: dict[str, Informer[StateStore]] = field(init=False)
    digests: ContentDigests = field(default_factory=ContentDigests)
    on_unreadable: Callable[[Mapping[str, Any], InvalidObject], None] | None = None
    """Told of an object of any kind that no view can be made of."""
    unfit: dict[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """By Promise, the requests that do not fit its API: it is queued when one of them changes or goes."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _outages: Outages = field(default_factory=Outages)
    _parents: dict[tuple[str, str], set[Key]] = field(default_factory=dict)
    _awaiting: dict[str, set[Key]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A Work and its placements carry the same contents: each is unpacked once.
        digests = self.digests
        self.promises = self._informer(
            PROMISE,
            read_promise,
            self._promise_changed,
            {BY_REQUIREMENT: lambda promise: [entry.name for entry in promise.spec.required_promises]},
        )
        self.destinations = self._informer(
            DESTINATION,
            read_destination,
            self._destination_changed,
            {BY_STORE: lambda destination: [str(destination.store)]},
        )
        self.works = self._informer(
            WORK,
            partial(self.seals.read_work, digest=digests),
            self._work_changed,
            {
                BY_OWNER: lambda work: [work_owner(work)] if work.sealed_for else (),
                BY_PROMISE: lambda work: [promise_of(work.metadata)] if work.sealed_for else (),
                BY_CLAIM: lambda work: () if work.sealed_for else [claim_of_owner(work)],
            },
            is_heavy=digests.is_heavy,
        )
        self.placements = self._informer(
            WORK_PLACEMENT,
            partial(self.seals.read_work_placement, digest=digests),
            self._placement_changed,
            {
                BY_WORK: lambda placement: [work_of(placement)] if placement.sealed_for else (),
                BY_DESTINATION: lambda placement: [placement.destination] if placement.sealed_for else (),
                BY_UNWRITTEN: lambda placement: (
                    (BY_UNWRITTEN,) if placement.sealed_for and not was_ever_written(placement) else ()
                ),
                BY_CLAIM: lambda placement: claims_of(placement) if is_of_old(placement) else (),
            },
            is_heavy=digests.is_heavy,
        )
        self.definitions = self._informer(
            CUSTOM_RESOURCE_DEFINITION,
            read_definition,
            self._definition_changed,
            {BY_PROMISE: lambda definition: [promise_of(definition.metadata)]},
            label_selector=names.PROMISE_NAME,
        )
        self.stores = {
            kind.kind: self._informer(kind.resource, read_state_store, self._store_changed, {})
            for kind in STORE_KINDS.values()
        }

    def start(self) -> None:
        """Starts the informers of the fixed kinds."""
        for informer in self.fixed():
            self._tasks.append(asyncio.create_task(informer.run(), name="informer"))

    def fixed(self) -> list[Informer[Any]]:
        """The informers that run from start to end."""
        return [
            *self.stores.values(),
            self.destinations,
            self.definitions,
            self.promises,
            self.placements,
            self.works,
        ]

    def informers(self) -> list[Informer[Any]]:
        """All informers that run now."""
        return [*self.fixed(), *(api.informer for api in self.requests.values())]

    def readiness(self) -> dict[tuple[str, str, str], int]:
        """How many objects there are of each kind with each status and reason of Ready."""
        found: dict[tuple[str, str, str], int] = {}
        for informer in self.informers():
            if informer is self.definitions:
                continue
            for value, count in informer.index_sizes(BY_READY).items():
                status, _, reason = value.partition("/")
                found[informer.resource.name, status, reason] = count
        return found

    @property
    def synced(self) -> bool:
        """Whether every fixed kind has been listed once."""
        return all(informer.synced.is_set() for informer in self.fixed())

    async def wait_synced(self) -> None:
        """Waits until every fixed kind has been listed once."""
        for informer in self.fixed():
            await informer.synced.wait()

    async def stop(self) -> None:
        """Ends all informers."""
        tasks = [*self._tasks, *(api.task for api in self.requests.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- the APIs of Promises

    def follow_requests(
        self, promise: str, resource: Resource, definition: ObjectMeta, *, reread: bool = True
    ) -> Informer[Request]:
        """The informer of an API's requests, started if it does not run yet in that version.

        When the definition has changed all requests are read anew, as they have other defaults and other fields now;
        without ``reread`` they stay as they are.
        """
        edition = f"{definition.uid}/{definition.generation}"
        running = self.requests.get(resource.name)
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
            informer = self._informer(resource, read_request, self._request_changed, {BY_FAILING: failing})
        task = asyncio.create_task(
            self._follow(promise, informer, running.task if running else None, reread=bool(same)),
            name=f"informer {resource.name}",
        )
        self.requests[resource.name] = RequestApi(promise, resource, edition, informer, task)
        return informer

    def is_reading_requests(self, promise: str) -> bool:
        """Whether the requests of a Promise are being listed, as far as is known without trouble."""
        api = self.api_of_promise(promise)
        return api is not None and not api.informer.synced.is_set() and api.informer.last_error is None

    async def _follow(
        self, promise: str, informer: Informer[Any], before: asyncio.Task[None] | None, *, reread: bool
    ) -> None:
        """Runs an informer and queues the Promise once its API is served and listed."""

        async def announce() -> None:
            await informer.synced.wait()
            self.queue.add(Key(PROMISE.name, "", promise), priority=DEPENDENT)
            self._queue_owners(promise)
            for key in self._awaiting.pop(promise, ()):
                self.queue.add(key, priority=START)
            self._queue_parents(informer.resource)

        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        waiting = asyncio.create_task(announce(), name=f"sync {promise}")
        try:
            if reread:
                await asyncio.sleep(_SCHEMA_DELAY)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SCHEMA_SERVED):
                        await informer.run()
                informer.reread()
            await informer.run()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    def _queue_owners(self, promise: str) -> None:
        """Queues the requests that have Works but are not there: they vanished while nobody was looking."""
        for work in self.works.by_index(BY_PROMISE, promise):
            owner = self.owner_key(work)
            if owner and owner.kind != PROMISE.name and self.get_request(owner) is None:
                self.queue.add(owner, priority=DEPENDENT)

    async def unfollow_requests(self, promise: str, *, besides: str = "") -> None:
        """Stops the informers of a Promise's APIs, except the one named ``besides``."""
        ended = [name for name, api in self.requests.items() if api.promise == promise and name != besides]
        for name in ended:
            api = self.requests.pop(name)
            api.task.cancel()
            await asyncio.gather(api.task, return_exceptions=True)
            self._queue_parents(api.resource)

    def api_of_promise(self, promise: str) -> RequestApi | None:
        """The running informer of a Promise's API."""
        return next((api for api in self.requests.values() if api.promise == promise), None)

    def get_request(self, key: Key) -> Request | None:
        """A request by its key, of any API that is followed."""
        api = self.requests.get(key.kind)
        return api.informer.get(key.namespace, key.name) if api else None

    def queue_requests(self, promise: str, *, priority: int = DEPENDENT) -> None:
        """Queues every request of a Promise."""
        api = self.api_of_promise(promise)
        if api:
            for request in api.informer.items():
                meta = request.metadata
                self.queue.add(Key(api.resource.name, meta.namespace, meta.name), priority=priority)

    # ---- components

    def api_of_kind(self, group: str, kind: str) -> RequestApi | None:
        """The API of that group and kind that is followed."""
        return next(
            (api for api in self.requests.values() if api.resource.group == group and api.resource.kind == kind),
            None,
        )

    def definition_of_kind(self, group: str, kind: str) -> Definition | None:
        """The definition of that group and kind that a Promise has installed, followed or not."""
        return next(
            (
                found
                for found in self.definitions.items()
                if found.spec.get("group") == group and (found.spec.get("names") or {}).get("kind") == kind
            ),
            None,
        )

    def note_parent(self, parent: Key, kinds: Iterable[tuple[str, str]]) -> None:
        """Remembers that a request has components of these (group, kind): it is queued when such an API comes or goes.

        It is forgotten once it is queued and gone; what it no longer needs costs it a look that finds nothing.
        """
        for kind in kinds:
            self._parents.setdefault(kind, set()).add(parent)

    def _queue_parents(self, resource: Resource) -> None:
        parents = self._parents.get((resource.group, resource.kind), set())
        for parent in list(parents):
            if self.get_request(parent) is None:
                parents.discard(parent)
            else:
                self.queue.add(parent, priority=DEPENDENT)

    def _queue_parent(self, parent: Parent | None) -> None:
        api = self.api_of_promise(parent.promise) if parent else None
        if parent and api:
            self.queue.add(Key(api.resource.name, parent.namespace, parent.name), priority=DEPENDENT)

    def get_store(self, ref: StoreRef) -> StateStore | None:
        """A state store of any kind."""
        informer = self.stores.get(ref.kind)
        return informer.get("", ref.name) if informer else None

    def uid_of_owner(self, work: Work, *, waiting: Key) -> str | None:
        """The uid of whoever a Work belongs to by its labels; empty when there is no such owner (any more).

        None while that is not known: then ``waiting`` is queued when it is.
        """
        name = promise_of(work.metadata) or work.promise_name
        promise = self.promises.get("", name)
        if promise is None or work.type != names.WORK_TYPE_RESOURCE:
            return promise.metadata.uid if promise else ""
        api = self.api_of_promise(name)
        owner = self.owner_key(work)
        request = self.get_request(owner) if owner else None
        if request is not None:
            return request.metadata.uid
        if api is not None and api.informer.synced.is_set():
            return ""
        self._awaiting.setdefault(name, set()).add(waiting)
        return None

    def is_at_home(self, work: Work) -> bool:
        """Whether a Work is in a namespace in which the owner that it claims may have its Works."""
        promise = self.promises.get("", promise_of(work.metadata) or work.promise_name)
        homes = {self.system_namespace, promise.spec.pipeline_namespace if promise else ""}
        if work.type == names.WORK_TYPE_RESOURCE:
            homes.add(work.metadata.labels.get(names.RESOURCE_NAMESPACE) or work.metadata.namespace)
        return work.metadata.namespace in homes

    def queue_owner(self, work: Work) -> None:
        """Queues the request or the Promise that a Work belongs to, or may belong to."""
        if not work.sealed_for and not self.is_at_home(work):
            return
        owner = self.owner_key(work)
        if owner:
            self.queue.add(owner, priority=DEPENDENT)

    def owner_key(self, work: Work) -> Key | None:
        """The key of a Work's owner; None while the API of its Promise is not followed."""
        if work.type != names.WORK_TYPE_RESOURCE:
            return Key(PROMISE.name, "", promise_of(work.metadata) or work.promise_name)
        api = self.api_of_promise(promise_of(work.metadata) or work.promise_name)
        if api is None:
            return None
        meta = work.metadata
        namespace = meta.labels.get(names.RESOURCE_NAMESPACE) or meta.namespace
        return Key(api.resource.name, namespace, meta.labels.get(names.RESOURCE_NAME) or work.resource_name)

    # ---- triggers

    def _promise_changed(self, key: Key, old: Promise | None, new: Promise | None) -> None:
        if meant_differs(old, new):
            self.queue.add(key, priority=self._priority(self.promises, old))
        # A new spec reaches the requests through the status that says it was found sound.
        if as_offer(old) != as_offer(new):
            for other in self.promises.by_index(BY_REQUIREMENT, key.name):
                self.queue.add(Key(PROMISE.name, "", other.name), priority=DEPENDENT)
            if self.promises.synced.is_set():
                self.queue_requests(key.name)
        if as_dependent(old) != as_dependent(new) and self.promises.synced.is_set():
            for required in {entry.name for each in (old, new) if each for entry in each.spec.required_promises}:
                self.queue.add(Key(PROMISE.name, "", required), priority=DEPENDENT)

    def _request_changed(self, key: Key, old: Request | None, new: Request | None) -> None:
        if meant_differs(old, new) or (old and new and old.raw.get("spec") != new.raw.get("spec")):
            api = self.requests.get(key.kind)
            self.queue.add(key, priority=self._priority(api.informer, old) if api else DEPENDENT)
        self._queue_promise_of_unfit(key, old, new)
        if new is None and (api := self.requests.get(key.kind)):
            promise = self.promises.get("", api.promise)
            # A Promise that is deleted, or whose new API cannot take the place of the old, waits for the last one.
            if promise and (promise.metadata.deleting or promise.status.get("status") != "Available"):
                self.queue.add(Key(PROMISE.name, "", api.promise), priority=DEPENDENT)
        if (
            as_component(old) != as_component(new)
            and (api := self.requests.get(key.kind))
            and api.informer.synced.is_set()
        ):
            for parent in {read_parent(each.metadata.labels) for each in (old, new) if each}:
                self._queue_parent(parent)

        self._count_requests(key, old, new)

    def _count_requests(self, key: Key, old: Request | None, new: Request | None) -> None:
        """Queues a Promise, after a while, when another number of its requests fails, or fails of another number."""
        api = self.requests.get(key.kind)
        if api is None or not api.informer.synced.is_set():
            return
        changed = bool(failing(old)) != bool(failing(new))
        if changed or ((old is None or new is None) and api.informer.index_sizes(BY_FAILING)):
            self.queue.add(Key(PROMISE.name, "", api.promise), priority=DEPENDENT, after=_COUNT_DELAY)

    def requests_of(self, promise: str) -> RequestsFacts | None:
        """How the requests of a Promise fare; None while they are being listed."""
        api = self.api_of_promise(promise)
        if api is None or not api.informer.synced.is_set():
            return None
        found = api.informer.by_index(BY_FAILING, FAILING)
        names_ = (f"{each.metadata.namespace}/{each.metadata.name}" for each in found)
        return RequestsFacts(len(api.informer), len(found), tuple(heapq.nsmallest(NAMED, names_)))

    def _queue_promise_of_unfit(self, key: Key, old: Request | None, new: Request | None) -> None:
        api = self.requests.get(key.kind)
        if api is None or (key.namespace, key.name) not in self.unfit.get(api.promise, ()):
            return
        if old is None or new is None or old.metadata.generation != new.metadata.generation:
            self.queue.add(Key(PROMISE.name, "", api.promise), priority=DEPENDENT)

    def _work_changed(self, key: Key, old: Work | None, new: Work | None) -> None:
        if meant_differs(old, new):
            self.queue.add(key, priority=self._dependent(self.works, old))
        work = new or old
        if work and self.works.synced.is_set() and told_differs(old, new):
            self.queue_owner(work)
        if old and new and as_keeper(old) != as_keeper(new):
            for placement in self.placements.by_index(BY_WORK, f"{key.namespace}/{key.name}"):
                self.queue.add(_key(WORK_PLACEMENT, placement.metadata), priority=DEPENDENT)
        if old and new and rewritten(old, new) and not self.works.observing:
            for seen in (old, new):  # whose it is may be what was changed
                self.queue_owner(seen)

    def _placement_changed(self, key: Key, old: WorkPlacement | None, new: WorkPlacement | None) -> None:
        if meant_differs(old, new):
            self.queue.add(key, priority=self._dependent(self.placements, old))
        placement = new or old
        if placement and self.placements.synced.is_set() and told_differs(old, new):
            self.queue_work(placement)
        if old and new and rewritten(old, new) and not self.placements.observing:
            for seen in (old, new):
                self.queue_work(seen)
        if new is None and placement:
            destination = self.destinations.get("", placement.destination)
            if destination and destination.metadata.deleting:
                self.queue.add(Key(DESTINATION.name, "", destination.name), priority=DEPENDENT)

    def queue_work(self, placement: WorkPlacement) -> None:
        """Queues the Work that a placement belongs to, or may belong to."""
        for namespace, name in may_be_works(placement):
            if self.works.get(namespace, name) is not None or placement.sealed_for:
                self.queue.add(Key(WORK.name, namespace, name), priority=DEPENDENT)

    def _destination_changed(self, key: Key, old: Destination | None, new: Destination | None) -> None:
        if meant_differs(old, new):
            self.queue.add(key, priority=self._priority(self.destinations, old))
        if not self.destinations.synced.is_set():
            return
        if as_target(old) != as_target(new) or _store_of(old) != _store_of(new):
            self._queue_works()
        elif may_be_ready(old) != may_be_ready(new):
            self._queue_unwritten()
        if as_place(old) != as_place(new):
            self.queue_placements([key.name])
            for store in {store for each in (old, new) if each for store in self._stores_at_place_of(each)}:
                for other in self.destinations.by_index(BY_STORE, str(store)):
                    if other.name != key.name:  # whoever was refused the same path may have it now
                        self.queue.add(Key(DESTINATION.name, "", other.name), priority=DEPENDENT)

    def _stores_at_place_of(self, destination: Destination) -> set[StoreRef]:
        """The stores that are the same repository or file system as a Destination's, its own among them."""
        own = destination.store
        store = self.get_store(own)
        if store is None:
            return {own}
        place = place_of(store).name
        same = (other for other in self.stores[own.kind].items() if place_of(other).name == place)
        return {own, *(StoreRef(own.kind, other.metadata.name) for other in same)}

    def _queue_unwritten(self) -> None:
        """Queues the Works of which nothing has been written somewhere: there may be a better place now."""
        for placement in self.placements.by_index(BY_UNWRITTEN, BY_UNWRITTEN):
            self.queue_work(placement)

    def _store_changed(self, key: Key, old: StateStore | None, new: StateStore | None) -> None:
        if meant_differs(old, new):
            informer = self.stores[(new or old).kind] if (new or old) else self.promises  # type: ignore[union-attr]
            self.queue.add(key, priority=self._priority(informer, old))
        if old and new and old.spec.get("plainSecrets") != new.spec.get("plainSecrets"):
            self._queue_works()
            ref = StoreRef(new.kind, key.name)
            self.queue_placements(each.name for each in self.destinations.by_index(BY_STORE, str(ref)))

    def _queue_works(self) -> None:
        for work in self.works.items():
            if work.sealed_for:
                self.queue.add(_key(WORK, work.metadata), priority=DEPENDENT)

    def _definition_changed(self, key: Key, old: Definition | None, new: Definition | None) -> None:
        definition = new or old
        if definition is None or not self.definitions.synced.is_set():
            return
        if old and new and _as_installed(old) == _as_installed(new):
            told = [
                (each.metadata.labels, each.metadata.annotations, each.metadata.deleting) for each in (old, new)
            ]
            if told[0] == told[1]:
                return
        self.queue.add(Key(PROMISE.name, "", promise_of(definition.metadata)), priority=DEPENDENT)
        if old is None or new is None or old.metadata.labels != new.metadata.labels:
            for promise in self.promises.items():
                api = promise.spec.api or {}
                if (api.get("metadata") or {}).get("name") == key.name:  # whose it is may have changed
                    self.queue.add(Key(PROMISE.name, "", promise.name), priority=DEPENDENT)

    def queue_destinations(self, store: StoreRef) -> list[str]:
        """Queues the destinations that use a store; answers their names."""
        found = [destination.name for destination in self.destinations.by_index(BY_STORE, str(store))]
        for name in found:
            self.queue.add(Key(DESTINATION.name, "", name), priority=DEPENDENT)
        return found

    def queue_placements(self, destinations: Iterable[str]) -> None:
        """Queues the placements of destinations."""
        for destination in destinations:
            for placement in self.placements.by_index(BY_DESTINATION, destination):
                self.queue.add(_key(WORK_PLACEMENT, placement.metadata), priority=DEPENDENT)

    def _priority(self, informer: Informer[Any], old: object | None) -> int:
        return START if old is None and not informer.synced.is_set() else USER

    def _dependent(self, informer: Informer[Any], old: object | None) -> int:
        return START if old is None and not informer.synced.is_set() else DEPENDENT

    def _informer(
        self,
        resource: Resource,
        decode: Callable[[dict[str, Any]], Any],
        on_change: Callable[[Key, Any, Any], None],
        indexes: dict[str, Callable[[Any], Iterable[str]]],
        label_selector: str = "",
        is_heavy: Callable[[dict[str, Any]], bool] | None = None,
    ) -> Informer[Any]:
        def changed(key: Key, old: Any, new: Any) -> None:
            on_change(key, old, new)
            anothers = old and new and not informer.observing and resource is not CUSTOM_RESOURCE_DEFINITION
            if anothers and old.status != new.status:
                self.queue.add(key, priority=DEPENDENT, after=_STATUS_DELAY)

        informer: Informer[Any] = Informer(
            client=self.client,
            resource=resource,
            decode=decode,
            on_change=changed,
            indexes=indexes if resource is CUSTOM_RESOURCE_DEFINITION else {**indexes, BY_READY: readiness},
            label_selector=label_selector,
            relist_interval=self.relist_interval,
            random=self.random,
            outages=self._outages,
            is_heavy=is_heavy,
            on_unreadable=self.on_unreadable,
        )
        return informer


def _as_installed(definition: Definition) -> object:
    """What a definition is to its Promise; which versions it was stored in decides what the API server accepts."""
    return (definition.spec, definition.established, definition.refusal, definition.stored_versions)


def _store_of(destination: Destination | None) -> object:
    return destination and destination.store


def _key(resource: Resource, meta: ObjectMeta) -> Key:
    return Key(resource.name, meta.namespace, meta.name)
