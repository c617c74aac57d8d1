"""Checks the objects of a Promise: its dependencies, and those that it renders for itself and for requests.

The requests are those that people wrote, if there are any, and generated ones that reach each branch of the API. The
caller decides how to render: a command has a process of its own for it, and the operator checks Promises in a separate
process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from troth.api.files import holds_manifests
from troth.engine.failure import Failure
from troth.engine.kinds.schemas import Schemas
from troth.engine.kinds.versions import DEPRECATED, KUBERNETES, REMOVED
from troth.engine.linting.asking import (
    NOTHING_RENDERED,
    SILENCE,
    Asking,
    Frame,
    Tally,
    may_depend_on_metadata,
)
from troth.engine.linting.booleans import KEYS, boolean_keys
from troth.engine.linting.boundaries import around
from troth.engine.linting.images import FIX_IMAGE, unfixed_image
from troth.engine.linting.remarks import Remark
from troth.engine.linting.requests import LENGTHS, longest, specs
from troth.engine.placement.plain_secrets import plain_secrets_of
from troth.engine.promises.offers import Offer
from troth.engine.rendering.render import File, Outcome, Rendered
from troth.engine.rendering.sources import field_of
from troth.engine.yaml.manifests import InvalidManifest, load_documents

_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_NAME_LIMITS: Final[Mapping[str, int]] = {"Service": 63, "Namespace": 63, "CronJob": 52, "StatefulSet": 52}
_LABEL_LIMIT: Final = 63
_NAME_LIMIT: Final = 253
_SHOWN: Final = 80
_PROCESSOR_SECONDS: Final = 5.0
_DEEPEST: Final = 60
_MOST_CHANGED: Final = 30


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of trying a request.

    Attributes:
        files: the rendered files, each with the name of its pipeline.
        failure: why not everything was rendered; None when everything was.
        refused: why the API server would refuse the request, or ""; if it would, there is nothing else.
        reached: the pipelines that rendered.
    """

    files: Sequence[tuple[str, File]] = ()
    failure: Failure | None = None
    refused: str = ""
    reached: Sequence[str] = ()

    @property
    def asks_for_more(self) -> bool:
        """Whether the API or a template refuses the request, and may accept it with other metadata, such as a label."""
        if self.refused:
            return may_depend_on_metadata(self.refused)
        return self.failure is not None and self.failure.reason == "Refused"


@dataclass(frozen=True, slots=True)
class Subject:
    """A Promise to check, and what is needed for that.

    Attributes:
        promise: the built Promise, as a whole object.
        offer: the Promise's offer, as the operator reads it.
        schemas: the schemas of all known kinds.
        try_request: renders a request, which is a whole object of the API.
        try_own: renders the Promise's own workflow.
        spent: returns the seconds of processor time that rendering took until now. With wall-clock time, the result
            would depend on what else the machine does.
        written: the requests that its author wrote as examples and in test cases.
    """

    promise: Mapping[str, Any]
    offer: Offer
    schemas: Schemas
    try_request: Callable[[Mapping[str, Any]], Tried]
    try_own: Callable[[], Iterable[Outcome]]
    spent: Callable[[], float]
    written: Sequence[Mapping[str, Any]] = ()


def check_objects(subject: Subject, *, lengths: bool) -> list[Remark]:
    """Finds what is wrong with the objects of a Promise: those that it renders, and its dependencies.

    After five seconds of processor time no further request is tried, which is reported.

    Args:
        subject: a Promise that the operator would accept.
        lengths: whether to render with the longest names, too, to find names that become too long.
    """
    checking = _Checking(subject)
    for index, dependency in enumerate(subject.promise["spec"].get("dependencies") or ()):
        if isinstance(dependency, Mapping):
            checking.check(_Object(dependency, f"spec.dependencies[{index}]"))
    if subject.offer.promise_configure:
        checking.own(subject.try_own())
    if subject.offer.resource is None:
        return checking.remarks  # without an API there are no requests
    until = subject.spent() + _PROCESSOR_SECONDS
    asking = Asking(*_kind(subject.offer), subject.written)
    for tried, request in _tries(subject, asking, checking.tally):
        checking.tried(tried, request)
        if checking.hopeless:
            return checking.remarks
        if subject.spent() > until:
            checking.late()
            return checking.remarks
    checking.untested([pipeline.name for pipeline in subject.offer.resource_configure])
    for length, taken in _longest(subject, asking) if lengths else ():
        if subject.spent() > until:
            checking.late()
            break
        if taken is not None:
            checking.lengths(taken, length)
    return checking.remarks


def _kind(offer: Offer) -> tuple[str, str]:
    assert offer.resource is not None  # noqa: S101 - whoever has none does not ask
    return offer.resource.api_version, offer.resource.kind


def _schema(offer: Offer) -> Mapping[str, Any]:
    """Returns the API's schema of ``spec``."""
    definition, resource = offer.definition, offer.resource
    assert definition is not None and resource is not None  # noqa: S101, PT018 - whoever has none does not ask
    versions = {version["name"]: version for version in definition["spec"]["versions"]}
    schema = versions[resource.version]["schema"]["openAPIV3Schema"]
    found: Mapping[str, Any] = (schema.get("properties") or {}).get("spec") or {}
    return found


def _tries(subject: Subject, asking: Asking, tally: Tally) -> Iterator[tuple[Tried, Mapping[str, Any]]]:
    """Tries the requests that people wrote, and then those that reach each branch of the API.

    If most of the latter are refused with all metadata, variants of the first request that somebody wrote are tried,
    too, with one value changed at a time: its fields fit together, since its author knew how they must.
    """

    def counted(tried: Tried, request: Mapping[str, Any]) -> tuple[Tried, Mapping[str, Any]]:
        tally.count(tried.reached, tried.failure, words=tried.refused)
        return tried, request

    def asked(body: Mapping[str, Any], frame: Frame | None = None) -> tuple[Tried, Mapping[str, Any]]:
        answers = asking.ask(
            body, lambda request: (subject.try_request(request), request), lambda answer: answer[0].asks_for_more,
            first=frame,
        )  # fmt: skip
        return counted(*answers)

    for request in asking.written:
        yield counted(subject.try_request(request), request)
    refused, tried = tally.refused, tally.tried
    schema = _schema(subject.offer)
    for spec in (None, *specs(schema)):
        yield asked({} if spec is None else {"spec": spec})
    if 2 * (tally.refused - refused) > tally.tried - tried:
        for frame, body in islice(asking.bodies(), 1):
            for changed in around(
                {"properties": {"spec": schema}, "required": ["spec"]}, body, most=_MOST_CHANGED
            ):
                yield asked(changed, frame)


def _longest(subject: Subject, asking: Asking) -> Iterator[tuple[int, Tried | None]]:
    """Tries requests with the longest name that is accepted, with short texts and with the longest ones.

    Yields None for a request that was refused. If all are refused, a request that somebody wrote is tried instead.
    """
    schema = _schema(subject.offer)
    shortest = next(iter(specs(schema)), None)
    generated = [{} if spec is None else {"spec": spec} for spec in (shortest, longest(schema))]
    found = False
    for body in generated:
        for length, tried in _shorter(subject, asking, body):
            found = found or tried is not None
            yield length, tried
    if not found:
        for _, body in islice(asking.bodies(), 1):
            yield from _shorter(subject, asking, body)


def _shorter(subject: Subject, asking: Asking, body: Mapping[str, Any]) -> Iterator[tuple[int, Tried | None]]:
    frames = (frame for frame in asking.frames if _taken(subject, asking, body, frame) is not None)
    base = next(frames, asking.plain)
    for length in LENGTHS:
        found = (_taken(subject, asking, body, frame) for frame in asking.named(base, length))
        tried = next((each for each in found if each is not None), None)
        yield length, tried
        if tried is not None:
            return


def _taken(subject: Subject, asking: Asking, body: Mapping[str, Any], frame: Frame) -> Tried | None:
    tried = subject.try_request(asking.request(body, frame))
    return None if tried.refused or tried.failure is not None else tried


@dataclass(frozen=True, slots=True)
class _Object:
    """An object, and the field of the Promise that contains its text."""

    object: Mapping[str, Any]
    field: str


class _Checking:
    """Collects remarks, without repeating an object or a remark."""

    def __init__(self, subject: Subject) -> None:
        self._promise = subject.promise
        self._schemas = subject.schemas
        self.hopeless = False
        self.tally = Tally()
        self._found: dict[tuple[str, str, int, str], Remark] = {}

    @property
    def remarks(self) -> list[Remark]:
        """The remarks so far."""
        return list(self._found.values())

    def tried(self, tried: Tried, request: Mapping[str, Any]) -> None:
        """Checks the result of trying a request."""
        failure = tried.failure
        if failure is not None and failure.reason != "Refused":
            self.hopeless = failure.is_unbounded
            message = f"{failure.message}, when a request says {_short(request.get('spec'))}"
            self._failed("T208", failure, message, failure.hint or "handle it, or let the API refuse it")
        for obj in self._objects(tried):
            self.check(obj)

    def own(self, outcomes: Iterable[Outcome]) -> None:
        """Checks the outcomes of the Promise's own workflow."""
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                fix = outcome.hint or "handle it: the Promise is not available until it renders"
                self._failed("T210", outcome, outcome.message, fix)
            elif isinstance(outcome, Rendered):
                for file in outcome.files:
                    for obj in self._in_file(outcome.pipeline, file):
                        self.check(obj)

    def untested(self, pipelines: Sequence[str]) -> None:
        """Reports the pipelines that were never rendered, and so not checked."""
        said = self.tally.untested(pipelines)
        if not said:
            return
        fix = "write an example or a test case that is rendered: requests are made from those"
        refusals = list(self.tally.refusals.values())
        for refusal in refusals[:1]:
            self._failed(NOTHING_RENDERED, refusal, said, f"{fix}; or write {SILENCE} above the line that refuses")
        if not refusals:
            self._add(Remark(NOTHING_RENDERED, "spec.api" if self.tally.words else "", said, fix))

    def late(self) -> None:
        """Reports that time ran out."""
        seconds = f"{_PROCESSOR_SECONDS:g} seconds of a processor"
        message = f"rendering is slow: not every request was tried within {seconds}"
        self._add(Remark("T004", "", message, "look for long loops"))

    def _objects(self, tried: Tried) -> Iterator[_Object]:
        for pipeline, file in tried.files:
            yield from self._in_file(pipeline, file)

    def _in_file(self, pipeline: str, file: File) -> Iterator[_Object]:
        if not holds_manifests(file.path):
            return
        try:
            documents = load_documents(file.content.decode("utf-8", "replace"))
        except InvalidManifest:
            return  # the engine itself wrote this JSON or YAML, so it can be read
        place = field_of(self._promise, Failure("InvalidYAML", "", pipeline=pipeline, file=file.path))
        for document in documents:
            yield from (_Object(obj, place) for obj in _listed(document) if isinstance(obj, Mapping))

    def check(self, rendered: _Object) -> None:
        """Checks one object."""
        obj = rendered.object
        api_version, kind = obj.get("apiVersion"), obj.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str) or not api_version or not kind:
            fix = "begin each document with apiVersion and kind"
            self._say("T202", rendered.field, "a document is not a Kubernetes object", fix)
            return
        self._version(rendered, api_version, kind)
        if next(plain_secrets_of(obj), None) is not None:
            message = "a Secret with its content is written to the store, where everybody with access can read it"
            fix = "let External Secrets, Sealed Secrets or an operator of the destination make it"
            self._say("T204", rendered.field, message, fix, "kind: Secret")
        for image in _images(obj, 0):
            if message := unfixed_image(image):
                spellings = tuple(f"image: {quote}{image}{quote}" for quote in ("", '"', "'"))
                self._say("T205", rendered.field, message, FIX_IMAGE, "image:", first=spellings)
        for key in boolean_keys(obj):
            message = (
                f"{kind}: the key {key} is a boolean's: y, n, yes, no, on and off without quotes are booleans"
            )
            spellings = tuple(f"{word}:" for word in sorted(KEYS[key.rpartition(".")[2]]))
            self._say("T113", rendered.field, message, "quote it if you mean the word", first=spellings, kind=kind)
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
                message = f"{api_version} {kind} is unchecked: {judgement.useless or 'its schema is not known'}"
                fix = "put its CustomResourceDefinition into schemas/, or into the dependencies"
                if judgement.useless:
                    fix = "replace it by one that an API server takes"
                self._say("T201", rendered.field, message, fix, f"kind: {kind}")
            return
        for field, problem in problems:
            last = re.split(r"[.\[]", field)[-1].rstrip("]")
            message = f"{kind}: {field}: {problem}" if field else f"{kind}: {problem}"
            self._say("T202", rendered.field, message, "", f"{last}:" if last else f"kind: {kind}", kind)

    def lengths(self, tried: Tried, length: int) -> None:
        """Finds names that are too long when the request's name has the length ``length``."""
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
        """Adds a remark, unless an equal one, such as the same failure for another request, is there."""
        message = "" if remark.code == "T208" else remark.message
        self._found.setdefault((remark.code, remark.field, remark.line, message), remark)


def _listed(document: Any) -> Iterator[Any]:
    """Yields the objects in a ``List``, as every store splits it; for anything else, the object itself."""
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
