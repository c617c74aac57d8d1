"""From the bytes of a watch to its events.

A watch sends one JSON document in each line, and a line is as long as the object: a Promise with its templates may have
more than a megabyte. Reading it with a stream's ``readline`` fails at that reader's limit (64 KB in asyncio), and
joining the buffer again for each chunk is quadratic; so the chunks of an unfinished line are kept apart and joined
once, when its end arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from troth.kube.errors import Unintelligible, error_from_status
from troth.kube.reading import read_typed

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"
BOOKMARK = "BOOKMARK"
_ERROR = "ERROR"

LONGEST_LINE: Final = 32 << 20
"""The most bytes of one event: far more than an API server's storage accepts for one object."""


class WatchEvent(NamedTuple):
    """One event. ``type`` is ADDED, MODIFIED, DELETED or BOOKMARK; a bookmark's object only has a resource version."""

    type: str
    object: dict[str, Any]


class Lines:
    """Cuts chunks into lines of any length."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Returns the lines that this chunk completes, without line breaks and without empty lines.

        Raises:
            Unintelligible: a line does not end within `LONGEST_LINE`.
        """
        *complete, last = chunk.split(b"\n")
        for part in complete:
            line = b"".join((*self._rest, part)) if self._rest else part
            self._rest.clear()
            self._size = 0
            if line:
                yield line
        if last:
            self._size += len(last)
            if self._size > LONGEST_LINE:
                raise Unintelligible(f"an event is longer than {LONGEST_LINE >> 20} MiB")
            self._rest.append(last)


async def read_event(line: bytes) -> WatchEvent:
    """Returns the event of one line.

    Raises:
        ApiError: the event is an ERROR; its kind is that of the Status inside (Gone, most often).
        Unintelligible: the line is not an event.
    """
    kind, obj = await read_typed(line)
    if kind == _ERROR:
        raise error_from_status(obj)
    if not is_versioned(obj, named=kind != BOOKMARK):
        raise Unintelligible("an event has no name or no version")
    return WatchEvent(kind, obj)


def is_versioned(obj: Any, *, named: bool = True) -> bool:
    """Whether an object has a resource version and, if it must be ``named``, a valid name, namespace and uid."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("resourceVersion"), str):
        return False
    identity = (metadata.get("name"), metadata.get("namespace", ""), metadata.get("uid", ""))
    return not named or (bool(identity[0]) and all(isinstance(each, str) for each in identity))
