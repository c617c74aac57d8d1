"""Which requests and Promises have written all of their Works, and which keys wait for that.

What a pipeline no longer renders may be rendered by the next one. So nothing that belongs to a request or a Promise is
removed from a store before all its pipelines have run and all its Works hold what they produced: until then it is not
known what is wanted. This is kept in memory only; after a restart it is established again by the first reconciles.
"""

from __future__ import annotations

from troth.api import Key
from troth.kube import PRIORITY_DEPENDENT, WorkQueue


class Settling:
    """The owners whose Works are complete, by index value (`owner_index`), and the keys that wait for an owner."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self._settled: set[str] = set()
        self._waiting: dict[str, set[Key]] = {}

    def is_settled(self, owner: str) -> bool:
        """Whether the Works of an owner hold what all its pipelines produced."""
        return owner in self._settled

    def unsettle(self, owner: str) -> None:
        """Notes that the Works of an owner are about to be written."""
        self._settled.discard(owner)

    def settle(self, owner: str) -> None:
        """Notes that the Works of an owner hold what all its pipelines produced."""
        self._settled.add(owner)
        self.tell(owner)

    def forget(self, owner: str) -> None:
        """Forgets an owner that is gone."""
        self._settled.discard(owner)
        self._waiting.pop(owner, None)

    def wait(self, owner: str, key: Key) -> None:
        """Has a key queued when something of the owner changes (`tell`)."""
        self._waiting.setdefault(owner, set()).add(key)

    def tell(self, owner: str) -> None:
        """Queues the keys that wait for an owner: something of it was written, or is not wanted any more."""
        for key in self._waiting.pop(owner, ()):
            self._queue.add(key, priority=PRIORITY_DEPENDENT)
