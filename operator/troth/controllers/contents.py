"""Keeps the contents of files, by Git blob id, for as long as they are likely to be needed again.

What a pipeline renders is read twice more within a second, by the reconciles of the Work and of the placement, and
after that perhaps never. The caches of objects hold blob ids only. So the newest contents are kept here, up to a
number of bytes; a content that is missing is read from its object. Contents are kept compressed as they are in Works,
so that copying one from a Work to a WorkPlacement does not compress it again.
"""

from __future__ import annotations

from collections import OrderedDict


class Contents:
    """Maps blob ids to encoded contents (gzip, base64), up to ``limit`` bytes in all. The oldest is dropped first."""

    def __init__(self, *, limit: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._encoded: OrderedDict[str, str] = OrderedDict()

    def put(self, blob: str, encoded: str) -> None:
        """Keeps the encoded content of a blob."""
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
