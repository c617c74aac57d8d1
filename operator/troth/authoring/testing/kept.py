"""Checks what every Promise promises: it renders, it renders the same twice, and its objects are valid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from troth.api.files import holds_manifests
from troth.api.pipelines import JinjaPipeline
from troth.authoring.home import Home, locate_failure, offer_of
from troth.authoring.known_kinds import schemas_of
from troth.authoring.rendering.promise import render_promise
from troth.authoring.rendering.requests import Rendering
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.failure import Failure
from troth.engine.linting.asking import reached
from troth.engine.rendering.render import Outcome, RenderContext, Rendered
from troth.engine.yaml.manifests import InvalidManifest, load_documents

RENDERS: Final = "renders"
SAME_TWICE: Final = "same-twice"
VALID_OBJECTS: Final = "valid-objects"

_INDEX: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class GeneratedFailure:
    """A promise that does not hold.

    Attributes:
        name: the promise: ``renders``, ``same-twice`` or ``valid-objects``.
        request: the smallest request that was found to break it; None if the Promise's own workflow does, or if such a
            request was not found.
        message: what happened, in one sentence.
        place: the place in the author's files, such as ``templates/cluster.yaml.j2:12``; empty when it is not known.
        own: whether the Promise's own workflow breaks it.
        untested: whether nothing was rendered, so that nothing is known about the other promises, either.
    """

    name: str
    request: Mapping[str, Any]
    message: str
    place: str = ""
    own: bool = False
    untested: bool = False


class Promises:
    """Checks renderings of one Promise.

    Args:
        home: the Promise.
        worker: the process that renders.

    Raises:
        HomeError: a file of ``schemas/`` cannot be read.
    """

    def __init__(self, home: Home, worker: BoundedWorker) -> None:
        self._home, self._worker, self._schemas = home, worker, schemas_of(home)
        self._valid: set[bytes] = set()
        self._rendered: tuple[Sequence[JinjaPipeline], RenderContext, Sequence[Outcome]] | None = None

    def render(self, pipelines: Sequence[JinjaPipeline], context: RenderContext) -> Sequence[Outcome]:
        """Renders, and remembers what was rendered, so that it can be rendered a second time."""
        outcomes = self._worker.render_now(pipelines, context)
        self._rendered = (pipelines, context, outcomes)
        return outcomes

    @property
    def reached(self) -> tuple[str, ...]:
        """The pipelines that rendered in the last call of `render`."""
        outcomes = self._rendered[2] if self._rendered is not None else ()
        return tuple(reached(outcomes))

    def broken(
        self, request: Mapping[str, Any], rendering: Rendering, pipelines: Sequence[JinjaPipeline]
    ) -> tuple[GeneratedFailure, str] | None:
        """The failure and the way in which a promise is broken; None when all of them hold.

        The way is a text that is the same for other requests that break the promise in the same way.

        Args:
            request: the request.
            rendering: its rendering, which must be the last that `render` made.
            pipelines: the pipelines whose files it holds.
        """
        failed = rendering.failure
        if failed is not None:
            if failed.reason == "Refused":
                return None
            found = GeneratedFailure(RENDERS, request, failed.sentence(), self.place(failed))
            return found, f"{failed.reason} {failed.expression}"
        difference = self._difference()
        if difference:
            message = f"{difference} when the same {'request' if request else 'Promise'} is rendered again"
            return GeneratedFailure(SAME_TWICE, request, message), ""
        for path, content in sorted(rendering.files.items()):
            if content in self._valid:
                continue
            for kind, name, place, problem in self._problems(path, content):
                message = f"the {kind} {name} in {path} is not valid: {place} {problem}"
                found = GeneratedFailure(VALID_OBJECTS, request, message, self._place_of_file(path, pipelines))
                return found, f"{kind} {_INDEX.sub('[]', place)}"
            self._valid.add(content)
        return None

    def own(self, *, may_refuse: bool) -> GeneratedFailure | None:
        """The promise that the Promise's own workflow breaks, or None.

        ``may_refuse`` says that a test expects a template of the workflow to refuse.
        """
        offered = offer_of(self._home)
        rendering = render_promise(self._home, offered, destinations=None, render=self.render)
        refusal = rendering.failure
        if refusal is not None and refusal.reason == "Refused":
            if may_refuse:
                return None
            message = f"{refusal.sentence()}; as long as it refuses, nobody can make a request"
            return GeneratedFailure(RENDERS, {}, message, self.place(refusal), own=True)
        found = self.broken({}, rendering, offered[1].promise_configure)
        return replace(found[0], own=True) if found is not None else None

    def _difference(self) -> str:
        """What differs when the last request is rendered once more; empty when nothing does."""
        if self._rendered is None:
            return ""
        pipelines, context, outcomes = self._rendered
        again = self._worker.render_now(pipelines, context)
        if again == outcomes:
            return ""
        for before, after in zip(outcomes, again, strict=False):
            if isinstance(before, Rendered) and isinstance(after, Rendered) and before.files != after.files:
                changed = set(before.files) ^ set(after.files)
                return f"the file {min(file.path for file in changed)} differs"
        return "the outcome differs"

    def _problems(self, path: str, content: bytes) -> Iterator[tuple[str, str, str, str]]:
        if not holds_manifests(path):
            return
        try:
            documents = load_documents(content.decode())
        except InvalidManifest:
            return  # rendering has read it already
        for obj in documents:
            if not isinstance(obj, Mapping) or "kind" not in obj:
                continue
            metadata = obj.get("metadata")
            name = str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
            for place, problem in self._schemas.problems(obj) or ():
                yield str(obj["kind"]), name, place, problem

    def place(self, failure: Failure) -> str:
        """The place in the author's files at which a template failed."""
        source = locate_failure(self._home, failure)
        path = source.path
        if path.is_relative_to(self._home.folder):
            path = path.relative_to(self._home.folder)
        return f"{path}:{source.line}"

    def _place_of_file(self, path: str, pipelines: Sequence[JinjaPipeline]) -> str:
        """The place of the template that rendered a file.

        Paths begin with the name of a pipeline as soon as there are several pipelines, or dependencies beside one.
        """
        pipeline, _, rest = path.partition("/")
        if all(pipeline != each.name for each in pipelines):
            pipeline, rest = pipelines[0].name if pipelines else "", path
        return self.place(Failure("InvalidYAML", "", pipeline=pipeline, file=rest))
