"""Starts a Promise: makes, renders, compares and lints everything in a temporary folder before it is written.

People learn from the first folder, so it must not fail its own tests. The files are put into a temporary folder first
and go through the same functions as `troth render` and `troth lint`; exactly these files are then written.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from troth.authoring.home import build, load_home
from troth.authoring.input_files import HomeError
from troth.authoring.lint import lint
from troth.authoring.lint.findings import Finding
from troth.authoring.rendering.requests import Rendering, Requests
from troth.authoring.starting.cases import Case, cases_text, golden_files, refusal_of
from troth.authoring.starting.definitions import Offered, adopt, check_name, offer
from troth.authoring.starting.errors import CannotStart
from troth.authoring.starting.fields import Field
from troth.authoring.starting.manifests import Template, Templates, read_manifests
from troth.authoring.starting.parameters import REQUEST_NAME, Found, Parameter
from troth.authoring.starting.requests import fullest, smallest, why_refused
from troth.authoring.starting.texts import (
    CHANGELOG,
    FIRST_FILE,
    config_template,
    promise_text,
    readme_text,
)
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.admission.serving import as_served
from troth.engine.yaml.emit import dump_document
from troth.engine.yaml.manifests import load_documents

EXAMPLE: Final = "example"
_PLACES_SHOWN: Final = 3
_LARGEST_PROMISE: Final = 1536 * 1024


class NotTheSame(CannotStart):
    """The templates do not reproduce the manifests, which is a bug in Troth. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Began:
    """A Promise that has been made, but not been written yet.

    Attributes:
        folder: the folder in which it will be written.
        files: its files, by their path in the folder.
        said: sentences about what people should know.
        findings: what lint finds in it.
    """

    folder: Path
    files: Mapping[str, str]
    said: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Making:
    """A Promise being made."""

    name: str
    offered: Offered
    templates: Mapping[str, str]
    origin: str
    said: list[str] = field(default_factory=list)
    examples: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def files(self) -> dict[str, str]:
        paths = list(self.templates)
        found = {"promise.yaml": promise_text(self.name, self.offered, paths)}
        found |= {f"templates/{path}.j2": text for path, text in self.templates.items()}
        found |= {f"examples/{name}.yaml": dump_document(request) for name, request in self.examples.items()}
        found["README.md"] = readme_text(self.name, self.offered, paths, self.origin)
        found["CHANGELOG.md"] = CHANGELOG
        return found


def begin(
    folder: Path,
    *,
    kind: str = "",
    group: str = "",
    plural: str = "",
    fields: Sequence[Field] = (),
    definition: Path | None = None,
    manifests: Path | None = None,
    parameters: Sequence[Parameter] = (),
) -> Began:
    """Makes a Promise with the name of the folder, and everything that belongs to it. Nothing is written.

    Args:
        folder: the folder in which it will be written. It must not exist, or be empty.
        kind: the kind of requests; empty to derive it from the name. It also selects one of several definitions.
        group: the group of the API; empty for an example group.
        plural: the plural of the kind; empty to derive it from the kind.
        fields: the fields of the API, if it does not start from a definition or manifests.
        definition: a file with a CustomResourceDefinition that becomes the API.
        manifests: a folder with manifests that become templates.
        parameters: values in the manifests that become fields.

    Raises:
        CannotStart: what was asked for does not make sense, or does not pass the checks.
        HomeError: a file or a folder cannot be used.
    """
    name = check_name(Path(os.path.abspath(folder)).name)  # noqa: PTH100 - resolve would follow a link
    check_empty(folder)
    if manifests is not None:
        made, read = _from_manifests(name, manifests, parameters, kind, group, plural)
        return _proven(folder, made, read)
    if definition is not None:
        offered, origin = adopt(definition, kind), _ORIGIN_DEFINITION
    else:
        offered, origin = offer(name, kind=kind, group=group, plural=plural, fields=fields), _ORIGIN_FIELDS
    least, most = smallest(offered, "smallest"), fullest(offered, EXAMPLE)
    if least is None or most is None:
        why = why_refused(offered)
        reason = f" ({why})" if why else ""
        remedy = "loosen its schema, or give the field an enum of the allowed values"
        raise CannotStart(f"no request was found that the API of {offered.kind} allows{reason}; {remedy}")
    either = set(most.get("spec") or ()) - set(least.get("spec") or ())
    made = _Making(name, offered, {FIRST_FILE: config_template(offered, either)}, origin)
    made.said += [f"left out {what}" for what in offered.dropped]
    made.examples[EXAMPLE] = most
    if least.get("spec") != most.get("spec"):
        made.examples["smallest"] = least
    return _proven(folder, made, None)


_ORIGIN_FIELDS: Final = "Say here what people get."
_ORIGIN_DEFINITION: Final = "The API comes from an existing CustomResourceDefinition. Say here what people get."
_ORIGIN_MANIFESTS: Final = (
    "Made of manifests that existed. A request that chooses nothing gives exactly these; every request gives\n"
    "objects of the same names, unless a field or the request's name is a part of them."
)


def _from_manifests(
    name: str, manifests: Path, parameters: Sequence[Parameter], kind: str, group: str, plural: str
) -> tuple[_Making, Templates]:
    read = read_manifests(manifests, parameters)
    found = read.parameters.found
    fields = [Field(value.name, _explained(value)) for value in found.values() if value.name != REQUEST_NAME]
    offered = offer(name, kind=kind, group=group, plural=plural, fields=fields)
    texts = {template.path: template.text for template in read.templates}
    made = _Making(name, offered, texts, _ORIGIN_MANIFESTS)
    for value in found.values():
        what = "the request's name" if value.name == REQUEST_NAME else f"spec.{value.name}"
        made.said.append(f"{what} replaces {', '.join(value.places)}")
    made.said += [f"left out {what}" for what in read.left_out]
    asked = found[REQUEST_NAME].value if REQUEST_NAME in found else EXAMPLE
    request = smallest(offered, asked)
    if request is None:
        raise CannotStart(f"the API of {offered.kind} does not allow what the manifests contain")
    made.examples[EXAMPLE] = request
    return made, read


def _explained(found: Found) -> dict[str, Any]:
    """The schema of a parameter's field, with a description that says where its value is used."""
    shown = ", ".join(found.places[:_PLACES_SHOWN])
    more = len(found.places) - _PLACES_SHOWN
    return {"description": f"Replaces {shown}{f' and {more} more' if more > 0 else ''}.", **found.schema}


def check_empty(folder: Path) -> None:
    """Checks that a folder does not contain anything that could be lost.

    Raises:
        HomeError: it does.
    """
    try:
        if folder.is_symlink():
            raise HomeError(folder, "is a link", "name a folder of its own")
        if folder.is_dir():
            if next(folder.iterdir(), None) is not None:
                raise HomeError(folder, "is not empty", "name another folder; nothing is ever overwritten")
        elif folder.exists():
            raise HomeError(folder, "is a file", "name a folder")
    except OSError as error:
        raise HomeError(folder, f"cannot be used: {error.strerror}") from None


def write(began: Began) -> None:
    """Writes the files of a Promise.

    Raises:
        HomeError: the folder is not empty any more, or cannot be written to.
    """
    check_empty(began.folder)
    _write(began.folder, began.files)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    made: list[Path] = []
    try:
        for path, text in files.items():
            target = folder / path
            for parent in reversed(target.parents):
                if not parent.exists():
                    parent.mkdir()
                    made.append(parent)
            with target.open("x", encoding="utf-8", newline="\n") as file:
                made.append(target)
                file.write(text)
    except OSError as error:
        for path_made in reversed(made):  # half of the files would be in the way of the next attempt
            with contextlib.suppress(OSError):
                path_made.rmdir() if path_made.is_dir() else path_made.unlink()
        raise HomeError(Path(error.filename or folder), f"cannot be written: {error.strerror}") from None


# ---- checking what was made


def _proven(folder: Path, made: _Making, read: Templates | None) -> Began:
    files = made.files()
    with tempfile.TemporaryDirectory(prefix="troth-init-") as temporary:
        aside = Path(temporary) / made.name
        _write(aside, files)
        try:
            cases = _rendered(aside, made)
        except HomeError as error:  # its file is in the temporary folder
            said = f"{error.field}: {error.problem}" if error.field else error.problem
            raise CannotStart(f"{said}; {error.remedy}" if error.remedy else said) from None
        if read is not None:
            _same(read.templates, cases[0].files)
        tests = {"tests/cases.yaml": _tests(made, cases, whole=read is None)}
        if read is not None:
            tests |= golden_files(EXAMPLE, cases[0])
        files |= tests
        _write(aside, tests)
        findings = _linted(aside)
        if read is not None and any(finding.severity == "warning" for finding in findings):
            quiet = silenced(files, findings)
            for path, text in quiet.items():
                (aside / path).write_text(text, "utf-8")
            _same(read.templates, _rendered(aside, made)[0].files)
            files |= quiet
            made.said += [
                f"silenced in its template: {finding.message}" for finding in findings if _hushes(finding)
            ]
            findings = _linted(aside)
        if read is not None:
            number = sum(len(template.documents) for template in read.templates)
            gives = "gives the manifest" if number == 1 else f"gives all {number} manifests"
            made.said.append(f"proven: rendering examples/{EXAMPLE}.yaml {gives} back, value for value")
    shown = tuple(replace(finding, file=str(folder / finding.file)) for finding in findings)
    return Began(folder, dict(sorted(files.items())), tuple(made.said), shown)


def _hushes(finding: Finding) -> bool:
    return finding.severity == "warning" and finding.file.startswith("templates/")


def silenced(files: Mapping[str, str], findings: Sequence[Finding]) -> dict[str, str]:
    """The templates, with a comment above each line that lint warns about, since it was so in the manifest."""
    changed: dict[str, str] = {}
    for path in {finding.file for finding in findings if _hushes(finding)}:
        lines = files[path].splitlines(keepends=True)
        marks = {(finding.line, finding.code) for finding in findings if finding.file == path and _hushes(finding)}
        for line, code in sorted(marks, reverse=True):
            lines.insert(line - 1, f"{{# troth:ignore {code} it was so in the manifest #}}\n")
        changed[path] = "".join(lines)
    return changed


def _rendered(aside: Path, made: _Making) -> list[Case]:
    """What the operator would render for the examples."""
    home = load_home(aside)
    if len(build(home).encode()) > _LARGEST_PROMISE:
        raise CannotStart("the Promise is larger than 1.5 MiB, more than an API server takes; make several of it")
    cases: list[Case] = []
    with BoundedWorker() as worker:
        requests = Requests(home, destinations=None)
        for name, request in made.examples.items():
            rendering = requests.render_with(worker.render_now, request)
            problem = _problem(rendering)
            if problem:
                raise CannotStart(f"{name}.yaml cannot be rendered: {problem}")
            title = "what the example gives" if name == EXAMPLE else f"the {name} request"
            cases.append(Case(title, request, f"{name}.yaml", rendering.files, rendering.placed))
    return cases


def _problem(rendering: Rendering) -> str:
    if rendering.refusals:
        return "; ".join(str(refusal) for refusal in rendering.refusals[:3])
    return rendering.complaint


def _same(templates: Sequence[Template], files: Mapping[str, bytes]) -> None:
    """Checks that rendering reproduces the manifests.

    Raises:
        NotTheSame: it does not.
    """
    wanted = {template.path: list(template.documents) for template in templates}
    given = {path: load_documents(content.decode()) for path, content in files.items()}
    for path in sorted({*wanted, *given}):
        if as_served({"": wanted.get(path)}) != as_served({"": given.get(path)}):
            raise NotTheSame(f"{path}: rendering does not give the manifests back; nothing was written")


def _tests(made: _Making, cases: Sequence[Case], *, whole: bool) -> str:
    base = made.examples.get("smallest", made.examples[EXAMPLE]).get("spec") or {}
    properties = made.offered.spec.get("properties") or {}
    refusals = (refusal_of(name, schema, base) for name, schema in properties.items())
    first = next((refusal for refusal in refusals if refusal is not None), None)
    return cases_text(cases, [first] if first else [], whole=whole)


def _linted(aside: Path) -> tuple[Finding, ...]:
    """What lint finds, with paths relative to the folder."""
    found = []
    for finding in lint(aside):
        relative = os.path.relpath(os.path.abspath(finding.file), aside)  # noqa: PTH100 - resolve would follow a link
        found.append(replace(finding, file=Path(relative).as_posix()))
    return tuple(found)
