"""Tries requests as the API server and the operator would treat them, in the process that checks a Promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from troth.api.objects import Promise, read_request
from troth.api.pipelines import JinjaPipeline
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.serving import as_available, as_watched
from troth.engine.judgement import PipelineMemory, Renders, judge_request
from troth.engine.linting.asking import reached
from troth.engine.linting.objects import Tried
from troth.engine.promises.offers import Offer
from troth.engine.rendering.render import Outcome, RenderContext, Rendered

Render = Callable[[Sequence[JinjaPipeline], RenderContext], Sequence[Outcome]]
"""Renders pipelines up to and including the first that fails."""


class Trial:
    """Admits and renders requests of one Promise.

    Args:
        promise: the Promise of the requests.
        offer: the Promise's offer, which must have an API.
        render: renders the templates.
    """

    def __init__(self, promise: Promise, offer: Offer, render: Render) -> None:
        assert offer.definition is not None  # noqa: S101 - whoever has no API does not ask
        assert offer.resource is not None  # noqa: S101 - it has one where it has a definition
        self._promise, self._render = as_available(promise), render
        self._api_version = offer.resource.version
        self._pipelines = PipelineMemory(runs_containers=True)
        self._admission = Admission(offer.definition)

    def try_request(self, request: Mapping[str, Any]) -> Tried:
        """Returns what would become of a request that a person applies."""
        admitted = self._admission.admit(request)
        if not isinstance(admitted, Admitted):
            return Tried(refused=str(admitted[0]))
        request = as_watched(admitted.object, self._promise.name)
        view = read_request(request)
        found = judge_request(self._promise, view, api_version=self._api_version, read=self._pipelines.read)
        if not isinstance(found, Renders):
            return Tried(refused=found.why)
        outcomes = self._render(found.templates, found.bound.context(view))
        output = found.judge(outcomes)
        files = [
            (outcome.pipeline, file)
            for outcome in outcomes
            if isinstance(outcome, Rendered)
            for file in outcome.files
        ]
        return Tried(files, output.failure, reached=reached(outcomes))
