"""The Kubernetes store: manifests applied to a cluster directly, with an inventory and pruning.

Server-side apply with one field manager does for objects what a commit does for files: the claim says all that
it wants, and what it no longer says goes. What the API server does not do is remembered in inventories
(kubernetes_inventory.py): which objects an owner has, so that those it no longer wants are removed.

Every object carries a label that names its owner's inventory. What exists and is not ours is refused, and whatever
is in a Namespace that was refused with it; the rest of the claim goes on. An object is only ever deleted while it
carries our label, was made by us (kubernetes_standing.py), and is still the one that was looked at (its uid); one that
another owner has taken over is left alone, and one that we have adopted is given back.

An owner that comes from another store of the same cluster brings its objects along: they are applied with the new
label, none is deleted and made again, and then the old record goes. Only the claim can say that it comes from there:
an owner of the same name in an unknown store may be another installation's.

Unlike in Git, a claim can be carried out in part: one object is refused, the others are there. Then all that
can be applied is applied, nothing is removed, and the error names what was refused; the next try starts with
what is missing.

Rejected: kubectl's ApplySets (alpha, and one parent a set of kinds), owner references (they do not cross
namespaces).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from troth.api import NoAnswer, Resource, TrothError
from troth.api import labels as names
from troth.budget import Budget
from troth.stores.content import content_version, load_content
from troth.stores.edits import Wish, read_claim
from troth.stores.errors import Reason, StoreError
from troth.stores.handover import Handover, Spared
from troth.stores.kubernetes_applying import Conflict, Objects, Task
from troth.stores.kubernetes_client import KubernetesClient, explain_refusal
from troth.stores.kubernetes_drift import Drift
from troth.stores.kubernetes_failures import ObjectFailure, conflict, read_failure, refused, told, without_failed
from troth.stores.kubernetes_inventory import Inventories, Inventory
from troth.stores.kubernetes_objects import (
    Entry,
    Manifest,
    ObjectKey,
    Parse,
    is_namespace,
    own_resources,
    placed,
    read_manifests,
    require_unique,
    stage,
)
from troth.stores.kubernetes_observation import Observations
from troth.stores.kubernetes_ownership import ObjectOwnership
from troth.stores.kubernetes_serving import Kind, ServedKinds
from troth.stores.kubernetes_standing import Footing, Recorded
from troth.stores.protocol import Claim, Former, Written

_BIG: Final = 64 * 1024
# A cluster that hangs keeps its room, so each has its own.
_IN_FLIGHT: Final = 48 * 1024 * 1024
_PARSED: Final = 4  # as many bytes as an object has in YAML does it take, about, when it is read
_HELD: Final = "held "


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """How a Kubernetes writer behaves; times are in seconds.

    Attributes:
        establish_timeout: how long kinds that a claim defines may take to be served.
        poll_interval: how often it is looked whether they are.
        load_timeout: for the content of one claim.
        calls: calls to the API server at once, all claims together.
        look_interval: how often at most everything that is ours is listed to find what others have changed; if a
            look takes long, the next one waits twenty times as long.
    """

    establish_timeout: float = 30.0
    poll_interval: float = 0.1
    load_timeout: float = 30.0
    calls: int = 16
    look_interval: float = 30.0


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class KubernetesWriter:
    """The writer of one cluster; see `StateStoreWriter` for what the methods promise.

    Args of the constructor: ``store`` is the store's name; ``namespace`` is where inventories are kept, made if
    missing; ``parse`` reads YAML as Kubernetes does; with ``owns_client`` the client is closed with the writer.
    """

    def __init__(
        self,
        client: KubernetesClient,
        *,
        store: str,
        parse: Parse,
        namespace: str = names.SYSTEM_NAMESPACE,
        owns_client: bool = False,
        settings: KubernetesSettings | None = None,
    ) -> None:
        self._client = client
        self._owns_client = owns_client
        self._parse = parse
        self._settings = settings or KubernetesSettings()
        self._inventories = Inventories(client, store=store, namespace=namespace)
        self._lock = asyncio.Lock()
        self._turns: dict[str, _Turn] = {}
        self._calls = asyncio.Semaphore(self._settings.calls)
        self._ownership = ObjectOwnership()
        self._observations = Observations(client)
        self._objects = Objects(client, self._inventories, self._observations)
        self._served = ServedKinds(
            client, timeout=self._settings.establish_timeout, interval=self._settings.poll_interval
        )
        self._drift = Drift(
            client,
            self._inventories,
            self._observations,
            self._ownership,
            self._served,
            look_interval=self._settings.look_interval,
        )
        self._budget = Budget(_IN_FLIGHT)
        self._closed = False

    async def check(self) -> None:
        """Prove that the cluster answers and that inventories can be read and written."""
        async with self._lock:
            await self._inventories.probe()

    async def write(self, claim: Claim) -> Written:
        """Make the cluster hold the claim's objects; claims of different owners go side by side."""
        wish = read_claim(replace(claim, state_file=None), prefix="")
        async with self._turn(wish.owner):
            if self._closed:
                raise StoreError(Reason.CLOSED, "the writer of the cluster is closed")
            await self._inventories.require()
            digest = content_version(wish.files.items())
            inventory = self._inventories.get(wish.owner)
            if not wish.files:
                inventory = await self._inventories.readable(wish.owner)
                changed = inventory is not None
                await self._remove_all(wish.owner, inventory)
                return Written(digest, changed=changed)
            former = await self._former(wish)
            done = inventory is not None and inventory.digest in (digest, _HELD + digest) and not former
            if inventory is not None and done and await self._drift.holds(wish.owner, inventory):
                if inventory.digest == digest:
                    await self._register(wish, (entry.key for entry in inventory.entries))
                    return Written(digest, changed=False)
                held = await self._carry_out(wish, inventory, digest, former)
                return Written(digest, changed=False, held=held)
            held = await self._carry_out(wish, inventory, digest, former)
            return Written(digest, changed=True, held=held)

    async def refresh(self) -> bool:
        """List what is labelled as ours; True when an object is gone, taken over or changed since it was applied.

        Within ``look_interval`` of the last look it answers False without looking.
        """
        async with self._lock:
            return await self._drift.look(busy=self._turns)

    async def resume(self, former: Sequence[Former]) -> None:
        """See `StateStoreWriter.resume`; the inventories say all that."""

    def take_complaints(self) -> tuple[str, ...]:
        """See `StateStoreWriter.take_complaints`."""
        return self._inventories.take_complaints()

    async def finds_foreign(self, path: str) -> bool:
        """See `StateStoreWriter.finds_foreign`; no file stands on a cluster."""
        del path
        return False

    async def release(self, owner: str) -> None:
        """See `StateStoreWriter.release`."""
        self._ownership.assign(owner, frozenset())

    async def close(self) -> None:
        """See `StateStoreWriter.close`; the objects stay."""
        if self._closed:
            return
        self._closed = True
        if self._owns_client:
            await self._client.close()

    # one claim ---------------------------------------------------------------------------------------------

    async def _carry_out(
        self, wish: Wish, inventory: Inventory | None, digest: str, former: Mapping[str, Inventory]
    ) -> bool:
        """Apply and prune when there is room for it; whether something that is not wanted any more was kept."""
        async with self._budget.hold(_PARSED * wish.claim.size):
            return await self._carry_out_now(wish, inventory, digest, former)

    async def _carry_out_now(
        self, wish: Wish, inventory: Inventory | None, digest: str, former: Mapping[str, Inventory]
    ) -> bool:
        owner = wish.owner
        manifests, resources, awaited, failures = await self._read(wish)
        keys = [*(manifest.key for manifest in manifests), *(failure.key for failure in failures)]
        handover = await self._register(wish, keys)
        old = inventory.entries if inventory else frozenset()
        new = frozenset(manifest.entry for manifest in manifests)
        of = len(new) + len(failures)
        recorded: dict[ObjectKey, Recorded] = {}
        for record in (*former.values(), *((inventory,) if inventory else ())):
            recorded.update(record.recorded())
        task = Task(wish, resources, recorded, frozenset((self._inventories.name(owner), *former)))
        try:
            failures += await self._wait_for_namespaces(task, manifests, handover)
            footings, strange = await self._look_at_all(task, without_failed(manifests, failures))
        except TrothError as error:
            raise told(error, doing=f"looking at the objects of {owner}") from error
        failures += strange
        old = old.union(*(each.entries for each in former.values()))
        manifests = without_failed(manifests, failures)
        applied = frozenset(manifest.entry for manifest in manifests)
        adopted = {entry for entry in old if (known := recorded.get(entry.key)) and known.adopted}
        adopted |= {entry for entry in applied if footings[entry.key].adopted}
        before = inventory.stamps if inventory else {}
        await self._inventories.put(Inventory(owner, old | applied, "", before, frozenset(adopted)))
        for number in range(3):
            manifests = without_failed(manifests, failures)
            part = [manifest for manifest in manifests if stage(manifest.entry) == number]
            failures += await self._each(part, lambda item: self._objects.apply(task, item, footings[item.key]))
            if number == 0 and (part or awaited):
                failures += await self._served.wait(without_failed(part, failures))
                failures += await self._served.mismatched(without_failed(manifests, failures), resources, awaited)
        if failures:
            # whoever is let to have what this owner may not have must be able to claim it
            self._ownership.take_away(owner, (failure.key for failure in failures if failure.foreign))
            raise refused(owner, failures, of=of)
        # by key: the same object written in another version is not another object
        wanted = {entry.key for entry in new}
        leaving = [entry for entry in old if entry.key not in wanted]
        if leaving and handover is None:
            handover = await _ask(wish)
        spared = handover.spared if handover else Spared()
        kept = frozenset(entry for entry in leaving if spared.holds(entry.key))
        await self._prune(owner, [entry for entry in leaving if entry not in kept], recorded, former)
        seen = {each.entry: self._observations.last(resources[each.key], each.entry) for each in manifests}
        stamps = {entry: there.stamp for entry, there in seen.items() if there is not None}
        stamps.update({entry: stamp for entry, stamp in before.items() if entry in kept})
        adopted = {entry for entry, there in seen.items() if there and there.adopted} | (adopted & kept)
        digest = (_HELD if kept else "") + digest
        await self._inventories.put(Inventory(owner, new | kept, digest, stamps, frozenset(adopted)))
        for name in former:
            await self._inventories.remove(name)
        self._drift.settled(owner)
        return bool(kept)

    async def _former(self, wish: Wish) -> dict[str, Inventory]:
        """The records of the same owner in other stores, as far as they are on this cluster."""
        found = {}
        for store in wish.claim.former_stores:
            name = self._inventories.name(wish.owner, store=store)
            try:
                record = await self._inventories.owner_of(name)
            except TrothError as error:
                raise told(error, doing="reading an inventory") from error
            if record is not None and record.owner == wish.owner:
                found[name] = record
        return found

    async def _read(
        self, wish: Wish
    ) -> tuple[list[Manifest], dict[ObjectKey, Resource], frozenset[Kind], list[ObjectFailure]]:
        """The objects where they will be, their resources, and those whose kind is not served.

        The kinds beside them are those that are not served yet, but that a definition in the claim wants to be.
        """
        content = await load_content(wish.claim, timeout=self._settings.load_timeout)
        if sum(map(len, content.values())) > _BIG:
            manifests = await asyncio.to_thread(read_manifests, content, self._parse)
        else:
            manifests = read_manifests(content, self._parse)
        require_unique(manifests)
        defined = own_resources(manifests)
        found: list[Manifest] = []
        resources: dict[ObjectKey, Resource] = {}
        failures = []
        served: dict[Kind, Resource | None] = {}
        for manifest in manifests:
            entry = manifest.entry
            kind = (entry.api_version, entry.kind)
            if kind not in served:
                served[kind] = await self._served.find(entry)
                if kind in defined and served[kind] not in (None, defined[kind]):
                    served[kind] = await self._served.find(entry, refresh=True)  # it may have been defined anew
            resource = served[kind] or defined.get(kind)
            if resource is None:
                problem = f"the cluster does not serve {entry.kind} of {entry.api_version}"
                failures.append(ObjectFailure(manifest.key, problem, missing_kind=True))
                continue
            manifest = placed(manifest, resource)
            if self._inventories.keeps(manifest.key):
                problem = "Troth keeps its inventories under such names; choose another name"
                failures.append(ObjectFailure(manifest.key, problem))
                continue
            found.append(manifest)
            resources[manifest.key] = resource
        require_unique(found)
        awaited = frozenset(kind for kind in defined if kind in served and served[kind] is None)
        return found, resources, awaited, failures

    async def _look_at_all(
        self, task: Task, manifests: Sequence[Manifest]
    ) -> tuple[dict[ObjectKey, Footing], list[ObjectFailure]]:
        """On what each object may be applied, and those that may not be; raises StoreError for another owner's."""
        footings: dict[ObjectKey, Footing] = {}
        conflicts: list[Conflict] = []

        async def look(manifest: Manifest) -> None:
            key = manifest.key
            try:
                if key in task.recorded:
                    listed = await self._observations.of(task.resources[key])
                    there = listed.get((key.namespace, key.name))
                    if there and there.inventory in task.names and (found := task.judge(key, there)):
                        footings[key] = found
                        return
                footings[key] = await self._objects.look_at(task, manifest)
            except Conflict as error:
                conflicts.append(error)

        failures = await self._each(manifests, look)
        if not conflicts:
            return footings, failures
        yielding = self._yielding(await _ask(task.wish))
        kept = [each for each in conflicts if not _yields(yielding.get(each.holder), each.key)]
        # they were registered as free: whoever has them on record must still be able to claim them
        self._ownership.take_away(task.owner, (each.key for each in kept))
        for each in kept:
            raise conflict(each.key, each.first, task.owner)
        footings.update({each.key: each.footing for each in conflicts})
        return footings, failures

    async def _wait_for_namespaces(
        self, task: Task, manifests: Sequence[Manifest], handover: Handover | None
    ) -> list[ObjectFailure]:
        """The objects in a Namespace that another claim of the same request or Promise wants here, and has not made.

        Nothing may be written into it before it is known whose it is.
        """
        own = {each.key.name for each in manifests if is_namespace(each.key)}
        new = [
            each for each in manifests if each.key not in task.recorded and each.key.namespace not in {"", *own}
        ]
        if not new or task.wish.claim.handover is None:
            return []
        handover = handover or await _ask(task.wish)
        siblings = [each for each in handover.yielding if self._inventories.is_here(each.store)]
        labels = {self._inventories.name(each.owner) for each in siblings}
        strange = set()
        for namespace in {each.key.namespace for each in new}:
            key = ObjectKey("", "Namespace", "", namespace)
            if any(key in each.wants.keys for each in siblings) and not await self._objects.is_made(key, labels):
                strange.add(namespace)
        return [
            ObjectFailure(each.key, f"its Namespace {each.key.namespace} was not made by Troth yet", follows=True)
            for each in new
            if each.key.namespace in strange
        ]

    def _yielding(self, handover: Handover) -> dict[str, Spared]:
        """What those who may hand objects over still want, by the name of their inventory."""
        return {self._inventories.name(other.owner, store=other.store): other.wants for other in handover.yielding}

    async def _each(
        self, manifests: Sequence[Manifest], act: Callable[[Manifest], Awaitable[None]]
    ) -> list[ObjectFailure]:
        """Act on all of them side by side; what fails is returned, except for the cluster being out of reach."""

        async def one(manifest: Manifest) -> ObjectFailure | None:
            async with self._calls:
                try:
                    await act(manifest)
                except TrothError as error:
                    if isinstance(error, NoAnswer):
                        raise explain_refusal(error, doing="applying") from error
                    return read_failure(manifest.key, error)
                return None

        results = await _all(one(manifest) for manifest in manifests)
        return [failure for failure in results if failure is not None]

    # removal -----------------------------------------------------------------------------------------------

    async def _remove_all(self, owner: str, inventory: Inventory | None) -> None:
        if inventory is not None:
            await self._prune(owner, inventory.entries, inventory.recorded())
            await self._inventories.remove(self._inventories.name(owner))
        self._ownership.assign(owner, frozenset())
        self._drift.settled(owner)

    async def _prune(
        self,
        owner: str,
        entries: Iterable[Entry],
        recorded: Mapping[ObjectKey, Recorded],
        former: Iterable[str] = (),
    ) -> None:
        """Remove what is still the owner's, the last applied kinds first; raises StoreError for what it cannot."""
        labels = {self._inventories.name(owner), *former}
        waiting = list(entries)
        failures: list[ObjectFailure] = []
        for number in (2, 1, 0):
            part = [Manifest(entry, {}, "") for entry in waiting if stage(entry) == number]
            failures += await self._each(part, lambda item: self._remove(item.entry, owner, recorded, labels))
        if failures:
            raise refused(owner, failures, of=len(waiting), doing="removed")

    async def _remove(
        self, entry: Entry, owner: str, recorded: Mapping[ObjectKey, Recorded], labels: Collection[str]
    ) -> None:
        if self._ownership.is_foreign(owner, entry.key):
            self._objects.give_up(entry.key, self._inventories.name(owner))
            return
        await self._objects.remove(entry, recorded.get(entry.key), labels)

    async def _register(self, wish: Wish, keys: Iterable[ObjectKey]) -> Handover | None:
        """Give the objects to the owner; raises StoreError (PathConflict, names both), then nothing changes.

        Answers what changes hands, if that had to be asked.
        """
        wanted = frozenset(keys)
        handover = None
        if wish.claim.succeeds or any(self._ownership.is_foreign(wish.owner, key) for key in wanted):
            handover = await _ask(wish)
            yielding = self._yielding(handover)
            self._ownership.free_for(
                wish.owner,
                wanted,
                yields=lambda other, key: _yields(yielding.get(self._inventories.name(other)), key),
            )
        self._ownership.assign(wish.owner, wanted)
        return handover

    @contextlib.asynccontextmanager
    async def _turn(self, owner: str) -> AsyncIterator[None]:
        """One claim of an owner after the other, and no lock left when nobody waits for it."""
        turn = self._turns.setdefault(owner, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[owner]


async def _ask(wish: Wish) -> Handover:
    return await wish.claim.handover() if wish.claim.handover else Handover()


def _yields(wants: Spared | None, key: ObjectKey) -> bool:
    return wants is not None and not wants.holds(key)


async def _all(calls: Iterable[Awaitable[ObjectFailure | None]]) -> list[ObjectFailure | None]:
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
