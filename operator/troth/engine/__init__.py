"""Pure: Jinja, values, YAML, scheduling, layout in a store, status, diff."""

from typing import TYPE_CHECKING, Any

from troth.engine.failure import Failure
from troth.engine.rendering.check import check_pipeline
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import (
    Control,
    Outcome,
    RenderContext,
    Rendered,
    RenderedFile,
    render_context,
    render_pipeline,
)

if TYPE_CHECKING:
    from troth.engine.workers.pool import RenderPool

__all__ = [
    "Control",
    "Failure",
    "Limits",
    "Outcome",
    "RenderContext",
    "RenderPool",
    "Rendered",
    "RenderedFile",
    "check_pipeline",
    "render_context",
    "render_pipeline",
]


def __getattr__(name: str) -> Any:
    # The pool brings asyncio along, and neither its own workers nor a short command has a use for that.
    if name == "RenderPool":
        from troth.engine.workers.pool import RenderPool

        return RenderPool
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
