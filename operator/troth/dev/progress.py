"""Shows that something long is going on, and how long it has taken so far.

On a terminal it is one line with a spinner, made by rich; elsewhere (CI, a file, a pipe) it is a plain line at the
beginning and another one every half minute. Nothing is shown for what takes less than two seconds.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

_SILENT = 2.0
_PLAIN_INTERVAL = 30.0


class Progress:
    """Shows progress on a stream.

    Args:
        stream: the stream; standard error when absent.
        summary: steps that take at least this many seconds print at the end how long they took; 2 when absent.
    """

    def __init__(self, stream: TextIO | None = None, *, summary: float | None = None) -> None:
        self._stream = stream or sys.stderr
        self._summary = summary

    def say(self, line: str) -> None:
        """Print one line that stays."""
        print(f"troth: {line}", file=self._stream, flush=True)

    @contextmanager
    def step(self, what: str, hint: str = "") -> Iterator[None]:
        """Show ``what`` (in the -ing form) with the elapsed time until the block is left.

        Args:
            what: such as ``building kube-apiserver``.
            hint: how long it usually takes, and how often.
        """
        text = f"{what} ({hint})" if hint else what
        show = self._spinner if self._stream.isatty() else self._lines
        started = time.monotonic()
        finished = threading.Event()
        thread = threading.Thread(target=show, args=(text, started, finished.wait), daemon=True)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()
            seconds = time.monotonic() - started
            if seconds >= (_SILENT if self._summary is None else self._summary):
                self.say(f"{what}: {clock(seconds)}")

    def _lines(self, text: str, started: float, finished: Callable[[float], bool]) -> None:
        if finished(_SILENT):
            return
        self.say(f"{text} …")
        while not finished(_PLAIN_INTERVAL):
            self.say(f"{text} … {clock(time.monotonic() - started)}")

    def _spinner(self, text: str, started: float, finished: Callable[[float], bool]) -> None:
        if finished(_SILENT):
            return
        from rich.console import Console  # it takes 100 ms, so only after two seconds of waiting

        with Console(file=self._stream).status("") as status:
            while True:
                status.update(f"troth: {text} … {clock(time.monotonic() - started)}")
                if finished(0.5):
                    return


def clock(seconds: float) -> str:
    """A duration as text, such as ``8 s`` or ``6 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
