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
    """A step that was started and has not ended.

    Attributes:
        pipeline: the name of the pipeline.
        message: what it is waiting for, or empty.
        begins: the number of the run that begins now; 0 when it began before. The number has to be in the object's
            status before anything of the run is made, so the step is observed again as soon as it is written.
        again: after how many seconds to look at it again; None if whatever changes announces itself.
        failure: how a container of it failed that Kubernetes tries again; None while none has failed.
    """

    pipeline: str
    message: str = ""
    begins: int = 0
    again: float | None = field(default=None, compare=False)
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Suspended:
    """A step that suspended its workflow.

    Attributes:
        pipeline: the name of the pipeline.
        message: why it is suspended, as the pipeline says it.
        retry_after: after how many seconds it wants to run again; None when somebody has to ask for that.
        status: the fields that it adds to the object's status.
        max_attempts: after how many attempts it is not to run again; 0 for no limit.
    """

    pipeline: str
    message: str = ""
    retry_after: float | None = None
    status: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A step that has ended before with the same specs. It is not run again, and its results stay.

    Attributes:
        pipeline: the name of the pipeline.
        status: the fields that it has added to the object's status.
    """

    pipeline: str
    status: Mapping[str, Any] = field(default_factory=dict)


StepOutcome = Rendered | Kept | Running | Suspended | Failure
