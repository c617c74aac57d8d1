"""Why a demo ended early."""

from __future__ import annotations

from troth.dev.errors import DevError


class DemoFailed(DevError):
    """Something that the demo was about to show did not happen; the message says what was waited for and seen."""
