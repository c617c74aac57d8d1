"""How often a workflow runs again although nothing has changed; both numbers are Kratix's.

See kratix-compatibility.md#reconciliation-interval.
"""

from __future__ import annotations

from typing import Final

DEFAULT_INTERVAL: Final = 36_000.0
"""The interval where nobody says another one, in seconds: ten hours."""

SHORTEST_INTERVAL: Final = 60.0
"""The shortest interval that is accepted, in seconds."""
