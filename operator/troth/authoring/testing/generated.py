"""Checks the promises that every Promise makes silently, with requests that are generated.

Requests are made from the schema of the API: the smallest and the fullest, random ones that hypothesis draws and
shrinks, and the fullest of those with each member of each enum, each boundary, and without each optional field. They
are also made from what people wrote in examples and cases: each of these is tried as it is, with one value changed at
a time, and with a few values drawn at random. A request that is refused is also tried with the labels, annotations and
names of these. For each request that the API server would accept, these promises are checked:

* ``renders``: it renders, or a template refuses it on purpose (``{{ fail("…") }}``);
* ``same-twice``: rendering it again gives the same result;
* ``valid-objects``: the schema of every object allows it, if the schema is known.

If every request is refused, or a pipeline is never reached, nothing was tested. That fails, too, unless a comment next
to the refusal says that it is intended.

The same seed draws the same requests, so that a failure is found again on every machine. Therefore hypothesis does not
use a database of earlier failures here, or constants from the modules that are loaded, and does not write anything
into the current folder.
"""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import orjson

from troth.authoring.home import Home
from troth.authoring.rendering.requests import Requests
from troth.authoring.testing.kept import RENDERS, SAME_TWICE, VALID_OBJECTS, GeneratedFailure, Promises
from troth.authoring.testing.written_requests import written_requests
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.failure import Failure
from troth.engine.linting.asking import NOTHING_RENDERED, SILENCE, Asking, Frame, Tally, may_depend_on_metadata
from troth.engine.linting.boundaries import around
from troth.engine.linting.comments import comments_in
from troth.engine.linting.requests import specs
from troth.engine.rendering.sources import field_of, value_at

_NAMES: Final = ("a", "a.b", "1a", "a" * 63)
_NOT_OURS: Final = ("apiVersion", "kind", "metadata", "status")
_ATTEMPTS_FOR_EACH: Final = 4
_MOST_FAILURES: Final = 5
_SHRINKING: Final = 400
_SLOW: Final = 80
_AROUND_WRITTEN: Final = 40
_CONSTANTS: Final = "_get_local_constants"


def check_generated(
    home: Home, requests: Requests, worker: BoundedWorker, *, examples: int = 100, seed: int = 0
) -> tuple[GeneratedFailure, ...]:
    """Checks the promises with generated requests.

    Args:
        home: the Promise.
        requests: renders its requests.
        worker: the process that renders. What is generated here counts for its coverage, too.
        examples: the number of random requests. If it is 0, no requests are generated at all.
        seed: the seed of the random requests. The same seed gives the same requests.

    Returns:
        A failure for each way in which a promise is broken, at most 5 of them, the worst first.

    Raises:
        HomeError: an example, or a file of ``schemas/``, cannot be read.
    """
    if examples <= 0:
        return ()
    resource = requests.offer.resource
    assert resource is not None  # noqa: S101 - else there are no `Requests`
    asking = Asking(resource.api_version, resource.kind, written_requests(home), name="test")
    trial = _Trial(requests, Promises(home, worker), asking)
    schema = _schema_of(requests)
    for request in asking.written:
        trial.try_written(request)
    for body in specs(schema):
        trial.try_chosen(body)
    with _leaving_nothing_behind():
        _draw(trial, schema, examples=examples, seed=seed)
    for body in around(schema, trial.fullest):
        trial.try_chosen(body)
    for frame, written in asking.bodies():
        for body in around(schema, written, most=_AROUND_WRITTEN):
            trial.try_chosen(body, frame)
    return trial.failures()


class _InVain(Exception):
    """Too few of the request bodies that were drawn fit the API."""


class _Broken(Exception):
    """A promise does not hold. Each way has a subclass, so that hypothesis shrinks each of them separately."""


@dataclass(slots=True)
class _Trial:
    """Tries requests, and keeps the smallest one for each way in which a promise was broken."""

    requests: Requests
    promises: Promises
    asking: Asking
    tally: Tally = field(default_factory=Tally)
    fullest: Mapping[str, Any] = field(default_factory=dict)
    _smallest: dict[tuple[str, str], GeneratedFailure] = field(default_factory=dict)
    _kinds: dict[tuple[str, str], type[_Broken]] = field(default_factory=dict)
    _left: int = _SHRINKING
    _first_refused: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_broken(self) -> bool:
        """Whether a promise is broken, so that hypothesis is shrinking its request now."""
        return bool(self._smallest)

    def failures(self) -> tuple[GeneratedFailure, ...]:
        """The failures that were found, in a fixed order."""
        order = (RENDERS, SAME_TWICE, VALID_OBJECTS)
        found = sorted(self._smallest.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
        failures = tuple(failure for _, failure in found[:_MOST_FAILURES])
        untested = None if failures else self._untested()
        return (untested,) if untested is not None else failures

    def _untested(self) -> GeneratedFailure | None:
        """The failure that says that nothing was tested; None if something was, or if that is intended."""
        said = self.tally.untested([pipeline.name for pipeline in self.requests.offer.resource_configure])
        if not said or any(self._is_meant(refusal) for refusal in self.tally.refusals.values()):
            return None
        meant = f", or write {SILENCE} above the line that refuses" if self.tally.refusals else ""
        fix = f"write an example or a case that is rendered: requests are made from those{meant}"
        first = next(iter(self.tally.refusals.values()), None)
        place = self.promises.place(first) if first is not None else ""
        return GeneratedFailure(RENDERS, self._first_refused, f"{said}; {fix}", place, untested=True)

    def _is_meant(self, refusal: Failure) -> bool:
        promise = self.requests.home.promise
        text = value_at(promise, field_of(promise, refusal))
        comments = comments_in(text.split("\n")) if isinstance(text, str) else ()
        return any(comment.silences(NOTHING_RENDERED, refusal.line or 1) for comment in comments)

    def try_written(self, request: Mapping[str, Any]) -> None:
        """Tries a request that somebody wrote, as it is, and makes it smaller if it fails."""
        if len(self._smallest) >= _MOST_FAILURES:
            return
        known = set(self._smallest)
        answer = self._judge(request)
        self._count(answer)
        self._shrink(answer, {name: request[name] for name in request if name not in _NOT_OURS}, known)

    def try_chosen(self, body: Mapping[str, Any], frame: Frame | None = None) -> None:
        """Tries a request that was chosen, and makes it smaller if it fails."""
        if len(self._smallest) >= _MOST_FAILURES:
            return
        known = set(self._smallest)
        self._shrink(self._ask(body, frame), body, known)

    def _shrink(self, answer: _Answer, body: Mapping[str, Any], known: set[tuple[str, str]]) -> None:
        if answer.found is None or answer.found[0] in known:
            return
        key, smaller = answer.found[0], body
        around_it = {name: answer.request[name] for name in ("apiVersion", "kind", "metadata")}
        for _ in range(3):
            before = smaller
            for candidate in _reductions(before):
                if self._left <= 0:
                    return
                again = self._judge({**around_it, **candidate}).found
                if again is not None and again[0] == key:
                    smaller = candidate
                    break
            if smaller is before:
                return

    def try_drawn(self, body: Mapping[str, Any], frame: Frame, reject: Callable[[], Any]) -> None:
        """Tries a request that hypothesis has drawn.

        Raises:
            _Broken: a promise does not hold.
        """
        if self._left <= 0:
            return  # it was shrunk enough: nothing that is tried after this counts as a failure
        answer = self._ask(body, frame)
        if answer.words:
            reject()
        if answer.found is not None:
            kind = self._kinds.setdefault(answer.found[0], type("Broken", (_Broken,), {}))
            raise kind(answer.found[1])

    def _ask(self, body: Mapping[str, Any], frame: Frame | None) -> _Answer:
        """What becomes of a body, in the first frame in which the API accepts it."""
        answer = self.asking.ask(body, self._judge, lambda answer: answer.asks_for_more, first=frame)
        self._count(answer)
        if not answer.refused and _weight(body) > _weight(self.fullest):
            self.fullest = body
        return answer

    def _count(self, answer: _Answer) -> None:
        self.tally.count(answer.reached, answer.failure, words=answer.words)
        if answer.refused and not self._first_refused:
            self._first_refused = answer.request

    def _judge(self, request: Mapping[str, Any]) -> _Answer:
        """What becomes of a request: whether it breaks a promise, in which way, and what happened."""
        rendering = self.requests.render_with(self.promises.render, request)
        if rendering.refusals:
            return _Answer(request, words=str(rendering.refusals[0]))
        answer = _Answer(request, failure=rendering.failure, reached=self.promises.reached)
        if self._smallest:
            self._left -= 1
        broken = self.promises.broken(request, rendering, self.requests.offer.resource_configure)
        if broken is None:
            return answer
        failure, way = broken
        key = (failure.name, f"{failure.place} {way}")
        if rendering.failure is not None and rendering.failure.reason in ("TemplateTimeout", "RenderCrashed"):
            self._left -= _SLOW
        best = self._smallest.get(key)
        if best is None or _weight(request) < _weight(best.request):
            self._smallest[key] = failure
        return replace(answer, found=(key, failure.message))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of one request.

    Attributes:
        request: the whole request.
        words: what the API says if it refuses the request.
        failure: why not everything was rendered.
        reached: the pipelines that rendered.
        found: the way in which it breaks a promise, and what happened; None when it keeps all of them, or is refused.
    """

    request: Mapping[str, Any]
    words: str = ""
    failure: Failure | None = None
    reached: tuple[str, ...] = ()
    found: tuple[tuple[str, str], str] | None = None

    @property
    def asks_for_more(self) -> bool:
        """Whether it is refused, but the same body may be accepted in another frame, for example with a label."""
        return self.refused and (not self.words or may_depend_on_metadata(self.words))

    @property
    def refused(self) -> bool:
        """Whether the API or, on purpose, a template refuses it."""
        return bool(self.words) or (self.failure is not None and self.failure.reason == "Refused")


def _draw(trial: _Trial, schema: Mapping[str, Any], *, examples: int, seed: int) -> None:
    import hypothesis
    from hypothesis import strategies as st
    from hypothesis.errors import Flaky, InvalidArgument, Unsatisfiable

    from troth.authoring.testing.strategies import near, values

    bodies = [values(schema), *(near(schema, body) for _, body in trial.asking.bodies())]
    frames = [*trial.asking.frames, *(replace(trial.asking.plain, name=name) for name in _NAMES)]
    attempts = 0

    @st.composite
    def attempted(draw: st.DrawFn) -> Any:
        # If few values fit (a pattern against a length), hypothesis would go on for thousands of attempts.
        nonlocal attempts
        attempts += 1
        if attempts > _ATTEMPTS_FOR_EACH * examples and not trial.is_broken:
            raise _InVain
        return draw(st.one_of(bodies))

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        verbosity=hypothesis.Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )
    @hypothesis.given(attempted(), st.one_of(st.just(frames[0]), st.sampled_from(frames)))
    def draw(body: Mapping[str, Any], frame: Frame) -> None:
        trial.try_drawn(body, frame, hypothesis.reject)

    try:
        draw()
    except (_Broken, Flaky):
        return  # the trial has kept it
    except (Unsatisfiable, InvalidArgument, _InVain):
        return  # the trial reports that nothing was tested


def _schema_of(requests: Requests) -> Mapping[str, Any]:
    """The schema of what a request of the served version has beside its metadata."""
    definition, resource = requests.offer.definition, requests.offer.resource
    for version in definition["spec"]["versions"] if definition is not None else ():
        if resource is not None and version["name"] == resource.version:
            schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
            properties = schema.get("properties") or {}
            return {
                "type": "object",
                "properties": {name: child for name, child in properties.items() if name not in _NOT_OURS},
                "required": [name for name in schema.get("required") or () if name not in _NOT_OURS],
            }
    return {"type": "object"}


def _reductions(value: Any) -> Iterator[Any]:
    """The values that remain when one of the parts is removed."""
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield {key: other for key, other in value.items() if key != name}
            for smaller in _reductions(child):
                yield {**value, name: smaller}
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield [*value[:index], *value[index + 1 :]]
            for smaller in _reductions(child):
                yield [*value[:index], smaller, *value[index + 1 :]]


def _weight(request: Mapping[str, Any]) -> tuple[int, bytes]:
    packed = orjson.dumps(request, option=orjson.OPT_SORT_KEYS)
    return len(packed), packed


@contextlib.contextmanager
def _leaving_nothing_behind() -> Iterator[None]:
    """Keeps hypothesis from writing a folder, and from using constants of the modules that are loaded."""
    from hypothesis import configuration

    providers: Any = importlib.import_module("hypothesis.internal.conjecture.providers")
    home = configuration.storage_directory(intent_to_write=False).home_directory
    constants = getattr(providers, _CONSTANTS, None)  # hypothesis does not have a public way to do this
    with tempfile.TemporaryDirectory(prefix="troth-") as folder:
        configuration.set_hypothesis_home_dir(Path(folder) / "hypothesis")
        if constants is not None:
            none = providers.Constants()
            setattr(providers, _CONSTANTS, lambda: none)
            providers.CONSTANTS_CACHE.cache.clear()
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(home)
            if constants is not None:
                setattr(providers, _CONSTANTS, constants)
                providers.CONSTANTS_CACHE.cache.clear()
