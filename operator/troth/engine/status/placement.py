"""The status of WorkPlacements and Works, and what the status of their owners says about them.

See kratix-compatibility.md#conditions-of-works-and-placements.

Two things differ from Kratix on purpose. A Work is Ready only once its files are in the stores: in Kratix it is Ready
as soon as they are scheduled, so a request could be Reconciled before anything was written. And a failed write is shown
before a missing destination, and this before a misplaced one: the most urgent comes first.

``status.troth`` records the generation that a status is about; without it, a placement whose content has just changed
would count as written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api import Condition, find_condition, labels, merge_conditions, reasons
from troth.api import conditions as types
from troth.api.conditions import Status
from troth.api.objects import Work, WorkPlacement
from troth.api.statuses import read_own
from troth.engine.placement.scheduling import describe_labels
from troth.engine.status.facts import Held, PlacementFacts, Waiting, WorkFacts

DESTINATION_NOT_FOUND: Final = "DestinationNotFound"
_LONGEST_LIST: Final = 5
# Where a placement's files are, with its seal. Removing the files depends on it, so it stays until it changes.
_RECORD: Final = frozenset({"location", "alsoIn", "seal"})
_NO_DESTINATION: Final = "Destination {} does not exist"


def read_placement(placement: WorkPlacement, *, abandoned: bool = False) -> PlacementFacts:
    """Reads the facts from a WorkPlacement's own status, for its current generation.

    ``abandoned``: whether its Destination does not exist, so that the result of the last write no longer counts.
    """
    ours = read_own(placement.status)
    current = ours.observed_generation == placement.metadata.generation
    write = find_condition(placement.status.get("conditions"), types.WRITE_SUCCEEDED) or {}
    failed = current and write.get("status") == "False" and not abandoned
    return PlacementFacts(
        name=placement.metadata.name,
        group_id=placement.group_id,
        destination=placement.destination,
        path=ours.text("path"),
        files=len(placement.workloads),
        written=current and write.get("status") == "True" and placement.recorded == placement.metadata.generation,
        version=placement.status.get("versionID", "") if placement.recorded else "",
        misplaced=placement.metadata.labels.get(labels.MISPLACED) == "true",
        failure=(write.get("message") or "writing failed") if failed else "",
        generation=placement.metadata.generation,
        abandoned=abandoned,
        namespace=placement.metadata.namespace,
    )


def placement_status(old: Mapping[str, Any], facts: PlacementFacts, *, now: str) -> dict[str, Any]:
    """Returns the status of a WorkPlacement. ``versionID`` keeps the last version that was written."""
    # The outcome of an older generation's write must not count for this one.
    outdated = () if facts.written or facts.failure else (types.WRITE_SUCCEEDED,)
    return {
        "conditions": merge_conditions(
            old.get("conditions"), _placement_conditions(facts), now=now, drop=outdated
        ),
        "versionID": facts.version or old.get("versionID") or None,
        "observedGeneration": facts.generation,
        "troth": {
            **{name: value for name, value in read_own(old).fields.items() if name in _RECORD},
            "observedGeneration": facts.generation,
            "path": facts.path or None,
            "files": facts.files,
        },
    }


def read_work(work: Work, placements: Iterable[PlacementFacts]) -> WorkFacts:
    """Reads the facts from a Work's own status and the placements that belong to it.

    A status that the operator did not write is ignored, even that the Work was scheduled.
    """
    ours = read_own(work.status if work.reported else {})
    known = tuple(placements)
    elsewhere = [entry.get("id", "") for entry in ours.unscheduled]
    placed = {*(placement.group_id for placement in known), *elsewhere}
    # A placement that somebody has deleted is created again once it is gone. Until then its group is not placed.
    complete = bool(ours.held) or all(group.id in placed for group in work.groups)
    return WorkFacts(
        name=work.metadata.name,
        groups=len(work.groups),
        scheduled=complete and ours.observed_generation == work.metadata.generation,
        unscheduled=tuple(
            Waiting(entry.get("id", ""), entry.get("matchLabels") or {}) for entry in ours.unscheduled
        ),
        placements=known,
        generation=work.metadata.generation,
        refusal=ours.text("refusal"),
        forbidden=ours.text("forbidden"),
        obstacle=ours.text("obstacle"),
        held=tuple(
            Held(
                entry.get("name", ""),
                entry.get("destination", ""),
                entry.get("matchLabels") or {},
                entry.get("has"),
            )
            for entry in ours.held
        ),
        namespace=work.metadata.namespace,
        exposed=ours.text("exposed"),
        withheld=ours.text("withheld"),
    )


def plain_secrets_condition(works: Sequence[WorkFacts]) -> list[Condition]:
    """Returns ``PlainSecrets`` for Works with plain-text Secrets: at most one condition, which lists all of them."""
    withheld = sorted({work.withheld for work in works if work.withheld})
    exposed = sorted({work.exposed for work in works if work.exposed})
    if not withheld and not exposed:
        return []
    reason = "NotWritten" if withheld else "WrittenInTheClear"
    return [Condition(types.PLAIN_SECRETS, "True", reason, "; ".join([*withheld, *exposed]))]


def work_status(old: Mapping[str, Any], facts: WorkFacts, *, now: str) -> dict[str, Any]:
    """Returns the status of a Work.

    ``workPlacements`` is the number of workload groups, and ``workPlacementsCreated`` of those that are placed.
    """
    waiting = [{"id": group.group_id, "matchLabels": dict(group.wants)} for group in facts.unscheduled]
    return {
        "conditions": merge_conditions(
            old.get("conditions"),
            [*_work_conditions(facts), *(told := plain_secrets_condition([facts]))],
            now=now,
            drop=() if told else (types.PLAIN_SECRETS,),
        ),
        "observedGeneration": facts.generation,
        "workPlacements": facts.groups,
        "workPlacementsCreated": facts.groups - len(waiting),
        "troth": {
            "observedGeneration": facts.generation,
            "unscheduled": waiting or None,
            "held": [_as_status(held) for held in facts.held] or None,
            "refusal": facts.refusal or None,
            "forbidden": facts.forbidden or None,
            "exposed": facts.exposed or None,
            "withheld": facts.withheld or None,
            "obstacle": facts.obstacle or None,
        },
    }


@dataclass(frozen=True, slots=True)
class WorksReport:
    """The summary of one owner's Works: its condition ``WorksSucceeded``, and an explanation for people.

    ``explanation`` and ``reason`` are for the owner's ``Ready``, whose status follows from ``condition.status``.
    """

    condition: Condition
    reason: str
    explanation: str

    @property
    def status(self) -> Status:
        """True if all Works are ready, Unknown if some are pending, False if some are failing or misplaced."""
        return self.condition.status


def works_report(works: Sequence[WorkFacts], noun: str) -> WorksReport:
    """Sums up the Works of a request (``noun`` is ``resource``) or of a Promise (``promise``)."""
    failing = [work for work in works if work.state == "Failing"]
    if failing:
        message = f"Some works associated with this {noun} failed: {_names(work.name for work in failing)}"
        return WorksReport(
            _works("False", reasons.WORKS_FAILING, message), reasons.WORKS_FAILING, _why_failing(failing)
        )
    pending = [work for work in works if work.state == "Pending"]
    waiting = _why_unscheduled(pending)
    if waiting:
        return WorksReport(
            _works("Unknown", reasons.WORKS_PENDING, waiting), reasons.UNSCHEDULED_WORKLOADS, waiting
        )
    if pending:
        message = f"Some works associated with this {noun} are not ready: {_names(work.name for work in pending)}"
        return WorksReport(
            _works("Unknown", reasons.WORKS_PENDING, message), reasons.WORKS_PENDING, _why_pending(pending)
        )
    misplaced = [work for work in works if work.state == "Misplaced"]
    if misplaced:
        message = f"Some works associated with this {noun} are misplaced: {_names(w.name for w in misplaced)}"
        return WorksReport(
            _works("False", reasons.WORKS_MISPLACED, message), reasons.WORKS_MISPLACED, _why_misplaced(misplaced)
        )
    condition = _works("True", types.WORKS_SUCCEEDED, f"All works associated with this {noun} are ready")
    return WorksReport(condition, reasons.RECONCILED, _where_written(works))


def placements_block(works: Iterable[WorkFacts]) -> list[dict[str, Any]]:
    """Returns ``status.troth.placements``: where everything was placed, in the order of destinations and paths."""
    found = [placement for work in works for placement in work.placements]
    found.sort(key=lambda placement: (placement.destination, placement.path, placement.name))
    return [
        {
            "destination": placement.destination,
            **({"path": placement.path} if placement.path else {}),
            "files": placement.files,
            **({"version": placement.version} if placement.version else {}),
            "state": placement.state,
            **({"message": message} if (message := _trouble(placement)) else {}),
        }
        for placement in found
    ]


def _trouble(placement: PlacementFacts) -> str:
    return placement.failure or (_NO_DESTINATION.format(placement.destination) if placement.abandoned else "")


def _placement_conditions(facts: PlacementFacts) -> list[Condition]:
    if facts.abandoned:
        message = _NO_DESTINATION.format(facts.destination)
        scheduled = Condition(types.SCHEDULE_SUCCEEDED, "False", DESTINATION_NOT_FOUND, message)
    elif facts.misplaced:
        scheduled = Condition(
            types.SCHEDULE_SUCCEEDED,
            "False",
            "DestinationSelectorMismatch",
            "Target destination no longer matches destinationSelectors",
        )
    else:
        scheduled = Condition(
            types.SCHEDULE_SUCCEEDED, "True", "ScheduledToDestination", "Scheduled to correct Destination"
        )
    result = [scheduled]
    if facts.failure:
        result.append(Condition(types.WRITE_SUCCEEDED, "False", "WorkloadsFailedWrite", facts.failure))
    elif facts.written:
        result.append(
            Condition(
                types.WRITE_SUCCEEDED, "True", "WorkloadsWrittenToStateStore", "Workloads written to State Store"
            )
        )
    result.append(_placement_ready(facts))
    return result


def _placement_ready(facts: PlacementFacts) -> Condition:
    match facts.state:
        case "Failing":
            return Condition(types.READY, "False", "WorkloadsFailedWrite", "Failing")
        case "Misplaced":
            return Condition(
                types.READY, "False", DESTINATION_NOT_FOUND if facts.abandoned else "Misplaced", "Misplaced"
            )
        case "Written":
            return Condition(types.READY, "True", "WorkloadsWrittenToTargetDestination", "Ready")
        case "Pending":
            return Condition(types.READY, "False", "ScheduledToDestination", "Pending")


def _work_conditions(facts: WorkFacts) -> list[Condition]:
    def both(reason: str, message: str, ready_reason: str, ready: str) -> list[Condition]:
        return [
            Condition(types.SCHEDULE_SUCCEEDED, "False", reason, message),
            Condition(types.READY, "False", ready_reason, ready),
        ]

    if facts.refusal:
        return both("PlacementsRefused", facts.refusal, "PlacementsRefused", "Failing")
    if facts.forbidden:
        return both("NotAllowed", facts.forbidden, "NotAllowed", "Failing")
    if facts.withheld:
        return both("PlainSecrets", facts.withheld, "PlainSecrets", "Failing")
    if facts.obstacle:
        return both("HeldByOthers", facts.obstacle, "HeldByOthers", "Failing")
    failing = [placement.name for placement in facts.placements if placement.state == "Failing"]
    if failing:
        message = f"Workplacements failed to write: {_names(failing)}"
        return both("WorkplacementsFailing", message, "WorkplacementsFailing", "Failing")
    if facts.unscheduled:
        ids = _names(group.group_id for group in facts.unscheduled)
        message = f"No matching destination found for workloadGroups: {ids}"
        return both(reasons.UNSCHEDULED_WORKLOADS, message, reasons.UNSCHEDULED_WORKLOADS, "Pending")
    if facts.state == "Misplaced" and (gone := _abandoned([facts])):
        message = "; ".join(_NO_DESTINATION.format(name) for name in gone)
        return both(DESTINATION_NOT_FOUND, message, DESTINATION_NOT_FOUND, "Misplaced")
    misplaced = {placement.group_id for placement in facts.placements if placement.state == "Misplaced"}
    misplaced |= {held.group_id for held in facts.held}
    if misplaced and facts.state == "Misplaced":
        message = (
            f"Target destination no longer matches destinationSelectors for workloadGroups: {_names(misplaced)}"
        )
        return both("DestinationSelectorMismatch", message, "Misplaced", "Misplaced")
    scheduled = Condition(
        types.SCHEDULE_SUCCEEDED, "True", "AllWorkplacementsScheduled", "All workplacements scheduled successfully"
    )
    if facts.state == "Pending":
        return [scheduled, Condition(types.READY, "False", "WorkplacementsPending", "Pending")]
    return [scheduled, Condition(types.READY, "True", "AllWorkplacementsScheduled", "Ready")]


def _works(status: Status, reason: str, message: str) -> Condition:
    return Condition(types.WORKS_SUCCEEDED, status, reason, message)


def _why_failing(works: Iterable[WorkFacts]) -> str:
    found = list(works)
    refused = [work.refusal for work in found if work.refusal]
    if refused:
        return f"The API server refused a placement: {refused[0]}"
    forbidden = [work.forbidden for work in found if work.forbidden]
    if forbidden:
        return f"{forbidden[0]}; what was written there before stays as it was"
    if withheld := [work.withheld for work in found if work.withheld]:
        return withheld[0]
    obstacles = [work.obstacle for work in found if work.obstacle]
    if obstacles:
        return obstacles[0]
    failing = [placement for work in found for placement in work.placements if placement.failure]
    first = min(failing, key=lambda placement: (placement.destination, placement.name))
    others = len({placement.destination for placement in failing}) - 1
    more = f" (and {others} more)" if others else ""
    return f"Writing to destination {first.destination} failed: {first.failure}{more}"


def _why_unscheduled(works: Iterable[WorkFacts]) -> str:
    wants = {describe_labels(group.wants) for work in works for group in work.unscheduled}
    if not wants:
        return ""
    if "" in wants:
        return "No destination accepts workloads that ask for no labels; waiting for one"
    return f"No destination has the labels {' nor the labels '.join(sorted(wants))}; waiting for one"


def _why_pending(works: Iterable[WorkFacts]) -> str:
    destinations = {
        placement.destination for work in works for placement in work.placements if placement.state == "Pending"
    }
    return f"Being written to {_enumerate(destinations)}" if destinations else "Waiting to be scheduled"


def _as_status(held: Held) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": held.placement,
        "destination": held.destination,
        "matchLabels": dict(held.wants),
    }
    return entry if held.has is None else {**entry, "has": dict(held.has)}


def _why_held(work: WorkFacts, held: Held) -> str:
    differing = {key for key, value in held.wants.items() if held.has is None or held.has.get(key) != value}
    wants = {key: held.wants[key] for key in differing}
    has = {key: held.has[key] for key in differing if key in held.has} if held.has else {}
    if held.has is None:
        there = "which no longer exists"
    else:
        there = f"which has {describe_labels(has)}" if has else "which does not have that label"
    return (
        f"It asks for {describe_labels(wants)} and is placed in {held.destination}, {there}. The files there stay "
        f"as they were. Take the edit back, or move it: `kubectl delete workplacement {held.placement} "
        f"--namespace {work.namespace}` removes its files from {held.destination} and places it anew"
    )


def _why_misplaced(works: Sequence[WorkFacts]) -> str:
    for work in works:
        for held in work.held:
            return _why_held(work, held)
    if gone := _abandoned(works):
        return _why_abandoned(gone, works)
    destinations = {
        placement.destination for work in works for placement in work.placements if placement.state == "Misplaced"
    }
    verb = "no longer has" if len(destinations) == 1 else "no longer have"
    return f"{_enumerate(destinations)} {verb} the labels asked for; the files there stay and are kept up to date"


def _abandoned(works: Iterable[WorkFacts]) -> list[str]:
    """Returns the Destinations that do not exist although something is placed there."""
    found = {placement.destination for work in works for placement in work.placements if placement.abandoned}
    return sorted(found)


def _why_abandoned(gone: Sequence[str], works: Sequence[WorkFacts]) -> str:
    placement = next(
        placement for work in works for placement in work.placements if placement.destination == gone[0]
    )
    others = f" (and {len(gone) - 1} more Destinations do not exist)" if len(gone) > 1 else ""
    return (
        f"{_NO_DESTINATION.format(gone[0])}{others}: the files in its store stay as they are, and they are "
        f"not updated until it exists again. To place them elsewhere: `kubectl delete workplacement {placement.name} "
        f"--namespace {placement.namespace}`"
    )


def _where_written(works: Iterable[WorkFacts]) -> str:
    destinations = {placement.destination for work in works for placement in work.placements}
    return f"Written to {_enumerate(destinations)}" if destinations else "Nothing to write"


def _enumerate(destinations: Iterable[str]) -> str:
    ordered = sorted(destinations)
    if len(ordered) > _LONGEST_LIST:
        return f"{len(ordered)} destinations"
    return ", ".join(ordered)


def _names(names: Iterable[str]) -> str:
    return f"[{', '.join(sorted(names))}]"
