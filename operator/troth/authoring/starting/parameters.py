"""``--param replicas=Deployment/web:spec.replicas``: a value in manifests that becomes a field of the API.

The path says where; the type and the default are those of the value found there. A path may match several places (a
``*`` in the kind or the name, ``[*]`` for all items of a list, one parameter given again): the field is used in all of
them, and they must hold the same value, or a default could not give the manifests back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from troth.api.pipelines import close_match
from troth.authoring.starting.errors import CannotStart
from troth.authoring.starting.shapes import Path, longest_name, schema_of
from troth.engine.kinds.kubernetes import Kubernetes

SYNTAX: Final = "NAME=KIND/NAME:PATH"
REQUEST_NAME: Final = "metadata.name"
"""A parameter of this name is the request's own name, and no field."""

_NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{0,62}")
_STEP: Final = re.compile(
    r"""(?P<field>[^.\[\]"]+) | \[(?P<index>\d{1,6})\] | \[(?P<all>\*)\] | \["(?P<key>[^"]+)"\]
      | \[(?P<by>[A-Za-z][A-Za-z0-9]*)=(?P<value>[^\]]+)\]""",
    re.VERBOSE,
)
_REQUEST_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """Where a field's value stands.

    Attributes:
        name: of the field.
        kind: a pattern of kinds, with the group behind a dot where that matters.
        object: a pattern of names.
        steps: the way to the value.
        text: as it was given.
    """

    name: str
    kind: str
    object: str
    steps: tuple[Mapping[str, str], ...]
    text: str

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether it speaks of that object."""
        kind, group = str(obj.get("kind")), str(obj.get("apiVersion")).rpartition("/")[0]
        metadata = obj.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else ""
        return (fnmatchcase(kind, self.kind) or fnmatchcase(f"{kind}.{group}", self.kind)) and fnmatchcase(
            str(name), self.object
        )


@dataclass(slots=True)
class Found:
    """A parameter's value, and all places where it stands."""

    name: str
    value: Any
    schema: Mapping[str, Any]
    places: list[str] = field(default_factory=list)


def parse_parameter(text: str) -> Parameter:
    """What a line says.

    Raises:
        CannotStart: it says nothing that can be found.
    """
    name, equals, rest = text.partition("=")
    selector, colon, path = rest.partition(":")
    kind, slash, obj = selector.partition("/")
    if not (equals and colon and slash and kind and obj and path):
        raise _wrong(text, f"is not {SYNTAX}", "write replicas=Deployment/web:spec.replicas")
    if name != REQUEST_NAME and not _NAME.fullmatch(name):
        raise _wrong(text, f"{name!r} is no name", "begin with a lower-case letter; letters and digits follow")
    steps: list[Mapping[str, str]] = []
    at = 0
    while at < len(path):
        if path[at] == "." and steps:
            at += 1
        match = _STEP.match(path, at)
        if not match or len(steps) > 60:
            raise _wrong(text, f"{path[at:]!r} is no path", 'write a.b[0].c, [*], [name=web] or ["a.b/c"]')
        steps.append({key: value for key, value in match.groupdict().items() if value is not None})
        at = match.end()
    return Parameter(name, kind, obj, tuple(steps), text)


class Parameters:
    """Finds the values of parameters in manifests, and takes them out.

    Args:
        parameters: what is looked for.

    Attributes:
        found: what was found, by name.
        name_limits: of parameters that are names of objects, how long these may be.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self._taken: dict[int, dict[Path, Parameter]] = {}
        self._complaints: dict[str, str] = {}
        self._known: list[str] = []
        self._reached: set[str] = set()
        self._kubernetes = Kubernetes()
        self.found: dict[str, Found] = {}
        self.name_limits: dict[str, int] = {}

    def find(self, index: int, obj: Mapping[str, Any]) -> dict[Path, str]:
        """The places in the object of that number that are a parameter's, and whose.

        Raises:
            CannotStart: two parameters want one place, or a value differs from the one found before.
        """
        metadata = obj.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else ""
        shown = f"{obj.get('kind')}/{name}"
        self._known.append(shown)
        places: dict[Path, str] = {}
        for parameter in self._parameters:
            if not parameter.matches(obj):
                continue
            for path, value in self._values(parameter, obj, shown):
                self._take(index, path, parameter)
                self._remember(parameter, obj, path, value, shown)
                places[path] = parameter.name
        return places

    def check(self) -> None:
        """Says which parameter found nothing.

        Raises:
            CannotStart: one did.
        """
        for parameter in self._parameters:
            if parameter.text in self._reached:
                continue
            selector = f"{parameter.kind}/{parameter.object}"
            missing = self._complaints.get(parameter.text)
            if missing:
                raise _wrong(parameter.text, missing, "")
            meant = close_match(selector, self._known)
            hint = f"did you mean {meant}?" if meant else f"there is {', '.join(self._known[:8]) or 'nothing'}"
            raise _wrong(parameter.text, f"no manifest is {selector}", hint)

    def _values(self, parameter: Parameter, obj: Mapping[str, Any], shown: str) -> Iterator[tuple[Path, Any]]:
        here: list[tuple[Path, Any]] = [((), obj)]
        for step in parameter.steps:
            there = [(path + end, child) for path, value in here for end, child in _step(value, step)]
            if not there:
                self._complaints[parameter.text] = f"{shown} has no {_missing(here[0][1], step)}"
                return
            here = there
        self._reached.add(parameter.text)
        yield from here

    def _take(self, index: int, path: Path, parameter: Parameter) -> None:
        taken = self._taken.setdefault(index, {})
        for other, owner in taken.items():
            shorter = min(len(path), len(other))
            if other[:shorter] == path[:shorter] and not (owner.text == parameter.text and other == path):
                raise _wrong(parameter.text, f"a part of it is taken by --param {owner.text}", "leave one out")
        taken[path] = parameter

    def _remember(self, parameter: Parameter, obj: Mapping[str, Any], path: Path, value: Any, shown: str) -> None:
        place = f"{shown}:{_written(path)}"
        if path == ("metadata", "name"):
            longest = longest_name(obj)
            self.name_limits[parameter.name] = min(longest, self.name_limits.get(parameter.name, longest))
        known = self.found.get(parameter.name)
        if known is not None:
            if type(known.value) is not type(value) or known.value != value:
                problem = f"{known.places[0]} holds {_short(known.value)}, and {place} holds {_short(value)}"
                raise _wrong(parameter.text, problem, "one field has one default; give them two names")
            known.places.append(place)
            return
        if value is None:
            raise _wrong(parameter.text, f"{place} is null, which has no type", "leave it out")
        if parameter.name == REQUEST_NAME:
            if not isinstance(value, str) or len(value) > 63 or not _REQUEST_NAME.fullmatch(value):
                raise _wrong(parameter.text, f"{_short(value)} is no name of a request", "name a field instead")
            self.found[parameter.name] = Found(parameter.name, value, {}, [place])
            return
        schema = {**schema_of(obj, path, value, self._kubernetes), "default": value}
        self.found[parameter.name] = Found(parameter.name, value, schema, [place])


def _step(value: Any, step: Mapping[str, str]) -> Iterator[tuple[Path, Any]]:
    name = step.get("field") or step.get("key")
    if name is not None:
        if isinstance(value, Mapping) and name in value:
            yield (name,), value[name]
        return
    if not isinstance(value, list):
        return
    if "index" in step:
        index = int(step["index"])
        if index < len(value):
            yield (index,), value[index]
        return
    for index, child in enumerate(value):
        if "all" in step or (isinstance(child, Mapping) and str(child.get(step["by"])) == step["value"]):
            yield (index,), child


def _missing(value: Any, step: Mapping[str, str]) -> str:
    name = step.get("field") or step.get("key")
    if name is None:
        wanted = step.get("index") or step.get("all") or f"{step.get('by')}={step.get('value')}"
        return f"item [{wanted}] there"
    meant = close_match(name, value) if isinstance(value, Mapping) else ""
    return f"{name} there{f'; did you mean {meant}?' if meant else ''}"


def _written(path: Path) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r'[^.\[\]"]+', step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _wrong(text: str, problem: str, remedy: str) -> CannotStart:
    shown = text if len(text) <= 120 else text[:119] + "…"
    return CannotStart(" ".join(f"--param {shown}: {problem}{f'; {remedy}' if remedy else ''}".split()))
