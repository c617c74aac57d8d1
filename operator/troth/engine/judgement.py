"""What becomes of a request: one function decides it, and returns the decision as a value.

The operator carries the decision out. ``troth render``, ``troth test`` and lint ask for the same decision without a
cluster, with a Promise in the state in which the operator renders it (`as_available`) and without revisions. No other
code decides which spec a request is bound to, or how its Promise's state, a pause and a deletion take precedence over
each other.

A request uses the spec of the Promise as it is now, or the one of a PromiseRevision when its ResourceBinding names an
older version. Then only a pause and a deletion of the Promise concern it: whether the newest version is sound and
available does not.

The decision also covers what follows a rendering: `Renders.judge` sums up the outcomes of the pipelines. The
Destinations are chosen elsewhere, for each group (`troth.engine.placement`), because Destinations come and go without a
new rendering.

Rejected: *exceptions for requests that are not rendered* (each of these is an expected outcome, and is reported in its
own way), *a decision that includes the rendered files* (the operator renders in another process and waits for its turn,
while a command renders at once).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api import InvalidObject, Promise, Request, find_condition, reasons
from troth.api import labels as names
from troth.api.conditions import READY
from troth.api.objects import PromiseSpec
from troth.api.pipelines import Action, JinjaPipeline, Pipeline
from troth.engine.admission.serving import NOW
from troth.engine.promises import offers
from troth.engine.promises.bindings import (
    Versions,
    applied_version,
    as_of_revision,
    asked_version,
    known_versions,
)
from troth.engine.promises.definitions import declared_status
from troth.engine.promises.revisions import find_revision, find_usable_revision, version_of
from troth.engine.rendering.context import RenderContext, render_context
from troth.engine.rendering.render import Outcome
from troth.engine.status.facts import Obstacle
from troth.engine.status.unattended import why_paused, why_unavailable
from troth.engine.workflow.outputs import WorkflowOutput, judge_outcomes

SOURCE: Final = "resource-workflow"
"""The source of the destination rules in a request's pipelines, as Kratix names it."""

LOOKUP_FAILED: Final = "FailedPromiseRevisionLookup"
"""The reason when there is no revision of the version that a request asks for; Kratix's word for its Event."""

AMBIGUOUS_BINDING: Final = "AmbiguousResourceBinding"
"""The reason when a request has several ResourceBindings."""

_ENDED_PAUSE: Final = frozenset({reasons.PAUSED, reasons.UNPAUSED})
_MOST_REMEMBERED: Final = 500
_NEWEST: Final = Versions()


@dataclass(frozen=True, slots=True)
class BoundPromise:
    """The spec of a Promise that a request uses.

    Attributes:
        promise: the Promise that the spec belongs to, as it is now.
        used: the Promise as it was at the version that the request uses: the same one when that is the newest.
        asked: what the request asks for: that version, or ``latest``.
    """

    promise: Promise
    used: Promise
    asked: str = names.VERSION_LATEST

    @property
    def version(self) -> str:
        """The version that the request uses; ``not-set`` when the Promise has none."""
        return version_of(self.used)

    @property
    def revision(self) -> str:
        """A text that changes whenever the spec does."""
        return f"{self.used.metadata.uid}/{self.used.metadata.generation}/{self.version}"

    @property
    def is_kept(self) -> bool:
        """Whether the spec is that of a PromiseRevision and not of the Promise as it is now."""
        return self.used is not self.promise

    @property
    def spec(self) -> PromiseSpec:
        """The spec that the request uses. Its API is always that of the newest version."""
        return self.used.spec

    def declared_status(self, api_version: str) -> Mapping[str, Any]:
        """Returns the schema that one version of the API declares for the status of its requests."""
        return declared_status(self.spec.api or {}, api_version)

    def context(self, request: Request) -> RenderContext:
        """Returns what the templates may read of the request and its Promise."""
        return render_context(self.used, request, version=self.version)


ReadPipelines = Callable[[BoundPromise, Action], tuple[Pipeline, ...]]
"""Reads the pipelines of a bound spec; raises InvalidObject."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The request is paused: nothing is done for it, not even its deletion, until the label is removed."""

    obstacle: Obstacle

    @property
    def why(self) -> str:
        """Why nothing is rendered, in a sentence."""
        return self.obstacle.message


@dataclass(frozen=True, slots=True)
class Waiting:
    """Its Promise cannot carry the request out now. What was carried out before stays.

    Attributes:
        bound: the spec that it is bound to.
        obstacle: why it waits; None while the status of its Promise is about to change, when nothing is written.
    """

    bound: BoundPromise
    obstacle: Obstacle | None

    @property
    def why(self) -> str:
        """Why nothing is rendered, in a sentence."""
        return self.obstacle.message if self.obstacle else "its Promise has not been looked at yet"


@dataclass(frozen=True, slots=True)
class Refused:
    """The request cannot be carried out as it is.

    Attributes:
        reason: the reason for the condition Ready.
        why: what is wrong, in one sentence.
        by_promise: whether the Promise is at fault, whose own status says so.
        passes: whether something other than an edit of the request may help.
    """

    reason: str
    why: str
    by_promise: bool = False
    passes: bool = False


@dataclass(frozen=True, slots=True)
class Leaving:
    """The request is being deleted.

    Attributes:
        bound: the spec that it is bound to.
        pipelines: its delete pipelines; none when they have run.
        failure: why these cannot be run, in one sentence; empty when they can.
        stalled: whether only an edit of the request helps.
    """

    bound: BoundPromise
    pipelines: tuple[Pipeline, ...]
    failure: str = ""
    stalled: bool = False

    @property
    def why(self) -> str:
        """Why nothing is rendered, in a sentence."""
        return "it is being deleted"


@dataclass(frozen=True, slots=True)
class Renders:
    """The pipelines of the request are to be run.

    Attributes:
        bound: the spec that it is bound to.
        pipelines: its configure pipelines, in their order.
        declared_status: the schema that its API declares for the status; the API server would refuse values of another
            type.
    """

    bound: BoundPromise
    pipelines: tuple[Pipeline, ...]
    declared_status: Mapping[str, Any]

    @property
    def templates(self) -> tuple[JinjaPipeline, ...]:
        """Its pipelines of templates: all of them, unless containers can be run."""
        return tuple(pipeline for pipeline in self.pipelines if isinstance(pipeline, JinjaPipeline))

    @property
    def selectors(self) -> Mapping[str, str]:
        """The Promise's destination selectors."""
        return self.bound.spec.destination_selectors

    def judge(self, outcomes: Sequence[Outcome]) -> WorkflowOutput:
        """Sums up the outcomes of its pipelines."""
        return judge_outcomes(
            outcomes, selectors=self.selectors, source=SOURCE, declared_status=self.declared_status, now=NOW
        )


Judgement = Paused | Waiting | Refused | Leaving | Renders


def bind_promise(promise: Promise, request: Request, versions: Versions) -> BoundPromise | Waiting | Refused:
    """Returns the spec that a request is rendered with, or why there is none.

    That is the spec of the Promise for a request that asks for its newest version, and the one of a revision otherwise.
    """
    if len(versions.bindings) > 1:
        found = ", ".join(sorted(each.name for each in versions.bindings))
        return Refused(
            AMBIGUOUS_BINDING,
            f"it has several ResourceBindings ({found}), and may have one: delete the others",
            passes=True,
        )
    asked = asked_version(promise, request, versions)
    if asked in (names.VERSION_LATEST, version_of(promise)):
        return BoundPromise(promise, promise, asked)
    revision = find_usable_revision(versions.revisions, asked)
    if revision is None:
        return Refused(
            LOOKUP_FAILED,
            f"its ResourceBinding asks for the version {asked} of the Promise {promise.name}, of which there is no "
            f"PromiseRevision; there are: {known_versions(versions.revisions)}. What was written for it before stays",
            passes=True,
        )
    bound = BoundPromise(promise, as_of_revision(promise, revision), asked)
    if not revision.is_available:
        why = f"the version {asked} of the Promise {promise.name} has never been available"
        return Waiting(bound, Obstacle(reasons.PROMISE_UNAVAILABLE, why))
    return bound


def _bind_applied(promise: Promise, request: Request, versions: Versions) -> BoundPromise:
    """The spec that a request was carried out with last, with which it is deleted; the newest one if that is gone."""
    version = applied_version(promise, request, versions)
    revision = find_revision(versions.revisions, version)  # even one that is deleted together with the request
    if version == version_of(promise) or revision is None:
        return BoundPromise(promise, promise)
    return BoundPromise(promise, as_of_revision(promise, revision))


def read_pipelines(bound: BoundPromise, action: Action, *, runs_containers: bool = False) -> tuple[Pipeline, ...]:
    """Returns the configure or the delete pipelines of a request.

    Args:
        bound: the spec that the request is bound to.
        action: which of them.
        runs_containers: whether pipelines of containers can be run.

    Raises:
        InvalidObject: one of them is invalid or cannot be run.
    """
    workflows = bound.spec.resource_workflows
    chosen = workflows.configure if action == "configure" else workflows.delete
    return offers.read_pipelines(
        chosen, f"spec.workflows.resource.{action}", action=action, runs_containers=runs_containers
    )


class PipelineMemory:
    """Reads the pipelines of each revision only once."""

    def __init__(self, *, runs_containers: bool = False) -> None:
        self._runs_containers = runs_containers
        self._known: dict[tuple[str, Action], tuple[Pipeline, ...]] = {}

    def read(self, bound: BoundPromise, action: Action) -> tuple[Pipeline, ...]:
        """Returns the same as `read_pipelines`."""
        found = self._known.get((bound.revision, action))
        if found is None:
            found = read_pipelines(bound, action, runs_containers=self._runs_containers)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.clear()
            self._known[bound.revision, action] = found
        return found


def judge_request(
    promise: Promise,
    request: Request,
    *,
    api_version: str,
    read: ReadPipelines = read_pipelines,
    versions: Versions = _NEWEST,
) -> Judgement:
    """Decides what becomes of a request now.

    Args:
        promise: the Promise of the request, with its status.
        request: the request, with its status.
        api_version: the version of the API in which requests are read, such as ``v1``.
        read: reads pipelines; `PipelineMemory.read` when this is called often.
        versions: the binding of the request, and the revisions of the Promise. Without them, the request uses the
            newest version.
    """
    meta, of_promise = request.metadata, promise.metadata
    if of_promise.is_paused or meta.is_paused:
        return Paused(
            why_paused(promise.name, names.PAUSED, by_promise=of_promise.is_paused, deleting=meta.deleting)
        )
    if meta.deleting:
        return _judge_deletion(_bind_applied(promise, request, versions), request, read)
    if of_promise.deleting:
        newest = BoundPromise(promise, promise)
        if request.is_observed:
            return Waiting(newest, None)  # it is about to be deleted; until then its status stays true
        return Waiting(newest, _why_unavailable(promise))
    bound = bind_promise(promise, request, versions)
    if not isinstance(bound, BoundPromise):
        return bound
    if not bound.is_kept:
        if not promise.is_observed:
            return Waiting(bound, None)  # the Promise is reconciled first, and then queues its requests
        if not promise.is_available:
            return Waiting(bound, _why_unavailable(promise))
    if meta.unread:
        return Refused(
            "Unreadable", f"it cannot be read: {meta.unread}; what was written for it before stays as it is"
        )
    try:
        pipelines = read(bound, "configure")
    except InvalidObject as error:
        return Refused("InvalidPromise", str(error), by_promise=not bound.is_kept)
    return Renders(bound, pipelines, bound.declared_status(api_version))


def _why_unavailable(promise: Promise) -> Obstacle | None:
    """Returns why a Promise cannot fulfil requests; None when its own status is about to tell."""
    if not promise.status.get("status"):
        return None  # it has no status yet; its first status queues its requests
    if (find_condition(promise.status.get("conditions"), READY) or {}).get("reason") in _ENDED_PAUSE:
        return None  # it is no longer paused, and is reconciled first
    return why_unavailable(promise.name, promise.status, deleting=promise.metadata.deleting)


def _judge_deletion(bound: BoundPromise, request: Request, read: ReadPipelines) -> Leaving:
    meta = request.metadata
    if names.DELETE_WORKFLOWS not in meta.finalizers:
        return Leaving(bound, ())  # they have run
    try:
        pipelines = read(bound, "delete")
    except InvalidObject as error:
        return Leaving(bound, (), failure=why_not_deleted(str(error)))
    if pipelines and meta.unread:
        return Leaving(bound, pipelines, failure=why_not_deleted(meta.unread), stalled=True)
    return Leaving(bound, pipelines)


def why_not_deleted(problem: str) -> str:
    """Returns why an object whose delete pipelines cannot be run is not deleted, and what ends that."""
    return (
        f"its delete pipelines cannot be run: {problem}; or, to let it go without them, "
        f"take the finalizer {names.DELETE_WORKFLOWS} off"
    )
