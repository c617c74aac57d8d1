"""Rendering one pipeline: a pure function from a pipeline and its input to files, status and control values.

It does not use clocks, random values (the nonce is an argument and leaves no trace in the output) or the network. A
failure is returned as a `Failure`, and not raised. A hostile template can still use endless time or memory here, so
`RenderPool` runs this in processes that can be killed.

The values of a pipeline are evaluated in the order that their expressions need, and not in the order in which they were
written: the API server sorts the keys of a Promise, so the author's order is lost.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from troth.api.files import file_kind, holds_manifests
from troth.api.pipelines import DestinationRule, FileTemplate, JinjaPipeline, Move
from troth.engine.failure import Failure
from troth.engine.placement.file_paths import (
    LONGEST_PART,
    LONGEST_PATH,
    as_one_file,
    meaning_made_by_a_value,
    path_problem,
)
from troth.engine.placement.work import Packed
from troth.engine.rendering.context import RenderContext, render_context, scope_of
from troth.engine.rendering.diagnosis import Attempt, Problem, diagnose
from troth.engine.rendering.durations import parse_duration
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.templates import Environment
from troth.engine.rendering.values import Oversized, Tokens
from troth.engine.yaml.emit import TooDeep, dump_document, text_of
from troth.engine.yaml.manifests import InvalidManifest, TooManyDocuments, load_documents

__all__ = [
    "Control",
    "Failure",
    "File",
    "Outcome",
    "PackedFile",
    "RenderContext",
    "Rendered",
    "RenderedFile",
    "Rendering",
    "order_values",
    "render_context",
    "render_pipeline",
]

_OPENERS: Final = ("{{", "{%", "{#")
_TOO_LONG: Final = (
    f"a name has at most {LONGEST_PART} bytes, a path {LONGEST_PATH}: shorten it, such as with | dns_label"
)
_LONGEST_MESSAGE: Final = 1024
_OWN_STATUS: Final = ("kratix", "troth")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A rendered file. ``path`` is relative, normalised, and never leaves the folder."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A rendered file, packed as a Work holds it."""

    path: str
    packed: Packed

    @property
    def content(self) -> bytes:
        """The content, which is unpacked at each access."""
        return self.packed.content


@dataclass(frozen=True, slots=True)
class Control:
    """What a pipeline asks of its workflow.

    Attributes:
        suspend: the workflow stops here.
        message: why.
        retry_after: after how many seconds the pipeline is to run again; overrides ``suspend``.
        max_attempts: after how many attempts it is not to run again; 0 for no limit.
    """

    suspend: bool
    message: str
    retry_after: float | None
    max_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result of one pipeline. ``files`` are sorted by path."""

    pipeline: str
    files: tuple[RenderedFile | PackedFile, ...] = ()
    destinations: tuple[DestinationRule, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    control: Control | None = None
    moved: tuple[Move, ...] = ()


Outcome = Rendered | Failure

File = RenderedFile | PackedFile


def render_pipeline(
    pipeline: JinjaPipeline,
    context: RenderContext,
    *,
    limits: Limits,
    nonce: str,
    environment: Environment | None = None,
) -> Outcome:
    """Renders one pipeline.

    Args:
        pipeline: the pipeline to render.
        context: what its templates may read.
        limits: the bounds, of which only sizes are checked here; the caller must bound time and memory.
        nonce: lower-case letters and digits that no template can guess.
        environment: keeps compiled templates between calls; a fresh one when None.
    """
    return Rendering(pipeline, context, limits, nonce, environment or Environment()).outcome()


class Rendering:
    """The rendering of one pipeline.

    Attributes:
        attempt: what is being evaluated, for diagnosis.
        ran_out: whether it ran out of memory, after which the process must not be used any more.
    """

    def __init__(
        self, pipeline: JinjaPipeline, context: RenderContext, limits: Limits, nonce: str, base: Environment
    ) -> None:
        self._pipeline = pipeline
        self._limits = limits
        self._tokens = Tokens(nonce, most=limits.output_bytes)
        self._environment = base.for_render(self._tokens, pipeline.partials)
        self._scope = scope_of(context)
        self.attempt = Attempt(self._environment, self._scope, definitions=pipeline.values)
        self.ran_out = False
        self._files: dict[str, bytes] = {}
        self._skipped: set[str] = set()
        self._spellings: dict[str, str] = {}
        self._documents = 0
        self._bytes = 0

    def outcome(self) -> Outcome:
        """Renders the pipeline. Returns its result, or why it failed."""
        try:
            return self._run_all()
        except Exception as error:  # noqa: BLE001 - a template may raise anything; each becomes a Failure
            self.ran_out = isinstance(error, MemoryError)
            return diagnose(error, self.attempt).within(self._pipeline.name)

    def _run_all(self) -> Rendered:
        self._check_sources()
        self._evaluate_values()
        for index, file in enumerate(self._pipeline.files):
            self._render_file(file, f"files[{index}]")
        self._check_folders()
        return Rendered(
            pipeline=self._pipeline.name,
            files=tuple(RenderedFile(path, self._files[path]) for path in sorted(self._files)),
            destinations=self._render_destinations(),
            status=self._render_status(),
            control=self._render_control(),
            moved=self._render_moved(),
        )

    # ---- expressions

    def _leaf(self, source: str, where: str) -> Any:
        """Returns the value of a leaf: with its type if the leaf is a single expression, and as text otherwise."""
        if not any(opener in source for opener in _OPENERS):
            return source
        text = self._run(source, where)
        return self._tokens.result(text)

    def _text(self, source: str, where: str) -> str:
        return text_of(self._leaf(source, where))

    def _tree(self, value: Any, where: str) -> Any:
        if isinstance(value, str):
            return self._leaf(value, where)
        if isinstance(value, Mapping):
            return {self._text(key, where): self._tree(child, f"{where}.{key}") for key, child in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._tree(child, f"{where}[{index}]") for index, child in enumerate(value)]
        return value

    def _run(self, source: str, display: str, place: str = "") -> str:
        """Returns a template's text, with tokens; ``place`` is its field, if that is not the name in errors."""
        self.attempt.begin(display, source, self._scope)
        if len(source) > self._limits.source_bytes:
            raise Oversized(f"the template is longer than {self._limits.source_bytes} characters")
        template = self._environment.bind(source, display)
        self._environment.watch(template, place or display)
        parts: list[str] = []
        length = 0
        for part in template.root_render_func(template.new_context(self._scope)):
            length += len(part)
            if length > self._limits.output_bytes:
                raise Oversized(f"the output is longer than {self._limits.output_bytes} characters")
            parts.append(part)
        return "".join(parts)

    def _check_sources(self) -> None:
        for name, source in self._pipeline.partials.items():
            self.attempt.begin(f"partials.{name}", source, self._scope)
            if len(source) > self._limits.source_bytes:
                raise Oversized(f"the partial is longer than {self._limits.source_bytes} characters")

    # ---- values

    def _evaluate_values(self) -> None:
        values: dict[str, Any] = {}
        self._scope["values"] = values
        for name in order_values(self._pipeline.values, self._environment):
            values[name] = self._scope[name] = self._tree(self._pipeline.values[name], f"values.{name}")

    # ---- files

    def _render_file(self, file: FileTemplate, where: str) -> None:
        outer = self._scope
        try:
            for scope in self._items(file, where):
                self._scope = scope
                if file.when is not None and not self._condition(file.when, f"{where}.when"):
                    self._skipped.add(file.path)
                    continue
                path = self._path(file.path, f"{where}.path")
                self._keep(path, self._content(path, file.template, f"{where}.template"))
        finally:
            self._scope = outer

    def _items(self, file: FileTemplate, where: str) -> Iterator[dict[str, Any]]:
        if file.for_each is None:
            yield self._scope
            return
        items = self._leaf(file.for_each, f"{where}.forEach")
        if isinstance(items, Mapping):
            items = [{"key": key, "value": value} for key, value in items.items()]
        if items is None:
            items = []
        if not isinstance(items, list):
            raise Problem(
                "TemplateError", "forEach does not give a list", "give it a list, or a map for its keys and values"
            )
        if len(items) > self._limits.items:
            raise Oversized(f"forEach gives {len(items)} items, and at most {self._limits.items} are allowed")
        if not items:
            self._skipped.add(file.path)
        self._environment.decided(f"{where}.forEach", bool(items))
        for index, item in enumerate(items):
            yield {**self._scope, "item": item, "index": index}

    def _condition(self, source: str, where: str) -> bool:
        value = self._leaf(source, where)
        if isinstance(value, str):
            word = value.strip().lower()
            value = word not in ("", "false", "no", "off", "0")
        self._environment.decided(where, bool(value))
        return bool(value)

    def _path(self, source: str, where: str) -> str:
        self.attempt.begin(where, source, self._scope)
        path = self._text(source, where)
        problem = path_problem(path)
        if problem:
            shown = path if len(path) <= LONGEST_PART else f"{path[:LONGEST_PART]}…"
            remedy = _TOO_LONG if problem == "is too long" else "use a relative path without '..'"
            raise Problem("InvalidPath", f"the path {shown!r} {problem}", remedy, value=path)
        path = posixpath.normpath(path)
        if meant := meaning_made_by_a_value(path, source):
            raise Problem(
                "InvalidPath",
                f"the path {path!r} has the name {meant!r}, which has a meaning for tools that read the repository",
                "write such a name into the template, or put something before the value, such as app-{{ name }}",
                value=path,
            )
        twin = self._spellings.setdefault(as_one_file(path), path)
        if path in self._files or twin != path:
            raise Problem(
                "DuplicatePath",
                f"two files have the path {path!r}"
                if twin == path
                else f"{twin!r} and {path!r} are the same file to some readers",
                "put what differs into the path, such as {{ item.name }} or {{ index }}",
                value=path,
            )
        if len(self._files) >= self._limits.items:
            raise Oversized(f"more than {self._limits.items} files")
        return path

    def _content(self, path: str, template: str, place: str) -> bytes:
        text = self._run(template, path, place)
        try:
            match file_kind(path):
                case "YAML":
                    return self._yaml(text)
                case "JSON":
                    return self._json(text)
        except InvalidManifest as error:
            raise self.attempt.locate(error) from None
        content = self._tokens.plain(text).encode()
        if len(content) > self._limits.document_bytes:
            raise Oversized(f"the file is larger than {self._limits.document_bytes} bytes")
        return content

    def _parse(self, text: str) -> list[Any]:
        most = self._limits.documents
        try:
            documents = load_documents(self._tokens.expand(text), leaves=self._tokens, most=most - self._documents)
        except TooManyDocuments:
            raise Oversized(f"more than {most} documents") from None
        self._documents += len(documents)
        return documents

    def _yaml(self, text: str) -> bytes:
        documents = []
        for document in self._parse(text):
            try:
                dumped = dump_document(document).encode()
            except TooDeep as error:
                raise InvalidManifest(str(error)) from None
            self._check_size(dumped)
            documents.append(dumped)
        return b"---\n".join(documents)

    def _json(self, text: str) -> bytes:
        documents = self._parse(text)
        if len(documents) > 1:
            raise InvalidManifest(f"{len(documents)} documents, and JSON has one")
        if not documents:
            return b""
        try:
            content = orjson.dumps(documents[0], option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError as error:
            raise InvalidManifest(f"this cannot be written as JSON: {error}") from None
        self._check_size(content)
        return content

    def _check_size(self, document: bytes) -> None:
        if len(document) > self._limits.document_bytes:
            raise Oversized(f"a document is larger than {self._limits.document_bytes} bytes, the limit of etcd")

    def _keep(self, path: str, content: bytes) -> None:
        if not content and holds_manifests(path):
            self._skipped.add(path)  # there is no document in it
            return
        self._bytes += len(content)
        if self._bytes > self._limits.output_bytes:
            raise Oversized(f"the files are larger than {self._limits.output_bytes} bytes together")
        self._files[path] = content

    def _check_folders(self) -> None:
        for path in self._files:
            folder = posixpath.dirname(path)
            while folder:
                if folder in self._files:
                    self.attempt.begin(path, "", self._scope)
                    raise Problem("InvalidPath", f"{folder!r} is a file, and the folder of {path!r}", "rename one")
                folder = posixpath.dirname(folder)

    # ---- what is not a file

    def _render_destinations(self) -> tuple[DestinationRule, ...]:
        rules: dict[str, DestinationRule] = {}
        for index, rule in enumerate(self._pipeline.destinations):
            where = f"destinations[{index}]"
            directory = posixpath.normpath(self._text(rule.directory, f"{where}.directory") or ".")
            labels = {
                self._text(key, f"{where}.matchLabels"): self._label(value, f"{where}.matchLabels.{key}")
                for key, value in rule.match_labels.items()
            }
            self.attempt.begin(f"{where}.directory", rule.directory, self._scope)
            if "/" in directory or directory == "..":
                raise Problem(
                    "InvalidDestinations", f"{directory!r} is not a folder at the top", "name one folder, or '.'"
                )
            if directory in rules:
                raise Problem("InvalidDestinations", f"two rules are for {directory!r}", "merge them into one")
            if directory != "." and not any(path.startswith(f"{directory}/") for path in self._files):
                if any(path.startswith((f"{directory}/", "{")) for path in self._skipped):
                    continue  # its files were left out by ``when``
                raise Problem(
                    "InvalidDestinations",
                    f"no file is in the folder {directory!r}",
                    f"write files to {directory}/…, or remove the rule",
                )
            rules[directory] = DestinationRule(directory, labels)
        return tuple(rules.values())

    def _label(self, value: Any, where: str) -> str:
        found = self._leaf(value, where) if isinstance(value, str) else value
        if found is None or isinstance(found, (dict, list)) or not _LABEL.fullmatch(text_of(found)):
            self.attempt.begin(where, value if isinstance(value, str) else "", self._scope)
            raise Problem(
                "InvalidDestinations",
                f"{text_of(found)!r} is not a valid label value",
                "use up to 63 letters and digits",
            )
        return text_of(found)

    def _render_status(self) -> Mapping[str, Any]:
        status = {
            self._text(key, "status"): self._tree(value, f"status.{key}")
            for key, value in self._pipeline.status.items()
        }
        self.attempt.begin("status", "", self._scope)
        if len(orjson.dumps(status)) > self._limits.status_bytes:
            raise Oversized(f"the status is larger than {self._limits.status_bytes} bytes")
        for name in _OWN_STATUS:
            if name in status:
                raise Problem("InvalidStatus", f"status.{name} is written by the platform", "choose another field")
        conditions = status.get("conditions", [])
        if not isinstance(conditions, list) or not all(
            isinstance(entry, dict) and isinstance(entry.get("type"), str) for entry in conditions
        ):
            raise Problem(
                "InvalidStatus", "status.conditions is not a list of conditions", "give each a type and a status"
            )
        return status

    def _render_moved(self) -> tuple[Move, ...]:
        return tuple(
            Move(
                self._text(move.kind, f"moved[{index}].kind"),
                self._text(move.old, f"moved[{index}].from"),
                self._text(move.new, f"moved[{index}].to"),
            )
            for index, move in enumerate(self._pipeline.moved)
        )

    def _render_control(self) -> Control | None:
        control = self._pipeline.control
        if not control:
            return None
        suspend = control.get("suspend") or False
        if isinstance(suspend, str):
            suspend = self._condition(suspend, "control.suspend")
        message = self._text(control.get("message") or "", "control.message")[:_LONGEST_MESSAGE]
        retry = self._leaf(control.get("retryAfter") or "", "control.retryAfter")
        retry_after: float | None = None
        if retry not in (None, "", False):
            try:
                retry_after = parse_duration(retry)
            except ValueError as error:
                self.attempt.begin("control.retryAfter", control["retryAfter"], self._scope)
                raise Problem("TemplateError", str(error), "write it as 30s, 10m or 1h30m") from None
        if not suspend and retry_after is None:
            return None
        return Control(suspend, message, retry_after, self._render_max_attempts(control.get("maxAttempts")))

    def _render_max_attempts(self, source: Any) -> int:
        most = self._leaf(source, "control.maxAttempts") if isinstance(source, str) else source
        if most in (None, ""):
            return 0
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            self.attempt.begin("control.maxAttempts", source, self._scope)
            raise Problem("TemplateError", f"{most!r} is not a count", "write a whole number from 1 on")
        return most


def order_values(values: Mapping[str, Any], environment: Environment) -> list[str]:
    """Returns the names of the values in an order in which each comes after those that its expressions read."""
    needs = {name: _names_in(value, environment) for name, value in values.items()}
    ordered: list[str] = []
    open_names: set[str] = set()

    def visit(name: str) -> None:
        if name in ordered or name in open_names:
            return  # a circle is found during evaluation, as a name that does not exist yet
        open_names.add(name)
        for other in values:
            if other != name and (other in needs[name] or "values" in needs[name]):
                visit(other)
        ordered.append(name)

    # Values that read all others come last. Otherwise they would be evaluated before their inputs.
    for name in sorted(values, key=lambda name: "values" in needs[name]):
        visit(name)
    return ordered


def _names_in(value: Any, environment: Environment) -> frozenset[str]:
    if isinstance(value, str):
        return environment.names_in(value) if any(opener in value for opener in _OPENERS) else frozenset()
    if isinstance(value, Mapping):
        children: Sequence[Any] = [*value.values(), *value]
    elif isinstance(value, (list, tuple)):
        children = value
    else:
        return frozenset()
    return frozenset().union(*(_names_in(child, environment) for child in children))
