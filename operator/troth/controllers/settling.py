"""Which requests and Promises have said all that they want, and who waits for them to.

What a pipeline no longer renders may be rendered by the next one. So nothing that belongs to a request or a Promise
leaves a store before all its pipelines have run and all its Works say what came out of them: until then it is not
known what is wanted. It lives in memory; after a restart, everybody says it anew.
"""

from __future__ import annotations

from troth.api import Key
from troth.kube import PRIORITY_DEPENDENT, WorkQueue


class Settling:
    """Owners of Works by their index value (`owner_index`), and the keys that are queued when one has news."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self._settled: set[str] = set()
        self._waiting: dict[str, set[Key]] = {}

    def is_settled(self, owner: str) -> bool:
        """Whether the Works of an owner say what all its pipelines produced."""
        return owner in self._settled

    def unsettle(self, owner: str) -> None:
        """Its Works are about to be written."""
        self._settled.discard(owner)

    def settle(self, owner: str) -> None:
        """Its Works say what all its pipelines produced."""
        self._settled.add(owner)
        self.tell(owner)

    def forget(self, owner: str) -> None:
        """It is gone."""
        self._settled.discard(owner)
        self._waiting.pop(owner, None)

    def wait(self, owner: str, key: Key) -> None:
        """The key is queued when the owner changes."""
        self._waiting.setdefault(owner, set()).add(key)

    def tell(self, owner: str) -> None:
        """Something of the owner was written, or is not wanted any more."""
        for key in self._waiting.pop(owner, ()):
            self._queue.add(key, priority=PRIORITY_DEPENDENT)
