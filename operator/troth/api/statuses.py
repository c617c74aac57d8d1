"""Reading the status of an object, of which only the parts with the expected types count.

The operator is not the only one who may write a status: anybody with the right to do so may have put anything into it,
and the schema of a request's status lets every field through. So a field that is read here has the type that the
operator writes, or else counts as missing. The next report then differs and corrects it. Fields that Troth does not
read stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from troth.api.typed import read_list, read_map, read_maps, read_text, read_whole

Shape = Any
"""A type, the shapes of a map's members, `_Each` for a list, or a check."""


class _Each(NamedTuple):
    """The shape of a list's items; an item without the member ``needs`` is dropped."""

    shape: Shape
    needs: str = ""


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53


def _are_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


_CONDITIONS: Final = _Each(
    {
        "type": str,
        "status": str,
        "reason": str,
        "message": str,
        "lastTransitionTime": str,
        "observedGeneration": _is_whole,
    },
    needs="type",
)
_PIPELINES: Final = _Each(
    {
        "name": str,
        "phase": str,
        "hash": str,
        "message": str,
        "lastTransitionTime": str,
        "attempts": _is_whole,
        "nextRetryAt": _is_time,
    },
    needs="name",
)
_WORKFLOW: Final = {
    "pipelines": _PIPELINES,
    "suspendedGeneration": _is_whole,
    "lastSuccessfulTime": str,
    "lastSuccessfulConfigureWorkflowTime": str,
}
_LOCATION: Final = {
    "store": {"kind": str, "name": str},
    "directory": str,
    "stateFile": str,
    "aggregate": str,
    "address": str,
    "files": _Each(str),
}
_STATUS: Final[Mapping[str, Shape]] = {
    "conditions": _CONDITIONS,
    "message": str,
    "status": str,
    "versionID": str,
    "observedGeneration": _is_whole,
    "lastAvailableTime": str,
    "lastSuccessfulConfigureWorkflowTime": str,
    "kratix": {
        "lastAvailableTime": str,
        "workflows": {
            "pipelines": _PIPELINES,
            "suspendedGeneration": _is_whole,
            "lastSuccessfulConfigureWorkflowTime": str,
            "configure": _WORKFLOW,
            "delete": _WORKFLOW,
        },
    },
    "troth": {
        "observedGeneration": _is_whole,
        "path": str,
        "phase": str,
        "refusal": str,
        "failure": {},
        "statusKeys": _Each(str),
        "conditionTypes": _Each(str),
        "components": _Each({"apiVersion": str, "kind": str, "namespace": str, "name": str}),
        "placements": _Each({"version": str}),
        "unscheduled": _Each({"id": str, "matchLabels": _are_labels}),
        "held": _Each({"name": str, "destination": str, "matchLabels": _are_labels, "has": _are_labels}),
        "location": _LOCATION,
        "alsoIn": _Each(_LOCATION),
    },
}
_NOT_THERE: Final = object()


@dataclass(frozen=True, slots=True)
class OwnStatus:
    """The operator's own notes under ``status.troth``, which nobody else is meant to write.

    Somebody else may still have written them. So every property has its declared type whatever the status holds, and a
    note of another type counts as missing.

    Attributes:
        fields: all of ``status.troth``, unchanged.
    """

    fields: Mapping[str, Any]

    @property
    def observed_generation(self) -> int | None:
        """The generation of the object that the notes are about."""
        return read_whole(self.fields.get("observedGeneration")) or None

    @property
    def placements(self) -> Sequence[Mapping[str, Any]]:
        """The locations of a request's files, and the version of the files at each."""
        return read_maps(self.fields.get("placements"))

    @property
    def components(self) -> Sequence[Mapping[str, Any]]:
        """The requests of other Promises that belong to a request."""
        return read_maps(self.fields.get("components"))

    @property
    def unscheduled(self) -> Sequence[Mapping[str, Any]]:
        """The groups of a Work for which no Destination was found."""
        return read_maps(self.fields.get("unscheduled"))

    @property
    def held(self) -> Sequence[Mapping[str, Any]]:
        """The placements of a Work that keep their content, because its pipelines now ask for another Destination."""
        return read_maps(self.fields.get("held"))

    @property
    def location(self) -> Mapping[str, Any]:
        """Where files are (`troth.engine.placement.locations`)."""
        return read_map(self.fields.get("location"))

    @property
    def also_in(self) -> Sequence[Mapping[str, Any]]:
        """Where else some of them may be while they move."""
        return read_maps(self.fields.get("alsoIn"))

    @property
    def aggregate(self) -> Mapping[str, Any]:
        """The one file of a Destination that has everything in one file (`troth.controllers.aggregates`)."""
        return read_map(self.fields.get("aggregate"))

    @property
    def seal(self) -> str:
        """What proves that the operator wrote the record (`troth.engine.placement.seals`)."""
        return self.text("seal")

    @property
    def status_keys(self) -> frozenset[str]:
        """The fields of the status that the author's pipelines have written."""
        return self._names("statusKeys")

    @property
    def condition_types(self) -> frozenset[str]:
        """The conditions that the author's pipelines have written."""
        return self._names("conditionTypes")

    def text(self, name: str) -> str:
        """Returns the note of that name if it is a text, and "" otherwise."""
        return read_text(self.fields.get(name))

    def _names(self, name: str) -> frozenset[str]:
        return frozenset(entry for entry in read_list(self.fields.get(name)) if isinstance(entry, str))


def read_own(status: Mapping[str, Any]) -> OwnStatus:
    """Returns the operator's own notes in a status. Never raises, whatever the status holds."""
    return OwnStatus(read_map(status.get("troth")))


def read_status(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns an object's status without fields of an unexpected type; the status itself if there are none."""
    status = obj.get("status")
    if not status:
        return {}
    found: Any = _fit(status, _STATUS)
    return {} if found is _NOT_THERE else found


def _fit(value: Any, shape: Shape) -> Any:
    if isinstance(shape, dict):
        return _fit_map(value, shape)
    if isinstance(shape, _Each):
        return _fit_list(value, shape)
    fits = isinstance(value, shape) if isinstance(shape, type) else shape(value)
    return value if fits else _NOT_THERE


def _fit_list(value: Any, each: _Each) -> Any:
    if not isinstance(value, list):
        return _NOT_THERE
    fitting = [_fit(child, each.shape) for child in value]
    if all(map(_is_same, fitting, value)) and not (
        each.needs and any(not child.get(each.needs) for child in value)
    ):
        return value
    return [
        child for child in fitting if child is not _NOT_THERE and not (each.needs and not child.get(each.needs))
    ]


def _fit_map(value: Any, shapes: Mapping[str, Shape]) -> Any:
    if not isinstance(value, dict):
        return _NOT_THERE
    found: dict[str, Any] = value
    for name, shape in shapes.items():
        if name not in value or value[name] is None:
            continue
        fitting = _fit(value[name], shape)
        if fitting is not value[name]:
            found = dict(found) if found is value else found
            found[name] = fitting
            if fitting is _NOT_THERE:
                del found[name]
    return found


def _is_same(left: Any, right: Any) -> bool:
    return left is right
