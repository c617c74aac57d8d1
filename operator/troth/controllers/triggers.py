"""Which keys are queued when something changes. Only this module decides it.

The functions are pure: they take a change and what is known, and return keys. A trigger never decides what is to be
done; a key that is queued once too often does not find anything to do. Changes that the operator wrote itself arrive
here at once, through `Informer.observe`, so the watch is only a safety net for them.

When the operator itself changes only the status of an object, the object is not queued: its reconciler wrote the
status and would not find anything to do. A status that somebody else changed does queue the object, after a moment:
two controllers that want different values in one field must not keep each other busy. What somebody else writes into
a Work or a placement queues its owner, which corrects it. Our own writes are not left out in any other way, since the
answer to a write may contain what somebody else changed a moment before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from troth.api import Key, Resource
from troth.api import labels as names
from troth.api.objects import Destination, ObjectMeta, Promise, Request, StateStore, Work, WorkPlacement
from troth.api.resources import DESTINATION, JOB, PROMISE, WORK, WORK_PLACEMENT
from troth.api.revisions import PromiseRevision, ResourceBinding
from troth.api.store_kinds import StoreRef
from troth.controllers.caches import (
    BY_DESTINATION,
    BY_PROMISE,
    BY_REQUIREMENT,
    BY_STORE,
    BY_UNWRITTEN,
    BY_VERSION,
    BY_WORK,
    Caches,
)
from troth.controllers.differences import (
    as_choice,
    as_component,
    as_dependent,
    as_keeper,
    as_offer,
    as_place,
    as_target,
    as_version,
    asks_otherwise,
    failing,
    meant_differs,
    rewritten,
    told_differs,
)
from troth.controllers.job_views import Job, Pod, owner_key
from troth.controllers.owners import may_be_works, promise_of, version_index
from troth.controllers.request_apis import BY_FAILING
from troth.controllers.stores import place_of
from troth.engine.placement.scheduling import may_be_ready
from troth.engine.promises.definitions import Definition
from troth.engine.rendering.components import Parent, read_parent
from troth.kube import PRIORITY_CHANGE, PRIORITY_DEPENDENT, PRIORITY_RESYNC, WorkQueue

# A status that somebody else wrote is corrected, but not so quickly that two operators keep each other busy.
_STATUS_DELAY: Final = 1.0

# After how many seconds a Promise reports how many of its requests fail: one write for a burst, not one for each.
_COUNT_DELAY: Final = 10.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """A change of an object.

    Attributes:
        key: the key of the object.
        old: its older view; None when it is new.
        new: its newer view; None when it is gone. If both have different uids, it was deleted and created again.
        listed: whether its kind has been listed once. Before that, an object may be new to us and yet be old.
        ours: whether the change is the answer to a write of our own.
    """

    key: Key
    old: T | None
    new: T | None
    listed: bool
    ours: bool = False

    @property
    def views(self) -> list[T]:
        """The views that are not None, the older one first."""
        return [view for view in (self.old, self.new) if view is not None]


class Trigger(NamedTuple):
    """A key that is to be queued, with its priority, and the number of seconds to wait first."""

    key: Key
    priority: int = PRIORITY_DEPENDENT
    after: float = 0.0


def queue_all(queue: WorkQueue, triggers: Iterable[Trigger]) -> None:
    """Queues the keys of some triggers."""
    for trigger in triggers:
        queue.add(trigger.key, priority=trigger.priority, after=trigger.after)


# ---- an object has changed


def promise_changed(change: Change[Promise], caches: Caches) -> Iterator[Trigger]:
    """The Promise itself, its requests, and the Promises that require it or are required by it."""
    old, new = change.old, change.new
    if meant_differs(old, new):
        yield _itself(change, PRIORITY_CHANGE)
    # Requests learn of a new spec by the status that says that the spec is sound.
    if as_offer(old) != as_offer(new):
        for other in caches.promises.by_index(BY_REQUIREMENT, change.key.name):
            yield _promise(other.name)
        if change.listed:
            yield from requests_of(change.key.name, caches)
    if as_dependent(old) != as_dependent(new) and change.listed:
        for required in {entry.name for each in change.views for entry in each.spec.required_promises}:
            yield _promise(required)


def request_changed(change: Change[Request], caches: Caches) -> Iterator[Trigger]:
    """The request itself, its Promise if that counts it or waits for it, and the request that it is a component of."""
    old, new = change.old, change.new
    api = caches.request_apis.get(change.key.kind)
    if meant_differs(old, new) or (old and new and old.raw.get("spec") != new.raw.get("spec")):
        yield _itself(change, PRIORITY_CHANGE) if api else Trigger(change.key)
    if api is None:
        return
    if (change.key.namespace, change.key.name) in caches.unfit.get(api.promise, ()) and (
        old is None or new is None or old.metadata.generation != new.metadata.generation
    ):
        yield _promise(api.promise)
    if new is None:
        promise = caches.promises.get("", api.promise)
        # A Promise that is being deleted, or whose API cannot be replaced yet, waits for its last request to go.
        if promise and (promise.metadata.deleting or not promise.is_available):
            yield _promise(api.promise)
    if not change.listed:
        return
    if as_component(old) != as_component(new):
        for parent in {read_parent(each.metadata.labels) for each in change.views}:
            yield from _parent(parent, caches)
    fails_otherwise = bool(failing(old)) != bool(failing(new))
    counts_otherwise = (old is None or new is None) and api.informer.index_sizes(BY_FAILING)
    if fails_otherwise or counts_otherwise:
        yield Trigger(Key(PROMISE.name, "", api.promise), after=_COUNT_DELAY)


def revision_changed(change: Change[PromiseRevision], caches: Caches) -> Iterator[Trigger]:
    """Its Promise, the requests that stay on its version, and the Promises that require that version."""
    old, new = change.old, change.new
    promises = {each.promise for each in change.views}
    if not change.ours and (change.listed or (new and new.metadata.deleting)):
        for name in promises:  # which puts right what somebody has edited or deleted, and ends a deletion
            yield _promise(name)
    if not change.listed or as_version(old) == as_version(new):
        return
    if change.ours and new is None:
        for name in promises:  # it may come back now, or a Promise that is being deleted may go on
            yield _promise(name)
    for seen in change.views:
        for other in caches.promises.by_index(BY_REQUIREMENT, seen.promise):
            yield _promise(other.name)
        for binding in caches.bindings.by_index(BY_VERSION, version_index(seen.promise, seen.version)):
            yield from _bound_request(binding, caches)


def binding_changed(change: Change[ResourceBinding], caches: Caches) -> Iterator[Trigger]:
    """Its request, and the Promise when a revision that is being deleted may have waited for it."""
    old, new = change.old, change.new
    if not change.listed:
        return
    # The answer to our own write may contain what somebody else asked for a moment before.
    if asks_otherwise(old, new) or (not change.ours and as_choice(old) != as_choice(new)):
        for seen in change.views:
            yield from _bound_request(seen, caches)
    moved = old is not None and (new is None or new.version != old.version)
    if (
        old
        and moved
        and any(each.metadata.deleting for each in caches.revisions.by_index(BY_PROMISE, old.promise))
    ):
        yield _promise(old.promise)


def work_changed(change: Change[Work], caches: Caches) -> Iterator[Trigger]:
    """The Work itself, its owner, and its placements."""
    old, new = change.old, change.new
    if meant_differs(old, new):
        yield _itself(change, PRIORITY_DEPENDENT)
    work = new or old
    if work and change.listed and told_differs(old, new):
        yield from owner_of(work, caches)
    if old and new and as_keeper(old) != as_keeper(new):
        for placement in caches.placements.by_index(BY_WORK, f"{change.key.namespace}/{change.key.name}"):
            yield _object(WORK_PLACEMENT, placement.metadata)
    if rewritten(old, new) and not change.ours:
        for seen in change.views:  # the change may have been a change of its owner
            yield from owner_of(seen, caches)


def placement_changed(change: Change[WorkPlacement], caches: Caches) -> Iterator[Trigger]:
    """The placement itself, its Work, and a Destination that is waiting for it to go."""
    old, new = change.old, change.new
    if meant_differs(old, new):
        yield _itself(change, PRIORITY_DEPENDENT)
    placement = new or old
    if placement and change.listed and told_differs(old, new):
        yield from works_of(placement, caches)
    if rewritten(old, new) and not change.ours:
        for seen in change.views:
            yield from works_of(seen, caches)
    if old and new and new.sealed_for and not old.sealed_for:
        # Without its seal it did not count, and its Work's owner may have reported that. The Work may have nothing new
        # to tell, because it has put the placement right before it looked.
        work = caches.works.get(new.metadata.namespace, new.metadata.labels.get(names.WORK, ""))
        if work is not None:
            yield from owner_of(work, caches)
    if new is None and placement:
        destination = caches.destinations.get("", placement.destination)
        if destination and destination.metadata.deleting:
            yield _destination(destination.name)


def destination_changed(change: Change[Destination], caches: Caches) -> Iterator[Trigger]:
    """The Destination itself, the Works that may be scheduled differently now, its placements, and its neighbours."""
    old, new = change.old, change.new
    if meant_differs(old, new):
        yield _itself(change, PRIORITY_CHANGE)
    if not change.listed:
        return
    if as_target(old) != as_target(new) or _store_of(old) != _store_of(new):
        yield from _sealed_works(caches)
    elif may_be_ready(old) != may_be_ready(new):
        yield from _works_never_written(caches)
    if as_place(old) != as_place(new):
        yield from placements_on([change.key.name], caches)
        for store in {store for each in change.views for store in _stores_at_place_of(each, caches)}:
            for other in caches.destinations.by_index(BY_STORE, str(store)):
                if other.name != change.key.name:  # one that was refused the same path may have it now
                    yield _destination(other.name)


def store_changed(change: Change[StateStore], caches: Caches) -> Iterator[Trigger]:
    """The store itself and, when its policy for Secrets has changed, everything that may be written to it."""
    old, new = change.old, change.new
    if meant_differs(old, new):
        yield _itself(change, PRIORITY_CHANGE)
    if old and new and old.spec.get("plainSecrets") != new.spec.get("plainSecrets"):
        yield from _sealed_works(caches)
        ref = StoreRef(new.kind, change.key.name)
        yield from placements_on(destinations_of(ref, caches), caches)


def definition_changed(change: Change[Definition], caches: Caches) -> Iterator[Trigger]:
    """The Promise that has installed the definition, and those that want it although it belongs to another."""
    old, new = change.old, change.new
    definition = new or old
    if definition is None or not change.listed:
        return
    if old and new and _as_installed(old) == _as_installed(new):
        return
    yield _promise(promise_of(definition.metadata))
    if old is None or new is None or old.metadata.labels != new.metadata.labels:
        for promise in caches.promises.items():
            api = promise.spec.api or {}
            if (api.get("metadata") or {}).get("name") == change.key.name:  # its owner may have changed
                yield _promise(promise.name)


def job_changed(change: Change[Job], caches: Caches) -> Iterator[Trigger]:
    """The object for which the Job runs, when anything has changed that its outcome depends on."""
    old, new = change.old, change.new
    if old and new and (old.state, old.metadata.uid) == (new.state, new.metadata.uid):
        return
    job = new or old
    if job and change.listed and not change.ours:
        yield from _owner_of_job(job, caches)


def pod_changed(change: Change[Pod], caches: Caches) -> Iterator[Trigger]:
    """The object for which the Job of the Pod runs."""
    old, new = change.old, change.new
    pod = new or old
    if pod is None or not change.listed or (old and new and old.state == new.state):
        return
    job = caches.of(JOB, Job).get(change.key.namespace, pod.job)
    if job:
        yield from _owner_of_job(job, caches)


def status_changed_by_others(change: Change[Any]) -> Iterator[Trigger]:
    """The object itself, after a moment, when somebody else has written its status."""
    if change.old and change.new and not change.ours and change.old.status != change.new.status:
        yield Trigger(change.key, after=_STATUS_DELAY)


# ---- an API has come or gone


def requests_listed(
    promise: str, waiting: Iterable[Key], parents: Iterable[Key], caches: Caches
) -> Iterator[Trigger]:
    """What is queued when the requests of a Promise have been listed.

    These are the Promise; the requests that have Works and vanished while the operator was not running; the keys
    ``waiting`` for the list; and the ``parents`` of components of this kind.
    """
    yield _promise(promise)
    for work in caches.works.by_index(BY_PROMISE, promise):
        owner = caches.owner_key(work)
        if owner and owner.kind != PROMISE.name and caches.request_apis.get_request(owner) is None:
            yield Trigger(owner)
    for key in waiting:
        yield Trigger(key, PRIORITY_RESYNC)
    yield from api_ended(parents)


def api_ended(parents: Iterable[Key]) -> Iterator[Trigger]:
    """The parents of components whose API is not followed any more."""
    for parent in parents:
        yield Trigger(parent)


# ---- the objects that belong to another


def requests_of(promise: str, caches: Caches, *, priority: int = PRIORITY_DEPENDENT) -> Iterator[Trigger]:
    """Every request of a Promise."""
    api = caches.request_apis.of_promise(promise)
    if api:
        for request in api.informer.items():
            yield _object(api.resource, request.metadata)._replace(priority=priority)


def owner_of(work: Work, caches: Caches) -> Iterator[Trigger]:
    """The request or the Promise that a Work belongs to, or may belong to."""
    if not work.sealed_for and not caches.is_at_home(work):
        return
    owner = caches.owner_key(work)
    if owner:
        yield Trigger(owner)


def _owner_of_job(job: Job, caches: Caches) -> Iterator[Trigger]:
    key = owner_key(caches, job)
    if key:
        yield Trigger(key, PRIORITY_CHANGE)


def works_of(placement: WorkPlacement, caches: Caches) -> Iterator[Trigger]:
    """The Work that a placement belongs to, or those that it may belong to."""
    for namespace, name in may_be_works(placement):
        if caches.works.get(namespace, name) is not None or placement.sealed_for:
            yield Trigger(Key(WORK.name, namespace, name))


def placements_on(destinations: Iterable[str], caches: Caches) -> Iterator[Trigger]:
    """The placements on some Destinations, which are given by name."""
    for destination in destinations:
        for placement in caches.placements.by_index(BY_DESTINATION, destination):
            yield _object(WORK_PLACEMENT, placement.metadata)


def destinations_on(store: StoreRef, caches: Caches) -> Iterator[Trigger]:
    """The Destinations that use a store."""
    for name in destinations_of(store, caches):
        yield _destination(name)


def destinations_of(store: StoreRef, caches: Caches) -> list[str]:
    """The names of the Destinations that use a store."""
    return [destination.name for destination in caches.destinations.by_index(BY_STORE, str(store))]


def _itself(change: Change[Any], priority: int) -> Trigger:
    """The object that has changed. One that existed when the operator started is not urgent."""
    is_start = change.old is None and not change.listed
    return Trigger(change.key, PRIORITY_RESYNC if is_start else priority)


def _bound_request(binding: ResourceBinding, caches: Caches) -> Iterator[Trigger]:
    api = caches.request_apis.of_promise(binding.promise)
    request = api.informer.get(binding.metadata.namespace, binding.resource) if api else None
    if api and request:
        yield _object(api.resource, request.metadata)._replace(priority=PRIORITY_CHANGE)


def _parent(parent: Parent | None, caches: Caches) -> Iterator[Trigger]:
    api = caches.request_apis.of_promise(parent.promise) if parent else None
    if parent and api:
        yield Trigger(Key(api.resource.name, parent.namespace, parent.name))


def _sealed_works(caches: Caches) -> Iterator[Trigger]:
    for work in caches.works.items():
        if work.sealed_for:
            yield _object(WORK, work.metadata)


def _works_never_written(caches: Caches) -> Iterator[Trigger]:
    """The Works with a placement that has not been written yet: there may be a better Destination for it now."""
    for placement in caches.placements.by_index(BY_UNWRITTEN, BY_UNWRITTEN):
        yield from works_of(placement, caches)


def _stores_at_place_of(destination: Destination, caches: Caches) -> set[StoreRef]:
    """The stores in the same repository or file system as a Destination's store, including that one."""
    own = destination.store
    store = caches.get_store(own)
    if store is None:
        return {own}
    place = place_of(store).name
    same = (other for other in caches.stores[own.kind].items() if place_of(other).name == place)
    return {own, *(StoreRef(own.kind, other.metadata.name) for other in same)}


def _as_installed(definition: Definition) -> object:
    """What matters of a definition to its Promise. The stored versions limit what changes the API server accepts."""
    meta = definition.metadata
    return (
        definition.spec,
        definition.established,
        definition.refusal,
        definition.stored_versions,
        meta.labels,
        meta.annotations,
        meta.deleting,
    )


def _store_of(destination: Destination | None) -> object:
    return destination and destination.store


def _promise(name: str) -> Trigger:
    return Trigger(Key(PROMISE.name, "", name))


def _destination(name: str) -> Trigger:
    return Trigger(Key(DESTINATION.name, "", name))


def _object(resource: Resource, meta: ObjectMeta) -> Trigger:
    return Trigger(Key(resource.name, meta.namespace, meta.name))
