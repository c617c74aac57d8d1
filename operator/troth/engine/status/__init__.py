"""The conditions and the status of every kind, each computed from facts in one place and compared before a write.

A function ``…_status(old, facts, now=…)`` returns the keys of the status that Troth owns; ``status_patch`` turns them
into the merge patch, or into None when there is nothing to write. A time only changes together with the value that it
belongs to, so the same facts never cause a second write.
"""

from troth.engine.status.author import author_status
from troth.engine.status.components import (
    BEING_DELETED,
    MISSING,
    ON_ITS_WAY,
    components_block,
    judge_component,
)
from troth.engine.status.facts import (
    INVALID_PROMISE,
    AuthorStatus,
    ComponentFacts,
    DependentFacts,
    DestinationFacts,
    Obstacle,
    PipelineFacts,
    PlacementFacts,
    PromiseFacts,
    RequestFacts,
    RequestsFacts,
    RequirementFacts,
    StateStoreFacts,
    Waiting,
    WorkFacts,
    WorkflowFacts,
    requirement_state,
)
from troth.engine.status.patch import apply_patch, same, status_patch
from troth.engine.status.placement import placement_status, read_placement, read_work, work_status
from troth.engine.status.promise import promise_available, promise_deletion_status, promise_status
from troth.engine.status.refused import NOT_MADE_BY_TROTH, NOT_SEALED_YET, refused_status
from troth.engine.status.request import (
    deletion_status,
    next_retry,
    refusal_status,
    request_status,
    waiting_status,
)
from troth.engine.status.requests import NAMED, is_failing
from troth.engine.status.store import destination_status, secret_not_found, state_store_status
from troth.engine.status.unattended import why_paused, why_unavailable

__all__ = [
    "BEING_DELETED",
    "INVALID_PROMISE",
    "MISSING",
    "NAMED",
    "NOT_MADE_BY_TROTH",
    "NOT_SEALED_YET",
    "ON_ITS_WAY",
    "AuthorStatus",
    "ComponentFacts",
    "DependentFacts",
    "DestinationFacts",
    "Obstacle",
    "PipelineFacts",
    "PlacementFacts",
    "PromiseFacts",
    "RequestFacts",
    "RequestsFacts",
    "RequirementFacts",
    "StateStoreFacts",
    "Waiting",
    "WorkFacts",
    "WorkflowFacts",
    "apply_patch",
    "author_status",
    "components_block",
    "deletion_status",
    "destination_status",
    "is_failing",
    "judge_component",
    "next_retry",
    "placement_status",
    "promise_available",
    "promise_deletion_status",
    "promise_status",
    "read_placement",
    "read_work",
    "refusal_status",
    "refused_status",
    "request_status",
    "requirement_state",
    "same",
    "secret_not_found",
    "state_store_status",
    "status_patch",
    "waiting_status",
    "why_paused",
    "why_unavailable",
    "work_status",
]
