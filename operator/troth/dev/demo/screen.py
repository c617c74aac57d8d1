"""Prints the demo: commands, their output, and a few sentences in between.

There is colour only on a terminal, and if NO_COLOR is not set; rich takes care of that. Nothing is wider than 100
columns. Output is shown unchanged, except for lines that are left out, for which there is an ellipsis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

WIDTH = 100
_INDENT = 3
_GUTTER = " " * 3
_CONTINUED = " \\"
_KEY = re.compile(r"([\w./-]+):(?: |$)")
_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


class Screen:
    """The screen to which the demo writes.

    Args:
        stream: the stream; standard output when absent.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        width = self._console.width if self._console.is_terminal else WIDTH
        self._console.width = min(width, WIDTH)
        self._chapter = 0

    def title(self, text: str) -> None:
        """Print the first lines."""
        self._console.print(Text(text, style="bold"))

    def chapter(self, title: str) -> None:
        """Begin a chapter. Chapters are numbered."""
        self._chapter += 1
        self._console.print()
        self._console.print(Text(f"{self._chapter}  {title}", style="bold cyan"))

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._console.print()
        self._indented(Text(text, style="italic"))

    def command(self, words: Sequence[str]) -> None:
        """Print a command that is about to be run.

        Args:
            words: its quoted words. Long lines are broken between two of them, as in a shell script.
        """
        self._console.print()
        lines = _broken(words, self._console.width - _INDENT - len("$ "))
        for number, line in enumerate(lines):
            prompt = "$ " if number == 0 else "    "
            self._indented(Text.assemble((prompt, "bold"), (line, "bold green")))

    def output(self, text: str, *, limit: int | None = None) -> None:
        """Print the output of a command.

        Args:
            text: the output.
            limit: how many lines are shown. The rest is replaced by a line that says how many more there are.
        """
        lines = text.expandtabs().rstrip().splitlines()
        shown = lines if limit is None or len(lines) <= limit + 1 else lines[:limit]
        for line in shown:
            self._indented(Text(line.rstrip()))
        if len(shown) < len(lines):
            self._indented(Text(f"… {len(lines) - len(shown)} more lines", style="dim"))

    def diff(self, text: str) -> None:
        """Print a diff in the usual colours. Long lines are cut."""
        for line in text.expandtabs().rstrip().splitlines():
            shown = Text(line.rstrip(), style=_DIFF_STYLES.get(line[:1], ""))
            shown.truncate(self._console.width - _INDENT, overflow="ellipsis")
            self._indented(shown)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table whose last column is aligned to the right."""
        lines = [headings, *rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
        self._console.print()
        for number, line in enumerate(lines):
            *cells, last = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            text = _GUTTER.join((*cells, last.strip().rjust(widths[-1])))
            self._indented(Text(text, style="bold" if number == 0 else ""))

    def gap(self) -> None:
        """Print an empty line."""
        self._console.print()

    def _indented(self, text: Text) -> None:
        """Print text that is wrapped between words, without the blanks with which rich would fill the lines."""
        for line in text.wrap(self._console, self._console.width - _INDENT) or [Text()]:
            line.rstrip()
            shown = Text.assemble(" " * _INDENT, line) if line else line
            self._console.print(shown, no_wrap=True, overflow="ignore", crop=False)


def _broken(words: Sequence[str], width: int) -> list[str]:
    """A command in lines that a shell joins again. An option stays with its value, and a pipe is not broken."""
    parts: list[str] = []
    for word in words:
        last = parts[-1] if parts else ""
        is_option = last.startswith("-") and "=" not in last and " " not in last
        if (is_option and not word.startswith("-")) or last.startswith("|"):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) + len(_CONTINUED) > width:
            lines[-1] += _CONTINUED
            lines.append(part)
        else:
            lines[-1] += f" {part}"
    return lines


def excerpt(yaml: str, *paths: str) -> str:
    """The lines of a YAML document, as kubectl prints it, that belong to these paths.

    Args:
        yaml: the document in block style, indented by two.
        paths: paths such as ``status.troth``. They stand for the key's own line, everything below it, and the keys
            above it.

    Returns: the lines in their order, with an ellipsis where lines are left out.
    """
    wanted = [tuple(path.split(".")) for path in paths]
    lines: list[str] = []
    above: list[tuple[int, str]] = []  # the keys above the line, with their indentation
    for line in yaml.splitlines():
        text = line.lstrip(" ")
        indent = len(line) - len(text)
        item = text.startswith("- ")
        while above and (above[-1][0] > indent or (above[-1][0] == indent and not item)):
            above.pop()
        key = _KEY.match(text)
        if key and not item:
            above.append((indent, key[1]))
        here = tuple(name for _, name in above)
        below = any(here[: len(path)] == path for path in wanted)
        leads_there = key is not None and any(path[: len(here)] == here for path in wanted)
        if below or leads_there:
            lines.append(line)
        elif not lines or lines[-1].strip() != "…":
            lines.append(" " * indent + "…")
    return "\n".join(lines)
