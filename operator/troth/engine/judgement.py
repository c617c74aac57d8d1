"""What becomes of a request: one function, and its answer is a value.

The operator carries the answer out. ``troth render``, ``troth test`` and lint ask for the same answer without a
cluster, with a Promise that is as the operator has it when it renders (`as_available`). Nobody else decides which spec
a request is bound to, or in which order its Promise's state, a pause and a deletion count.

What follows a rendering is in the answer, too: `Renders.judge` says what the outcomes of its pipelines amount to. To
which Destinations that goes is decided group by group (`troth.engine.placement`), where Destinations come and go
without anything new being rendered.

Rejected: *exceptions for what is not rendered* (each of these is an expected outcome, and is reported in its own way),
*an answer that has been rendered already* (the operator renders in another process and waits for its turn, a command
renders at once).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api import InvalidObject, Promise, Request, find_condition, reasons
from troth.api import labels as names
from troth.api.conditions import READY
from troth.api.objects import PromiseSpec
from troth.api.pipelines import Action, JinjaPipeline
from troth.engine.promises import offers
from troth.engine.promises.definitions import declared_status
from troth.engine.rendering.context import RenderContext, render_context
from troth.engine.rendering.render import Outcome
from troth.engine.status import why_paused, why_unavailable
from troth.engine.status.facts import Obstacle
from troth.engine.workflow.outputs import WorkflowOutput, judge_outcomes

SOURCE: Final = "resource-workflow"
"""Who speaks through the destination rules of a request's pipelines."""

_MOST_REMEMBERED: Final = 500


@dataclass(frozen=True, slots=True)
class BoundPromise:
    """The spec of a Promise that a request uses.

    Attributes:
        promise: whose spec it is.
        spec: the spec.
        version: the version that the spec belongs to.
        revision: changes whenever the spec does.
    """

    promise: Promise
    spec: PromiseSpec
    version: str
    revision: str

    def declared_status(self, api_version: str) -> Mapping[str, Any]:
        """What one version of the API says of the status of its requests."""
        return declared_status(self.spec.api or {}, api_version)

    def context(self, request: Request) -> RenderContext:
        """What the templates may read of the request."""
        return render_context(self.promise, request, version=self.version)


ReadPipelines = Callable[[BoundPromise, Action], tuple[JinjaPipeline, ...]]
"""Reads the pipelines of a bound spec; raises InvalidObject."""


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing is done for it, not even its deletion, until a label is taken off."""

    obstacle: Obstacle

    @property
    def why(self) -> str:
        """Why nothing is rendered, in a sentence."""
        return self.obstacle.message


@dataclass(frozen=True, slots=True)
class Waiting:
    """Its Promise cannot carry it out now. What was carried out before stands.

    Attributes:
        bound: the spec that it is bound to.
        obstacle: why it waits; None when its Promise is about to say more, and nothing is worth a write until then.
    """

    bound: BoundPromise
    obstacle: Obstacle | None

    @property
    def why(self) -> str:
        """Why nothing is rendered, in a sentence."""
        return self.obstacle.message if self.obstacle else "its Promise has not been looked at yet"


@dataclass(frozen=True, slots=True)
class Refused:
    """It cannot be carried out as it is.

    Attributes:
        reason: for the condition Ready.
        why: in a sentence.
        by_promise: the Promise is at fault, and says so itself.
    """

    reason: str
    why: str
    by_promise: bool = False


@dataclass(frozen=True, slots=True)
class Leaving:
    """It is being deleted.

    Attributes:
        bound: the spec that it is bound to.
        pipelines: its delete pipelines.
        failure: why these cannot be run; empty when they can.
        stalled: only an edit of the request helps.
    """

    bound: BoundPromise
    pipelines: tuple[JinjaPipeline, ...]
    failure: str = ""
    stalled: bool = False

    @property
    def why(self) -> str:
        """Why nothing is rendered, in a sentence."""
        return "it is being deleted"


@dataclass(frozen=True, slots=True)
class Renders:
    """Its pipelines are run.

    Attributes:
        bound: the spec that it is bound to.
        pipelines: its configure pipelines, in their order.
        declared_status: what its API says of the status; what has another type, the API server would refuse.
    """

    bound: BoundPromise
    pipelines: tuple[JinjaPipeline, ...]
    declared_status: Mapping[str, Any]

    @property
    def selectors(self) -> Mapping[str, str]:
        """The Promise's destination selectors."""
        return self.bound.spec.destination_selectors

    def judge(self, outcomes: Sequence[Outcome]) -> WorkflowOutput:
        """What the outcomes of its pipelines amount to."""
        return judge_outcomes(
            outcomes, selectors=self.selectors, source=SOURCE, declared_status=self.declared_status
        )


Judgement = Paused | Waiting | Refused | Leaving | Renders


def bind_promise(promise: Promise, request: Request) -> BoundPromise:
    """The spec that a request is rendered with: today the newest, later the one its revision says."""
    del request
    meta = promise.metadata
    version = promise.version or names.VERSION_NOT_SET
    return BoundPromise(promise, promise.spec, version, f"{meta.uid}/{meta.generation}/{version}")


def read_pipelines(bound: BoundPromise, action: Action) -> tuple[JinjaPipeline, ...]:
    """The pipelines that a request is carried out, or deleted, with; raises InvalidObject."""
    workflows = bound.spec.resource_workflows
    chosen = workflows.configure if action == "configure" else workflows.delete
    return offers.read_pipelines(chosen, f"spec.workflows.resource.{action}", action=action)


class PipelineMemory:
    """Reads the pipelines of each revision once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Action], tuple[JinjaPipeline, ...]] = {}

    def read(self, bound: BoundPromise, action: Action) -> tuple[JinjaPipeline, ...]:
        """The same as `read_pipelines`."""
        found = self._known.get((bound.revision, action))
        if found is None:
            found = read_pipelines(bound, action)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.clear()
            self._known[bound.revision, action] = found
        return found


def judge_request(
    promise: Promise, request: Request, *, api_version: str, read: ReadPipelines = read_pipelines
) -> Judgement:
    """What becomes of a request now.

    Args:
        promise: the Promise that it is of, with its status.
        request: the request, with its status.
        api_version: the version of the API that requests are read in, such as ``v1``.
        read: reads pipelines; `PipelineMemory.read` for whoever asks often.
    """
    meta, of_promise = request.metadata, promise.metadata
    if of_promise.is_paused or meta.is_paused:
        return Paused(
            why_paused(promise.name, names.PAUSED, by_promise=of_promise.is_paused, deleting=meta.deleting)
        )
    bound = bind_promise(promise, request)
    if meta.deleting:
        return _judge_deletion(bound, request, read)
    if of_promise.deleting:
        if request.is_observed:
            return Waiting(bound, None)  # it goes in a moment, and what it says is so until then
        return Waiting(bound, _why_unavailable(promise))
    if not promise.is_observed:
        return Waiting(bound, None)  # its reconciler looks at the new spec first, and then queues its requests
    if not promise.is_available:
        return Waiting(bound, _why_unavailable(promise))
    if meta.unread:
        return Refused(
            "Unreadable", f"it cannot be read: {meta.unread}; what was written for it before stays as it is"
        )
    try:
        pipelines = read(bound, "configure")
    except InvalidObject as error:
        return Refused("InvalidPromise", str(error), by_promise=True)
    return Renders(bound, pipelines, bound.declared_status(api_version))


def _why_unavailable(promise: Promise) -> Obstacle | None:
    """Why a Promise fulfils no requests; None when it is about to say so."""
    if not promise.status.get("status"):
        return None  # it was not looked at yet; its first status queues its requests
    if (find_condition(promise.status.get("conditions"), READY) or {}).get("reason") == reasons.PAUSED:
        return None  # it is no longer paused, and looks at itself first
    return why_unavailable(promise.name, promise.status, deleting=promise.metadata.deleting)


def _judge_deletion(bound: BoundPromise, request: Request, read: ReadPipelines) -> Leaving:
    meta = request.metadata
    if names.DELETE_WORKFLOWS not in meta.finalizers:
        return Leaving(bound, ())  # they have run
    try:
        pipelines = read(bound, "delete")
    except InvalidObject as error:
        return Leaving(bound, (), failure=str(error))
    if pipelines and meta.unread:
        failure = (
            f"its delete pipelines cannot be run: {meta.unread}; or, to let it go without them, "
            f"take the finalizer {names.DELETE_WORKFLOWS} off"
        )
        return Leaving(bound, pipelines, failure=failure, stalled=True)
    return Leaving(bound, pipelines)
