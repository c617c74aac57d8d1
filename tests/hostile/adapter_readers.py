"""What the programs in a pipeline's pod read of the API server, for test_readers.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from troth.adapter.control import Control
from troth.adapter.statuses import make_report, patch_status, read_status_document
from troth.adapter.works import PipelineRun, is_others, make_work, work_patch
from troth.api.step_reports import read_step_report, reported_status
from troth.api.typed import read_map

NOW = "2026-03-01T08:00:00Z"
SAID = {"size": {"of": "it"}, "message": "a", "conditions": [{"type": "Up", "status": "True"}]}
RUN = PipelineRun("p", "instance", "resource", "n", "it", "n")
CONDITION: dict[str, Any] = {
    "type": "Up",
    "status": "False",
    "reason": "Failing",
    "message": "it fails",
    "lastTransitionTime": NOW,
}
REPORT = {"statusKeys": ["size"], "conditionTypes": ["Up"], "suspend": True, "retryAfter": "10m", "maxAttempts": 3}


def see_status(obj: Any) -> None:
    """What a status-writer does with an object, and what the operator reads of it."""
    status = read_map(obj.get("status"))
    said = read_status_document(SAID, "status.yaml", workflow_type="resource")
    report = make_report(said, Control(suspend=True))
    patch_status(status, said, report, action="configure", pipeline="instance", now=NOW)
    reported_status(status, read_step_report(status, "configure", "instance"))


def see_work(obj: Any) -> None:
    """What a status-writer does with a Work that is there."""
    is_others(obj, RUN), work_patch(obj, make_work(RUN, ()))


ADAPTER_READERS: Mapping[str, tuple[Callable[[Any], object], Any]] = {
    "pod-status": (
        see_status,
        {
            "status": {
                "size": {"of": "them", "more": [1, {"a": None}]},
                "conditions": [CONDITION, {**CONDITION, "type": "Ready"}],
                "troth": {"phase": "Pending", "workflows": {"configure": {"instance": REPORT, "other": REPORT}}},
            }
        },
    ),
    "pod-work": (see_work, make_work(RUN, ())),
}
