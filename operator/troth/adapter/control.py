"""Reads ``workflow-control.yaml``: what a pipeline asks of its workflow (kratix-compatibility.md#suspending).

It is read twice: the Work is left as it is when the pipeline asks to stop, and the status says what it asks for. The
Work comes first, so a mistake in the file is found before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from troth.adapter.errors import Unusable
from troth.api.typed import name_type

FILE: Final = "workflow-control.yaml"
_KNOWN: Final = ("suspend", "message", "retryAfter", "maxAttempts")


@dataclass(frozen=True, slots=True)
class Control:
    """What a pipeline asks of its workflow.

    Attributes:
        suspend: the workflow stops here until somebody lets it continue.
        message: why, in the pipeline's own words.
        retry_after: after how long the pipeline wants to run again, as Go writes durations (``10m``); wins over
            ``suspend``. Empty when it does not ask for that.
        max_attempts: after how many attempts the pipeline is not tried again; 0 for no limit.
        ignored: keys of the file that have no meaning.
    """

    suspend: bool = False
    message: str = ""
    retry_after: str = ""
    max_attempts: int = 0
    ignored: tuple[str, ...] = ()

    @property
    def stops(self) -> bool:
        """Whether the workflow stops at this pipeline."""
        return self.suspend or bool(self.retry_after)


def read_control(document: Any, seen_as: str) -> Control:
    """Reads the document of a ``workflow-control.yaml``; None asks for nothing.

    Unknown keys are ignored, as in Kratix, and listed in the result.

    Raises:
        Unusable: it is not a map, or a value has another type, or the duration cannot be read.
    """
    if document is None:
        return Control()
    if not isinstance(document, dict):
        raise Unusable(seen_as, f"is {name_type(document)}, not a map with suspend, message or retryAfter")
    suspend, message, retry, most = (document.get(name) for name in _KNOWN)
    if not isinstance(suspend, bool | None):
        raise Unusable(seen_as, f"suspend is {name_type(suspend)}, not true or false")
    for name, value in (("message", message), ("retryAfter", retry)):
        if not isinstance(value, str | None):
            raise Unusable(seen_as, f"{name} is {name_type(value)}, not text")
    if not isinstance(most, int | None) or isinstance(most, bool) or (most is not None and most < 1):
        raise Unusable(seen_as, "maxAttempts is not a whole number above 0")
    if retry:
        # Imported here: few pipelines ask for it, and what it takes to read all durations there are costs a third more.
        from troth.engine.rendering.durations import parse_duration

        try:
            parse_duration(retry)
        except ValueError as error:
            raise Unusable(seen_as, f"retryAfter: {error}; write one such as 30s, 10m or 1h30m") from None
    ignored = tuple(sorted(str(name) for name in document if name not in _KNOWN))
    return Control(suspend or False, message or "", retry or "", most or 0, ignored)
