"""What a stream is connected to: whether somebody sits there, and wants colour.

A stream may be closed (``>&-``), and then Python has none at all, and its number would go to the next file that is
opened: to a pipe to the process that renders, for example.
"""

from __future__ import annotations

import io
import os
import sys
from typing import IO, Any


def speak_utf8() -> None:
    """Has standard output write UTF-8 in every locale: what is printed are documents, the same bytes everywhere.

    Names of files that are not UTF-8 are written as they are.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def keep_standard_descriptors() -> None:
    """Opens what of 0, 1 and 2 is closed on ``/dev/null``, so that no other file gets the number."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor < 3:  # the system gives the lowest number that is free
        os.set_inheritable(descriptor, True)
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def is_terminal(stream: IO[Any] | None) -> bool:
    """Whether people look at what is written there, or type what is read from there."""
    return stream is not None and stream.isatty()


def has_colour(stream: IO[Any] | None) -> bool:
    """Whether a stream shows colour, and nobody has asked for none (no-color.org, or a terminal that has none)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
