"""Formats the table of `make bench` as plain text, with colours on a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

_HEAD = ("What", "Here", "Target", "", "Kratix", "Bare limit")
_RIGHT = (1, 2, 4, 5)
_GREEN, _RED, _BOLD, _DIM, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        what: the name of the figure.
        value: its value in `unit`; None when it could not be measured on this machine.
        unit: ``s``, ``ms`` or ``MiB``; empty for a count.
        target: the limit.
        inclusive: whether the limit itself still meets the target.
        kratix: Kratix's figure for the same, as text.
        bare: the figure of the loop without an operator, in `unit`.
    """

    what: str
    value: float | None
    unit: str = ""
    target: float | None = None
    inclusive: bool = False
    kratix: str = ""
    bare: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None without a target or a value."""
        if self.target is None or self.value is None:
            return None
        return self.value <= self.target if self.inclusive else self.value < self.target


@dataclass(slots=True)
class Section:
    """Rows that were measured together, and remarks on them."""

    title: str
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def show(value: float | None, unit: str) -> str:
    """A value for people, with three digits. A count stays a whole number."""
    if value is None:
        return "-"
    if float(value).is_integer() or abs(value) >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{text} {unit}".rstrip()


def render(sections: Sequence[Section], *, colour: bool) -> str:
    """The whole table."""
    lines: list[tuple[str, ...] | str] = []
    verdicts: dict[int, bool | None] = {}
    for section in sections:
        lines += ["", section.title]
        for row in section.rows:
            verdicts[len(lines)] = row.ok
            lines.append(_cells(row))
        lines += [f"    {remark}" for remark in section.remarks]
    cells = [_HEAD, *(line for line in lines if isinstance(line, tuple))]
    widths = [max(_width(line[column]) for line in cells) for column in range(len(_HEAD))]
    text = [_paint(_join(_HEAD, widths), _DIM, colour=colour)]
    for number, line in enumerate(lines):
        if isinstance(line, str):
            remark = line.startswith("    ")
            text.append(_paint(line, _DIM if remark else _BOLD, colour=colour) if line else "")
        else:
            text.append(_join(line, widths, _tone(verdicts[number]) if colour else ""))
    return "\n".join(text)


def _cells(row: Row) -> tuple[str, ...]:
    sign = {True: "✓", False: "✗", None: ""}[row.ok]
    target = "" if row.target is None else f"{'≤' if row.inclusive else '<'} {show(row.target, row.unit)}"
    bare = "" if row.bare is None else show(row.bare, row.unit)
    return (f"  {row.what}", show(row.value, row.unit), target, sign, row.kratix, bare)


def _join(cells: Sequence[str], widths: Sequence[int], tone: str = "") -> str:
    padded = []
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - _width(cell))
        text = space + cell if column in _RIGHT else cell + space
        padded.append(f"{tone}{text}{_PLAIN}" if tone and column in (1, 3) else text)
    return "  ".join(padded).rstrip()


def _tone(ok: bool | None) -> str:
    return "" if ok is None else _GREEN if ok else _RED


def _paint(text: str, tone: str, *, colour: bool) -> str:
    return f"{tone}{text}{_PLAIN}" if colour else text


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
