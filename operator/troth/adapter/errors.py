"""The exceptions that end one of the programs with a sentence.

TrothError
├── Unusable            what a container left, or what the program was given, cannot be used
└── ServerError …       the API server (server.py)
"""

from __future__ import annotations

from typing import Final

from troth.api import TrothError

_LONGEST: Final = 200


class Unusable(TrothError):
    """Something that a container left cannot be used; one sentence that begins with the file.

    Attributes:
        file: its path as the container sees it, such as ``/kratix/output/a.yaml``, with escapes for everything
            that a terminal would not show.
        problem: what is wrong with it, and what to do.
    """

    def __init__(self, file: str, problem: str) -> None:
        self.file = shown(file)
        self.problem = problem
        super().__init__(f"{self.file}: {problem}")


def shown(text: str) -> str:
    """Returns a text from outside as one line of about 200 characters, with escapes for control characters."""
    visible = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text[: _LONGEST + 1]
    )
    return visible if len(visible) <= _LONGEST else f"{visible[:_LONGEST]}…"
