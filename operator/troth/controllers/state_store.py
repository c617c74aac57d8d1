"""Reconciles state stores of every kind: opens their writers, checks their health, and queues what waits for them.

See kratix-compatibility.md#readiness-of-stores.

A store is checked every few seconds: its Secret (changed credentials open a new writer), whether it can be reached,
and whether somebody else changed what is in it. The first success after a failure queues everything that waits, so
nobody has to do anything when a repository comes back. Secrets are read one by one when they are needed: watching
them would need the right to read all of them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace

import orjson

from troth.api import Key, Resource
from troth.api.objects import SecretReference, StateStore
from troth.api.resources import SECRET
from troth.api.store_kinds import STORE_KINDS, StoreRef
from troth.controllers.complaints import Complaints
from troth.controllers.object_writes import object_reference
from troth.controllers.placement_owners import former_owners
from troth.controllers.platform import Platform
from troth.controllers.result import DONE, After, Result
from troth.controllers.stores import OpenStore, address_of, path_in_store
from troth.controllers.triggers import destinations_of, destinations_on, placements_on
from troth.engine.status.facts import StateStoreFacts
from troth.engine.status.store import secret_not_found, state_store_status
from troth.kube import Forbidden, KubeError, NotFound
from troth.stores import StateStoreWriter, StoreError

logger = logging.getLogger(__name__)

_CLOSING_SECONDS = 20.0
_MOST_COMPLAINTS = 20


class StateStoreReconciler:
    """Owns the writers of the state stores."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._resources = {kind.resource.name: kind.resource for kind in STORE_KINDS.values()}
        self._closing: set[asyncio.Task[None]] = set()
        self._complaints = Complaints(platform.clock)

    async def reconcile(self, key: Key) -> Result:
        """Checks one store (its Secret, whether it can be reached, its content) and writes its status."""
        resource = self._resources[key.kind]
        ref = StoreRef(resource.kind, key.name)
        store = self._platform.caches.get_store(ref)
        if store is None:
            self._close(self._platform.open_stores.remove(ref))
            self._platform.writes.forget_store(ref)
            self._complaints.settle(key)
            self._wake(ref)
            return DONE
        if store.metadata.deleting:
            return await self._leave(key, resource, ref, store)
        before = self._platform.open_stores.get(ref)
        facts, opened, moved = await self._look(store, ref, before)
        self._platform.open_stores.put(ref, opened)
        if before and before.writer is not None and before.writer is not opened.writer:
            self._close(before)
            self._platform.writes.forget_store(ref)
        elif refusal := self._platform.writes.problem(ref):
            facts = facts if facts.reason else replace(facts, reason=str(refusal.reason), message=str(refusal))
        became_ready = not opened.problem and (before is None or before.problem)
        became_unready = opened.problem and (before is None or before.problem != opened.problem)
        replaced = before is not None and before.fingerprint != opened.fingerprint
        if moved or became_ready or became_unready or replaced:
            self._wake(ref)  # before the report, since the next check will not find this change again
        if bool(facts.reason) != (store.status.get("status") == "NotReady"):
            # a store that refuses every write is nevertheless open
            self._platform.trigger(destinations_on(ref, self._platform.caches))
        await self._report(key, resource, store, facts)
        self._pass_on(opened, key, resource, store)
        settings = self._platform.settings
        if opened.problem:
            return After(settings.failing_store_poll_seconds, opened.problem)
        return After(settings.store_poll_seconds, "looking at the store from time to time")

    async def _leave(self, key: Key, resource: Resource, ref: StoreRef, store: StateStore) -> Result:
        """Closes a store that is being deleted and that somebody else's finalizer keeps, and says so in its status."""
        before = self._platform.open_stores.get(ref)
        others = ", ".join(store.metadata.finalizers)
        message = f"Deleting: waiting for other controllers to remove the finalizers {others}"
        if before is None or before.problem != message:
            self._close(before)
            self._platform.writes.forget_store(ref)
            self._complaints.settle(key)
            left = OpenStore(None, path_in_store(store), message, "", address_of(store))
            self._platform.open_stores.put(ref, left)
            self._wake(ref)
        await self._report(key, resource, store, StateStoreFacts(store.metadata.generation, "Deleting", message))
        return DONE

    async def _look(
        self, store: StateStore, ref: StoreRef, before: OpenStore | None
    ) -> tuple[StateStoreFacts, OpenStore, bool]:
        """The store's facts, its writer, and whether somebody else changed its content."""
        path, address = path_in_store(store), address_of(store)
        generation = store.metadata.generation
        try:
            secret = await self._read_secret(store)
        except NotFound:
            missing = store.secret or SecretReference("", "")
            facts = secret_not_found(missing.name, missing.namespace, generation=generation)
            return facts, OpenStore(None, path, facts.message, "", address), False
        except Forbidden as error:
            message = f"{error.message}; allow the operator to read this Secret"
            facts = StateStoreFacts(generation, "SecretNotReadable", message)
            return facts, OpenStore(None, path, message, "", address), False
        except KubeError:
            if before is not None:  # the API server does not answer, which says nothing about the store
                return StateStoreFacts(generation, *_problem_of(before)), before, False
            raise
        fingerprint = _fingerprint(store, secret)
        writer = before.writer if before and before.fingerprint == fingerprint else None
        moved = False
        try:
            if writer is None:
                writer = await self._platform.open_writer(ref.kind, store.metadata.name, store.spec, secret)
                former = await former_owners(self._platform, ref, path=path, address=address)
                await writer.resume(former)
                async with self._platform.slots.lent():
                    await writer.check()
            else:
                async with self._platform.slots.lent():
                    moved = await writer.refresh()
                    if before and before.problem:
                        await writer.check()
        except StoreError as error:
            facts = StateStoreFacts(generation, str(error.reason), str(error), unfit=not error.retryable)
            return facts, OpenStore(writer, path, str(error), fingerprint if writer else "", address), False
        return StateStoreFacts(generation), OpenStore(writer, path, "", fingerprint, address), moved

    async def _read_secret(self, store: StateStore) -> Mapping[str, bytes] | None:
        if store.secret is None:
            return None
        obj = await self._platform.client.get(SECRET, store.secret.name, store.secret.namespace)
        data: dict[str, bytes] = {}
        for name, value in (obj.get("data") or {}).items():
            try:
                data[name] = base64.b64decode(value or "")
            except binascii.Error:
                data[name] = b""
        return data

    async def _report(self, key: Key, resource: Resource, store: StateStore, facts: StateStoreFacts) -> None:
        status = state_store_status(store.status, facts, now=self._platform.now())
        wrote = await self._platform.write_status(
            self._platform.caches.stores[resource.kind], resource, key, store.status, status
        )
        was_ready = store.status.get("status") == "Ready"
        self._log(key, facts, news=wrote and not was_ready)
        if not wrote or (was_ready and not facts.reason):
            return
        self._platform.events.record(
            object_reference(resource, store.metadata),
            type="Warning" if facts.reason else "Normal",
            reason="NotReady" if facts.reason else "Ready",
            message=facts.message or f'{resource.kind} "{key.name}" is ready',
            action="Check",
        )

    def _pass_on(self, opened: OpenStore, key: Key, resource: Resource, store: StateStore) -> None:
        """Records an Event for each record in the store that cannot be read; only its owner has to do without it."""
        if opened.writer is None:
            return
        for complaint in opened.writer.take_complaints()[:_MOST_COMPLAINTS]:
            message = f"{complaint}; it is set aside, and written anew when its owner next writes"
            logger.warning("%s: %s", key, message, extra={"store": key.name})
            self._platform.events.record(
                object_reference(resource, store.metadata),
                type="Warning",
                reason="RecordUnreadable",
                message=message,
                action="Check",
            )

    def _log(self, key: Key, facts: StateStoreFacts, *, news: bool) -> None:
        """Logs one line for an outage and one for its end. What waits for the store does not log anything about it."""
        extra = {"store": key.name}
        if facts.reason:
            line = self._complaints.note(key, f"not ready: {facts.message}")
            if line is not None:
                logger.warning("%s: %s", key, line, extra=extra)
        elif self._complaints.settle(key) or news:
            logger.info("%s: ready", key, extra=extra)

    def _wake(self, ref: StoreRef) -> None:
        caches = self._platform.caches
        self._platform.trigger(destinations_on(ref, caches))
        self._platform.trigger(placements_on(destinations_of(ref, caches), caches))

    def _close(self, store: OpenStore | None) -> None:
        """Closes a writer in a task of its own, so that nothing waits for a push that hangs."""
        if store is None or store.writer is None:
            return
        task = asyncio.create_task(_close_within(store.writer, _CLOSING_SECONDS), name="close store")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Closes every writer at the end of the process."""
        writers = [store.writer for store in self._platform.open_stores.all() if store.writer is not None]
        await asyncio.gather(*self._closing, *(_close_within(writer, _CLOSING_SECONDS) for writer in writers))


async def _close_within(writer: StateStoreWriter, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await writer.close()
    except (TimeoutError, StoreError):
        return  # the next writer is given the claims that this one had not pushed


def _problem_of(store: OpenStore) -> tuple[str, str]:
    return ("StateStoreError", store.problem) if store.problem else ("", "")


def _fingerprint(store: StateStore, secret: Mapping[str, bytes] | None) -> str:
    digest = hashlib.sha256(orjson.dumps(dict(store.spec), option=orjson.OPT_SORT_KEYS))
    digest.update(store.metadata.uid.encode())
    for name, value in sorted((secret or {}).items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(value).digest())
    return digest.hexdigest()
