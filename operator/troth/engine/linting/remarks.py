"""The remarks of lint, and the table of their codes.

People silence codes and filter by them, so a code keeps its meaning for ever, and a new meaning gets a new number. The
hundreds say what was checked: 0 the Promise itself, 1 what its templates read, 2 the objects that they render, 3 the
API compared with an older one, 4 its pipelines of containers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Literal

Severity = Literal["error", "warning", "note"]
_FARTHEST: Final = 2000


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of remark.

    Attributes:
        severity: an error fails when it is reached, a warning is probably a mistake, a note is for information.
        title: what is wrong, in a few words.
    """

    severity: Severity
    title: str


CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "T001": Code("error", "The operator refuses the Promise"),
        "T002": Code("error", "A comment that silences is not complete"),
        "T003": Code("warning", "A comment silences nothing"),
        "T004": Code("note", "Not everything was checked"),
        "T005": Code("error", "A field that is lost between two versions of the API"),
        "T006": Code("note", "A README that does not match the API"),
        "T007": Code("error", "A reconciliation interval that does not count"),
        "T008": Code("error", "A conversion that cannot carry every value"),
        "T101": Code("error", "A field that does not exist"),
        "T102": Code("error", "A field that may be missing is used without a default"),
        "T103": Code("error", "A value of the wrong type"),
        "T104": Code("warning", "A comparison with something that the API does not allow"),
        "T105": Code("warning", "A member of an enum that nothing handles"),
        "T106": Code("warning", "A value that nothing reads"),
        "T107": Code("warning", "A field of the API that nothing reads"),
        "T108": Code("warning", "A partial that nothing includes"),
        "T109": Code("error", "A name that does not exist here"),
        "T110": Code("warning", "A column of kubectl get that stays empty"),
        "T111": Code("warning", "An edit may change where a request goes"),
        "T112": Code("note", "A field of the API without a description"),
        "T113": Code("warning", "A word that became a boolean"),
        "T201": Code("note", "An object of a kind whose schema is not known"),
        "T202": Code("error", "An object that its schema does not allow"),
        "T203": Code("warning", "A name that can grow too long"),
        "T204": Code("warning", "A Secret in plain text"),
        "T205": Code("warning", "An image without a tag"),
        "T206": Code("warning", "A deprecated API version"),
        "T207": Code("error", "An API version that Kubernetes no longer has"),
        "T208": Code("error", "A request that the API allows and no template can render"),
        "T209": Code("note", "A rule that was not checked"),
        "T210": Code("error", "The Promise's own workflow cannot be rendered"),
        "T211": Code("warning", "Nothing was rendered, so nothing was checked"),
        "T301": Code("error", "A field was removed"),
        "T302": Code("error", "What a field allows was narrowed"),
        "T303": Code("error", "A field is newly required"),
        "T304": Code("warning", "A default was changed"),
        "T305": Code("error", "A version is no longer served"),
        "T306": Code("error", "The type of a field was changed"),
        "T307": Code("error", "The API has another name"),
        "T308": Code("error", "Requests in the cluster do not fit the API"),
        "T309": Code("error", "Requests in the cluster lose what they say"),
        "T401": Code("error", "A pipeline of containers that Kubernetes refuses"),
        "T402": Code("note", "What containers write is not known"),
        "T403": Code("warning", "A label or an annotation that the operator replaces"),
        "T404": Code("warning", "A variable that is set twice"),
        "T405": Code("warning", "A volume that no container mounts"),
        "T406": Code("error", "A mount at a directory of the pipeline's contract"),
        "T407": Code("warning", "A pipeline with a name that is too long for Kratix"),
        "T408": Code("warning", "A right to do everything"),
        "T409": Code("warning", "A right that the pipeline has without asking"),
    }
)


CONSEQUENCE: Final = "T208"
"""The code for a request that cannot be rendered. It is dropped when one of `CAUSES` is reported for the same line."""
CAUSES: Final = frozenset(("T101", "T102", "T103", "T105", "T109"))
"""The codes for mistakes in what a line reads."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark: what is wrong, and in which text of the built Promise.

    Attributes:
        code: a key of `CODES`.
        field: the path of the text in the built Promise, such as
            ``spec.workflows.resource.configure[0].spec.files[1].template``; "" for the Promise itself.
        message: what is wrong and why it matters, in one sentence without a full stop.
        fix: what to do about it, or "".
        line: the line in that text, from 1.
        needle: the words in that line that give the column.
        severity: the severity; None for the one of the code.
        below: whether to look for the words in all lines from there on, since only the file of a rendered object is
            known.
        first: words to look for before the needle.
        kind: look for the words after the line with this kind; or "".
        unbounded: whether a template exceeded its time, memory or stack, so that nothing after it was checked.
    """

    code: str
    field: str
    message: str
    fix: str = ""
    line: int = 1
    needle: str = ""
    severity: Severity | None = None
    below: bool = False
    kind: str = ""
    first: tuple[str, ...] = ()
    unbounded: bool = False

    def find(self, lines: Sequence[str], first: int = 1) -> int:
        """Returns the line of the remark, from 1.

        Args:
            lines: the lines of the whole file.
            first: the line on which the text of the field begins.
        """
        line = first + self.line - 1
        if not self.below:
            return line
        if self.kind:
            line = _search(lines, line, lambda text: text.strip().endswith(f"kind: {self.kind}"))
        for words in self.first:
            found = _search(lines, line, partial(_has_at_its_end, words), 0)
            if found:
                return found
        return _search(lines, line, lambda text: self.needle in text) if self.needle else line


def _search(lines: Sequence[str], first: int, fits: Callable[[str], bool], otherwise: int | None = None) -> int:
    """Returns the number of the first line that fits, from 1; if none does, ``otherwise``, or ``first`` without it."""
    last = min(len(lines), first + _FARTHEST)
    nothing = first if otherwise is None else otherwise
    return next((number for number in range(first, last + 1) if fits(lines[number - 1])), nothing)


def _has_at_its_end(words: str, text: str) -> bool:
    """Whether a line has these words, followed by nothing else than can follow a value."""
    _, found, behind = text.partition(words)
    return bool(found) and behind.strip()[:1] in ("", ",", "}", "#")
