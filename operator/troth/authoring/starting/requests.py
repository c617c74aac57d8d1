"""Requests for a new Promise: the smallest and the fullest that its API lets in.

The values are those with which lint looks at a Promise; a text whose pattern none of them fits is made from the
pattern itself. What is found is held against the API as the API server would do it, so nothing is offered as an
example that would be refused. Rules that let only one of several fields in (``oneOf``, CEL) are met by leaving out
parts of the fullest, one more at a time.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from re import _constants as constants
from re import _parser as parser
from typing import Any, Final

from troth.authoring.starting.definitions import Offered
from troth.engine.admission import Admission, Admitted
from troth.engine.admission.validation import compile_pattern
from troth.engine.definitions import build_definition
from troth.engine.linting.requests import specs

_MOST_REPEATED: Final = 40
_LONGEST: Final = 1000
_MOST_REDUCED: Final = 500


def smallest(offered: Offered, name: str) -> dict[str, Any] | None:
    """The request with only what it must have; None when none was found that the API takes."""
    nothing: list[Any] = [{}] if offered.has_spec else [None, {}]
    found = _first_admitted(offered, name, [*nothing, *specs(_required_only(offered.spec))])
    if found is None and (found := fullest(offered, name)) is not None:
        while smaller := _first_admitted(offered, name, islice(_without_one(found["spec"]), _MOST_REDUCED)):
            found = smaller
    return found


def fullest(offered: Offered, name: str) -> dict[str, Any] | None:
    """The request with every field; None when none was found that the API takes."""
    found = sorted(specs(_fitting(offered.spec)), key=lambda spec: -_size(spec))
    return _first_admitted(offered, name, chain(found, islice(_with_less(found[:1]), _MOST_REDUCED)))


def why_refused(offered: Offered) -> str:
    """What the API says of the fullest request that was made for it; "" when there is none."""
    found = sorted(specs(_fitting(offered.spec)), key=_size)
    admitted = _admission(offered).admit(_request(offered, "example", found[-1])) if found else None
    return str(admitted[0]) if isinstance(admitted, tuple) and admitted else ""


def _first_admitted(offered: Offered, name: str, candidates: Iterable[Any]) -> dict[str, Any] | None:
    admission = _admission(offered)
    for spec in candidates:
        request = _request(offered, name, spec)
        if isinstance(admission.admit(request), Admitted):
            return request
    return None


def _admission(offered: Offered) -> Admission:
    return Admission(build_definition("new", offered.definition))


def _request(offered: Offered, name: str, spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": offered.api_version,
        "kind": offered.kind,
        "metadata": {"name": name, "namespace": "default"},
        **({} if spec is None else {"spec": spec}),
    }


def _with_less(values: Iterable[Any]) -> Iterator[Any]:
    """The values without one of their parts, then without two, and so on."""
    waiting = deque(values)
    while waiting:
        for smaller in _without_one(waiting.popleft()):
            waiting.append(smaller)
            yield smaller


def _without_one(value: Any) -> Iterator[Any]:
    """The value without one of its parts; whole ones first."""
    if isinstance(value, Mapping):
        for name in value:
            yield {key: other for key, other in value.items() if key != name}
        for name, child in value.items():
            yield from ({**value, name: smaller} for smaller in _without_one(child))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from ([*value[:index], smaller, *value[index + 1 :]] for smaller in _without_one(child))


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(1 + _size(child) for child in value.values())
    if isinstance(value, list):
        return 1 + sum(_size(child) for child in value)
    return 0


def _required_only(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without what a request may leave out, texts with patterns as they can be written."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return dict(_fitting(schema))
    required = set(schema.get("required") or ())
    kept = {
        name: _required_only(child)
        for name, child in properties.items()
        if name in required and isinstance(child, Mapping)
    }
    return {**schema, "properties": kept}


def _fitting(schema: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """The schema with an enum in the place of a pattern that the usual texts do not fit."""
    fitted = dict(schema)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and "enum" not in schema and not next(iter(specs(schema)), None):
        text = text_for(pattern)
        if text is not None:
            return {**fitted, "enum": [text]}
    if "type" not in schema and "properties" not in schema and not schema.get("x-kubernetes-int-or-string"):
        return {**fitted, "enum": schema.get("enum") or ["example"]}
    if depth < 10:
        if isinstance(schema.get("properties"), Mapping):
            fitted["properties"] = {
                name: _fitting(child, depth + 1) if isinstance(child, Mapping) else child
                for name, child in schema["properties"].items()
            }
        for part in ("items", "additionalProperties"):
            if isinstance(schema.get(part), Mapping):
                fitted[part] = _fitting(schema[part], depth + 1)
    return fitted


def text_for(pattern: str) -> str | None:
    """A text that a regular expression finds; None when none was made."""
    try:
        if len(pattern) > 1000:
            return None
        text = _write(parser.parse(pattern))
    except (re.error, _Unwritable, RecursionError, OverflowError):
        return None
    search, _ = compile_pattern(pattern)
    return text if search is not None and search(text) else None


class _Unwritable(Exception):
    """A part of a pattern that only describes, and cannot be written."""


def _write(tree: Any) -> str:
    return "".join([_part(operator, argument) for operator, argument in tree])


def _part(operator: Any, argument: Any) -> str:
    if operator is constants.LITERAL:
        return chr(argument)
    if operator is constants.NOT_LITERAL:
        return "a" if argument != ord("a") else "b"
    if operator is constants.ANY:
        return "a"
    if operator is constants.AT:
        return ""
    if operator is constants.IN:
        return _one_of(argument)
    if operator is constants.BRANCH:
        return _write(argument[1][0])
    if operator is constants.SUBPATTERN:
        return _write(argument[-1])
    if operator in (constants.MAX_REPEAT, constants.MIN_REPEAT):
        least, _, inner = argument
        if least > _MOST_REPEATED:
            raise _Unwritable
        text = _write(inner)
        if len(text) * least > _LONGEST:
            raise _Unwritable
        repeated: str = text * least
        return repeated
    raise _Unwritable


def _one_of(items: Any) -> str:
    negated = items[0][0] is constants.NEGATE
    candidates = "".join(map(chr, range(33, 127)))
    order = "abcdefghijklmnopqrstuvwxyz0123456789" + candidates
    for character in order:
        if negated != any(_holds(character, *item) for item in items if item[0] is not constants.NEGATE):
            return character
    raise _Unwritable


def _holds(character: str, operator: Any, argument: Any) -> bool:
    if operator is constants.LITERAL:
        return bool(ord(character) == argument)
    if operator is constants.RANGE:
        return bool(argument[0] <= ord(character) <= argument[1])
    if operator is constants.CATEGORY:
        if argument is constants.CATEGORY_DIGIT:
            return character.isdigit()
        if argument is constants.CATEGORY_WORD:
            return character.isalnum() or character == "_"
    return False
