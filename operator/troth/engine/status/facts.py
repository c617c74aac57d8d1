"""The facts from which a status is computed: plain values that a controller collects from its caches.

So Kratix's terms are known in one place (the other modules of this package), and the sources of facts in another (the
controllers). Facts contain neither the time nor an old status: both are arguments, so the same facts give the same
status, and a second write never happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from troth.api.conditions import CONFIGURE_WORKFLOW_COMPLETED
from troth.engine.admission.unfit import Unfit
from troth.engine.failure import passes
from troth.engine.lint_report import LintReport
from troth.engine.status.author import AuthorStatus

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
    """The facts about one WorkPlacement.

    Attributes:
        name: the WorkPlacement's name.
        group_id: the workload group it carries.
        destination: the Destination's name.
        path: the folder in the store with the files, in a form for people.
        files: how many files it has.
        written: whether the files of this generation are in the store.
        version: the store's version of the write: a commit, or a content hash.
        misplaced: whether the Destination no longer matches.
        failure: why the last write failed, in one sentence; empty when it did not.
        generation: the WorkPlacement's generation that the other facts are about.
        abandoned: whether its Destination does not exist, so that its files stay as they are and are not updated.
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
        """The state in one word. A failed write comes before a misplaced destination, since somebody must act."""
        if self.failure:
            return "Failing"
        if self.misplaced or self.abandoned:
            return "Misplaced"
        return "Written" if self.written else "Pending"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A workload group for which no Destination was found, and the labels that it waits for."""

    group_id: str
    wants: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """A placement that keeps its former files, because its request now asks for another Destination.

    Attributes:
        placement: the WorkPlacement's name.
        destination: the Destination of the placement.
        wants: the labels that are asked for now.
        has: the Destination's own labels with these keys; None when the Destination does not exist.
        group_id: the workload group.
    """

    placement: str
    destination: str
    wants: Mapping[str, str]
    has: Mapping[str, str] | None
    group_id: str = ""


@dataclass(frozen=True, slots=True)
class WorkFacts:
    """The facts about one Work with its placements.

    Attributes:
        name: the Work's name.
        groups: how many workload groups it has.
        scheduled: whether its newest generation was scheduled, which ``placements`` and ``unscheduled`` are about.
        unscheduled: the groups that wait for a Destination.
        placements: its WorkPlacements.
        generation: the Work's generation.
        refusal: why the API server refused its placements, in one sentence; empty when it did not.
        held: its placements that keep their former files, because others are asked for now.
        namespace: the Work's namespace.
        forbidden: what was not written because a Destination does not allow it, in one sentence; or empty.
        exposed: which plain-text Secrets it writes into a store, and what to do, in one sentence; or empty.
        withheld: which files are not written because a store refuses plain-text Secrets, in one sentence; or empty.
        obstacle: what outside the Work keeps it from being carried out, in one sentence; or empty.
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
        """The state in one word, by the precedence failing, pending, misplaced, ready."""
        states = {placement.state for placement in self.placements}
        if "Failing" in states or self.refusal or self.forbidden or self.withheld or self.obstacle:
            return "Failing"
        if not self.scheduled or self.unscheduled or "Pending" in states:
            return "Pending"
        return "Misplaced" if self.held or "Misplaced" in states else "Ready"

    @property
    def written(self) -> bool:
        """Whether all of its files are in the stores (misplaced or not)."""
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
    """The progress of one pipeline of a configure workflow.

    Attributes:
        name: the pipeline's name.
        phase: the phase that it has reached.
        message: why it is suspended or has failed, or what it is waiting for.
        retry_at: when it runs again, in RFC 3339; or empty.
        attempts: how often it has asked to be run again.
        hash: the hash of the specs for which it reached that phase; empty while it has not run.
        run: the number of its last run in a Job; 0 for a pipeline of templates.
    """

    name: str
    phase: PipelinePhase
    message: str = ""
    retry_at: str = ""
    attempts: int = 0
    hash: str = ""
    run: int = 0


@dataclass(frozen=True, slots=True)
class WorkflowFacts:
    """The facts about a configure workflow.

    Attributes:
        pipelines: all of its pipelines, in order; empty for a Promise without such a workflow.
        author: the status fields from the pipelines that succeeded.
        failure: ``Failure.as_status()`` of the pipeline that failed, or of which Kubernetes tries a container again;
            empty when there is none.
        failure_message: the failure as one sentence for people.
        rerun: whether this is the first report about a run that somebody asked for: with a changed spec, a label, the
            reconciliation interval, or the end of a pause.
        notes: what ``status.troth`` notes about who asked for it; None for what it no longer notes.
    """

    pipelines: tuple[PipelineFacts, ...] = ()
    author: AuthorStatus = field(default_factory=AuthorStatus)
    failure: Mapping[str, Any] = field(default_factory=dict)
    failure_message: str = ""
    rerun: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def moved(self) -> tuple[str, ...]:
        """The types of the conditions whose transition time is that of this run, even if their status stays."""
        return (CONFIGURE_WORKFLOW_COMPLETED,) if self.rerun else ()

    @property
    def state(self) -> WorkflowState:
        """The state of the workflow, which is ``Succeeded`` when there are no pipelines."""
        phases = {pipeline.phase for pipeline in self.pipelines}
        if "Failed" in phases:
            return "Failed"
        if "Suspended" in phases:
            return "Suspended"
        return "Pending" if phases - {"Succeeded"} else "Succeeded"

    @property
    def stalled(self) -> bool:
        """Whether it failed, and would fail in the same way until its request or its Promise is edited."""
        reason = self.failure.get("reason")
        return self.state == "Failed" and bool(reason) and not passes(str(reason))

    def first(self, phase: PipelinePhase) -> PipelineFacts | None:
        """Returns the first pipeline in that phase, or None."""
        return next((pipeline for pipeline in self.pipelines if pipeline.phase == phase), None)


@dataclass(frozen=True, slots=True)
class ComponentFacts:
    """The facts about a request of another Promise that a request renders, and for which it waits.

    Attributes:
        api_version: ``group/version``, as rendered.
        kind: its kind.
        name: its name.
        namespace: its namespace.
        promise: the Promise that offers the kind; empty when none does.
        state: ``Failing`` when it will not become Ready by itself, as far as is known.
        message: why it is not Ready, as a clause that follows its name; empty when it is Ready.
        stalled: whether it reports that only an edit helps, which means an edit of the parent, since the parent renders
            it.
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
        """Whether it is Ready, with the rendered spec."""
        return self.state == "Ready"

    def with_state(self, state: ComponentState, message: str) -> ComponentFacts:
        """Returns the same facts with another state."""
        return replace(self, state=state, message=message)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a request is not carried out: a reason for ``Ready``, and a clause for people."""

    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """The facts about one resource request.

    Attributes:
        generation: the generation that ``workflow`` was computed from.
        promise_version: the version of the revision in use.
        binding_version: the version in its ResourceBinding; empty when there is none.
        promise_available: whether the Promise can fulfil requests.
        paused: whether reconciliation is paused by a label on the request or on its Promise.
        workflow: its configure workflow.
        works: its Works.
        components: the requests of other Promises that it renders.
        obstacle: why it is not carried out while it is paused or its Promise is not available.
        former: removed pipelines whose files stay until everything that replaces them is written.
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
    """The facts about one required Promise. ``state`` is one of the constants of this module."""

    name: str
    version: str
    state: str


@dataclass(frozen=True, slots=True)
class DependentFacts:
    """A Promise that requires this one, with its own version and the version that it requires."""

    name: str
    version: str
    required_version: str


@dataclass(frozen=True, slots=True)
class RequestsFacts:
    """How many requests a Promise has, how many of these fail, and the first of them as ``namespace/name``."""

    total: int
    failing: int
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromiseFacts:
    """The facts about one Promise.

    Attributes:
        generation: the generation that the facts are about.
        version: the author's version label, or empty.
        kind: the kind of the offered API; empty without an API.
        api_version: ``group/version`` of the offered API; empty without an API.
        api_established: whether the CRD is established and its requests are watched; True without an API.
        problem: why the Promise cannot be carried out (invalid API, pipeline…), in one sentence; or empty.
        problem_reason: the problem in one word, for the conditions.
        unfit: whether the problem is in the Promise's own spec, so that only an edit of it helps.
        paused: whether reconciliation is paused.
        deleting: whether it is being deleted.
        requirements: its required Promises.
        required_by: the Promises that require it.
        workflow: its promise configure workflow.
        works: its Works, static dependencies included.
        requests: the state of its requests; None while they are being listed.
        lint: the result of lint; None while that is not known.
        misfits: the live requests that do not fit the API; None while they are not known.
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
    """The facts about one Destination.

    Attributes:
        store_kind: the kind of its state store.
        store_name: the name of its state store.
        store: the state of that store.
        init_workloads: whether it has canaries.
        written: whether its own files (canaries, placeholder) are in the store.
        failure: why writing its own files failed, in one sentence; or empty.
        problem: why the Destination itself cannot be used (an invalid path…), in one sentence; or empty.
        unfit: whether the problem is in its own spec, so that only an edit of it helps.
        generation: the generation that the facts speak of.
        deleting: what its deletion waits for, in one clause; empty while it is not being deleted.
        remark: how its folder and those of other Destinations overlap, in one sentence; empty when they do not.
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
    """The facts about one state store. It is ready without a ``reason``; otherwise ``message`` says why it is not.

    ``unfit``: whether the reason is in its own spec, so that only an edit of it helps.
    """

    generation: int
    reason: str = ""
    message: str = ""
    unfit: bool = False


def requirement_state(
    requirement_version: str, *, installed: bool, versions: frozenset[str], available: bool
) -> str:
    """Returns the state of a required Promise.

    Args:
        requirement_version: the required version; empty accepts any version.
        installed: whether the Promise exists.
        versions: the versions of its PromiseRevisions. One that equals the required version satisfies it, even if it is
            not the latest (kratix-compatibility.md#required-promises: versions have no order).
        available: whether the Promise itself is available.
    """
    if not installed:
        return NOT_INSTALLED
    if requirement_version and requirement_version not in versions:
        return NOT_INSTALLED_AT_VERSION
    return INSTALLED if available else NOT_AVAILABLE
