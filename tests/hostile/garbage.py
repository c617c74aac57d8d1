"""Keeps the garbage collector away from what other tests of this process have made.

A collection that looks through all of it takes a second of a processor at the end of a long run, and would be counted
as the time of whatever is measured at that moment.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_own_garbage() -> Iterator[None]:
    """Lets collections look only at what is made within the block."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
