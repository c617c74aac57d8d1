"""From what pipelines rendered to what a workflow produced: groups of files, a status, or the failure that ended it.

Pipelines run in order and stop at the first failure or suspension (kratix-api.md 3.2, 3.7). What came before it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troth.api import InvalidObject
from troth.engine.failure import Failure, Reason
from troth.engine.render import Control, Outcome
from troth.engine.status import AuthorStatus, author_status
from troth.engine.work import GroupContent, build_groups


@dataclass(frozen=True, slots=True)
class Output:
    """What one pipeline produced."""

    pipeline: str
    groups: tuple[GroupContent, ...]
    status: Mapping[str, Any]
    control: Control | None

    @property
    def suspended(self) -> bool:
        """Whether the pipeline asked to stop here."""
        return self.control is not None and (self.control.suspend or self.control.retry_after is not None)


@dataclass(frozen=True, slots=True)
class WorkflowOutput:
    """What a workflow produced, up to its first failure or suspension."""

    outputs: tuple[Output, ...]
    failure: Failure | None
    author: AuthorStatus


def judge_outcomes(outcomes: Sequence[Outcome], *, selectors: Mapping[str, str], source: str) -> WorkflowOutput:
    """Sums up what the pipelines of one workflow rendered.

    Args:
        outcomes: of each pipeline, in order.
        selectors: the Promise's destination selectors.
        source: who speaks through a pipeline's own rules: ``resource-workflow`` or ``promise-workflow``.
    """
    outputs: list[Output] = []
    failure: Failure | None = None
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            failure = outcome
            break
        try:
            groups = build_groups(
                {file.path: file.content for file in outcome.files}, outcome.destinations, selectors, source
            )
        except InvalidObject as error:
            failure = _as_failure("InvalidDestinations", outcome.pipeline, error)
            break
        try:
            author_status([(outcome.pipeline, outcome.status)])
        except InvalidObject as error:
            failure = _as_failure("InvalidStatus", outcome.pipeline, error)
            break
        outputs.append(Output(outcome.pipeline, groups, outcome.status, outcome.control))
        if outputs[-1].suspended:
            break
    author = author_status([(output.pipeline, output.status) for output in outputs])
    return WorkflowOutput(tuple(outputs), failure, author)


def _as_failure(reason: Reason, pipeline: str, error: InvalidObject) -> Failure:
    return Failure(reason, error.problem, pipeline=pipeline, file=error.field, hint=error.remedy)
