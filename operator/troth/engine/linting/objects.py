"""The objects of a Promise: its dependencies, those of its own workflow, and those that requests make it render.

Requests are its examples, where there are any, and those that show each branch of its API. Whoever asks says how to
render: a command has a process of its own for it, and an operator looks at Promises in one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from troth.engine.failure import Failure
from troth.engine.kinds.schemas import Schemas
from troth.engine.kinds.versions import DEPRECATED, KUBERNETES, REMOVED
from troth.engine.linting.remarks import Remark
from troth.engine.linting.requests import LENGTHS, longest, specs
from troth.engine.manifests import InvalidManifest, load_documents
from troth.engine.offers import Offer
from troth.engine.render import Outcome, Rendered, RenderedFile
from troth.engine.sources import field_of

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
class Tried:
    """What became of a request.

    Attributes:
        files: what was rendered, each with the name of its pipeline.
        failure: why not everything was.
        refused: the API server would not take the request; then there is nothing else.
    """

    files: Sequence[tuple[str, RenderedFile]] = ()
    failure: Failure | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """A Promise that is looked at, and the means to do so.

    Attributes:
        promise: the built Promise, a whole object.
        offer: what it offers, as the operator reads it.
        schemas: what is known of kinds.
        try_request: renders a request; whole objects of the API.
        try_own: renders the Promise's own workflow.
        spent: seconds of a processor that rendering took until now. Time on the wall would make what is found depend
            on what else the machine does.
        examples: requests that its author wrote.
    """

    promise: Mapping[str, Any]
    offer: Offer
    schemas: Schemas
    try_request: Callable[[Mapping[str, Any]], Tried]
    try_own: Callable[[], Iterable[Outcome]]
    spent: Callable[[], float]
    examples: Sequence[Mapping[str, Any]] = ()


def check_objects(subject: Subject, *, lengths: bool) -> list[Remark]:
    """What is wrong with the objects of a Promise: those that it renders and those that it brings.

    After five seconds of a processor no further request is tried, and that is said.

    Args:
        subject: the Promise; the operator would take it.
        lengths: also render with the longest names, for names that grow too long.
    """
    checking = _Checking(subject)
    for index, dependency in enumerate(subject.promise["spec"].get("dependencies") or ()):
        if isinstance(dependency, Mapping):
            checking.check(_Object(dependency, f"spec.dependencies[{index}]"))
    if subject.offer.promise_configure:
        checking.own(subject.try_own())
    if subject.offer.resource is None:
        return checking.remarks  # without an API there is nothing to ask for
    until = subject.spent() + _PROCESSOR_SECONDS
    for request in _requests(subject):
        checking.tried(subject.try_request(request), request)
        if checking.hopeless:
            return checking.remarks
        if subject.spent() > until:
            checking.late()
            return checking.remarks
    for length, tried in _longest(subject) if lengths else ():
        if subject.spent() > until:
            checking.late()
            break
        if tried is not None:
            checking.lengths(tried, length)
    return checking.remarks


def _resource(offer: Offer) -> tuple[str, str, Mapping[str, Any]]:
    definition, resource = offer.definition, offer.resource
    assert definition is not None and resource is not None  # noqa: S101, PT018 - whoever has none does not ask
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


def _requests(subject: Subject) -> Iterator[Mapping[str, Any]]:
    api_version, kind, schema = _resource(subject.offer)
    yield from (example for example in subject.examples if example.get("kind") == kind)
    yield _request(api_version, kind, "example", None)
    for spec in specs(schema):
        yield _request(api_version, kind, "example", spec)


def _longest(subject: Subject) -> Iterator[tuple[int, Tried | None]]:
    """Requests with the longest name that is not refused, with short texts and with the longest ones.

    None stands for one that was refused.
    """
    api_version, kind, schema = _resource(subject.offer)
    shortest = next(iter(specs(schema)), None)
    for spec in (shortest, longest(schema)):
        for length in LENGTHS:
            tried = subject.try_request(_request(api_version, kind, "a" * length, spec))
            taken = not tried.refused and tried.failure is None
            yield length, tried if taken else None
            if taken:
                break


@dataclass(frozen=True, slots=True)
class _Object:
    """An object, and the field of the Promise that holds its text."""

    object: Mapping[str, Any]
    field: str


class _Checking:
    """Gathers remarks, each object and each complaint once."""

    def __init__(self, subject: Subject) -> None:
        self._promise = subject.promise
        self._schemas = subject.schemas
        self.hopeless = False
        self._found: dict[tuple[str, str, int, str], Remark] = {}

    @property
    def remarks(self) -> list[Remark]:
        """What was found."""
        return list(self._found.values())

    def tried(self, tried: Tried, request: Mapping[str, Any]) -> None:
        """Looks at everything that became of a request."""
        failure = tried.failure
        if failure is not None and failure.reason != "Refused":
            self.hopeless = failure.is_unbounded
            message = f"{failure.message}, when a request says {_short(request.get('spec'))}"
            self._failed("T208", failure, message, failure.hint or "handle it, or let the API refuse it")
        for obj in self._objects(tried):
            self.check(obj)

    def own(self, outcomes: Iterable[Outcome]) -> None:
        """Looks at what the Promise's own workflow gives."""
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                fix = outcome.hint or "handle it: the Promise is not available until it renders"
                self._failed("T210", outcome, outcome.message, fix)
            elif isinstance(outcome, Rendered):
                for file in outcome.files:
                    for obj in self._in_file(outcome.pipeline, file):
                        self.check(obj)

    def late(self) -> None:
        """Says that time ran out."""
        seconds = f"{_PROCESSOR_SECONDS:g} seconds of a processor"
        message = f"rendering is slow: not every request was tried within {seconds}"
        self._add(Remark("T004", "", message, "look for long loops"))

    def _objects(self, tried: Tried) -> Iterator[_Object]:
        for pipeline, file in tried.files:
            yield from self._in_file(pipeline, file)

    def _in_file(self, pipeline: str, file: RenderedFile) -> Iterator[_Object]:
        if not file.path.endswith(_STRUCTURED):
            return
        try:
            documents = load_documents(file.content.decode("utf-8", "replace"))
        except InvalidManifest:
            return  # JSON and YAML that the engine itself wrote
        place = field_of(self._promise, Failure("InvalidYAML", "", pipeline=pipeline, file=file.path))
        for document in documents:
            yield from (_Object(obj, place) for obj in _listed(document) if isinstance(obj, Mapping))

    def check(self, rendered: _Object) -> None:
        """Looks at one object."""
        obj = rendered.object
        api_version, kind = obj.get("apiVersion"), obj.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str) or not api_version or not kind:
            fix = "begin each document with apiVersion and kind"
            self._say("T202", rendered.field, "a document is no object of Kubernetes", fix)
            return
        self._version(rendered, api_version, kind)
        if kind == "Secret" and api_version == "v1" and (obj.get("data") or obj.get("stringData")):
            message = (
                "a Secret with its content goes to the store, where everybody who reads it can read the content"
            )
            fix = "let External Secrets, Sealed Secrets or an operator of the destination make it"
            self._say("T204", rendered.field, message, fix, f"kind: {kind}")
        for image in _images(obj, 0):
            if not _TAGGED.search(image):
                message = f"the image {image} has no fixed tag: what runs changes without a change here"
                fix = "give it a tag or a digest"
                spellings = tuple(f"image: {quote}{image}{quote}" for quote in ("", '"', "'"))
                self._say("T205", rendered.field, message, fix, "image:", first=spellings)
        self._schema(rendered, api_version, kind)

    def _version(self, rendered: _Object, api_version: str, kind: str) -> None:
        removed = REMOVED.get((api_version, kind))
        if removed is not None:
            release, instead = removed
            message = f"{api_version} {kind} is gone since Kubernetes {release}"
            self._say("T207", rendered.field, message, f"use {instead}" if instead else "", f"{api_version}")
        elif (api_version, kind) in DEPRECATED:
            message = f"{api_version} {kind} is deprecated in Kubernetes {KUBERNETES}"
            self._say("T206", rendered.field, message, f"use {DEPRECATED[api_version, kind]}", f"kind: {kind}")

    def _schema(self, rendered: _Object, api_version: str, kind: str) -> None:
        judgement = self._schemas.judge(rendered.object)
        for field, rule in judgement.unchecked:
            message = f"{kind}: {field or 'the whole object'}: the rule {_cut(rule)} could not be evaluated here"
            fix = "make sure of it on a cluster: the API server evaluates it"
            self._say("T209", rendered.field, message, fix, f"kind: {kind}")
        problems = judgement.problems
        if problems is None:
            if (api_version, kind) not in REMOVED:
                message = f"{api_version} {kind} is unchecked: its schema is not known"
                fix = "put its CustomResourceDefinition into schemas/, or into the dependencies"
                self._say("T201", rendered.field, message, fix, f"kind: {kind}")
            return
        for field, problem in problems:
            last = re.split(r"[.\[]", field)[-1].rstrip("]")
            message = f"{kind}: {field}: {problem}" if field else f"{kind}: {problem}"
            self._say("T202", rendered.field, message, "", f"{last}:" if last else f"kind: {kind}", kind)

    def lengths(self, tried: Tried, length: int) -> None:
        """Looks for names that are too long when the request's own is as long as it may be."""
        for rendered in self._objects(tried):
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

    def _too_long(self, rendered: _Object, what: str, has: int, most: int, length: int, needle: str) -> None:
        message = f"{what} has {has} characters when the request's has {length}, and at most {most} are allowed"
        fix = f"shorten it with | dns_label({most}), or refuse long names with fail(…)"
        self._say("T203", rendered.field, message, fix, needle, str(rendered.object.get("kind")))

    def _say(
        self,
        code: str,
        place: str,
        message: str,
        fix: str,
        needle: str = "",
        kind: str = "",
        first: tuple[str, ...] = (),
    ) -> None:
        self._add(Remark(code, place, message, fix, needle=needle, below=True, kind=kind, first=first))

    def _failed(self, code: str, failure: Failure, message: str, fix: str) -> None:
        self._add(
            Remark(
                code,
                field_of(self._promise, failure),
                message,
                fix,
                line=failure.line or 1,
                needle=failure.expression,
                below=True,
                unbounded=failure.is_unbounded,
            )
        )

    def _add(self, remark: Remark) -> None:
        """Of the requests that fail in one line, the first is enough."""
        message = "" if remark.code == "T208" else remark.message
        self._found.setdefault((remark.code, remark.field, remark.line, message), remark)


def _listed(document: Any) -> Iterator[Any]:
    """The objects of a ``List``, which is taken apart wherever it is written to; of anything else itself."""
    items = document.get("items") if isinstance(document, Mapping) else None
    is_list = isinstance(items, list) and (document.get("apiVersion"), document.get("kind")) == ("v1", "List")
    yield from items if is_list and isinstance(items, list) else (document,)


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


def _short(value: Any) -> str:
    return _cut("nothing" if value is None else orjson.dumps(value).decode())


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
