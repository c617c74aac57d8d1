"""Parameters such as ``--param replicas=Deployment/web:spec.replicas``: values in manifests that become fields.

The path says where the value is; the type and the default of the field are those of the value. A path may match
several places (a ``*`` in the kind or the name, ``[*]`` for all items of a list, one parameter given again). The
field is used in all of them, and they must hold the same value, because otherwise its default could not reproduce the
manifests.

A part of the text may be given after the path (`parts`). Then only this part becomes the field, and the texts around
it may differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Final

from troth.api.strict import close_match
from troth.authoring.starting.errors import CannotStart
from troth.authoring.starting.parts import Part, Span, digits, narrowed, number_of, parse_part, text_schema
from troth.authoring.starting.shapes import Path, longest_name, schema_of
from troth.engine.kinds.kubernetes import Kubernetes

SYNTAX: Final = "NAME=KIND/NAME:PATH[=PART]"
REQUEST_NAME: Final = "metadata.name"
"""A parameter of this name stands for the request's own name, and does not become a field."""

_HOW_TO_NAME_A_PART: Final = "write =TEXT, or more of the text with the part in braces, such as =nginx:{1.27}"
_SHORTEST_NAME: Final = 16
_OBJECT_NAME: Final = ("metadata", "name")
_NAME: Final = re.compile(r"[a-z][A-Za-z0-9]{0,62}")
_STEP: Final = re.compile(
    r"""(?P<field>[^.\[\]"=]+) | \[(?P<index>\d{1,6})\] | \[(?P<all>\*)\] | \["(?P<key>[^"]+)"\]
      | \[(?P<by>[A-Za-z][A-Za-z0-9]*)=(?P<value>[^\]]+)\]""",
    re.VERBOSE,
)
_REQUEST_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """Where the value of a field is.

    Attributes:
        name: the name of the field.
        kind: a pattern for kinds, followed by a dot and the group where that matters.
        object: a pattern for names of objects.
        steps: the path to the value.
        text: the parameter as it was given.
        part: the part of the text there that becomes the field; None for the whole value.
    """

    name: str
    kind: str
    object: str
    steps: tuple[Mapping[str, str], ...]
    text: str
    part: Part | None = None

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether an object has the kind and the name of the parameter."""
        kind, group = str(obj.get("kind")), str(obj.get("apiVersion")).rpartition("/")[0]
        metadata = obj.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else ""
        return (fnmatchcase(kind, self.kind) or fnmatchcase(f"{kind}.{group}", self.kind)) and fnmatchcase(
            str(name), self.object
        )


@dataclass(slots=True)
class Found:
    """A parameter's value, and all places where it was found.

    Attributes:
        name: the name of the field.
        places: the places, in words.
        wholes: the values that it replaces as a whole, with their schemas.
        pieces: the parts of texts that it replaces, with their schemas as a text and, where possible, as a number.
    """

    name: str
    places: list[str] = field(default_factory=list)
    wholes: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    pieces: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = field(default_factory=list)

    @property
    def value(self) -> Any:
        """The default, of the type of the whole values. Without these, it is a number if every part may be a number."""
        if self.wholes:
            return self.wholes[0][0]
        text = self.pieces[0][0]
        return int(text) if all(number for _, _, number in self.pieces) else text

    @property
    def schema(self) -> dict[str, Any]:
        """What the field may hold."""
        value = self.value
        is_number = isinstance(value, int)
        found = [schema for _, schema in self.wholes[:1]]
        for _, text, number in self.pieces:
            found.append((number or text) if is_number else {**digits(), **text} if number else text)
        schema = found[0]
        for other in found[1:]:
            schema = narrowed(schema, other)
        return {**schema, "default": value}

    def takes_whole(self, value: Any) -> bool:
        """Whether a whole value is the same as the one that was found before."""
        if self.wholes:
            return type(self.wholes[0][0]) is type(value) and bool(self.wholes[0][0] == value)
        return not self.pieces or (type(value) in (str, int) and str(value) == self.pieces[0][0])

    def takes_piece(self, text: str) -> bool:
        """Whether a part is the same as what was found before."""
        if self.pieces:
            return self.pieces[0][0] == text
        return not self.wholes or (type(self.wholes[0][0]) in (str, int) and str(self.wholes[0][0]) == text)


@dataclass(frozen=True, slots=True)
class Hole:
    """What a parameter replaces in a value: all of it, or a span of characters."""

    name: str
    span: Span | None = None


def parse_parameter(text: str) -> Parameter:
    """The parameter that a line describes.

    Raises:
        CannotStart: the line cannot be understood.
    """
    name, equals, rest = text.partition("=")
    selector, colon, path = rest.partition(":")
    kind, slash, obj = selector.partition("/")
    if not (equals and colon and slash and kind and obj and path):
        raise _wrong(text, f"is not {SYNTAX}", "write replicas=Deployment/web:spec.replicas")
    if name != REQUEST_NAME and not _NAME.fullmatch(name):
        raise _wrong(
            text, f"{name!r} is not a valid name", "begin with a lower-case letter; letters and digits follow"
        )
    steps: list[Mapping[str, str]] = []
    at = 0
    part: Part | None = None
    while at < len(path):
        if path[at] == "=" and steps:
            part = parse_part(path[at + 1 :])
            if part is None:
                raise _wrong(text, f"{path[at + 1 :]!r} does not name a part", _HOW_TO_NAME_A_PART)
            break
        if path[at] == "." and steps:
            at += 1
        match = _STEP.match(path, at)
        if not match or len(steps) > 60:
            raise _wrong(text, f"{path[at:]!r} is not a path", 'write a.b[0].c, [*], [name=web] or ["a.b/c"]')
        steps.append({key: value for key, value in match.groupdict().items() if value is not None})
        at = match.end()
    return Parameter(name, kind, obj, tuple(steps), text, part)


class Parameters:
    """Finds the values of parameters in manifests.

    Args:
        parameters: the parameters to look for.

    Attributes:
        found: what was found, by the name of the field.
        name_limits: the greatest lengths of names, for the parameters that become names of objects.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self._taken: dict[int, list[tuple[Path, Span | None, Parameter]]] = {}
        self._complaints: dict[str, str] = {}
        self._known: list[str] = []
        self._reached: set[str] = set()
        self._kubernetes = Kubernetes()
        self.found: dict[str, Found] = {}
        self.name_limits: dict[str, int] = {}

    def find(self, index: int, obj: Mapping[str, Any]) -> dict[Path, list[Hole]]:
        """The places in an object that parameters replace, with the parameters. ``index`` is the object's number.

        Raises:
            CannotStart: two parameters want one place, or a value differs from the one found before.
        """
        metadata = obj.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else ""
        shown = f"{obj.get('kind')}/{name}"
        self._known.append(shown)
        places: dict[Path, list[Hole]] = {}
        for parameter in self._parameters:
            if not parameter.matches(obj):
                continue
            for path, value in self._values(parameter, obj, shown):
                span = None
                if parameter.part is not None:
                    span = self._span(parameter, parameter.part, value, f"{shown}:{_written(path)}")
                    if span is None:
                        continue
                    if span == (0, len(value)):
                        span = None  # the part is the whole text, which is replaced like a value without a part
                self._reached.add(parameter.text)
                self._take(index, path, span, parameter)
                self._remember(parameter, obj, path, value, span, shown)
                holes = places.setdefault(path, [])
                if (hole := Hole(parameter.name, span)) not in holes:
                    holes.append(hole)
        return places

    def check(self) -> None:
        """Checks that every parameter was found.

        Raises:
            CannotStart: one was not.
        """
        for parameter in self._parameters:
            if parameter.text in self._reached:
                continue
            selector = f"{parameter.kind}/{parameter.object}"
            missing = self._complaints.get(parameter.text)
            if missing:
                raise _wrong(parameter.text, missing, "")
            meant = close_match(selector, self._known)
            hint = f"did you mean {meant}?" if meant else f"available: {', '.join(self._known[:8]) or 'nothing'}"
            raise _wrong(parameter.text, f"no manifest is {selector}", hint)

    def _values(self, parameter: Parameter, obj: Mapping[str, Any], shown: str) -> Iterator[tuple[Path, Any]]:
        here: list[tuple[Path, Any]] = [((), obj)]
        for step in parameter.steps:
            there = [(path + end, child) for path, value in here for end, child in _step(value, step)]
            if not there:
                self._complaints[parameter.text] = f"{shown} has no {_missing(here[0][1], step)}"
                return
            here = there
        yield from here

    def _span(self, parameter: Parameter, part: Part, value: Any, place: str) -> Span | None:
        """Where the part is in a value; None if it is not, which is only a mistake if it is not found anywhere."""
        if not isinstance(value, str):
            self._complaints[parameter.text] = f"{place} holds {_short(value)}, which is not text and has no parts"
            return None
        spans = list(islice(part.spans(value), 2))
        if len(spans) > 1:
            raise _wrong(
                parameter.text,
                f"{_short(part.context)} is in {place} more than once",
                "write more of the text, with the part in braces, such as =nginx:{1.27}",
            )
        if not spans:
            self._complaints[parameter.text] = f"{place} holds {_short(value)}, without {_short(part.context)}"
            return None
        return spans[0]

    def _take(self, index: int, path: Path, span: Span | None, parameter: Parameter) -> None:
        taken = self._taken.setdefault(index, [])
        for other, there, owner in taken:
            shorter = min(len(path), len(other))
            if other[:shorter] != path[:shorter]:
                continue
            if other == path and (owner.text == parameter.text or _apart(span, there)):
                continue
            raise _wrong(parameter.text, f"a part of it is taken by --param {owner.text}", "leave one out")
        taken.append((path, span, parameter))

    def _remember(
        self, parameter: Parameter, obj: Mapping[str, Any], path: Path, whole: Any, span: Span | None, shown: str
    ) -> None:
        place = f"{shown}:{_written(path)}"
        known = self.found.get(parameter.name)
        if known is None:
            known = Found(parameter.name)
        schema = schema_of(obj, path, whole, self._kubernetes)
        if span is None:
            value, agrees = whole, known.takes_whole(whole)
        else:
            value = whole[slice(*span)]
            place, agrees = f"{_short(value)} in {place}", known.takes_piece(value)
        if not agrees:
            problem = f"{known.places[0]} holds {_short(known.value)}, and {place} holds {_short(value)}"
            raise _wrong(parameter.text, problem, "one field has one default; give them two names")
        if value is None:
            raise _wrong(parameter.text, f"{place} is null, which has no type", "leave it out")
        if span is not None:
            schema = text_schema(schema, path, whole, span)
        if parameter.name == REQUEST_NAME:
            self._check_name(parameter, value, longest_name(obj) if path == _OBJECT_NAME else None, schema, span)
        if span is None:
            known.wholes.append((whole, schema))
        else:
            number = number_of(path, whole, span) if parameter.name != REQUEST_NAME else None
            known.pieces.append((value, schema, number))
        known.places.append(place)
        self.found[parameter.name] = known

    def _check_name(
        self, parameter: Parameter, value: Any, longest: int | None, schema: Mapping[str, Any], span: Span | None
    ) -> None:
        """Checks that a request can have this name, and remembers how long its name may be.

        ``longest`` is the limit for the name of the object, if the value is that name.
        """
        if not isinstance(value, str) or len(value) > 63 or not _REQUEST_NAME.fullmatch(value):
            raise _wrong(
                parameter.text, f"{_short(value)} is not a valid name for a request", "name a field instead"
            )
        if span is not None:
            longest = schema.get("maxLength", longest)
        if longest is not None:
            self.name_limits[parameter.name] = min(longest, self.name_limits.get(parameter.name, longest))
        if longest is not None and longest < _SHORTEST_NAME:
            problem = f"what is around it leaves {longest} characters for the request's name"
            raise _wrong(parameter.text, problem, "name a field instead")


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


def _apart(one: Span | None, other: Span | None) -> bool:
    return one is not None and other is not None and (one[1] <= other[0] or other[1] <= one[0])


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
