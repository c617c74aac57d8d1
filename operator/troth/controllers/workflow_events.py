"""Records the Events of workflows, which `troth.engine.workflow.announcements` decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from troth.controllers.platform import Platform
from troth.engine.workflow.announcements import Announcement

_ACTIONS: Final = {"configure": "Reconcile", "delete": "Delete"}


def record_workflow(
    platform: Platform, regarding: Mapping[str, Any], announcements: Iterable[Announcement]
) -> None:
    """Takes note of Events about a request or a Promise, after the status that they tell of was written."""
    for each in announcements:
        platform.events.record(
            regarding, type=each.type, reason=each.reason, message=each.message, action=_ACTIONS[each.action]
        )
