"""Shapes: the types that lint gives to the expressions of a template.

A shape claims more than is certain only where anything else would be useless: a list that is indexed has enough items,
and a text that is split has enough parts. Where a shape is not known, everything is allowed, because a remark must be
true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from troth.engine.promises.request_paths import Path, path_words

SCALARS: Final = frozenset(("text", "whole number", "number", "true or false", "null"))
NUMBERS: Final = frozenset(("whole number", "number", "true or false"))
_TYPES: Final[Mapping[str, str]] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "map",
}
EMPTY: Final = "it may be empty"
NOT_EVERY: Final = "not every one of them"
_WITH_ARTICLE: Final = frozenset(("whole number", "number", "list", "map"))
_MOST_VALUES: Final = 200
_DEEPEST: Final = 40
_OPTIONAL: Final = " is optional and has no default"

NO_SPEC: Final = "a request may leave the whole spec out"
"""Why a field of ``spec`` may be missing that is required there or has a default."""

OPTIONAL_SPEC: Final = f"spec{_OPTIONAL}"
"""The same for a field of ``request.spec``."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The values that an expression may have.

    Attributes:
        kinds: the types, in the terms of YAML; None when it may be anything.
        fields: the shapes of a map's fields.
        rest: the shape of a map's fields that are not in ``fields``; None when there are no others.
        items: the shape of a list's items.
        values: all possible values; None when they are not known.
        missing: why the value may be missing; "" when it always exists.
        hollow: why a map with fields may be empty; "" when it is never empty.
        paths: the fields of the request that the value comes from.
        declared: whether the API's schema declares the fields.
    """

    kinds: frozenset[str] | None = None
    fields: Mapping[str, Shape] = field(default_factory=dict)
    rest: Shape | None = None
    items: Shape | None = None
    values: tuple[Any, ...] | None = None
    missing: str = ""
    hollow: str = ""
    paths: frozenset[Path] = frozenset()
    declared: bool = False

    @property
    def is_map(self) -> bool:
        """Whether it is certainly a map, whose fields are known."""
        return self.kinds is not None and self.kinds - {"null"} == {"map"}

    @property
    def is_false(self) -> bool:
        """Whether the value is certainly false in a test: null, empty, or a constant such as 0."""
        if self.kinds is None or self.declared or self.missing:
            return False
        if self.values is not None:
            return not any(self.values)
        is_empty = not self.fields and self.rest is None and self.items is None
        return self.kinds == {"null"} or (self.kinds <= {"map", "list", "null"} and is_empty)

    def never(self, kinds: Iterable[str]) -> bool:
        """Whether it certainly does not have any of these types."""
        return bool(self.kinds) and not (self.kinds or frozenset()) & frozenset(kinds)

    def only(self, kind: str) -> bool:
        """Whether it certainly has this type."""
        return self.kinds == frozenset((kind,))

    @property
    def words(self) -> str:
        """The types in words, for messages."""
        kinds = sorted(self.kinds or ())
        return " or ".join(f"a {kind}" if kind in _WITH_ARTICLE else kind for kind in kinds) or "anything"


UNKNOWN: Final = Shape()
TEXT: Final = Shape(kinds=frozenset(("text",)))
NUMBER: Final = Shape(kinds=frozenset(("number",)))
WHOLE: Final = Shape(kinds=frozenset(("whole number",)))
TRUTH: Final = Shape(kinds=frozenset(("true or false",)))
TEXTS: Final = Shape(kinds=frozenset(("map",)), rest=replace(TEXT, missing="nobody has to set it"))
ANYTHING_LIST: Final = Shape(kinds=frozenset(("list",)), items=UNKNOWN)


def shape_of_schema(schema: Any, path: Path, *, missing: str = "", depth: int = 0) -> Shape:
    """Returns the shape of the values that a structural schema allows; ``path`` is their path in the request."""
    paths = frozenset((path,))
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return Shape(missing=missing, paths=paths)
    if schema.get("x-kubernetes-int-or-string"):
        kinds = frozenset(("text", "whole number"))
        return Shape(kinds=_nullable(schema, kinds), missing=missing, paths=paths, declared=True)
    kind = _TYPES.get(str(schema.get("type")))
    if kind is None:
        return Shape(missing=missing, paths=paths)
    shape = Shape(
        kinds=_nullable(schema, frozenset((kind,))),
        missing=missing,
        paths=paths,
        values=_enum(schema),
        declared=True,
    )
    if kind == "list":
        return replace(shape, items=shape_of_schema(schema.get("items"), (*path, "[]"), depth=depth + 1))
    if kind == "map":
        return _map(schema, path, shape, depth)
    return shape


def _map(schema: Mapping[str, Any], path: Path, shape: Shape, depth: int) -> Shape:
    fields = {}
    required = schema.get("required") or ()
    properties = schema.get("properties")
    for name, child in (properties if isinstance(properties, Mapping) else {}).items():
        always = name in required or (isinstance(child, Mapping) and child.get("default") is not None)
        missing = "" if always else f"{path_words((*path, name))}{_OPTIONAL}"
        fields[name] = shape_of_schema(child, (*path, name), missing=missing, depth=depth + 1)
    rest: Shape | None = None
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        rest = Shape(paths=frozenset(((*path, "*"),)))
    additional = schema.get("additionalProperties")
    if additional is not None and additional is not False:
        missing = f"{path_words(path)} has the fields that its author chose"
        rest = shape_of_schema(additional, (*path, "*"), missing=missing, depth=depth + 1)
        rest = replace(rest, missing=missing)
    return replace(shape, fields=fields, rest=rest)


def shape_of_value(value: Any, depth: int = 0) -> Shape:
    """Returns the shape of a constant."""
    if depth > _DEEPEST:
        return UNKNOWN
    if isinstance(value, Mapping):
        fields = {str(name): shape_of_value(child, depth + 1) for name, child in value.items()}
        return Shape(kinds=frozenset(("map",)), fields=fields)
    if isinstance(value, (list, tuple)):
        items = union(*(shape_of_value(child, depth + 1) for child in value)) if value else None
        return Shape(kinds=frozenset(("list",)), items=items)
    kind = kind_of_constant(value)
    return Shape(kinds=frozenset((kind,)), values=(value,)) if kind else UNKNOWN


def kind_of_constant(value: Any) -> str:
    """Returns the type of a scalar; "" for anything else."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "whole number"
    if isinstance(value, float):
        return "number"
    return "text" if isinstance(value, str) else ""


def without_null(shape: Shape) -> Shape:
    """Returns the shape without null."""
    values = None if shape.values is None else tuple(value for value in shape.values if value is not None)
    return replace(shape, kinds=shape.kinds - {"null"} if shape.kinds is not None else None, values=values)


def union(*shapes: Shape) -> Shape:
    """Returns the shape of a value that may have any of these shapes."""
    distinct = list(dict.fromkeys(id(shape) for shape in shapes))
    if not shapes:
        return UNKNOWN
    if len(distinct) == 1:
        return shapes[0]
    missing = next((shape.missing for shape in shapes if shape.missing), "")
    paths = frozenset().union(*(shape.paths for shape in shapes))
    if any(shape.kinds is None for shape in shapes):
        return Shape(missing=missing, paths=paths)
    maps = [shape for shape in shapes if "map" in (shape.kinds or ())]
    full = [shape for shape in maps if shape.fields or shape.rest is not None or shape.declared]
    hollow = next((shape.hollow for shape in shapes if shape.hollow), "")
    if full and len(full) < len(maps):
        hollow = hollow or EMPTY
    return Shape(
        kinds=frozenset().union(*(shape.kinds or frozenset() for shape in shapes)),
        fields=_union_fields(full or maps),
        rest=_union_optional([shape.rest for shape in shapes]),
        items=_union_optional([shape.items for shape in shapes]),
        values=_union_values(shapes),
        missing=missing,
        hollow=hollow,
        paths=paths,
        declared=all(shape.declared for shape in shapes),
    )


def _union_fields(maps: list[Shape]) -> dict[str, Shape]:
    names = dict.fromkeys(name for shape in maps for name in shape.fields)
    fields = {}
    for name in names:
        parts = [shape.fields.get(name) or shape.rest for shape in maps]
        found = union(*(part for part in parts if part is not None))
        if None in parts and not found.missing:
            found = replace(found, missing=f"{NOT_EVERY} has {name!r}")
        fields[name] = found
    return fields


def _union_optional(shapes: list[Shape | None]) -> Shape | None:
    found = [shape for shape in shapes if shape is not None]
    return union(*found) if found else None


def _union_values(shapes: Iterable[Shape]) -> tuple[Any, ...] | None:
    values: list[Any] = []
    for shape in shapes:
        if shape.values is None:
            return None
        values.extend(value for value in shape.values if not _holds(values, value))
    return tuple(values) if len(values) <= _MOST_VALUES else None


def _holds(values: Iterable[Any], wanted: Any) -> bool:
    return any(type(value) is type(wanted) and value == wanted for value in values)


def _nullable(schema: Mapping[str, Any], kinds: frozenset[str]) -> frozenset[str]:
    return kinds | {"null"} if schema.get("nullable") else kinds


def _enum(schema: Mapping[str, Any]) -> tuple[Any, ...] | None:
    members = schema.get("enum")
    if not isinstance(members, list) or not members or len(members) > _MOST_VALUES:
        return None
    extra = (None,) if schema.get("nullable") and None not in members else ()
    return (*members, *extra) if all(kind_of_constant(member) for member in members) else None
