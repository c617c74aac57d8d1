"""The contents of files, by Git blob id, for as long as they are likely to be needed again.

A render's output is read twice more within a second, by the Work's and the placement's reconcile, and then
perhaps never. Caches of objects hold blob ids only, so this keeps the newest contents within a bound
of bytes, and whoever misses one reads the object. Contents are compressed as they stand in Works: storing what
is copied from Work to WorkPlacement costs nothing twice.
"""

from __future__ import annotations

from collections import OrderedDict


class Contents:
    """Maps blob ids to encoded contents (gzip, base64) within ``limit`` bytes; the oldest goes first."""

    def __init__(self, *, limit: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._encoded: OrderedDict[str, str] = OrderedDict()

    def put(self, blob: str, encoded: str) -> None:
        """Remembers the encoded content of a blob."""
        if blob in self._encoded:
            self._encoded.move_to_end(blob)
            return
        self._encoded[blob] = encoded
        self._size += len(encoded)
        while self._size > self._limit and len(self._encoded) > 1:
            _, oldest = self._encoded.popitem(last=False)
            self._size -= len(oldest)

    def get(self, blob: str) -> str | None:
        """The encoded content, or None if it is no longer remembered."""
        return self._encoded.get(blob)
