"""Makes requests to try a Promise with, and says when no request could be rendered.

A ``spec`` can be generated from a schema. The schema does not say what else a Promise needs: a label, a name of a
certain form, two fields that must fit together. The authors of examples and test cases knew that. So their requests are
tried as they are, and then with one value changed at a time; and when a generated ``spec`` is refused, it is tried
again in their namespace and with their names, labels and annotations.

When everything is refused, nothing has been checked, and this must not look like success. `troth test`, `troth lint`
and the operator use the same `Tally` for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import orjson

from troth.engine.failure import Failure
from troth.engine.rendering.render import Outcome, Rendered
from troth.engine.workflow.outputs import is_suspended

NOTHING_RENDERED: Final = "T211"
"""The lint code for a pipeline that was never rendered. A comment with this code silences it."""

SILENCE: Final = f"{{# troth:ignore {NOTHING_RENDERED} why #}}"

_NOT_ASKED: Final = ("apiVersion", "kind", "metadata", "status")
_MOST_FRAMES: Final = 4
_MOST_WRITTEN: Final = 20
_MOST_CHANGED: Final = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Frame:
    """The metadata of a request, which its API's schema does not describe."""

    name: str
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        """Returns the ``metadata`` of a request, without empty fields."""
        found: dict[str, Any] = {"name": self.name, "namespace": self.namespace}
        for what, noted in (("labels", self.labels), ("annotations", self.annotations)):
            if noted:
                found[what] = dict(noted)
        return found


class Asking:
    """Makes requests of one API.

    Args:
        api_version: the version that the operator watches.
        kind: the kind of the requests.
        written: requests that people wrote; those of other kinds are ignored.
        name: the name for generated requests.
    """

    def __init__(
        self, api_version: str, kind: str, written: Sequence[Mapping[str, Any]] = (), *, name: str = "example"
    ) -> None:
        self._api_version, self._kind = api_version, kind
        group = api_version.rpartition("/")[0]
        ours = [
            request
            for request in written
            if request.get("kind") == kind and str(request.get("apiVersion", "")).rpartition("/")[0] == group
        ]
        self.written = tuple(_distinct(ours))[:_MOST_WRITTEN]
        self.plain = Frame(name)
        self.frames = (self.plain, *_frames(ours))[: _MOST_FRAMES + 1]
        self._order = list(self.frames[1:])

    def request(self, body: Mapping[str, Any], frame: Frame | None = None) -> dict[str, Any]:
        """Returns a whole request."""
        metadata = (frame or self.plain).metadata()
        return {"apiVersion": self._api_version, "kind": self._kind, "metadata": metadata, **body}

    def bodies(self) -> Iterator[tuple[Frame, dict[str, Any]]]:
        """Yields the first few requests that people wrote, each as its metadata and the rest, without repetitions."""
        for request in list(_distinct(self.written, _body))[:_MOST_CHANGED]:
            if request.get("apiVersion") == self._api_version:
                yield _frame(request), _body(request)

    def named(self, frame: Frame, length: int) -> list[Frame]:
        """Returns the frame with names of that length: of one repeated letter, and one that begins as its own does."""
        found = [replace(frame, name="a" * length)]
        if frame != self.plain:
            found.append(replace(frame, name=frame.name[:length].rstrip("-.").ljust(length, "a")))
        return list(_distinct(found, Frame.metadata))

    def ask(
        self,
        body: Mapping[str, Any],
        attempt: Callable[[dict[str, Any]], T],
        is_refused: Callable[[T], bool],
        *,
        first: Frame | None = None,
    ) -> T:
        """Tries a body in one frame after another. Returns the first answer that is not a refusal, else the first one.

        Args:
            body: the request without its metadata.
            attempt: tries a whole request, and returns an answer.
            is_refused: whether an answer is a refusal that may be different in another frame.
            first: the frame to begin with; None for the plain one.
        """
        begin = first or self.plain
        answer = attempt(self.request(body, begin))
        if not is_refused(answer):
            return answer
        for frame in [other for other in (*self._order, self.plain) if other != begin]:
            other = attempt(self.request(body, frame))
            if not is_refused(other):
                if frame in self._order:  # the next body is most likely accepted in the same frame
                    self._order.remove(frame)
                    self._order.insert(0, frame)
                return other
        return answer


def may_depend_on_metadata(words: str) -> bool:
    """Whether the API might accept the same body with another name or labels, because no field of the spec is wrong."""
    return not words.startswith("spec")


@dataclass(slots=True)
class Tally:
    """Counts what became of the requests that were tried.

    Attributes:
        tried: how many requests were tried.
        refused: how many of them the API or a template refused.
        failed: whether a template failed in another way, which is reported elsewhere.
        reached: the pipelines that rendered something.
        refusals: the refusals by templates, one for each place.
        words: the first refusal by the API, or "".
    """

    tried: int = 0
    refused: int = 0
    failed: bool = False
    reached: set[str] = field(default_factory=set)
    refusals: dict[tuple[str, str, int | None], Failure] = field(default_factory=dict)
    words: str = ""

    def count(self, reached: Sequence[str], failure: Failure | None, *, words: str = "") -> None:
        """Counts one request.

        Args:
            reached: the pipelines that rendered.
            failure: why not all of them did; None when they did.
            words: the API's refusal of the request, or "".
        """
        self.tried += 1
        self.reached.update(reached)
        if words:
            self.refused += 1
            self.words = self.words or words
        elif failure is not None and failure.reason == "Refused":
            self.refused += 1
            self.refusals.setdefault((failure.pipeline, failure.file, failure.line), failure)
        elif failure is not None:
            self.failed = True

    def untested(self, pipelines: Sequence[str]) -> str:
        """Says in a sentence which pipelines were never rendered, and why; "" if none, or if a failure explains it."""
        missing = [name for name in pipelines if name not in self.reached]
        if not missing or self.failed:
            return ""
        counts = f"{self.tried} tried, {self.refused} refused"
        if len(missing) == len(pipelines):
            what = f"{counts}: nothing was tested"
            if self.words and not self.refusals:
                what = f"no request was found that the API's schema and rules allow: {what}"
        else:
            why = counts if self.refused else f"{self.tried} tried, and each was suspended before it"
            what = f"the pipeline {', '.join(missing)} was never rendered: {why}"
        first = next(iter(self.refusals.values()), None)
        if first is not None:
            return f'{what}; the first refusal was "{first.message}"'
        return f"{what}; the API said first: {self.words}" if self.words else what


def reached(outcomes: Sequence[Outcome]) -> list[str]:
    """Returns the pipelines that rendered, up to the first that fails, or that suspends the ones after it."""
    found = []
    for outcome in outcomes:
        if not isinstance(outcome, Rendered):
            break
        found.append(outcome.pipeline)
        if is_suspended(outcome.control):
            break
    return found


def _body(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name not in _NOT_ASKED}


def _frame(request: Mapping[str, Any]) -> Frame:
    metadata = request.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return Frame(
        str(metadata.get("name") or "example"),
        str(metadata.get("namespace") or "default"),
        _noted(metadata.get("labels")),
        _noted(metadata.get("annotations")),
    )


def _noted(value: Any) -> dict[str, str]:
    return dict(value) if isinstance(value, Mapping) else {}


def _frames(written: Sequence[Mapping[str, Any]]) -> list[Frame]:
    """Returns the different frames of the requests; those that differ in more than the name come first."""
    frames = [_frame(request) for request in written]
    first = {_packed(frame.metadata() | {"name": ""}): frame for frame in reversed(frames)}
    leading = [frame for frame in frames if any(frame is other for other in first.values())]
    return list(_distinct([*leading, *frames], Frame.metadata))


def _distinct(values: Sequence[T], key: Callable[[T], Any] = lambda value: value) -> Iterator[T]:
    seen: set[bytes] = set()
    for value in values:
        packed = _packed(key(value))
        if packed not in seen:
            seen.add(packed)
            yield value


def _packed(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
