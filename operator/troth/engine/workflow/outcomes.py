"""What may become of one step of a workflow, whatever kind of pipeline it is.

Templates end in one reconcile: they give files, or fail. Containers take time, may be suspended from inside, and are
not run again while what they ran for is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from troth.engine.failure import Failure
from troth.engine.rendering.render import Rendered


@dataclass(frozen=True, slots=True)
class Running:
    """A step that was started and has not ended; ``message`` says what it waits for, while that lasts."""

    pipeline: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Suspended:
    """A step that stopped its workflow for a while.

    Attributes:
        pipeline: its name.
        message: why, in its own words.
        retry_after: after how many seconds it wants to run again; None when somebody has to say so.
        status: what it says in the object's status.
    """

    pipeline: str
    message: str = ""
    retry_after: float | None = None
    status: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """A step that has ended before, for the same as now: it is not run again, and what it left stands."""

    pipeline: str


StepOutcome = Rendered | Kept | Running | Suspended | Failure
