"""Finds out whether a stream is a terminal with somebody in front of it, and whether colour is wanted.

A stream may be closed (``>&-``). Then Python's stream is None, and the descriptor would be given to the next file that
is opened, for example to the pipe to the process that renders.
"""

from __future__ import annotations

import io
import os
import sys
from typing import IO, Any


def speak_utf8() -> None:
    """Makes standard output write UTF-8 in every locale, since documents must have the same bytes everywhere.

    File names that are not UTF-8 are written unchanged.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def keep_standard_descriptors() -> None:
    """Opens ``/dev/null`` for those of the descriptors 0, 1 and 2 that are closed, so that no other file gets them."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor < 3:  # the system always returns the lowest free descriptor
        os.set_inheritable(descriptor, True)
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def is_terminal(stream: IO[Any] | None) -> bool:
    """Whether a person reads what is written to the stream, or types what is read from it."""
    return stream is not None and stream.isatty()


def has_colour(stream: IO[Any] | None) -> bool:
    """Whether a stream can show colour, and the user has not turned it off (no-color.org, or TERM=dumb)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
