"""What the operator says of a Promise that is applied: the errors of the static check, and where they are.

Warnings and notes are for whoever writes a Promise, not for whoever runs it: those stay with ``troth lint``, and so
does what has to be rendered first. A comment in a template silences here what it silences there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.api.objects import Promise, read_promise
from troth.engine.failure import Failure
from troth.engine.linting.comments import comments_in
from troth.engine.linting.paths import check_paths
from troth.engine.linting.remarks import CODES, Remark
from troth.engine.offers import read_offer

_MOST: Final = 10
_LONGEST: Final = 400
_UNFOLLOWED: Final = "T004"
_IN_PIPELINE: Final = re.compile(r"(spec\.workflows\.\w+\.\w+\[\d+\])\.spec\.(.*)", re.DOTALL)
_TEMPLATE: Final = re.compile(r"files\[(\d+)\]\.template")


@dataclass(frozen=True, slots=True)
class LintError:
    """One error.

    Attributes:
        code: a key of `CODES`.
        place: ``pipeline/file:line``, as a failure names it.
        message: what is wrong, without a full stop.
        fix: what to do, or "".
    """

    code: str
    place: str
    message: str
    fix: str

    def sentence(self) -> str:
        """One line for people."""
        text = f"{self.place}: {self.code}: {self.message}"
        return f"{text}; {self.fix}" if self.fix else text


@dataclass(frozen=True, slots=True)
class LintReport:
    """What the static check found.

    Attributes:
        errors: the first ten.
        count: how many there are.
        unfinished: why not everything was looked at, or "".
    """

    errors: tuple[LintError, ...] = ()
    count: int = 0
    unfinished: str = ""

    @classmethod
    def from_wire(cls, message: Mapping[str, Any]) -> LintReport:
        """The report as `dataclasses.asdict` gave it."""
        errors = tuple(LintError(**error) for error in message["errors"])
        return cls(errors, message["count"], message["unfinished"])


def lintable(promise: Promise) -> dict[str, Any]:
    """What the check needs of a Promise: its API and its workflows, without the dependencies, which may be large."""
    spec = promise.raw["spec"]
    kept = {part: spec[part] for part in ("api", "workflows") if part in spec}
    return {"metadata": {"name": promise.name}, "spec": kept}


def find_errors(document: Mapping[str, Any]) -> LintReport:
    """Looks at what `lintable` gave.

    Raises:
        InvalidObject: the Promise cannot be carried out at all.
    """
    remarks = check_paths(document, read_offer(read_promise(document)))
    comments = _Comments(document)
    found = [
        remark
        for remark in remarks
        if (remark.severity or CODES[remark.code].severity) == "error" and not comments.silence(remark)
    ]
    unfinished = next((remark.message for remark in remarks if remark.code == _UNFOLLOWED), "")
    return LintReport(tuple(_errors(document, found[:_MOST])), len(found), unfinished)


def _errors(document: Mapping[str, Any], remarks: Iterable[Remark]) -> Iterable[LintError]:
    for remark in remarks:
        yield LintError(remark.code, _place(document, remark), _line(remark.message), _line(remark.fix))


class _Comments:
    """The comments in the templates of a Promise, each template read once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._found: dict[str, set[tuple[str, int]]] = {}

    def silence(self, remark: Remark) -> bool:
        """Whether a comment silences the remark."""
        if remark.field not in self._found:
            text = _at(self._document, remark.field)
            lines = text.split("\n") if isinstance(text, str) else []
            self._found[remark.field] = {
                (comment.code, comment.for_line) for comment in comments_in(lines) if comment.reason
            }
        return (remark.code, remark.line) in self._found[remark.field]


def _place(document: Mapping[str, Any], remark: Remark) -> str:
    match = _IN_PIPELINE.fullmatch(remark.field)
    if match is None:
        return remark.field
    pipeline, rest = _at(document, match[1]), match[2]
    template = _TEMPLATE.fullmatch(rest)
    file = str(pipeline["spec"]["files"][int(template[1])]["path"]) if template else rest
    name = str(pipeline["metadata"]["name"])
    return Failure("TemplateError", "", pipeline=name, file=file, line=remark.line).location


def _at(value: Any, path: str) -> Any:
    """What stands at a path such as ``spec.files[0].template``; names may have dots in them. None when nothing does."""
    if not path:
        return value
    if isinstance(value, list):
        match = re.match(r"\[(\d+)\]\.?", path)
        return _at(value[int(match[1])], path[match.end() :]) if match and int(match[1]) < len(value) else None
    if isinstance(value, Mapping):
        for name in value:
            if path == name:
                return value[name]
            if path.startswith((f"{name}.", f"{name}[")):
                found = _at(value[name], path[len(name) :].removeprefix("."))
                if found is not None:
                    return found
    return None


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
