"""Converts whole objects between the versions of an API, by way of the stored version.

What a version cannot express is kept in the annotation `KEPT`, as Kubernetes' guidance for conversions and Cluster API
have it. It has a part for each pair of versions, named after the version whose values it keeps and the version in which
the object was when they were put there.

Rejected: *direct conversions between versions that are not stored* (as many declarations as pairs, which can contradict
each other); *a copy of the whole object in the annotation* (it doubles each object, and an edit in the other version
would have to be told from it by comparing everything); *a field of the object* (each schema would need it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import orjson

from troth.api import InvalidObject
from troth.api.nesting import DEEPEST, TOO_DEEP, nests_within
from troth.api.typed import Object, read_list, read_map, read_text
from troth.engine.admission.shapes import unreadable_part
from troth.engine.admission.validation import Validator
from troth.engine.promises.conversion.declarations import Conversion
from troth.engine.promises.conversion.json_values import copied
from troth.engine.promises.conversion.scopes import Scope, Unfit

KEPT: Final = "troth.dev/kept-by-conversion"
"""The annotation for what the version of an object cannot express."""

_OUTSIDE: Final[tuple[str, ...]] = ("apiVersion", "kind", "metadata", "status")
_MOST_KEPT: Final = 200 * 1024


@dataclass(frozen=True, slots=True)
class Converted:
    """An object in another version.

    Attributes:
        object: the object.
        left_out: why some values are left out of it and kept in its annotation, in sentences without a full stop.
    """

    object: dict[str, Any]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotConverted:
    """An object that cannot be converted, and why, in a sentence without a full stop."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Pair:
    versions: tuple[str, str]
    scope: Scope


class Converter:
    """Converts the objects of one API.

    Args:
        api: the definition, whose ``spec`` has the versions with their schemas.
        conversions: what is declared for them (`read_conversions`).

    Raises:
        InvalidObject: the versions or a schema cannot be read.
    """

    def __init__(self, api: Object, conversions: tuple[Conversion, ...]) -> None:
        spec = read_map(api.get("spec"))
        self._group = read_text(spec.get("group"))
        bodies: dict[str, Object] = {}
        self._stored = ""
        for index, version in enumerate(read_list(spec.get("versions"))):
            name = read_text(read_map(version).get("name"))
            bodies[name] = _body(_schema_of(read_map(version), f"spec.api.spec.versions[{index}]"))
            if read_map(version).get("storage") is True:
                self._stored = name
        if not self._stored:
            raise InvalidObject("spec.api.spec.versions", "no version has storage: true")
        self._validators = {name: Validator(body) for name, body in bodies.items()}
        self._pairs: dict[str, _Pair] = {}
        for conversion in conversions:
            first, second = conversion.versions
            if self._stored in conversion.versions and first in bodies and second in bodies:
                side = conversion.versions.index(self._stored)
                scope = Scope(conversion.rules, (bodies[first], bodies[second]), side)
                self._pairs[conversion.versions[1 - side]] = _Pair(conversion.versions, scope)
        for name in bodies:
            if name != self._stored and name not in self._pairs:  # nothing is declared: all fields are the same
                scope = Scope((), (bodies[name], bodies[self._stored]), 1)
                self._pairs[name] = _Pair((name, self._stored), scope)

    def convert(self, obj: Any, version: str) -> Converted | NotConverted:
        """Converts an object to a version, whatever version it has.

        It takes time in proportion to the object and to what is declared. The object is not changed.

        Args:
            obj: any JSON value.
            version: the name of the version that is wanted, such as ``v2``.
        """
        if not isinstance(obj, Mapping):
            return NotConverted("it is not a map")
        if not nests_within((obj,), DEEPEST):
            return NotConverted(f"it {TOO_DEEP}")
        group, _, given = read_text(obj.get("apiVersion")).rpartition("/")
        if group != self._group or not self._knows(given):
            return NotConverted(
                f"its apiVersion {str(obj.get('apiVersion'))[:100]!r} is not a version of this API"
            )
        if not self._knows(version):
            return NotConverted(f"{version[:100]!r} is not a version of this API")
        found, left_out = copied(obj), list[str]()
        steps = [given, version] if self._stored in (given, version) else [given, self._stored, version]
        try:
            for here, there in pairwise(steps):
                if here != there:
                    found = self._step(found, here, there, left_out)
        except Unfit as problem:
            return NotConverted(str(problem))
        return Converted(found, tuple(left_out))

    def _knows(self, version: str) -> bool:
        return bool(version) and (version in self._pairs or version == self._stored)

    def _step(self, obj: dict[str, Any], here: str, there: str, left_out: list[str]) -> dict[str, Any]:
        pair = self._pairs[here if there == self._stored else there]
        metadata = obj.get("metadata")
        annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
        notes = _read_notes(annotations.get(KEPT)) if isinstance(annotations, dict) else {}
        before = {name: obj[name] for name in obj if name not in _OUTSIDE}
        was_valid = there == self._stored and not self._validators[here].check(before, "")
        result = pair.scope.convert(
            before, pair.versions.index(here), read_map(notes.pop(_note(there, here), None))
        )
        if was_valid and (problems := self._validators[there].check(result.value, "")):
            raise Unfit(f"{there}, in which it is stored, does not allow it: {str(problems[0])[:300]}")
        left_out += result.left_out
        if result.kept:
            notes[_note(here, there)] = result.kept
        outside = {name: obj[name] for name in _OUTSIDE if name in obj}
        converted: dict[str, Any] = {**outside, "apiVersion": f"{self._group}/{there}", **result.value}
        _write_notes(converted, notes, limited=there == self._stored)
        return converted


def _note(kept: str, version: str) -> str:
    return f"{kept} in {version}"


def _read_notes(text: Any) -> dict[str, Any]:
    """Returns what an annotation keeps; nothing if it is not what a conversion wrote."""
    if not isinstance(text, str):
        return {}
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) and nests_within((found,), 2 * DEEPEST) else {}


def _write_notes(obj: dict[str, Any], notes: Mapping[str, Any], *, limited: bool) -> None:
    metadata = obj.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not notes:
        if isinstance(metadata, dict) and isinstance(annotations, dict) and KEPT in annotations:
            del annotations[KEPT]
            if not annotations:
                del metadata["annotations"]
        return
    text = json.dumps(notes, sort_keys=True, separators=(",", ":"))
    if limited and len(text) > _MOST_KEPT:
        raise Unfit(f"what has to be kept of it in an annotation has more than {_MOST_KEPT // 1024} KiB")
    if not isinstance(metadata, dict | None) or not isinstance(annotations, dict | None):
        raise Unfit("its metadata cannot hold an annotation")
    noted: dict[str, Any] = {**(annotations or {}), KEPT: text}
    outer: dict[str, Any] = {**(metadata or {}), "annotations": noted}
    obj["metadata"] = outer


def _schema_of(version: Object, field: str) -> Object:
    schema = read_map(read_map(version.get("schema")).get("openAPIV3Schema"))
    problem = unreadable_part(schema, f"{field}.schema.openAPIV3Schema")
    if problem is not None:
        raise InvalidObject(problem.field, problem.message)
    return schema


def _body(schema: Object) -> Object:
    """Returns the schema without the fields that are the same in all versions."""
    properties = {
        name: child for name, child in read_map(schema.get("properties")).items() if name not in _OUTSIDE
    }
    required = [name for name in read_list(schema.get("required")) if name not in _OUTSIDE]
    return {**schema, "properties": properties, "required": required}
