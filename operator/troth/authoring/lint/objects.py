"""The objects of a Promise: its dependencies, those of its own workflow, and those that requests make it render.

Requests are its examples and those that show each branch of its API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from troth.authoring.bounded import BoundedWorker
from troth.authoring.files import HomeError, read_objects
from troth.authoring.home import Home, Source, locate, locate_failure, offer_of
from troth.authoring.lint.findings import Finding
from troth.authoring.lint.known import Known, schemas_of
from troth.authoring.lint.places import Files, shown
from troth.authoring.rendering import Rendering, Requests
from troth.engine.context import render_context
from troth.engine.failure import Failure
from troth.engine.kinds.schemas import Schemas
from troth.engine.kinds.versions import DEPRECATED, KUBERNETES, REMOVED
from troth.engine.linting.remarks import CODES, Severity
from troth.engine.linting.requests import LENGTHS, longest, specs
from troth.engine.manifests import InvalidManifest, load_documents
from troth.engine.render import Outcome

_STRUCTURED: Final = (".yaml", ".yml", ".json")
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_TAGGED: Final = re.compile(r"(@sha256:[0-9a-f]{64}|:(?!latest$)[\w][\w.-]{0,127})$")
_NAME_LIMITS: Final[Mapping[str, int]] = {"Service": 63, "Namespace": 63, "CronJob": 52, "StatefulSet": 52}
_LABEL_LIMIT: Final = 63
_NAME_LIMIT: Final = 253
_SHOWN: Final = 80
_PROCESSOR_SECONDS: Final = 5.0
_DEEPEST: Final = 60


@dataclass(frozen=True, slots=True)
class Rendered:
    """An object, and where its text was written."""

    object: Mapping[str, Any]
    source: Source


def check_objects(home: Home, worker: BoundedWorker, files: Files, known: Known | None = None) -> list[Finding]:
    """What is wrong with the objects of a Promise: those that it renders and those that it brings.

    Args:
        home: the Promise; the operator would take it.
        worker: renders; after five seconds of a processor no further request is tried. Time on the wall would make
            what is found depend on what else the machine does.
        files: reads the lines for places.
        known: schemas beside those that come with Troth or with the Promise.

    Raises:
        HomeError: an example or a schema cannot be read.
    """
    checking = _Checking(home, files, schemas_of(home, known))
    for index, dependency in enumerate(home.promise["spec"].get("dependencies") or ()):
        if isinstance(dependency, Mapping):
            checking.check(Rendered(dependency, locate(home, f"spec.dependencies[{index}]")))
    promise, offer = offer_of(home)
    if offer.promise_configure:
        checking.promise(worker.render_now(offer.promise_configure, render_context(promise, None)))
    try:
        requests = Requests(home, destinations=None)
    except HomeError:
        return checking.findings  # without an API there is nothing to ask for
    until = worker.spent + _PROCESSOR_SECONDS
    for request in _requests(home, requests):
        checking.rendering(requests.render_with(worker.render_now, request), request)
        if checking.hopeless:
            return checking.findings
        if worker.spent > until:
            checking.late()
            return checking.findings
    for name_length, rendering in _longest(requests, worker):
        if worker.spent > until:
            checking.late()
            break
        if rendering is not None:
            checking.lengths(rendering, name_length)
    return checking.findings


def _resource(requests: Requests) -> tuple[str, str, Mapping[str, Any]]:
    definition, resource = requests.offer.definition, requests.offer.resource
    assert definition is not None and resource is not None  # noqa: S101, PT018 - Requests refuses others
    versions = {version["name"]: version for version in definition["spec"]["versions"]}
    schema = versions[resource.version]["schema"]["openAPIV3Schema"]
    return resource.api_version, resource.kind, (schema.get("properties") or {}).get("spec") or {}


def _request(api_version: str, kind: str, name: str, spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": metadata,
        **({} if spec is None else {"spec": spec}),
    }


def _requests(home: Home, requests: Requests) -> Iterator[Mapping[str, Any]]:
    api_version, kind, schema = _resource(requests)
    for path in home.examples:
        for obj in read_objects(path):
            if obj["kind"] == kind:
                yield obj
    yield _request(api_version, kind, "example", None)
    for spec in specs(schema):
        yield _request(api_version, kind, "example", spec)


def _longest(requests: Requests, worker: BoundedWorker) -> Iterator[tuple[int, Rendering | None]]:
    """Requests with the longest name that is not refused, with short texts and with the longest ones.

    None stands for one that was refused.
    """
    api_version, kind, schema = _resource(requests)
    shortest = next(iter(specs(schema)), None)
    for spec in (shortest, longest(schema)):
        for length in LENGTHS:
            request = _request(api_version, kind, "a" * length, spec)
            rendering = requests.render_with(worker.render_now, request)
            taken = not rendering.refusals and rendering.failure is None
            yield length, rendering if taken else None
            if taken:
                break


class _Checking:
    """Gathers findings, each object and each complaint once."""

    def __init__(self, home: Home, files: Files, schemas: Schemas) -> None:
        self._home = home
        self._files = files
        self._schemas = schemas
        self.hopeless = False
        self._found: dict[tuple[str, str, int, str], Finding] = {}
        self._names = [
            pipeline["metadata"]["name"]
            for pipeline in home.promise["spec"].get("workflows", {}).get("resource", {}).get("configure") or ()
        ]

    @property
    def findings(self) -> list[Finding]:
        """What was found."""
        return list(self._found.values())

    def rendering(self, rendering: Rendering, request: Mapping[str, Any]) -> None:
        """Looks at everything that became of a request."""
        if rendering.failure is not None and rendering.failure.reason != "Refused":
            failure = rendering.failure
            self.hopeless = failure.is_unbounded
            asked = _short(request.get("spec"))
            source = locate_failure(self._home, failure)
            message = f"{failure.message}, when a request says {asked}"
            self._say(
                "T208", source, message, failure.hint or "handle it, or let the API refuse it", failure.expression
            )
            if failure.is_unbounded:
                self._unbounded("T208")
        for rendered in self._objects(rendering):
            self.check(rendered)

    def promise(self, outcomes: Iterable[Outcome]) -> None:
        """Looks at what the Promise's own workflow gives."""
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                source = locate_failure(self._home, outcome)
                fix = outcome.hint or "handle it: the Promise is not available until it renders"
                self._say("T210", source, outcome.message, fix, outcome.expression)
                continue
            for file in outcome.files:
                source = self._source(file.path, outcome.pipeline)
                for rendered in _objects_in(file.path, file.content, source):
                    self.check(rendered)

    def late(self) -> None:
        """Says that time ran out."""
        seconds = f"{_PROCESSOR_SECONDS:g} seconds of a processor"
        message = f"rendering is slow: not every request was tried within {seconds}"
        self._say("T004", Source(self._home.file, 1), message, "look for long loops")

    def _objects(self, rendering: Rendering) -> Iterator[Rendered]:
        for path, content in rendering.files.items():
            pipeline, file = self._names[0] if self._names else "", path
            if len(self._names) > 1:
                pipeline, _, file = path.partition("/")
            yield from _objects_in(path, content, self._source(file, pipeline))

    def _source(self, path: str, pipeline: str) -> Source:
        return locate_failure(self._home, Failure("InvalidYAML", "", pipeline=pipeline, file=path))

    def check(self, rendered: Rendered) -> None:
        """Looks at one object."""
        obj = rendered.object
        api_version, kind = obj.get("apiVersion"), obj.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str) or not api_version or not kind:
            fix = "begin each document with apiVersion and kind"
            self._say("T202", rendered.source, "a document is no object of Kubernetes", fix)
            return
        self._version(rendered, api_version, kind)
        if kind == "Secret" and api_version == "v1" and (obj.get("data") or obj.get("stringData")):
            message = (
                "a Secret with its content goes to the store, where everybody who reads it can read the content"
            )
            fix = "let External Secrets, Sealed Secrets or an operator of the destination make it"
            self._say("T204", rendered.source, message, fix, f"kind: {kind}")
        for image in _images(obj, 0):
            if not _TAGGED.search(image):
                message = f"the image {image} has no fixed tag: what runs changes without a change here"
                self._say("T205", rendered.source, message, "give it a tag or a digest", "image:")
        self._schema(rendered, api_version, kind)

    def _version(self, rendered: Rendered, api_version: str, kind: str) -> None:
        removed = REMOVED.get((api_version, kind))
        if removed is not None:
            release, instead = removed
            message = f"{api_version} {kind} is gone since Kubernetes {release}"
            self._say("T207", rendered.source, message, f"use {instead}" if instead else "", f"{api_version}")
        elif (api_version, kind) in DEPRECATED:
            message = f"{api_version} {kind} is deprecated in Kubernetes {KUBERNETES}"
            self._say("T206", rendered.source, message, f"use {DEPRECATED[api_version, kind]}", f"kind: {kind}")

    def _schema(self, rendered: Rendered, api_version: str, kind: str) -> None:
        judgement = self._schemas.judge(rendered.object)
        for field, rule in judgement.unchecked:
            message = f"{kind}: {field or 'the whole object'}: the rule {_cut(rule)} could not be evaluated here"
            fix = "make sure of it on a cluster: the API server evaluates it"
            self._say("T209", rendered.source, message, fix, f"kind: {kind}")
        problems = judgement.problems
        if problems is None:
            if (api_version, kind) not in REMOVED:
                message = f"{api_version} {kind} is unchecked: its schema is not known"
                fix = "put its CustomResourceDefinition into schemas/, or into the dependencies"
                self._say("T201", rendered.source, message, fix, f"kind: {kind}")
            return
        for field, problem in problems:
            last = re.split(r"[.\[]", field)[-1].rstrip("]")
            message = f"{kind}: {field}: {problem}" if field else f"{kind}: {problem}"
            self._say("T202", rendered.source, message, "", f"{last}:" if last else f"kind: {kind}", kind)

    def lengths(self, rendering: Rendering, length: int) -> None:
        """Looks for names that are too long when the request's own is as long as it may be."""
        for rendered in self._objects(rendering):
            kind = str(rendered.object.get("kind"))
            metadata = rendered.object.get("metadata")
            metadata = metadata if isinstance(metadata, Mapping) else {}
            most = _NAME_LIMITS.get(kind, _NAME_LIMIT)
            name = metadata.get("name")
            if isinstance(name, str) and len(name) > most:
                self._too_long(rendered, f"the name of {kind}", len(name), most, length, "name:")
            labels = metadata.get("labels")
            for label, value in (labels if isinstance(labels, Mapping) else {}).items():
                if isinstance(value, str) and len(value) > _LABEL_LIMIT:
                    what = f"the label {label} of {kind}"
                    self._too_long(rendered, what, len(value), _LABEL_LIMIT, length, f"{label}:")

    def _too_long(self, rendered: Rendered, what: str, has: int, most: int, length: int, needle: str) -> None:
        message = f"{what} has {has} characters when the request's has {length}, and at most {most} are allowed"
        fix = f"shorten it with | dns_label({most}), or refuse long names with fail(…)"
        self._say("T203", rendered.source, message, fix, needle, str(rendered.object.get("kind")))

    def _say(self, code: str, source: Source, message: str, fix: str, needle: str = "", kind: str = "") -> None:
        line, column = self._find(source, needle, kind)
        severity: Severity = CODES[code].severity
        finding = Finding(code, shown(source.path), line, column, message, fix, severity)
        key = (code, finding.file, line, "" if code == "T208" else message)
        self._found.setdefault(key, finding)

    def _unbounded(self, code: str) -> None:
        """Marks the last finding of that code as one behind which nothing was looked at."""
        key = next(key for key in reversed(self._found) if key[0] == code)
        self._found[key] = replace(self._found[key], unbounded=True)

    def _find(self, source: Source, needle: str, kind: str) -> tuple[int, int]:
        """The line from there on that holds the words, behind the kind if that is given."""
        lines = self._files.lines(source.path)
        start = source.line - 1
        if kind:
            start = _first(lines, start, lambda line: line.strip().endswith(f"kind: {kind}"))
        at = _first(lines, start, lambda line: needle in line) if needle else start
        text = lines[at] if 0 <= at < len(lines) else ""
        column = text.find(needle) if needle in text else len(text) - len(text.lstrip())
        return at + 1, column + 1


def _first(lines: Sequence[str], start: int, fits: Callable[[str], bool]) -> int:
    return next((index for index in range(start, min(len(lines), start + 2000)) if fits(lines[index])), start)


def _images(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, child in value.items():
            if key in _CONTAINERS and isinstance(child, list):
                for container in child:
                    image = container.get("image") if isinstance(container, Mapping) else None
                    if isinstance(image, str) and image:
                        yield image
            elif key == "imageName" and isinstance(child, str) and child:
                yield child
            else:
                yield from _images(child, depth + 1)
    elif isinstance(value, list):
        for child in value:
            yield from _images(child, depth + 1)


def _objects_in(path: str, content: bytes, source: Source) -> Iterator[Rendered]:
    if not path.endswith(_STRUCTURED):
        return
    try:
        documents = load_documents(content.decode("utf-8", "replace"))
    except InvalidManifest:
        return  # JSON and YAML that the engine itself wrote
    for document in documents:
        if isinstance(document, Mapping):
            yield Rendered(document, source)


def _short(value: Any) -> str:
    return _cut("nothing" if value is None else orjson.dumps(value).decode())


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
