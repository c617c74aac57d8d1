"""The report of a container pipeline's pod, in ``status.troth.workflows.<action>.<pipeline>`` of its object.

The pod writes what its pipeline says where people look for it. The report says which fields those were, and what the
pipeline asks of its workflow. The operator alone writes ``status.kratix.workflows`` and the conditions, from the Job
and from this report. So no field has two writers, and the operator knows who wrote a key.

A report is a map for each pipeline, and not an entry of a list: a merge patch replaces lists as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from troth.api.typed import read_list, read_map, read_text, read_whole


@dataclass(frozen=True, slots=True)
class StepReport:
    """What the last run of a container pipeline said.

    Attributes:
        status_keys: the keys of the status that it wrote.
        status_message: what it wrote as ``message``; kept here because the operator writes another message there as
            long as the object is not Ready.
        condition_types: the conditions that it wrote.
        suspend: it asks its workflow to stop here.
        message: why, in its own words.
        retry_after: after how long it wants to run again, as Go writes durations; empty when it does not.
        max_attempts: after how many attempts it is not to be tried again; 0 for no such bound.
    """

    status_keys: tuple[str, ...] = ()
    condition_types: tuple[str, ...] = ()
    suspend: bool = False
    message: str = ""
    retry_after: str = ""
    max_attempts: int = 0
    status_message: str = ""

    def as_status(self) -> dict[str, Any]:
        """Returns the report as it stands in the status, without empty fields."""
        found = {
            "statusKeys": list(self.status_keys),
            "statusMessage": self.status_message,
            "conditionTypes": list(self.condition_types),
            "suspend": self.suspend,
            "message": self.message,
            "retryAfter": self.retry_after,
            "maxAttempts": self.max_attempts,
        }
        return {name: value for name, value in found.items() if value}


def read_step_report(status: Mapping[str, Any], action: str, pipeline: str) -> StepReport:
    """Reads the report of a pipeline; an empty one if there is none. Never raises, whatever the status holds.

    Args:
        status: of the request or the Promise.
        action: ``configure`` or ``delete``.
        pipeline: its name.
    """
    reports = read_map(read_map(read_map(status.get("troth")).get("workflows")).get(action))
    report = read_map(reports.get(pipeline))
    return StepReport(
        status_keys=_texts(report.get("statusKeys")),
        condition_types=_texts(report.get("conditionTypes")),
        suspend=report.get("suspend") is True,
        message=read_text(report.get("message")),
        retry_after=read_text(report.get("retryAfter")),
        max_attempts=read_whole(report.get("maxAttempts")),
        status_message=read_text(report.get("statusMessage")),
    )


def reported_status(status: Mapping[str, Any], report: StepReport) -> dict[str, Any]:
    """Returns what a pipeline says in a status, as in its ``status.yaml``, from the fields that its pod wrote."""
    said = {key: status[key] for key in report.status_keys if key in status}
    if report.status_message:
        said["message"] = report.status_message
    if report.condition_types:
        said["conditions"] = [
            condition
            for condition in read_list(status.get("conditions"))
            if read_map(condition).get("type") in report.condition_types
        ]
    return said


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(entry for entry in read_list(value) if isinstance(entry, str))
