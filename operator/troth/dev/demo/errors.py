"""The error that ends a demo early."""

from __future__ import annotations

from troth.dev.errors import DevError


class DemoFailed(DevError):
    """Something that the demo was about to show did not happen. The message says what was expected and seen."""
