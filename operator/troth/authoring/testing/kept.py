"""Whether a rendering keeps what every Promise promises: it renders, twice the same, and its objects are valid."""

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
        name: which one: ``renders``, ``same-twice`` or ``valid-objects``.
        request: the smallest request that was found to break it; nothing when the Promise itself does, or none was
            found.
        message: what happened, in one sentence.
        place: where in the author's files, such as ``templates/cluster.yaml.j2:12``; "" when that is not known.
        own: it is the Promise's own workflow that breaks it.
        untested: nothing was rendered, so nothing is known of the other promises, either.
    """

    name: str
    request: Mapping[str, Any]
    message: str
    place: str = ""
    own: bool = False
    untested: bool = False


class Promises:
    """Judges renderings of one Promise.

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
        """Renders, and remembers what, for the second time."""
        outcomes = self._worker.render_now(pipelines, context)
        self._rendered = (pipelines, context, outcomes)
        return outcomes

    @property
    def reached(self) -> tuple[str, ...]:
        """The pipelines that rendered last."""
        outcomes = self._rendered[2] if self._rendered is not None else ()
        return tuple(reached(outcomes))

    def broken(
        self, request: Mapping[str, Any], rendering: Rendering, pipelines: Sequence[JinjaPipeline]
    ) -> tuple[GeneratedFailure, str] | None:
        """What is broken, and the way, in words that are the same for other requests.

        Args:
            request: what was asked for.
            rendering: what `render` made of it, the last that it rendered.
            pipelines: those whose files it holds.
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
        """What the Promise's own workflow breaks; ``may_refuse``: its author says that it refuses."""
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
        """What is not the same when the last request is rendered once more; "" when all is."""
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
        """Where in the author's files a template failed."""
        source = locate_failure(self._home, failure)
        path = source.path
        if path.is_relative_to(self._home.folder):
            path = path.relative_to(self._home.folder)
        return f"{path}:{source.line}"

    def _place_of_file(self, path: str, pipelines: Sequence[JinjaPipeline]) -> str:
        """The names of pipelines are in paths as soon as there are several, or dependencies beside one."""
        pipeline, _, rest = path.partition("/")
        if all(pipeline != each.name for each in pipelines):
            pipeline, rest = pipelines[0].name if pipelines else "", path
        return self.place(Failure("InvalidYAML", "", pipeline=pipeline, file=rest))
