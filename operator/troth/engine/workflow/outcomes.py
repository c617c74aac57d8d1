"""The possible outcomes of one step of a workflow, for all kinds of pipelines.

Templates end within one reconciliation: they give files, or fail. Containers take time, may suspend themselves, and are
not run again while the specs that they ran for are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from troth.engine.failure import Failure
from troth.engine.rendering.render import Rendered


@dataclass(frozen=True, slots=True)
class Running:
    """A step that was started and has not ended; ``message`` says what it is waiting for, or is empty."""

    pipeline: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Suspended:
    """A step that suspended its workflow.

    Attributes:
        pipeline: the name of the pipeline.
        message: why it is suspended, as the pipeline says it.
        retry_after: after how many seconds it wants to run again; None when somebody has to ask for that.
        status: the fields that it adds to the object's status.
    """

    pipeline: str
    message: str = ""
    retry_after: float | None = None
    status: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """A step that has ended before with the same specs. It is not run again, and its results stay."""

    pipeline: str


StepOutcome = Rendered | Kept | Running | Suspended | Failure
