"""Kubernetes' own schemas, reduced to types, fields, enums, formats and constraints of its validation code (data/).

The API server's code checks more than that, so an object without a problem may still be refused.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from itertools import islice
from typing import Any, Final

import orjson

from troth.api.strict import close_match
from troth.engine.kinds.values import wrong_value
from troth.engine.kinds.workloads import broken_rules

_QUANTITY: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_DEEPEST: Final = 60
_MOST_PROBLEMS: Final = 10
_PYTHON: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_WORDS: Final[Mapping[str, str]] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "quantity": "a quantity such as 500m or 2Gi",
    "int-or-string": "a whole number or text",
}


class Kubernetes:
    """The kinds of one release of Kubernetes. The bundled ones are read when they are first needed.

    Args:
        reduced: the result of `reduce_openapi`; None for the bundled schemas.
    """

    def __init__(self, reduced: Mapping[str, Any] | None = None) -> None:
        self._kinds: Mapping[str, str] = reduced["kinds"] if reduced else {}
        self._definitions: Mapping[str, Mapping[str, Any]] = reduced["definitions"] if reduced else {}
        self.version: str = reduced["version"] if reduced else ""

    def _read(self) -> None:
        if self._definitions:
            return
        data = resources.files("troth.engine.kinds").joinpath("data", "kubernetes.json.gz").read_bytes()
        document = orjson.loads(gzip.decompress(data))
        self._kinds, self._definitions = document["kinds"], document["definitions"]
        self.version = document["version"]

    def schema_at(self, obj: Mapping[str, Any], path: Sequence[str | int]) -> Mapping[str, Any]:
        """Returns the schema of the value at a path in an object; an empty one when it is not known."""
        self._read()
        name = self._kinds.get(f"{obj.get('apiVersion')}/{obj.get('kind')}")
        schema = self.resolved({"$ref": name}) if name is not None else {}
        for step in path:
            inner = schema.get("items") if isinstance(step, int) else None
            if inner is None:
                inner = (schema.get("properties") or {}).get(step) or schema.get("additionalProperties")
            schema = self.resolved(inner) if isinstance(inner, Mapping) else {}
        return schema

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the schema with its reference, if it has one, replaced by the definition."""
        self._read()
        return {**self._definitions.get(schema["$ref"], {}), **schema} if "$ref" in schema else schema

    def problems(self, obj: Mapping[str, Any]) -> list[tuple[str, str]] | None:
        """Returns the field and the problem of everything that is not allowed; None when the kind is not known."""
        self._read()
        name = self._kinds.get(f"{obj.get('apiVersion')}/{obj.get('kind')}")
        if name is None:
            return None
        found: list[tuple[str, str]] = []
        for problem in self._check(obj, {"$ref": name}, "", 0):
            found.append(problem)
            if len(found) >= _MOST_PROBLEMS:
                return found
        return found or list(islice(broken_rules(obj), _MOST_PROBLEMS))

    def _check(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, str]]:
        if "$ref" in schema:
            schema = {**self._definitions.get(schema["$ref"], {}), **schema}
        kind = schema.get("type")
        if value is None or (kind is None and "properties" not in schema) or depth > _DEEPEST:
            return  # null counts as absent, and a schema without a type allows everything
        if not _is(value, str(kind or "object")):
            yield path, f"is {_kind(value)}, not {_WORDS.get(str(kind), 'a map')}"
            return
        wrong = wrong_value(value, schema)
        if wrong:
            yield path, wrong
        elif isinstance(value, Mapping):
            yield from self._fields(value, schema, path, depth)
        elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
            for index, item in enumerate(value):
                yield from self._check(item, schema["items"], f"{path}[{index}]", depth + 1)

    def _fields(
        self, value: Mapping[str, Any], schema: Mapping[str, Any], path: str, depth: int
    ) -> Iterator[tuple[str, str]]:
        properties = schema.get("properties")
        rest = schema.get("additionalProperties")
        dot = f"{path}." if path else ""
        for name in schema.get("required") or ():
            if _is_lacking(value.get(name), (properties or {}).get(name) or {}):
                yield f"{dot}{name}", "is required"
        for name, child in value.items():
            if properties and name in properties:
                yield from self._check(child, properties[name], f"{dot}{name}", depth + 1)
            elif isinstance(rest, Mapping):
                yield from self._check(child, rest, f"{dot}{name}", depth + 1)
            elif properties:
                meant = close_match(str(name), properties)
                hint = f"; did you mean {meant}?" if meant else ""
                yield f"{dot}{name}", f"is not a field of it: the API server drops it{hint}"


def _is_lacking(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a required field is absent, or empty where only certain words are allowed."""
    return value is None or (value == "" and "" not in schema.get("enum", ("",)))


def _is(value: Any, kind: str) -> bool:
    if kind == "quantity":
        return _is(value, "number") or (isinstance(value, str) and _QUANTITY.fullmatch(value) is not None)
    if kind == "int-or-string":
        return isinstance(value, str) or _is(value, "integer")
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _PYTHON.get(kind, (object,)))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return "a map" if isinstance(value, Mapping) else "a list"
