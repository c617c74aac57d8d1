"""Pure: Jinja, values, YAML, scheduling, layout in a store, status, diff."""

from troth.engine.check import check_pipeline
from troth.engine.failure import Failure
from troth.engine.limits import Limits
from troth.engine.pool import RenderPool
from troth.engine.render import (
    Control,
    Outcome,
    RenderContext,
    Rendered,
    RenderedFile,
    render_context,
    render_pipeline,
)

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
