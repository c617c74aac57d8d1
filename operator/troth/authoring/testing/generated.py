"""Promises that every Promise makes without being asked, held against requests that nobody wrote.

Requests come from the API's own schema: the least and the fullest, random ones that hypothesis draws and shrinks, and
the fullest of those with each member of each enum, each boundary, and without each optional field. Of each that the
API server would take:

* ``renders``: it renders, or a template refuses it on purpose (``{{ fail("…") }}``);
* ``same-twice``: rendering it again gives the same;
* ``valid-objects``: every object is one that its schema allows, as far as there is a schema.

The same seed draws the same requests: no database of former failures, no constants out of whatever code is loaded
(hypothesis looks for both), nothing written beside the Promise. What was found once is found again, on every machine.
"""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from troth.authoring.bounded import BoundedWorker
from troth.authoring.home import Home
from troth.authoring.rendering import Requests
from troth.authoring.testing.boundaries import around
from troth.authoring.testing.kept import RENDERS, SAME_TWICE, VALID_OBJECTS, GeneratedFailure, Promises
from troth.engine.linting.requests import specs

_NAMES: Final = ("test", "a", "a.b", "1a", "a" * 63)
_NOT_OURS: Final = ("apiVersion", "kind", "metadata", "status")
_MOST_FAILURES: Final = 5
_SHRINKING: Final = 400
_SLOW: Final = 80
_CONSTANTS: Final = "_get_local_constants"


def check_generated(
    home: Home, requests: Requests, worker: BoundedWorker, *, examples: int = 100, seed: int = 0
) -> tuple[GeneratedFailure, ...]:
    """Holds the promises against generated requests.

    Args:
        home: the Promise.
        requests: renders its requests.
        worker: the process that renders; what is generated here counts for its coverage, too.
        examples: how many random requests; none at all, not even chosen ones, when it is 0.
        seed: of the random ones; the same seed gives the same requests.

    Returns:
        A failure for each way that a promise is broken, at most 5; the worst first.

    Raises:
        HomeError: a file of ``schemas/`` cannot be read.
    """
    if examples <= 0:
        return ()
    trial = _Trial(requests, Promises(home, worker))
    schema = _schema_of(requests)
    for body in specs(schema):
        trial.try_chosen(body)
    with _leaving_nothing_behind():
        _draw(trial, schema, examples=examples, seed=seed)
    for body in around(schema, trial.fullest):
        trial.try_chosen(body)
    return trial.failures()


class _Broken(Exception):
    """A promise does not hold; a class of its own for each way, so that shrinking stays with one."""


@dataclass(slots=True)
class _Trial:
    """Tries requests, and keeps the smallest for each way in which one failed."""

    requests: Requests
    promises: Promises
    allowed: int = 0
    refused: int = 0
    fullest: Mapping[str, Any] = field(default_factory=dict)
    _smallest: dict[tuple[str, str], GeneratedFailure] = field(default_factory=dict)
    _kinds: dict[tuple[str, str], type[_Broken]] = field(default_factory=dict)
    _left: int = _SHRINKING

    def failures(self) -> tuple[GeneratedFailure, ...]:
        """What was found, in a fixed order."""
        if not self.allowed:
            tried = f"; {self.refused} were tried" if self.refused else ""
            words = f"no request was found that the API's schema and rules allow{tried}"
            return (GeneratedFailure(RENDERS, {}, words),)
        order = (RENDERS, SAME_TWICE, VALID_OBJECTS)
        found = sorted(self._smallest.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
        return tuple(failure for _, failure in found[:_MOST_FAILURES])

    def try_chosen(self, body: Mapping[str, Any]) -> None:
        """Tries one, and makes it smaller when it fails."""
        if len(self._smallest) >= _MOST_FAILURES:
            return
        known = set(self._smallest)
        found = self.judge(body, "test")
        if found is None or found[0] in known:
            return
        key, smaller = found[0], body
        for _ in range(3):
            before = smaller
            for candidate in _reductions(before):
                if self._left <= 0:
                    return
                again = self.judge(candidate, "test")
                if again is not None and again[0] == key:
                    smaller = candidate
                    break
            if smaller is before:
                return

    def try_drawn(self, body: Mapping[str, Any], name: str, reject: Callable[[], Any]) -> None:
        """Tries one for hypothesis.

        Raises:
            _Broken: a promise does not hold.
        """
        if self._left <= 0:
            return  # enough shrinking: whatever is tried now is no failure
        refused = self.refused
        found = self.judge(body, name)
        if self.refused > refused:
            reject()
        if found is not None:
            kind = self._kinds.setdefault(found[0], type("Broken", (_Broken,), {}))
            raise kind(found[1])

    def judge(self, body: Mapping[str, Any], name: str) -> tuple[tuple[str, str], str] | None:
        """In which way a request breaks a promise, and what happened; None when it keeps all, or is no request."""
        request = self._request(body, name)
        rendering = self.requests.render_with(self.promises.render, request)
        if rendering.refusals:
            self.refused += 1
            return None
        self.allowed += 1
        if _weight(body) > _weight(self.fullest):
            self.fullest = body
        if self._smallest:
            self._left -= 1
        broken = self.promises.broken(request, rendering, self.requests.offer.resource_configure)
        if broken is None:
            return None
        failure, way = broken
        key = (failure.name, f"{failure.place} {way}")
        if rendering.failure is not None and rendering.failure.reason in ("TemplateTimeout", "RenderCrashed"):
            self._left -= _SLOW
        best = self._smallest.get(key)
        if best is None or _weight(request) < _weight(best.request):
            self._smallest[key] = failure
        return key, failure.message

    def _request(self, body: Mapping[str, Any], name: str) -> dict[str, Any]:
        resource = self.requests.offer.resource
        kind = {"apiVersion": resource.api_version, "kind": resource.kind} if resource is not None else {}
        return {**kind, "metadata": {"name": name, "namespace": "default"}, **body}


def _draw(trial: _Trial, schema: Mapping[str, Any], *, examples: int, seed: int) -> None:
    import hypothesis
    from hypothesis import strategies as st
    from hypothesis.errors import Flaky, InvalidArgument, Unsatisfiable

    from troth.authoring.testing.strategies import values

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
    @hypothesis.given(values(schema), st.one_of(st.just(_NAMES[0]), st.sampled_from(_NAMES)))
    def draw(body: Mapping[str, Any], name: str) -> None:
        trial.try_drawn(body, name, hypothesis.reject)

    try:
        draw()
    except (_Broken, Flaky):
        return  # the trial has kept it
    except (Unsatisfiable, InvalidArgument):
        return  # said when the chosen ones were not allowed, either


def _schema_of(requests: Requests) -> Mapping[str, Any]:
    """What a request of the served version has beside its metadata."""
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
    """The value without one of its parts."""
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
    """Hypothesis without its memory: no folder beside the Promise, no constants from modules that are loaded."""
    from hypothesis import configuration

    providers: Any = importlib.import_module("hypothesis.internal.conjecture.providers")
    home = configuration.storage_directory(intent_to_write=False).home_directory
    constants = getattr(providers, _CONSTANTS, None)  # there is no public way
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
