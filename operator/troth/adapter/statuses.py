"""Makes the patch of an object's status from a ``status.yaml`` (kratix-compatibility.md#status-of-a-request).

The file is merged deeply, as Kratix's documentation promises (its code replaces the values of the top level):
maps key by key, lists as a whole, conditions by their type. It is written where people look for it; which keys those
are is reported beside it (`troth.api.step_reports`), so that the operator can keep them, and remove them later.

Fields that the operator writes are left out with a warning. Kratix lets a pipeline overwrite them until its controller
writes them again, so an unmodified Promise may do that; here it runs, and the two do not overwrite each other.
``kratix`` and ``troth`` are refused: Kratix refuses the first, and nobody writes the second by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.adapter.control import Control
from troth.adapter.errors import Unusable
from troth.api import InvalidObject, merge_conditions
from troth.api.step_reports import StepReport
from troth.api.typed import name_type, read_map, read_maps
from troth.engine.status.author import OWNED_CONDITIONS, OWNED_KEYS, AuthorStatus, author_status, conditions_said
from troth.engine.status.patch import apply_patch, status_patch

FILE: Final = "status.yaml"
_REFUSED: Final = ("kratix", "troth")


@dataclass(frozen=True, slots=True)
class Said:
    """What a pipeline says in its object's status.

    Attributes:
        author: the fields and conditions.
        left_out: what is not written, each as the end of a sentence, for a warning.
    """

    author: AuthorStatus
    left_out: tuple[str, ...] = ()


def read_status_document(document: Any, seen_as: str, *, workflow_type: str) -> Said:
    """Reads the document of a ``status.yaml``; None says nothing.

    Args:
        document: the value of the file.
        seen_as: its path as the containers know it, for messages.
        workflow_type: of ``promise``, only the key ``message`` is written.

    Raises:
        Unusable: it is not a map, it has a key ``kratix`` or ``troth``, or it holds what a status cannot hold.
    """
    if document is None:
        return Said(AuthorStatus())
    if not isinstance(document, dict):
        raise Unusable(seen_as, f"is {name_type(document)}, not a map")
    for name in _REFUSED:
        if name in document:
            raise Unusable(seen_as, f"{name}: this key is written by the platform itself; choose another one")
    said: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in document.items():
        if workflow_type == "promise" and name != "message":
            left_out.append(f"{name}: a promise workflow can only write message")
        elif name in OWNED_KEYS:
            left_out.append(f"{name}: this key is written by the operator")
        elif name == "conditions":
            said[name], owned = _without_owned(value)
            left_out += [f"the condition {kind}: it is written by the operator" for kind in owned]
        else:
            said[name] = value
    try:
        return Said(author_status([("", said)]), tuple(left_out))
    except InvalidObject as error:
        where = error.field.removeprefix(".status.")
        remedy = f"; {error.remedy}" if error.remedy else ""
        raise Unusable(seen_as, f"{where}: {error.problem}{remedy}") from None


def make_report(said: Said, control: Control) -> StepReport:
    """Makes the report of a pod about its pipeline."""
    return StepReport(
        status_keys=tuple(sorted(key for key in said.author.fields if key != "message")),
        status_message=str(said.author.fields.get("message") or ""),
        condition_types=tuple(sorted(str(condition["type"]) for condition in said.author.conditions)),
        suspend=control.suspend,
        message=control.message,
        retry_after=control.retry_after,
        max_attempts=control.max_attempts,
    )


def patch_status(
    status: Mapping[str, Any], said: Said, report: StepReport, *, action: str, pipeline: str, now: str
) -> dict[str, Any] | None:
    """Returns the merge patch that writes what a pipeline says, and its report; None if the status has both already.

    Args:
        status: as the API server has it.
        said: `read_status_document`.
        report: `make_report`.
        action: ``configure`` or ``delete``.
        pipeline: the pipeline's name.
        now: RFC 3339, for conditions that change.
    """
    wanted: dict[str, Any] = {name: _merged(status.get(name), value) for name, value in said.author.fields.items()}
    if said.author.conditions:
        # A condition whose type is not text counts as not there, as everywhere (troth.api.statuses).
        old = [item for item in read_maps(status.get("conditions")) if isinstance(item.get("type"), str)]
        wanted["conditions"] = merge_conditions(old, conditions_said(said.author), now=now)
    troth = read_map(status.get("troth"))
    workflows = read_map(troth.get("workflows"))
    reports = {name: value for name, value in read_map(workflows.get(action)).items() if name != pipeline}
    if found := report.as_status():
        reports[pipeline] = found
    if reports or action in workflows:
        wanted["troth"] = {**troth, "workflows": {**workflows, action: reports}}
    return status_patch(status, wanted)


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return apply_patch(old, new)
    return new


def _without_owned(value: Any) -> tuple[Any, list[str]]:
    """Conditions without those that the operator writes, and the types of these; what is not a list stays as it is."""
    if not isinstance(value, list):
        return value, []
    owned = [
        entry["type"]
        for entry in value
        if isinstance(entry, dict) and isinstance(entry.get("type"), str) and entry["type"] in OWNED_CONDITIONS
    ]
    kept = [entry for entry in value if not (isinstance(entry, dict) and entry.get("type") in owned)]
    return kept, owned
