"""The API of a Promise: keeps its CustomResourceDefinition as the Promise has it, and follows its requests.

See kratix-compatibility.md#a-promises-api. A definition is compared with what the API server has before it is written
(docs/architecture.md), and one that people still use is never removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from troth.api import InvalidObject
from troth.api import labels as names
from troth.api.objects import Promise
from troth.api.resources import CUSTOM_RESOURCE_DEFINITION
from troth.controllers.caches import BY_PROMISE
from troth.controllers.object_writes import create_or_patch, delete_object, patch_object
from troth.controllers.platform import Platform
from troth.engine.promises.conversion.installing import with_conversion
from troth.engine.promises.definition_changes import definition_patch, immutable_field, missing_stored_versions
from troth.engine.promises.definitions import Definition, read_definition, request_resource
from troth.engine.promises.offers import Offer
from troth.kube import Forbidden, Invalid, NotFound


class UnfitApi(InvalidObject):
    """The API server refuses the CustomResourceDefinition as the Promise has it."""


class PromiseApi:
    """Keeps the APIs of Promises."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def keep(self, promise: Promise, offer: Offer) -> bool:
        """Creates or updates the CRD and follows its requests. Returns whether the API is served.

        Raises:
            InvalidObject: the API cannot be installed as the Promise has it.
            UnfitApi: it cannot be installed because the API server refuses it.
        """
        await self._leave_others(promise, offer)
        definition = self._with_conversion(promise, offer)
        if definition is None or offer.resource is None:
            await self._platform.caches.request_apis.unfollow(promise.name)
            return True
        name = definition["metadata"]["name"]
        live = self._platform.caches.definitions.get("", name)
        if live is None:
            live = await self._create(promise, definition)
        elif live.metadata.labels.get(names.PROMISE_NAME) != promise.name:
            owner = live.metadata.labels.get(names.PROMISE_NAME)
            raise InvalidObject(
                "spec.api.metadata.name", f"{name} is the API of the Promise {owner}", "choose another name"
            )
        if live.metadata.deleting:
            self._follow_live(promise, live)  # its requests are deleted first, and each of them needs its clean-up
            return False  # when it is gone, its informer queues this Promise, which creates it again
        if field := immutable_field(live, definition):
            await self._remove_unused(promise, live, field)
            return False  # when it is gone, its informer queues this Promise, which creates it again
        patch = definition_patch(live, definition)
        if patch is not None:
            _check_stored_versions(live, definition)
            live = await self._patch(live, patch)
        if live.refusal:
            raise InvalidObject(
                "spec.api.spec.names", live.refusal, "choose names that no other API of this group has"
            )
        if not live.established:
            return False
        informer = self._platform.caches.request_apis.follow(promise.name, offer.resource, live.metadata)
        if not informer.synced.is_set() and isinstance(informer.last_error, Forbidden):
            raise InvalidObject(
                "spec.api",
                f"the operator may not list {offer.resource.name}",
                f"allow it: add {offer.resource.group} to rbac.requestApis.groups of the chart",
            )
        # After a restart the list takes a moment. An available Promise does not become unavailable because of that.
        return informer.synced.is_set() or promise.is_available

    def _with_conversion(self, promise: Promise, offer: Offer) -> Mapping[str, Any] | None:
        declared = (promise.spec.api or {}).get("conversions")
        if offer.definition is None or not declared:
            return offer.definition
        client = self._platform.conversion.client(offer.definition["metadata"]["name"])
        return with_conversion(offer.definition, declared, client)

    async def _create(self, promise: Promise, definition: Mapping[str, Any]) -> Definition:
        name = definition["metadata"]["name"]

        def leave_existing(live: Mapping[str, Any]) -> None:
            owner = (live["metadata"].get("labels") or {}).get(names.PROMISE_NAME)
            if owner != promise.name:
                whose = f"is the API of the Promise {owner}" if owner else "exists, and Troth did not make it"
                raise InvalidObject(
                    "spec.api.metadata.name",
                    f"the CustomResourceDefinition {name} {whose}",
                    "choose another name"
                    + ("" if owner else f", or adopt it: label it {names.PROMISE_NAME}={promise.name}"),
                )

        try:
            answer = await create_or_patch(
                self._platform,
                self._platform.caches.definitions,
                CUSTOM_RESOURCE_DEFINITION,
                definition,
                leave_existing,
            )
        except Invalid as error:
            raise UnfitApi("spec.api", error.message) from None
        return read_definition(answer)

    async def _patch(self, live: Definition, patch: Mapping[str, Any]) -> Definition:
        definitions = self._platform.caches.definitions
        try:
            answer = await patch_object(
                self._platform, definitions, CUSTOM_RESOURCE_DEFINITION, live.metadata, patch
            )
        except Invalid as error:
            raise UnfitApi("spec.api", error.message) from None
        return read_definition(answer) if answer else live

    async def _leave_others(self, promise: Promise, offer: Offer) -> None:
        """Deletes an API that was renamed or taken out if nobody uses it; otherwise the Promise is refused."""
        kept = offer.definition["metadata"]["name"] if offer.definition else ""
        for live in self._platform.caches.definitions.by_index(BY_PROMISE, promise.name):
            name = live.metadata.name
            if name == kept or live.metadata.deleting:
                continue
            requests = await self._count_requests(live)
            if requests:
                raise InvalidObject(
                    "spec.api",
                    f"was {name}, and {requests} of its requests exist",
                    "the API of a Promise cannot be renamed or removed while it is used: "
                    "restore it, or delete the requests first",
                )
            await self._platform.caches.request_apis.unfollow(promise.name, besides=kept)
            await delete_object(
                self._platform, self._platform.caches.definitions, CUSTOM_RESOURCE_DEFINITION, live.metadata
            )

    async def _remove_unused(self, promise: Promise, live: Definition, field: str) -> None:
        """Deletes a definition of which a field has to change that cannot be changed; not while it has requests."""
        requests = await self._count_requests(live)
        if requests:
            raise InvalidObject(
                f"spec.api.{field}",
                f"cannot be changed while the API has requests, and {requests} exist",
                "restore it, or delete the requests first: the definition is then made anew",
            )
        await self._platform.caches.request_apis.unfollow(promise.name)
        await delete_object(
            self._platform, self._platform.caches.definitions, CUSTOM_RESOURCE_DEFINITION, live.metadata
        )

    async def _count_requests(self, live: Definition) -> int:
        # Read from the API server, not from a cache: a wrong zero here would delete people's requests.
        resource = request_resource({"spec": live.spec})
        count = 0
        with contextlib.suppress(NotFound):  # it is not served, so nobody can have made one
            async for page in self._platform.client.list_pages(resource):
                count += len(page.items)
        return count

    def follow_existing(self, promise: Promise) -> None:
        """Follows the requests of the API that is installed, so that they can be deleted while the spec is unsound."""
        for live in self._platform.caches.definitions.by_index(BY_PROMISE, promise.name):
            self._follow_live(promise, live)

    def _follow_live(self, promise: Promise, live: Definition) -> None:
        if live.established:
            resource = request_resource({"spec": live.spec})
            self._platform.caches.request_apis.follow(promise.name, resource, live.metadata)


def _check_stored_versions(live: Definition, desired: Mapping[str, Any]) -> None:
    missing = missing_stored_versions(live, desired)
    if not missing:
        return
    stored = next(version["name"] for version in desired["spec"]["versions"] if version["storage"])
    listed = " and ".join(missing)
    raise InvalidObject(
        "spec.api.spec.versions",
        f"does not have {listed}, in which requests may be stored: status.storedVersions of the "
        f"CustomResourceDefinition {live.metadata.name} names {'it' if len(missing) == 1 else 'them'}",
        f"keep {listed} with served: false until every request has been written again in {stored} and "
        "status.storedVersions no longer names it",
    )
