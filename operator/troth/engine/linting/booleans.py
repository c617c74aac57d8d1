"""Words that were meant as text and became booleans: y, n, yes, no, on and off, also when they are keys.

kubectl and the API server read them in this way without a warning: an API with a field ``n`` has a field ``false``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from troth.engine.linting.remarks import Remark
from troth.engine.yaml.words import FALSE, TRUE

KEYS: Final = {"true": TRUE, "false": FALSE}
"""From the key that such a word became to the words that it may have been."""

_FIX: Final = "quote it if you mean the word"
_DEEPEST: Final = 64


def check_booleans(promise: Mapping[str, Any], written: Collection[str] = ()) -> Iterator[Remark]:
    """Finds keys and values in a Promise's API that are the name of a boolean.

    Args:
        promise: the built Promise.
        written: the paths of its fields as the author wrote them, where they are known.
    """
    api = promise["spec"].get("api")
    spec = api.get("spec") if isinstance(api, Mapping) else None
    versions = spec.get("versions") if isinstance(spec, Mapping) else None
    for index, version in enumerate(versions if isinstance(versions, list) else ()):
        schema = version.get("schema") if isinstance(version, Mapping) else None
        base = f"spec.api.spec.versions[{index}].schema.openAPIV3Schema"
        yield from _in_schema(
            schema.get("openAPIV3Schema") if isinstance(schema, Mapping) else None, base, written, 0
        )


def boolean_keys(value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """Yields the paths of keys in an object that have the name of a boolean."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, child in value.items():
            where = f"{path}.{key}" if path else str(key)
            if key in KEYS:
                yield where
            yield from boolean_keys(child, where, depth + 1)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from boolean_keys(child, f"{path}[{index}]", depth + 1)


def became_boolean(field: str) -> str:
    """Returns what to add to a message about an unknown field that may have been a word without quotes."""
    name = field.rpartition(".")[2]
    return f"; {_words(name)} without quotes is {name}: quote the key if you mean the word" if name in KEYS else ""


def _in_schema(schema: Any, path: str, written: Collection[str], depth: int) -> Iterator[Remark]:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    properties = schema.get("properties")
    for name, child in properties.items() if isinstance(properties, Mapping) else ():
        where = f"{path}.properties.{name}"
        if name in KEYS:
            yield _field(name, f"{path}.properties", written)
        yield from _in_schema(child, where, written, depth + 1)
    yield from _in_schema(schema.get("items"), f"{path}.items", written, depth + 1)
    yield from _in_schema(schema.get("additionalProperties"), f"{path}.additionalProperties", written, depth + 1)
    enum = schema.get("enum")
    if schema.get("type") == "string" and isinstance(enum, list):
        for index, member in enumerate(enum):
            if isinstance(member, bool):
                word = "true" if member else "false"
                message = f"the enum of a text has the boolean {word}: {_words(word)} without quotes is one"
                yield Remark("T113", f"{path}.enum[{index}]", message, _FIX)


def _field(name: str, parent: str, written: Collection[str]) -> Remark:
    spelled = next((word for word in sorted(KEYS[name]) if f"{parent}.{word}" in written), "")
    if spelled and spelled != name:
        message = f"the field {spelled!r} of the API is called {name!r} to Kubernetes, which reads a boolean"
    else:
        message = f"the API has a field {name!r}: {_words(name)} without quotes is that boolean to Kubernetes"
    return Remark("T113", f"{parent}.{spelled or name}", message, _FIX, needle=f"{spelled or name}:")


def _words(name: str) -> str:
    return "y, yes or on" if name == "true" else "n, no or off"
