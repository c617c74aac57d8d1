"""A local copy of all objects of one kind, kept by a list and a watch that never give up.

The copy holds what ``decode`` makes of an object and nothing else. Its owner is told of each change as a key with the
old and the new view, and decides from state: the next list makes up for an event that was missed, deletions included.

Three things write into the copy: the watch, a list, and the answers to our own reads and writes (`observe`). They
arrive in any order. One rule keeps the copy right, the newer resourceVersion wins, together with a short memory of the
uids that are gone, so that a late answer cannot bring back what was deleted. Versions are compared as integers: since
1.35 Kubernetes promises that they can be.

When a kind is not served (404), not yet ready (429 "storage is (re)initializing") or not allowed (403), the informer
waits and tries again: by measurement, a new CustomResourceDefinition takes two seconds to be served. An owner that
knows that a kind is gone for good cancels `run` and calls `clear`. For a kind that is indispensable, ``refusal_limit``
says for how long the informer waits.

Rejected: a watch without the periodic list (a bug in it would never heal); listing again after every lost
connection (ten thousand objects for one restart of a load balancer: a watch may go on where it was).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Generic, Protocol, TypeVar

from troth.api import InvalidObject, Key, Resource
from troth.api.objects import ObjectMeta
from troth.kube.client import Listing
from troth.kube.errors import ApiError, Forbidden, Gone, KubeError, NotFound, Unintelligible
from troth.kube.outage import Outage, Outages
from troth.kube.watch import BOOKMARK, DELETED, WatchEvent, is_versioned

logger = logging.getLogger(__name__)

RELIST_INTERVAL: Final = 20 * 60.0
_JITTER = 0.2
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 30.0
_DELAY_FACTOR = 1.5
_SHORT_WATCH = 5.0
_SLICE = 0.002
_TOMBSTONES = 4096
_LONGEST_VERSION = 40


class HasMetadata(Protocol):
    """A view of an object."""

    @property
    def metadata(self) -> ObjectMeta:
        """Its metadata, with uid and resourceVersion."""


class Source(Protocol):
    """What an informer needs of a client."""

    def list_pages(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        limit: int = 500,
        retry: bool = True,
    ) -> AsyncGenerator[Listing, None]:
        """All objects, page by page."""

    def watch(
        self, resource: Resource, *, resource_version: str, namespace: str = "", label_selector: str = ""
    ) -> AsyncGenerator[WatchEvent, None]:
        """The changes since a version."""


T = TypeVar("T", bound=HasMetadata)


@dataclass(slots=True)
class Counters:
    """What an informer has done since it began, for metrics."""

    lists: int = 0
    watches: int = 0
    events: int = 0
    failures: int = 0
    missed_deletions: int = 0

    @property
    def watch_restarts(self) -> int:
        """How often a watch had to be opened again."""
        return max(0, self.watches - 1)


class Informer(Generic[T]):
    """The objects of one kind."""

    def __init__(
        self,
        *,
        client: Source,
        resource: Resource,
        decode: Callable[[dict[str, Any]], T],
        on_change: Callable[[Key, T | None, T | None], None],
        indexes: Mapping[str, Callable[[T], Iterable[str]]] | None = None,
        label_selector: str = "",
        relist_interval: float = RELIST_INTERVAL,
        random: Random | None = None,
        outages: Outages | None = None,
        is_heavy: Callable[[dict[str, Any]], bool] | None = None,
        on_unreadable: Callable[[dict[str, Any], InvalidObject], None] | None = None,
        refusal_limit: float | None = None,
    ) -> None:
        """Begins empty; `run` fills it.

        Args:
            client: lists and watches the objects.
            resource: the kind.
            decode: makes the view that is kept. When it fails for an object, the older view of that object stays.
            on_change: is called for each change with the key, the older view (None for a new object) and the newer one
                (None for an object that is gone). Two views with different uids mean that the object was deleted and
                created again. It must not block.
            indexes: for each index, the values under which a view is found by `by_index`.
            label_selector: which objects; all when empty.
            relist_interval: seconds between the lists that make up for anything missed, ±20 %.
            random: gives the jitter.
            outages: the outages of all kinds of the same server, so that a shared cause is reported once.
            is_heavy: whether ``decode`` takes so long for an object that it has to run in a thread first. In that case
                ``decode`` must remember its result, and it must be safe to call in a thread.
            on_unreadable: is called once for each version of an object that ``decode`` refuses with InvalidObject. It
                must not block.
            refusal_limit: for how many seconds the server may answer that the kind is forbidden or unknown before `run`
                gives up; None for ever.
        """
        self.resource = resource
        self.synced = asyncio.Event()
        self.counters = Counters()
        self.last_error: KubeError | None = None
        self.outage = Outage(resource.name, self._now, outages)
        self.observing = False
        self._client = client
        self._decode = decode
        self._is_heavy = is_heavy
        self._on_change = on_change
        self._index_functions = dict(indexes or {})
        self._label_selector = label_selector
        self._relist_interval = relist_interval
        self._random = random or Random()  # noqa: S311 - spreads delays, guards nothing
        self._on_unreadable = on_unreadable
        self._refusal_limit = refusal_limit
        self._set_aside: dict[Key, int] = {}
        self._store: dict[Key, T] = {}
        self._indexes: dict[str, dict[str, dict[Key, None]]] = {name: {} for name in self._index_functions}
        self._tombstones: dict[str, int] = {}
        self._newest = 0
        self._version = ""
        self._relist_due = 0.0
        self._poked = asyncio.Event()
        self._sliced = 0.0
        self._reread = False

    def get(self, namespace: str, name: str) -> T | None:
        """Returns the view of the object, or None if the copy does not have it."""
        return self._store.get(Key(self.resource.name, namespace, name))

    def items(self) -> list[T]:
        """Returns the views of all objects in a new list, oldest entry first."""
        return list(self._store.values())

    def keys(self) -> list[Key]:
        """Returns the keys of all objects."""
        return list(self._store)

    def __len__(self) -> int:
        return len(self._store)

    def by_index(self, index: str, value: str) -> list[T]:
        """Returns the objects under a value of an index, oldest entry first. Raises KeyError for an unknown index."""
        return [self._store[key] for key in self._indexes[index].get(value, ())]

    def index_sizes(self, index: str) -> dict[str, int]:
        """Returns how many objects an index has under each value. Raises KeyError if the index is unknown."""
        return {value: len(keys) for value, keys in self._indexes[index].items()}

    async def wait_synced(self, timeout: float) -> bool:
        """Waits until the first list is complete. Returns False if it was not within ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self.synced.wait()
        except TimeoutError:
            return False
        return True

    def poke(self) -> None:
        """Ends a back-off, because the kind is probably served now."""
        self._poked.set()

    def observe(self, obj: dict[str, Any]) -> None:
        """Takes in the answer to our own read or write, unless something newer is known.

        An answer that shows an object which is being deleted and has no finalizers left means that it is gone.
        ``observing`` is True while ``on_change`` is called for such an answer.
        """
        if not is_versioned(obj):
            return  # the watch will report it
        metadata = obj["metadata"]
        self.observing = True
        try:
            if (
                "deletionTimestamp" in metadata
                and not metadata.get("finalizers")
                and not metadata.get("deletionGracePeriodSeconds")
            ):
                self._gone(self._key(metadata), metadata.get("uid", ""), _number(metadata["resourceVersion"]))
            else:
                self._present(obj)
        finally:
            self.observing = False

    def reread(self) -> None:
        """Makes the next list take in every object again, even at a known version. Not to be called during `run`.

        A new schema changes how the server returns an object (defaults, pruned fields) but not the object's version.
        Until that list, the informer counts as not synced; the copy stays as it is.
        """
        self.synced.clear()
        self._version = ""
        self._reread = True

    def forget(self, key: Key, *, uid: str = "") -> None:
        """Drops an object that we have deleted, without waiting for the watch; with a uid, only if it has that uid."""
        old = self._store.get(key)
        if old is not None and uid in {"", old.metadata.uid}:
            self._gone(key, old.metadata.uid, _number(old.metadata.resource_version))

    def clear(self) -> None:
        """Reports all objects as gone, because the kind no longer exists. Call it when `run` has ended."""
        self.synced.clear()
        for key in self.keys():
            self._set(key, None)
        self._tombstones.clear()
        self._set_aside.clear()
        self._version = ""
        self._newest = 0

    async def run(self) -> None:
        """Keeps the copy up to date until it is cancelled. Only a refusal beyond the limit ends it earlier.

        Raises:
            LastingRefusal: the server has refused the kind for ``refusal_limit`` seconds.
        """
        failures = 0
        while True:
            watching: float | None = None
            at_least = 0.0
            events = self.counters.events
            try:
                if not self._version or self._now() >= self._relist_due:
                    await self._relist()
                watching = self._now()
                if await self._watch() or self._now() - watching > _SHORT_WATCH:
                    self.outage.over()
                    failures = 0
                    continue
                # Otherwise a watch that ends as soon as it began would be opened again in a tight loop.
            except KubeError as error:
                self.counters.failures += 1
                self.last_error = error
                logger.debug("watching %s: %s", self.resource.name, error)
                if not isinstance(error, Gone):  # after Gone, a list makes up for what was missed
                    self.outage.failed(error)
                if isinstance(error, Forbidden | NotFound) and self._patience() <= 0:
                    raise self.outage.lasting_refusal(error) from error
                at_least = (error.retry_after or 0.0) if isinstance(error, ApiError) else 0.0
                if isinstance(error, ApiError | Unintelligible):
                    self._version = ""  # after a lost connection the watch goes on where it was
            except Exception:
                logger.exception("watching %s: unexpected", self.resource.name)
                self.counters.failures += 1
                self._version = ""
            # Only a watch that worked resets the failures. Otherwise an informer that may list and not watch would
            # list in a tight loop.
            lasted = 0.0 if watching is None else self._now() - watching
            worked = self.counters.events > events or lasted > _SHORT_WATCH
            failures = 1 if worked else failures + 1
            await self._back_off(failures, at_least)

    async def _relist(self) -> None:
        """Takes in a list. Objects that are not in it are gone, unless they are newer than the list."""
        before = self._newest
        reread = self._reread
        seen: set[Key] = set()
        version = ""
        rolled_back = False
        self._sliced = self._now()
        pages = self._client.list_pages(self.resource, label_selector=self._label_selector, retry=False)
        async with aclosing(pages):
            async for page in pages:
                if not version:
                    version = page.resource_version
                    # A list shows everything that was written before it. If its version is older than one that was
                    # seen before, the server was restored from a backup, and a higher version no longer means a newer
                    # object.
                    rolled_back = _number(version) < before
                    if rolled_back:
                        self._tombstones.clear()
                for obj in page.items:
                    if not is_versioned(obj):
                        logger.warning(
                            "the list of %s has an item without a name or a version", self.resource.name
                        )
                        continue
                    seen.add(self._key(obj["metadata"]))
                    await self._prepare(obj)
                    self._present(obj, force=rolled_back, reread=reread)
                    await self._breathe()
        listed = _number(version)
        self._set_aside = {key: version for key, version in self._set_aside.items() if key in seen}
        for key in [key for key in self._store if key not in seen]:
            old = self._store.get(key)
            if old is not None and (rolled_back or _number(old.metadata.resource_version) <= listed):
                self.counters.missed_deletions += 1
                self._gone(key, old.metadata.uid, listed)
                await self._breathe()
        self._newest = listed if rolled_back else max(self._newest, listed)
        self._version = version
        self._reread = False
        self._relist_due = self._now() + self._relist_interval * self._random.uniform(1 - _JITTER, 1 + _JITTER)
        self.counters.lists += 1
        self.last_error = None
        self.synced.set()

    async def _watch(self) -> bool:
        """Takes in a watch until the server ends it (False) or the next list is due (True)."""
        self.counters.watches += 1
        events = self._client.watch(
            self.resource, resource_version=self._version, label_selector=self._label_selector
        )
        works = asyncio.get_running_loop().call_later(_SHORT_WATCH, self.outage.over)
        try:
            async with asyncio.timeout_at(self._relist_due), aclosing(events):
                self._sliced = self._now()
                async for event in events:
                    await self._prepare(event.object)
                    self._take(event)
                    await self._breathe()
        except TimeoutError:
            self._version = ""
            return True
        finally:
            works.cancel()
        return False

    async def _prepare(self, obj: dict[str, Any]) -> None:
        if self._is_heavy is not None and self._is_heavy(obj):
            with suppress(Exception):  # it is decoded again, and the error is reported then
                await asyncio.to_thread(self._decode, obj)

    def _take(self, event: WatchEvent) -> None:
        self.counters.events += 1
        self.last_error = None
        self.outage.over()
        metadata = event.object["metadata"]
        version = metadata["resourceVersion"]
        if event.type == DELETED:
            self._gone(self._key(metadata), metadata.get("uid", ""), _number(version))
        elif event.type != BOOKMARK:
            self._present(event.object)
        self._version = version
        self._newest = max(self._newest, _number(version))

    def _present(self, obj: dict[str, Any], *, force: bool = False, reread: bool = False) -> None:
        metadata = obj["metadata"]
        key = self._key(metadata)
        version = _number(metadata["resourceVersion"])
        old = self._store.get(key)
        if old is not None:
            known = _number(old.metadata.resource_version)
            same = version == known and old.metadata.uid == metadata.get("uid", "")
            if same and not reread:
                return
            if version <= known and not same and not force:
                return
        if version <= self._tombstones.get(metadata.get("uid", ""), -1):
            return  # a late answer, or a list that began before the deletion
        try:
            new = self._decode(obj)
        except InvalidObject as error:
            if self._is_newly_aside(key, version):
                logger.warning("cannot read %s; its older state stays: %s", key, error)
                if self._on_unreadable is not None:
                    self._on_unreadable(obj, error)
            return
        except Exception:
            if self._is_newly_aside(key, version):
                logger.exception("cannot read %s; its older state stays", key)
            return
        self._set_aside.pop(key, None)
        if reread and new == old:
            return
        self._newest = max(self._newest, version) if not force else self._newest
        self._set(key, new)

    def _is_newly_aside(self, key: Key, version: int) -> bool:
        """Sets a version of an object aside. Returns False if it was set aside before, and so has been reported."""
        before = self._set_aside.get(key)
        self._set_aside[key] = version
        return before != version

    def _gone(self, key: Key, uid: str, version: int) -> None:
        self._set_aside.pop(key, None)
        self._tombstones[uid] = max(version, self._tombstones.get(uid, 0))
        if len(self._tombstones) > _TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]
        old = self._store.get(key)
        # An object with another uid was created after this one was deleted.
        if old is not None and (old.metadata.uid == uid or _number(old.metadata.resource_version) < version):
            self._set(key, None)

    def _set(self, key: Key, new: T | None) -> None:
        old = self._store.get(key)
        if new is None:
            self._store.pop(key, None)
        else:
            self._store[key] = new
        for name, values_of in self._index_functions.items():
            before = set(values_of(old)) if old is not None else set()
            after = set(values_of(new)) if new is not None else set()
            index = self._indexes[name]
            for value in before - after:
                del index[value][key]
                if not index[value]:
                    del index[value]
            for value in after - before:
                index.setdefault(value, {})[key] = None
        try:
            self._on_change(key, old, new)
        except Exception:
            logger.exception("a change of %s could not be passed on", key)

    def _key(self, metadata: Mapping[str, Any]) -> Key:
        return Key(self.resource.name, metadata.get("namespace", ""), metadata["name"])

    def _patience(self) -> float:
        """Returns for how many more seconds the server may refuse the kind."""
        limit = self._refusal_limit
        return math.inf if limit is None else limit - self.outage.refused_seconds

    async def _back_off(self, failures: int, at_least: float) -> None:
        ceiling = min(_LONGEST_DELAY, _FIRST_DELAY * _DELAY_FACTOR ** min(failures - 1, 20))
        delay = max(at_least, min(self._random.uniform(ceiling / 2, ceiling), max(self._patience(), _FIRST_DELAY)))
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._poked.wait()
        self._poked.clear()

    async def _breathe(self) -> None:
        """Lets other tasks run after 2 ms, since a thousand events may arrive in one chunk."""
        now = self._now()
        if now - self._sliced > _SLICE:
            await asyncio.sleep(0)
            self._sliced = self._now()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _number(resource_version: str) -> int:
    is_number = (
        resource_version.isascii() and resource_version.isdigit() and len(resource_version) < _LONGEST_VERSION
    )
    return int(resource_version) if is_number else 0
