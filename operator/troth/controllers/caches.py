"""What the operator knows of the cluster. Reconcilers read it here when they decide something; nothing is written here.

There is one cache for each kind that is followed. `troth.controllers.kinds` says which kinds these are,
`troth.controllers.informers` keeps the caches, and `troth.controllers.triggers` says which keys are queued when
something in them changes. They are apart as in kro's dynamic controller (pkg/dynamiccontroller: watch manager,
coordinator and controller), so that neither reading nor the triggers need a queue, a task or an API server.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from troth.api import Key, Resource
from troth.api import labels as names
from troth.api.objects import Destination, Promise, Request, StateStore, Work, WorkPlacement
from troth.api.resources import (
    CUSTOM_RESOURCE_DEFINITION,
    DESTINATION,
    PROMISE,
    PROMISE_REVISION,
    RESOURCE_BINDING,
    WORK,
    WORK_PLACEMENT,
)
from troth.api.revisions import PromiseRevision, ResourceBinding
from troth.api.store_kinds import STORE_KINDS, StoreRef
from troth.controllers.owners import promise_of
from troth.controllers.request_apis import RequestApis
from troth.engine.placement.seals import Seals
from troth.engine.placement.work import ContentDigests
from troth.engine.promises.definitions import Definition
from troth.kube import Informer
from troth.kube.informer import HasMetadata

BY_OWNER: Final = "owner"
BY_PROMISE: Final = "promise"
BY_WORK: Final = "work"
BY_DESTINATION: Final = "destination"
BY_UNWRITTEN: Final = "unwritten"
BY_REQUIREMENT: Final = "requirement"
BY_STORE: Final = "store"
BY_CLAIM: Final = "claim"
BY_JOB: Final = "job"
BY_VERSION: Final = "version"

T = TypeVar("T", bound=HasMetadata)


@dataclass(slots=True)
class Caches:
    """The objects of every followed kind.

    Attributes:
        seals: recognises what the operator wrote itself.
        system_namespace: the namespace with the Works of Promises.
        request_apis: the APIs of Promises with their requests.
        informers: the informers of the kinds that are followed from start to end, by `Resource.name`.
        digests: what is known of file contents. A Work and its placements carry the same contents, which are unpacked
            once.
        unfit: by the name of a Promise, the requests (namespace, name) that do not fit its API. The Promise is queued
            when one of them changes or is deleted.
    """

    seals: Seals
    system_namespace: str
    request_apis: RequestApis
    informers: dict[str, Informer[Any]] = field(default_factory=dict)
    digests: ContentDigests = field(default_factory=ContentDigests)
    unfit: dict[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

    def of(self, resource: Resource, view: type[T]) -> Informer[T]:  # noqa: ARG002 - it is the type of the answer
        """The informer of a kind, whose objects are the views that its row in `troth.controllers.kinds` makes.

        Raises:
            KeyError: the kind does not have a row.
        """
        return cast("Informer[T]", self.informers[resource.name])

    def informer_of(self, key: Key) -> Informer[Promise] | Informer[Request] | None:
        """The informer of a Promise or a request; None while the API of the request is not followed."""
        if key.kind == PROMISE.name:
            return self.promises
        api = self.request_apis.get(key.kind)
        return api.informer if api else None

    @property
    def promises(self) -> Informer[Promise]:
        """The Promises."""
        return self.of(PROMISE, Promise)

    @property
    def revisions(self) -> Informer[PromiseRevision]:
        """The PromiseRevisions."""
        return self.of(PROMISE_REVISION, PromiseRevision)

    @property
    def bindings(self) -> Informer[ResourceBinding]:
        """The ResourceBindings."""
        return self.of(RESOURCE_BINDING, ResourceBinding)

    @property
    def destinations(self) -> Informer[Destination]:
        """The Destinations."""
        return self.of(DESTINATION, Destination)

    @property
    def works(self) -> Informer[Work]:
        """The Works."""
        return self.of(WORK, Work)

    @property
    def placements(self) -> Informer[WorkPlacement]:
        """The WorkPlacements."""
        return self.of(WORK_PLACEMENT, WorkPlacement)

    @property
    def definitions(self) -> Informer[Definition]:
        """The CustomResourceDefinitions of Promises."""
        return self.of(CUSTOM_RESOURCE_DEFINITION, Definition)

    @property
    def stores(self) -> dict[str, Informer[StateStore]]:
        """The state stores, by the kind of store."""
        return {kind.kind: self.of(kind.resource, StateStore) for kind in STORE_KINDS.values()}

    def reread(self, promise: Promise) -> Promise:
        """The Promise as it is known now, for example after a write. This same value when the Promise is gone."""
        return self.promises.get("", promise.name) or promise

    async def learn_work(self, obj: dict[str, Any]) -> None:
        """Puts a Work that was read from the API server into its cache.

        What takes time is the unpacking of its contents. It is done in a thread, and remembered (`ContentDigests`).
        """
        await asyncio.to_thread(self.seals.read_work, obj, self.digests)
        self.works.observe(obj)

    def get_store(self, ref: StoreRef) -> StateStore | None:
        """The state store that a reference names, of whatever kind it is; None when it is not known."""
        kind = STORE_KINDS.get(ref.kind)
        return self.of(kind.resource, StateStore).get("", ref.name) if kind else None

    def definition_of_kind(self, group: str, kind: str) -> Definition | None:
        """The definition of this group and kind that a Promise has installed, whether it is followed or not."""
        return next(
            (
                found
                for found in self.definitions.items()
                if found.spec.get("group") == group and (found.spec.get("names") or {}).get("kind") == kind
            ),
            None,
        )

    # ---- the owner of a Work

    def owner_key(self, work: Work) -> Key | None:
        """The key of a Work's owner; None while the API of its Promise is not followed."""
        if work.type != names.WORK_TYPE_RESOURCE:
            return Key(PROMISE.name, "", promise_of(work.metadata) or work.promise_name)
        api = self.request_apis.of_promise(promise_of(work.metadata) or work.promise_name)
        if api is None:
            return None
        meta = work.metadata
        namespace = meta.labels.get(names.RESOURCE_NAMESPACE) or meta.namespace
        return Key(api.resource.name, namespace, meta.labels.get(names.RESOURCE_NAME) or work.resource_name)

    def uid_of_owner(self, work: Work, *, waiting: Key) -> str | None:
        """The uid of the owner that a Work's labels name; empty when that owner does not exist.

        None while this is not known. The key ``waiting`` is queued as soon as it is.
        """
        name = promise_of(work.metadata) or work.promise_name
        promise = self.promises.get("", name)
        if promise is None or work.type != names.WORK_TYPE_RESOURCE:
            return promise.metadata.uid if promise else ""
        api = self.request_apis.of_promise(name)
        owner = self.owner_key(work)
        request = self.request_apis.get_request(owner) if owner else None
        if request is not None:
            return request.metadata.uid
        if api is not None and api.informer.synced.is_set():
            return ""
        self.request_apis.await_listing(name, waiting)
        return None

    def is_at_home(self, work: Work) -> bool:
        """Whether a Work is in a namespace in which the owner that it names may have Works."""
        promise = self.promises.get("", promise_of(work.metadata) or work.promise_name)
        homes = {self.system_namespace, promise.spec.pipeline_namespace if promise else ""}
        if work.type == names.WORK_TYPE_RESOURCE:
            homes.add(work.metadata.labels.get(names.RESOURCE_NAMESPACE) or work.metadata.namespace)
        return work.metadata.namespace in homes
