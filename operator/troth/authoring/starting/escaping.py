"""Escapes text that a template must render unchanged: Go templates, Jinja, and Helm's braces in a manifest.

Lines with such text are put into ``{% raw %}``, so that they stay readable. The engine removes the blanks before a
block tag that begins a line, and the line break after one that ends a line; so ``{% raw %}`` begins the first line,
and ``{% endraw %}`` is on a line of its own. In a line that cannot be in such a block, each brace is written as a
string: ``{{ '{{' }}``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_OPENER: Final = re.compile(r"\{[{%#]")
_CLOSE: Final = 6
_END: Final = re.compile(r"\{%[-+]?\s*endraw")


def escape(text: str, holes: re.Pattern[str] | None = None) -> str:
    """A template that renders the given text, whatever it contains. Lines that match ``holes`` stay templates."""
    lines = text.splitlines(keepends=True)
    fits = [
        line.endswith("\n") and not _END.search(line) and not (holes is not None and holes.search(line))
        for line in lines
    ]
    literal = [_OPENER.search(line) is not None for line in lines]
    written: list[str] = []
    raw = False
    for index, line in enumerate(lines):
        goes_on = fits[index] and (literal[index] or (raw and _literal_soon(index, fits, literal)))
        if raw and not goes_on:
            written.append("{% endraw %}\n")
        if goes_on and not raw:
            written.append("{% raw %}")
        raw = goes_on
        written.append(line if raw or not literal[index] else _OPENER.sub(_as_text, line))
    if raw:
        written.append("{% endraw %}\n")
    return "".join(written)


def _literal_soon(index: int, fits: Sequence[bool], literal: Sequence[bool]) -> bool:
    """Whether more such text follows within a few lines, so that it is not worth leaving the block."""
    for later in range(index + 1, min(index + _CLOSE, len(fits))):
        if not fits[later]:
            return False
        if literal[later]:
            return True
    return False


def _as_text(match: re.Match[str]) -> str:
    return "{{ '" + match.group() + "' }}"
