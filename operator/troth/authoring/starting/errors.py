"""What cannot be started, in one sentence."""

from __future__ import annotations

from typing import Final

from troth.api import TrothError

_LONGEST: Final = 420


class CannotStart(TrothError):
    """What was asked for cannot be made; nothing was written. What is quoted in the words may be cut."""

    def __init__(self, words: str) -> None:
        line = " ".join(words.split())
        super().__init__(line if len(line) <= _LONGEST else f"{line[:260]}…{line[-140:]}")
