"""Turns a Promise in its home into a subject for the engine's checks: its examples, its schemas, and how it renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from troth.api.objects import Promise
from troth.api.pipelines import JinjaPipeline
from troth.authoring.home import Home
from troth.authoring.known_kinds import Known, schemas_of
from troth.authoring.rendering.requests import Rendering, Requests
from troth.authoring.testing.written_requests import written_requests
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.linting.asking import reached
from troth.engine.linting.objects import Subject, Tried
from troth.engine.promises.offers import Offer
from troth.engine.rendering.context import render_context
from troth.engine.rendering.render import Outcome, RenderContext, RenderedFile


def subject_of(
    home: Home, offered: tuple[Promise, Offer], worker: BoundedWorker, known: Known | None = None
) -> Subject:
    """The subject for a Promise.

    Args:
        home: the Promise, which the operator must accept.
        offered: the result of `offer_of` for it.
        worker: renders its templates.
        known: schemas beside those that come with Troth or with the Promise.

    Raises:
        HomeError: an example or a schema cannot be read.
    """
    promise, offer = offered
    requests = Requests(home, destinations=None, offer=offered) if offer.resource is not None else None
    names = [pipeline.name for pipeline in offer.resource_configure]

    def try_request(request: Mapping[str, Any]) -> Tried:
        if requests is None:
            return Tried(refused="the Promise offers no API")
        rendered: list[Outcome] = []

        def render(pipelines: Sequence[JinjaPipeline], context: RenderContext) -> Sequence[Outcome]:
            outcomes = worker.render_now(pipelines, context)
            rendered.extend(outcomes)
            return outcomes

        tried = _tried(requests.render_with(render, request), names)
        return replace(tried, reached=reached(rendered))

    return Subject(
        promise=home.promise,
        offer=offer,
        schemas=schemas_of(home, known),
        try_request=try_request,
        try_own=lambda: worker.render_now(offer.promise_configure, render_context(promise, None)),
        spent=lambda: worker.spent,
        written=written_requests(home),
    )


def _tried(rendering: Rendering, names: list[str]) -> Tried:
    files = []
    for path, content in rendering.files.items():
        pipeline, _, rest = path.partition("/") if len(names) > 1 else (names[0] if names else "", "", path)
        files.append((pipeline, RenderedFile(rest, content)))
    return Tried(files, rendering.failure, refused=str(rendering.refusals[0]) if rendering.refusals else "")
