"""The home of a Promise: a folder that is pleasant to edit, and the one document that people apply.

``promise.yaml`` is the Promise itself, except that a template, a partial, a value or a dependency may be in a file of
its own: ``{from: templates/cluster.yaml.j2}``. Building puts the files in, adds the fields that pipelines write to the
schema of the status, and does not change anything else. So everything that the operator understands can be written
here, and each mistake is reported where it was made, since every text remembers its file and line. A Promise without
such files is a home, too.

Rejected: another format that is translated (two languages to learn, and two places to look when they differ).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from troth.api import InvalidObject
from troth.api.objects import Promise, read_promise
from troth.api.resources import PROMISE
from troth.api.strict import close_match
from troth.authoring.input_files import HomeError, confined, read_documents, read_text
from troth.authoring.promise_admission import apply_promise, unknown_fields
from troth.engine.admission.admitting import Admitted
from troth.engine.admission.cost import EndlessRules
from troth.engine.admission.definitions import definition_refusals
from troth.engine.admission.serving import as_created, as_served
from troth.engine.failure import Failure
from troth.engine.promises.conversion.completeness import check_conversions
from troth.engine.promises.offers import Offer, read_offer
from troth.engine.promises.reach import check_pipeline_namespace
from troth.engine.rendering.sources import field_of, pipelines_of, value_at
from troth.engine.status.schema import derived_fields
from troth.engine.yaml.emit import TooDeep, dump_document
from troth.engine.yaml.lines import document_lines, field_lines

__all__ = [
    "Home",
    "HomeError",
    "RefusedPromise",
    "Source",
    "UnboundedRule",
    "UnboundedTemplate",
    "build",
    "find_homes",
    "load_home",
    "locate",
    "locate_failure",
    "offer_of",
]

PROMISE_FILE: Final = "promise.yaml"
_STRUCTURED: Final = (".yaml", ".yml", ".json")
_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_API_VERSION: Final = re.compile(r"[A-Za-z0-9./-]{1,100}")
_DEPENDENCY: Final = re.compile(r"spec\.dependencies\[\d+\]")
_FROM_FILE: Final = re.compile(r".*\.spec\.(?:files\[\d+\]\.template|partials\..+)")


class RefusedPromise(HomeError):
    """The files can be read, but the operator would refuse the Promise."""


class UnboundedRule(HomeError):
    """A CEL rule of the API costs far more than an API server allows. No request was validated against it."""


class UnboundedTemplate(HomeError):
    """A template exceeded its limit of time, memory or stack. Nothing after it was checked."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a text was written: its file, and the line, counted from 1, on which it begins."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(slots=True)
class Lines(Mapping[str, Source]):
    """The places in ``promise.yaml`` of the fields of the built Promise. The file is read at the first access."""

    file: Path
    text: str
    moved: Mapping[int, int] = field(default_factory=dict)
    _found: dict[str, Source] | None = None

    def _all(self) -> dict[str, Source]:
        if self._found is None:
            documents = [places for places in field_lines(self.text) if places]
            lines = documents[0] if documents else {}
            self._found = {self._moved(path): Source(self.file, line) for path, line in lines.items()}
        return self._found

    def _moved(self, path: str) -> str:
        match = re.match(r"spec\.dependencies\[(\d+)\]", path)
        if not match or int(match[1]) not in self.moved:
            return path
        return f"spec.dependencies[{self.moved[int(match[1])]}]{path[match.end() :]}"

    def __getitem__(self, path: str) -> Source:
        return self._all()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


@dataclass(frozen=True, slots=True)
class Home:
    """A Promise and where it is written.

    Attributes:
        folder: the folder of the Promise.
        file: ``promise.yaml``, or the single file that was given.
        name: the Promise's name.
        promise: the built Promise, every ``from`` replaced by the file's content.
        sources: the fields of the built Promise that are in a file of their own.
        lines: the places of the other fields in ``promise.yaml``.
        examples: the files with example requests (``examples/*.yaml``).
        tests: the files that may hold test cases (``tests/**/*.yaml``). The reader of tests leaves out golden folders.
        schemas: the files with schemas of kinds that its dependencies do not define (``schemas/*``).
        is_folder: whether it was read from a folder, which has to be built before people apply it.
    """

    folder: Path
    file: Path
    name: str
    promise: dict[str, Any]
    sources: Mapping[str, Source]
    lines: Mapping[str, Source]
    examples: tuple[Path, ...] = ()
    tests: tuple[Path, ...] = ()
    schemas: tuple[Path, ...] = ()
    is_folder: bool = False


def find_homes(folders: Sequence[Path]) -> tuple[list[Path], list[HomeError]]:
    """The folders and files of the Promises that some arguments stand for, and errors for those without any.

    Args:
        folders: the arguments. A folder without a Promise stands for all folders with one directly below it or below
            its ``promises``. Without any argument, the current folder is taken.
    """
    found: list[Path] = []
    problems: list[HomeError] = []
    for folder in folders or (Path(),):
        if not folder.is_dir() or (folder / PROMISE_FILE).exists():
            found.append(folder)
            continue
        below = sorted(
            path.parent
            for pattern in (f"*/{PROMISE_FILE}", f"promises/*/{PROMISE_FILE}")
            for path in folder.glob(pattern)
        )
        if not below:
            problems.append(HomeError(folder, "has no Promise", f"name a folder with a {PROMISE_FILE}"))
        found += below
    return list(dict.fromkeys(found)), problems


def load_home(path: Path) -> Home:
    """Reads the Promise in a folder, or in a single file that holds a whole Promise.

    Raises:
        HomeError: it cannot be read. The error names the file, and the line where that is known.
    """
    is_folder = path.is_dir()
    folder, file = (path, path / PROMISE_FILE) if is_folder else (path.parent, path)
    if is_folder and not file.exists():
        raise HomeError(file, "does not exist", f"a Promise's folder has a {PROMISE_FILE}")
    text = read_text(file)
    promise = _promise_of(read_documents(file, text), file, text)
    expansion = _Expansion(folder, file, text)
    if is_folder:
        expansion.expand(promise)
    return Home(
        folder=folder,
        file=file,
        name=promise["metadata"]["name"],
        promise=promise,
        sources=expansion.sources,
        lines=Lines(file, text, expansion.moved),
        examples=_found(folder / "examples", "*.y*ml") if is_folder else (),
        tests=_found(folder / "tests", "**/*.y*ml") if is_folder else (),
        schemas=_found(folder / "schemas", "*") if is_folder else (),
        is_folder=is_folder,
    )


def offer_of(home: Home, *, losing: bool = False) -> tuple[Promise, Offer]:
    """The Promise, and the offer that the operator would read from it.

    Args:
        home: the files.
        losing: whether to return it also when the operator refuses it because something is lost between its versions.

    Raises:
        RefusedPromise: the API server or the operator would refuse it; names the file and the line.
        UnboundedRule: the API server would refuse it, since a rule of its API hardly ever ends.
    """
    answer = apply_promise(home.promise)
    if not isinstance(answer, Admitted):
        source = locate(home, answer[0].field)
        message, remedy = answer[0].message, _how_to_name_a_file(home, answer[0].field)
        raise RefusedPromise(source.path, message, remedy, line=source.line, field=answer[0].field)
    for unknown, remedy in unknown_fields(home.promise, answer.object)[:1]:
        source = locate(home, unknown)
        problem = "is not a field of a Promise: kubectl refuses it, and the API server would drop it"
        raise RefusedPromise(source.path, problem, remedy, line=source.line, field=unknown)
    try:
        promise = read_promise(as_served(as_created(answer.object)))
        offer = read_offer(promise, runs_containers=True)
        if not losing:
            check_conversions(promise.spec.api)
        check_pipeline_namespace(promise.spec)
        return promise, _sound(offer)
    except InvalidObject as error:
        source = locate(home, error.field)
        kind = UnboundedRule if isinstance(error, _EndlessRules) else RefusedPromise
        remedy = _how_to_name_a_file(home, error.field) or error.remedy
        raise kind(source.path, error.problem, remedy, line=source.line, field=error.field) from None


def _how_to_name_a_file(home: Home, field: str) -> str:
    """What to do about a value that was probably meant to be ``{from: FILE}``; empty for any other value."""
    place = field.removesuffix(".apiVersion")
    start = "a dependency is a whole manifest, or names a file; " if _DEPENDENCY.fullmatch(place) else ""
    if not start and not _FROM_FILE.fullmatch(place):
        return ""
    value = value_at(home.promise, place)
    key, file = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else ("", value)
    if not isinstance(file, str) or key in ("apiVersion", "kind", "from"):
        return ""
    meant = key and close_match(str(key), ("from",))
    return start + ("did you mean from?" if meant else "write from: FILE to name a file of the Promise's folder")


class _EndlessRules(InvalidObject):
    """The rules of the API cost far more than an API server allows."""


def _sound(offer: Offer) -> Offer:
    """The offer, if the API server would accept its definition; otherwise raises InvalidObject."""
    if offer.definition is None:
        return offer
    for problem in definition_refusals(offer.definition):
        remedy = "spell out what the schema and its rules ask for" if problem.field.endswith(".default") else ""
        kind = _EndlessRules if isinstance(problem, EndlessRules) else InvalidObject
        raise kind(f"spec.api.{problem.field}", problem.message, remedy)
    return offer


def build(home: Home) -> str:
    """The one document that people apply. The same files give the same bytes, whoever builds them.

    Raises:
        RefusedPromise: the operator would refuse it, or one of its templates; names the file and the line.
        UnboundedRule: the API server would refuse it, since a rule of its API hardly ever ends.
        UnboundedTemplate: a template cannot even be checked within its limits.
    """
    from troth.authoring.workers.bounded_worker import BoundedWorker

    _, offer = offer_of(home)
    with BoundedWorker() as worker:
        found = worker.check(offer.pipelines)
    if found is not None:
        raise refused(home, found)
    try:
        return dump_document(_with_derived_status(home.promise, offer))
    except TooDeep as error:
        raise RefusedPromise(home.file, str(error)) from None


def applied_spec(home: Home, offer: Offer) -> Mapping[str, Any]:
    """The ``spec`` that a Promise has on a cluster when people apply it: a folder is built first, a file is not."""
    applied = _with_derived_status(home.promise, offer) if home.is_folder else home.promise
    answer = apply_promise(applied)
    spec: Mapping[str, Any] = as_served(answer.object)["spec"] if isinstance(answer, Admitted) else applied["spec"]
    return spec


def _with_derived_status(promise: dict[str, Any], offer: Offer) -> dict[str, Any]:
    """The Promise with the fields that its pipelines write added to the schema of its status.

    Fields that the author declared stay as they are. The operator derives the same fields; here they are added for
    those who read the document, or publish the API by other means.
    """
    derived = derived_fields(offer.resource_configure)
    if offer.definition is None or not derived:
        return promise
    built = copy.deepcopy(promise)
    for version in built["spec"]["api"]["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        properties = schema["properties"] = schema.get("properties") or {}
        if not isinstance(properties.get("status"), dict):
            properties["status"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        fields = properties["status"].get("properties")
        said = fields if isinstance(fields, dict) else {}
        missing = {name: field for name, field in derived.items() if name not in said}
        if missing:
            properties["status"]["properties"] = {**said, **missing}
    return built


def refused(home: Home, failure: Failure) -> HomeError:
    """The error for a template's failure, with the author's file: `RefusedPromise` or `UnboundedTemplate`."""
    source = locate_failure(home, failure)
    where = "/".join(part for part in (failure.pipeline, failure.file) if part)
    kind = UnboundedTemplate if failure.is_unbounded else RefusedPromise
    return kind(source.path, failure.message, failure.hint, line=source.line, field=where)


def locate(home: Home, field: str) -> Source:
    """Where a field of the built Promise was written. For a missing field, where its parent was."""
    path = field
    while path:
        for known in (home.sources, home.lines):
            if path in known:
                return known[path]
        cut = max(path.rfind("."), path.rfind("["))
        path = path[: max(cut, 0)]
    return Source(home.file, 1)


def locate_failure(home: Home, failure: Failure) -> Source:
    """Where the template that failed was written, with the line on which it failed."""
    source = locate(home, field_of(home.promise, failure))
    return Source(source.path, source.line + failure.line - 1) if failure.line else source


def _promise_of(documents: list[Any], file: Path, text: str) -> dict[str, Any]:
    if len(documents) != 1:
        raise HomeError(file, f"has {len(documents)} documents", "a Promise is one document")
    promise = documents[0]
    if not isinstance(promise, dict) or promise.get("kind") != PROMISE.kind:
        raise _other_than_a_promise(promise, file, text)
    version = promise.get("apiVersion")
    if version != PROMISE.api_version:
        said = "missing" if version is None else repr(version)
        line = _line_of(text, "apiVersion")
        raise HomeError(file, f"the apiVersion is {said}", f"use {PROMISE.api_version}", line=line)
    metadata = promise.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise HomeError(file, "metadata.name is missing", "give the Promise a name")
    if not isinstance(promise.get("spec"), dict):
        raise HomeError(file, "spec is missing", "say what the Promise offers")
    return promise


def _other_than_a_promise(document: Any, file: Path, text: str) -> HomeError:
    """The error for a document of another kind, which says what it is."""
    kind, version = (
        (document.get("kind"), document.get("apiVersion")) if isinstance(document, dict) else (None, None)
    )
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        return HomeError(
            file, "is not a Promise", f"a Promise has apiVersion: {PROMISE.api_version} and kind: {PROMISE.kind}"
        )
    line = _line_of(text, "kind")
    if version == PROMISE.api_version and close_match(kind, (PROMISE.kind, "PromiseRelease")) == PROMISE.kind:
        return HomeError(file, f"is {kind!r}", f"did you mean {PROMISE.kind}?", line=line, field="kind")
    article = "an" if kind[0] in "AEIOU" else "a"
    group = f" of {version}" if isinstance(version, str) and _API_VERSION.fullmatch(version) else ""
    problem = f"is {article} {kind}{group}, not a Promise"
    return HomeError(file, problem, f"a Promise has kind: {PROMISE.kind}", line=line)


def _line_of(text: str, field: str) -> int | None:
    """The line of a field of the first document of a text; None if it does not have the field."""
    return next((places.get(field) for places in field_lines(text) if places), None)


def _found(folder: Path, pattern: str) -> tuple[Path, ...]:
    """The files in a subfolder of a Promise's folder. None of them may be a link to a place outside of it."""
    if not folder.is_dir():
        return ()
    try:
        root = folder.parent.resolve()
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
        outside = next((path for path in paths if not path.resolve().is_relative_to(root)), None)
    except (OSError, RuntimeError) as error:
        raise HomeError(folder, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if outside is not None:
        raise HomeError(outside, "is a link out of the Promise's folder", "copy the file")
    return tuple(paths)


@dataclass(slots=True)
class _Expansion:
    """Puts files into a Promise, and remembers where they came from."""

    folder: Path
    file: Path
    text: str
    sources: dict[str, Source] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)

    def expand(self, promise: dict[str, Any]) -> None:
        for base, pipeline in pipelines_of(promise):
            spec = pipeline.get("spec")
            if not isinstance(spec, dict):
                continue
            files = spec.get("files")
            for index, entry in enumerate(files if isinstance(files, list) else ()):
                if isinstance(entry, dict) and "template" in entry:
                    entry["template"] = self._text(entry["template"], f"{base}.spec.files[{index}].template")
            for part in ("partials", "values"):
                entries = spec.get(part)
                if not isinstance(entries, dict):
                    continue
                for name, value in entries.items():
                    where = f"{base}.spec.{part}.{name}"
                    entries[name] = self._text(value, where, structured=part == "values")
        dependencies = promise["spec"].get("dependencies")
        if isinstance(dependencies, list):
            promise["spec"]["dependencies"] = self._dependencies(dependencies)

    def _text(self, value: Any, where: str, *, structured: bool = False) -> Any:
        relative = _reference(value)
        if relative is None:
            return value
        path = self._path(relative, where)
        self.sources[where] = Source(path, 1)
        text = read_text(path)
        if not (structured and relative.endswith(_STRUCTURED)):
            return text
        documents = read_documents(path, text)
        if len(documents) != 1:
            raise HomeError(path, f"has {len(documents)} documents", "a value is one document")
        return documents[0]

    def _dependencies(self, entries: list[Any]) -> list[Any]:
        built: list[Any] = []
        for index, entry in enumerate(entries):
            relative = _reference(entry)
            if relative is None:
                self.moved[index] = len(built)
                built.append(entry)
                continue
            path = self._path(relative, f"spec.dependencies[{index}]")
            text = read_text(path)
            documents = read_documents(path, text)
            for document, line in zip(documents, document_lines(text, len(documents)), strict=True):
                self.sources[f"spec.dependencies[{len(built)}]"] = Source(path, line)
                built.append(document)
        return built

    def _path(self, relative: str, where: str) -> Path:
        try:
            return confined(self.folder, relative, file=self.file, line=None, field=where)
        except HomeError as error:
            line = Lines(self.file, self.text).get(where)
            raise HomeError(
                self.file, error.problem, error.remedy, line=line.line if line else None, field=where
            ) from None


def _reference(value: Any) -> str | None:
    """The path in ``{from: path}``; None for any other value."""
    if isinstance(value, dict) and list(value) == ["from"] and isinstance(value["from"], str):
        return value["from"]
    return None
