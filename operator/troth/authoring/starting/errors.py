"""What cannot be started, in one sentence."""

from __future__ import annotations

from troth.api import TrothError


class CannotStart(TrothError):
    """What was asked for cannot be made; nothing was written."""
