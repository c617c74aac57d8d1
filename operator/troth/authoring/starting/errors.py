"""The error of a Promise that cannot be started."""

from __future__ import annotations

from typing import Final

from troth.api import TrothError

_LONGEST: Final = 420


class CannotStart(TrothError):
    """What was asked for cannot be made, and nothing was written. Long texts that the message quotes are cut."""

    def __init__(self, words: str) -> None:
        line = " ".join(words.split())
        super().__init__(line if len(line) <= _LONGEST else f"{line[:260]}…{line[-140:]}")
