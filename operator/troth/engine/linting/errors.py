"""The errors that lint finds in an applied Promise, and where they are, as the operator reports them.

What is lost between the versions of an API is not among them: the operator refuses such a Promise.

Warnings and notes are for the author of a Promise, so only ``troth lint`` shows them. A comment in a template has the
same effect here as there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from troth.api.objects import read_promise
from troth.engine.failure import Failure
from troth.engine.kinds.schemas import Schemas
from troth.engine.lint_report import LintError, LintReport
from troth.engine.linting.asking import NOTHING_RENDERED
from troth.engine.linting.comments import FIX, comments_in
from troth.engine.linting.containers import NOT_KNOWN, check_containers
from troth.engine.linting.objects import Subject, Tried, check_objects
from troth.engine.linting.paths import check_paths
from troth.engine.linting.remarks import CODES, Remark
from troth.engine.linting.report import MOST_ERRORS
from troth.engine.linting.trying import Render, Trial
from troth.engine.promises.offers import read_offer
from troth.engine.rendering.context import render_context
from troth.engine.rendering.sources import pipelines_of, value_at

_LONGEST: Final = 400
_UNFINISHED: Final = ("T004", NOTHING_RENDERED)
_IN_PIPELINE: Final = re.compile(r"(spec\.workflows\.\w+\.\w+\[\d+\])\.spec\.(.*)", re.DOTALL)
_TEMPLATE: Final = re.compile(r"files\[(\d+)\]\.template")


def find_path_errors(document: Mapping[str, Any]) -> LintReport:
    """Finds errors in what the templates read.

    Args:
        document: the result of `lintable`.

    Raises:
        InvalidObject: the Promise cannot be carried out at all.
    """
    offer = read_offer(read_promise(document), runs_containers=True)
    return _report(document, [*_comments(document), *check_paths(document, offer)])


def find_object_errors(document: Mapping[str, Any], render: Render, spent: Callable[[], float]) -> LintReport:
    """Finds errors in what the templates render, in the Promise's dependencies, and in its pipelines of containers.

    The schemas are those of Kubernetes and those of the definitions among the dependencies. The author's folder
    ``schemas/`` is not part of an applied Promise.

    Args:
        document: the result of `lintable`.
        render: renders pipelines, each within bounds.
        spent: returns how many seconds of processor time were used until now.

    Raises:
        InvalidObject: the Promise cannot be carried out at all.
    """
    promise = read_promise(document)
    offer = read_offer(promise, runs_containers=True)
    subject = Subject(
        promise=document,
        offer=offer,
        schemas=Schemas(document["spec"].get("dependencies") or ()),
        try_request=Trial(promise, offer, render).try_request if offer.resource is not None else _refuse,
        try_own=lambda: render(offer.promise_configure, render_context(promise, None)),
        spent=spent,
    )
    remarks = check_containers(document, offer, subject.schemas)
    return _report(document, [*remarks, *check_objects(subject, lengths=False)])


def _comments(document: Mapping[str, Any]) -> Iterable[Remark]:
    """Yields what is wrong with the comments in templates that are meant to silence a code."""
    for base, pipeline in pipelines_of(document):
        spec = pipeline.get("spec") or {}
        texts = {
            f"files[{index}].template": file.get("template") for index, file in enumerate(spec.get("files") or ())
        }
        texts |= {f"partials.{name}": text for name, text in (spec.get("partials") or {}).items()}
        for place, text in texts.items():
            for comment in comments_in(text.split("\n")) if isinstance(text, str) else ():
                if comment.problem:
                    yield Remark("T002", f"{base}.spec.{place}", comment.problem, FIX, line=comment.line)


def _refuse(request: Mapping[str, Any]) -> Tried:
    del request
    return Tried(refused="the Promise offers no API")


def _report(document: Mapping[str, Any], remarks: Sequence[Remark]) -> LintReport:
    texts = _Texts(document)
    left = [remark for remark in map(texts.placed, remarks) if not texts.silence(remark)]
    errors = [remark for remark in left if (remark.severity or CODES[remark.code].severity) == "error"]
    unfinished = next((_line(remark.message) for remark in left if remark.code in _UNFINISHED), "")
    unknown = next((remark.message for remark in left if remark.code == NOT_KNOWN), "")
    return LintReport(tuple(_errors(document, errors[:MOST_ERRORS])), len(errors), unfinished, _line(unknown))


def _errors(document: Mapping[str, Any], remarks: Iterable[Remark]) -> Iterable[LintError]:
    for remark in remarks:
        yield LintError(remark.code, _place(document, remark), _line(remark.message), _line(remark.fix))


class _Texts:
    """The texts of a Promise that remarks are about, each of which is read once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._lines: dict[str, list[str]] = {}
        self._comments: dict[str, set[tuple[str, int]]] = {}

    def placed(self, remark: Remark) -> Remark:
        """Returns the remark with the line that it is about."""
        return replace(remark, line=remark.find(self._lines_of(remark.field)), below=False)

    def silence(self, remark: Remark) -> bool:
        """Whether a comment silences a remark that `placed` has returned."""
        if remark.field not in self._comments:
            comments = comments_in(self._lines_of(remark.field))
            self._comments[remark.field] = {
                (comment.code, comment.for_line) for comment in comments if comment.reason
            }
        return (remark.code, remark.line) in self._comments[remark.field]

    def _lines_of(self, place: str) -> list[str]:
        if place not in self._lines:
            text = value_at(self._document, place)
            self._lines[place] = text.split("\n") if isinstance(text, str) else []
        return self._lines[place]


def _place(document: Mapping[str, Any], remark: Remark) -> str:
    match = _IN_PIPELINE.fullmatch(remark.field)
    if match is None:
        return remark.field
    pipeline, rest = value_at(document, match[1]), match[2]
    template = _TEMPLATE.fullmatch(rest)
    file = str(pipeline["spec"]["files"][int(template[1])]["path"]) if template else rest
    name = str(pipeline["metadata"]["name"])
    line = remark.line if isinstance(value_at(document, remark.field), str) else None
    return Failure("TemplateError", "", pipeline=name, file=file, line=line).location


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
