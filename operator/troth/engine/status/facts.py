"""What a status is computed from: plain values that a controller gathers from its caches.

The split keeps one place that knows Kratix's words (the sibling modules) and one that knows where facts live
(the controllers). Facts hold no clock and no old status: both come as arguments, so the same facts give the
same status, and the second write never happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from troth.engine.admission.unfit import Unfit
from troth.engine.failure import passes
from troth.engine.lint_report import LintReport

PipelinePhase = Literal["Pending", "Running", "Succeeded", "Failed", "Suspended"]
PlacementState = Literal["Written", "Pending", "Failing", "Misplaced"]
WorkState = Literal["Ready", "Pending", "Failing", "Misplaced"]
WorkflowState = Literal["Succeeded", "Pending", "Failed", "Suspended"]
ComponentState = Literal["Ready", "Pending", "Failing"]
StoreState = Literal["Ready", "NotReady", "NotFound"]

NOT_INSTALLED: Final = "Requirement not installed"
NOT_INSTALLED_AT_VERSION: Final = "Requirement not installed at the specified version"
NOT_AVAILABLE: Final = "Requirement not available"
INSTALLED: Final = "Requirement installed"
UNKNOWN: Final = "Requirement state unknown"

INVALID_PROMISE: Final = "InvalidPromise"


@dataclass(frozen=True, slots=True)
class PlacementFacts:
    """One WorkPlacement.

    Attributes:
        name: the WorkPlacement's name.
        group_id: the workload group it carries.
        destination: the Destination's name.
        path: folder in the store that holds the files, as a person would look for it.
        files: how many files.
        written: the files of this generation are in the store.
        version: what the store calls the write: a commit, or a content hash.
        misplaced: the Destination no longer matches.
        failure: why the last write failed, one sentence; empty when it did not.
        generation: the WorkPlacement's generation that the other facts speak of.
        abandoned: its Destination does not exist, so its files stay as they are and nobody looks after them.
        namespace: the WorkPlacement's namespace.
    """

    name: str
    group_id: str
    destination: str
    path: str = ""
    files: int = 0
    written: bool = False
    version: str = ""
    misplaced: bool = False
    failure: str = ""
    generation: int = 0
    abandoned: bool = False
    namespace: str = ""

    @property
    def state(self) -> PlacementState:
        """The state in one word; a failing write outweighs a misplaced destination, as it needs somebody."""
        if self.failure:
            return "Failing"
        if self.misplaced or self.abandoned:
            return "Misplaced"
        return "Written" if self.written else "Pending"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A workload group for which no Destination was found, and the labels it waits for."""

    group_id: str
    wants: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """A placement that keeps the files it has, because its request asks for another Destination now.

    Attributes:
        placement: the WorkPlacement's name.
        destination: the Destination where it is.
        wants: the labels asked for now.
        has: those of the Destination's labels whose keys are asked for; None when there is no such Destination.
        group_id: the workload group.
    """

    placement: str
    destination: str
    wants: Mapping[str, str]
    has: Mapping[str, str] | None
    group_id: str = ""


@dataclass(frozen=True, slots=True)
class WorkFacts:
    """One Work with its placements.

    Attributes:
        name: the Work's name.
        groups: how many workload groups it has.
        scheduled: its newest generation was scheduled; ``placements`` and ``unscheduled`` speak of that one.
        unscheduled: the groups that wait for a Destination.
        placements: its WorkPlacements.
        generation: the Work's generation.
        refusal: why the API server took none of its placements, one sentence; empty when it did.
        held: its placements that keep the files they have, because others are asked for now.
        namespace: the Work's namespace.
        forbidden: what a Destination does not allow, one sentence; empty when all is allowed. It was not written there.
        exposed: which Secrets it brings into a store in the clear, and what to do, one sentence; or empty.
        withheld: which of its files are not written since a store refuses such Secrets, one sentence; or empty.
        obstacle: what of others keeps it from being carried out, one sentence; empty when nothing does.
    """

    name: str
    groups: int = 0
    scheduled: bool = True
    unscheduled: tuple[Waiting, ...] = ()
    placements: tuple[PlacementFacts, ...] = ()
    generation: int = 0
    refusal: str = ""
    held: tuple[Held, ...] = ()
    namespace: str = ""
    forbidden: str = ""
    exposed: str = ""
    withheld: str = ""
    obstacle: str = ""

    @property
    def state(self) -> WorkState:
        """The state in one word; the precedence is failing, pending, misplaced, ready."""
        states = {placement.state for placement in self.placements}
        if "Failing" in states or self.refusal or self.forbidden or self.withheld or self.obstacle:
            return "Failing"
        if not self.scheduled or self.unscheduled or "Pending" in states:
            return "Pending"
        return "Misplaced" if self.held or "Misplaced" in states else "Ready"

    @property
    def written(self) -> bool:
        """Everything it holds is in the stores (misplaced or not)."""
        return (
            self.scheduled
            and not self.refusal
            and not self.forbidden
            and not self.withheld
            and not self.obstacle
            and not self.held
            and not self.unscheduled
            and all(placement.written and not placement.failure for placement in self.placements)
        )


@dataclass(frozen=True, slots=True)
class PipelineFacts:
    """How far one pipeline of a configure workflow came.

    Attributes:
        name: the pipeline's name.
        phase: how far it is.
        message: why it is suspended or has failed, or what it waits for.
        retry_at: when it runs again, RFC 3339; or empty.
        attempts: how often it asked to be run again.
        hash: of what it got there for; empty while it has not run.
    """

    name: str
    phase: PipelinePhase
    message: str = ""
    retry_at: str = ""
    attempts: int = 0
    hash: str = ""


@dataclass(frozen=True, slots=True)
class AuthorStatus:
    """What an author's pipelines say in ``status``, checked and merged (author.py makes it)."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    conditions: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WorkflowFacts:
    """A configure workflow.

    Attributes:
        pipelines: all of them, in order; none for a Promise without such a workflow.
        author: what the pipelines that succeeded say in status.
        failure: ``Failure.as_status()`` of the one that failed; empty when none did.
        failure_message: the same as one sentence for people.
    """

    pipelines: tuple[PipelineFacts, ...] = ()
    author: AuthorStatus = field(default_factory=AuthorStatus)
    failure: Mapping[str, Any] = field(default_factory=dict)
    failure_message: str = ""

    @property
    def state(self) -> WorkflowState:
        """``Succeeded`` without pipelines, too: there was nothing to do."""
        phases = {pipeline.phase for pipeline in self.pipelines}
        if "Failed" in phases:
            return "Failed"
        if "Suspended" in phases:
            return "Suspended"
        return "Pending" if phases - {"Succeeded"} else "Succeeded"

    @property
    def stalled(self) -> bool:
        """It failed, and would fail in the same way again until its request or its Promise is edited."""
        reason = self.failure.get("reason")
        return self.state == "Failed" and bool(reason) and not passes(str(reason))

    def first(self, phase: PipelinePhase) -> PipelineFacts | None:
        """The first pipeline in that phase."""
        return next((pipeline for pipeline in self.pipelines if pipeline.phase == phase), None)


@dataclass(frozen=True, slots=True)
class ComponentFacts:
    """A request of another Promise that a request renders and whose readiness it waits for.

    Attributes:
        api_version: ``group/version``, as rendered.
        kind: its kind.
        name: its name.
        namespace: its namespace.
        promise: the Promise that offers the kind; empty when none does.
        state: ``Failing`` when it will not become Ready by itself, as far as can be told.
        message: why it is not Ready, a clause that follows its name; empty when it is.
        stalled: it says itself that only an edit helps; what it is comes from its parent, so the parent's edit.
    """

    api_version: str
    kind: str
    name: str
    namespace: str
    promise: str = ""
    state: ComponentState = "Pending"
    message: str = ""
    stalled: bool = False

    @property
    def ready(self) -> bool:
        """Whether it is Ready, as it was rendered."""
        return self.state == "Ready"

    def with_state(self, state: ComponentState, message: str) -> ComponentFacts:
        """The same in another state."""
        return replace(self, state=state, message=message)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why nobody carries a request out: a reason for ``Ready``, and a clause for people."""

    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """One resource request.

    Attributes:
        generation: the generation that ``workflow`` was computed from.
        promise_version: version of the revision in use.
        binding_version: what its ResourceBinding says; empty when there is none.
        promise_available: the Promise can fulfil requests.
        paused: reconciling is paused, by label on the request or on its Promise.
        workflow: its configure workflow.
        works: its Works.
        components: the requests of other Promises that it renders.
        obstacle: why it is not carried out, while it is paused or its Promise is not available.
        former: pipelines that are gone, and whose files stay until everything is written that takes their place.
    """

    generation: int
    promise_version: str
    workflow: WorkflowFacts
    works: tuple[WorkFacts, ...] = ()
    binding_version: str = ""
    promise_available: bool = True
    paused: bool = False
    components: tuple[ComponentFacts, ...] = ()
    obstacle: Obstacle = field(default_factory=Obstacle)
    former: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequirementFacts:
    """One required Promise; ``state`` is one of the constants of this module."""

    name: str
    version: str
    state: str


@dataclass(frozen=True, slots=True)
class DependentFacts:
    """A Promise that requires this one, its own version, and the version that it requires."""

    name: str
    version: str
    required_version: str


@dataclass(frozen=True, slots=True)
class RequestsFacts:
    """How many requests a Promise has, how many of them fail, and the first of these as ``namespace/name``."""

    total: int
    failing: int
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromiseFacts:
    """One Promise.

    Attributes:
        generation: the generation that the facts speak of.
        version: the author's version label, or empty.
        kind: kind of the offered API; empty without one.
        api_version: ``group/version`` of the offered API; empty without one.
        api_established: the CRD is established and its requests are watched; True without an API.
        problem: why the Promise cannot be carried out (invalid API, pipeline…), one sentence; or empty.
        problem_reason: the same in a word, for the conditions.
        unfit: the problem is in the Promise's own spec, so that only an edit of it helps.
        paused: reconciling is paused.
        deleting: it is being deleted.
        requirements: its required Promises.
        required_by: the Promises that require it.
        workflow: its promise configure workflow.
        works: its Works, static dependencies included.
        requests: how its requests fare; None while they are being listed.
        lint: what the static check found; None while that is not known.
        misfits: live requests that do not fit the API; None while that is not known.
    """

    generation: int
    version: str = ""
    kind: str = ""
    api_version: str = ""
    api_established: bool = True
    problem: str = ""
    problem_reason: str = INVALID_PROMISE
    unfit: bool = False
    paused: bool = False
    deleting: bool = False
    requirements: tuple[RequirementFacts, ...] = ()
    required_by: tuple[DependentFacts, ...] = ()
    workflow: WorkflowFacts = field(default_factory=WorkflowFacts)
    works: tuple[WorkFacts, ...] = ()
    requests: RequestsFacts | None = None
    lint: LintReport | None = None
    misfits: tuple[Unfit, ...] | None = None


@dataclass(frozen=True, slots=True)
class DestinationFacts:
    """One Destination.

    Attributes:
        store_kind: kind of its state store.
        store_name: name of its state store.
        store: state of that store.
        init_workloads: canaries are wanted.
        written: its own files (canaries, placeholder) are in the store.
        failure: why writing them failed, one sentence; or empty.
        problem: why the Destination itself cannot be used (a bad path…), one sentence; or empty.
        unfit: the problem is in its own spec, so that only an edit of it helps.
        generation: the generation that the facts speak of.
        deleting: what its deletion waits for, one clause; empty while it is not being deleted.
        remark: how its folder and those of other Destinations overlap, one sentence; empty when they do not.
    """

    store_kind: str
    store_name: str
    store: StoreState
    init_workloads: bool = True
    written: bool = False
    failure: str = ""
    problem: str = ""
    unfit: bool = False
    generation: int = 0
    deleting: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class StateStoreFacts:
    """One state store. Without a ``reason`` it is ready; otherwise ``message`` says why not.

    ``unfit``: the reason is in its own spec, so that only an edit of it helps.
    """

    generation: int
    reason: str = ""
    message: str = ""
    unfit: bool = False


def requirement_state(
    requirement_version: str, *, installed: bool, versions: frozenset[str], available: bool
) -> str:
    """The state of a required Promise.

    Args:
        requirement_version: the version asked for; empty accepts any.
        installed: the Promise exists.
        versions: versions of its PromiseRevisions; one equal to the version asked for satisfies it, even when
            it is not the latest (kratix-compatibility.md#required-promises: no ordering of versions).
        available: the Promise itself is available.
    """
    if not installed:
        return NOT_INSTALLED
    if requirement_version and requirement_version not in versions:
        return NOT_INSTALLED_AT_VERSION
    return INSTALLED if available else NOT_AVAILABLE
