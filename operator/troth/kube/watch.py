"""From the bytes of a watch to its events.

A watch is one JSON document a line, and a line is as long as the object: a Promise with its templates passes
a megabyte. Reading it with a stream's ``readline`` fails at that reader's limit (64 KB in asyncio), and
joining the buffer again for each chunk is quadratic; so the chunks of an unfinished line are kept apart and
joined once, when its end arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from troth.kube.errors import ConnectionFailed, error_from_status

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"
BOOKMARK = "BOOKMARK"
_ERROR = "ERROR"


class WatchEvent(NamedTuple):
    """One event. ``type`` is ADDED, MODIFIED, DELETED or BOOKMARK; a bookmark's object has only a version."""

    type: str
    object: dict[str, Any]


class Lines:
    """Cuts chunks into lines, whatever their length."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk completes, without their ends; empty lines are left out."""
        *complete, last = chunk.split(b"\n")
        for part in complete:
            line = b"".join((*self._rest, part)) if self._rest else part
            self._rest.clear()
            if line:
                yield line
        if last:
            self._rest.append(last)


def parse_answer(body: bytes) -> Any:
    """The JSON that an API server answered. Raises ConnectionFailed when something else answered."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ConnectionFailed("the answer is not JSON; what answered is no API server", ambiguous=True) from error


def parse_event(line: bytes) -> WatchEvent:
    """The event of one line.

    Raises:
        ApiError: the event is an ERROR; its kind is that of the Status inside (Gone, most often).
        ConnectionFailed: the line is no event.
    """
    document: Mapping[str, Any] = parse_answer(line)
    kind, obj = document["type"], document["object"]
    if kind == _ERROR:
        raise error_from_status(obj)
    return WatchEvent(kind, obj)
