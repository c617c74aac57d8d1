"""Reads the documentation for its tests: pages, their fenced blocks, and the comments before these.

After `<!-- file: NAME -->` a block is the content of that file. After `<!-- run -->` its lines are commands that must
succeed, in order, in one shell; after `<!-- run: fails -->` the last of them must fail. After `<!-- output -->` it is
what the commands before it printed (`matches` says how to leave out what varies). After `<!-- foreign -->` it is a
manifest for another program. tests/guides.py has the words for pages about templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r"^```(\w*)\s*$")
_COMMENT = re.compile(r"^<!-- (\w+)(?:: (.+?))? -->$")
ELIDED = "…"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        page: the file that contains it.
        line: the line of its first text, counted from 1.
        language: the word after the fence.
        text: the text between the fences.
        comment: the word of the comment before it, such as ``file`` or ``run``; may be empty.
        argument: the text after the comment's word; may be empty.
    """

    page: Path
    line: int
    language: str
    text: str
    comment: str = ""
    argument: str = ""

    @property
    def where(self) -> str:
        """``docs/page.md:12``."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page that people read."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "promises").glob("*/README.md")]
    return sorted(found)


def needs_cluster(page: Path) -> bool:
    """Whether the commands of a page need an API server."""
    return any(block.comment == "run" and "kubectl" in block.text for block in blocks(page))


def matches(shown: str, real: str) -> bool:
    """Whether a page shows what was printed.

    ``…`` stands for any text inside a line and, on a line of its own, for any number of lines.
    """
    parts = []
    for line in shown.rstrip("\n").split("\n"):
        if line.strip() == ELIDED:
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*?".join(re.escape(piece) for piece in line.rstrip().split(ELIDED)) + r"[ \t]*\n")
    return re.fullmatch("".join(parts), real.rstrip("\n") + "\n") is not None


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in their order."""
    language, comment, argument = "", "", ""
    collected: list[str] | None = None
    first = 0
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if collected is not None:
            if line.startswith("```"):
                yield Block(page, first, language, "\n".join(collected) + "\n", comment, argument)
                collected, comment, argument = None, "", ""
            else:
                collected.append(line)
        elif fence:
            language, collected, first = fence[1], [], number + 1
        elif match := _COMMENT.match(line.strip()):
            comment, argument = match[1], match[2] or ""
        elif line.strip():
            comment, argument = "", ""
    assert collected is None, f"{page}: a fence is not closed"
