"""Requests for a new Promise: the smallest and the fullest that its API allows.

The values are those with which lint checks a Promise. Every request is validated as the API server would do it, so
that a request that would be refused is never used as an example. Rules that allow only one of several fields
(``oneOf``, CEL) are met by leaving out parts of the fullest request, one more at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, Final

from troth.authoring.starting.definitions import Offered
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.linting.requests import specs
from troth.engine.promises.definitions import build_definition

_MOST_REDUCED: Final = 500


def smallest(offered: Offered, name: str) -> dict[str, Any] | None:
    """The request with only the required fields; None when no request was found that the API allows."""
    nothing: list[Any] = [{}] if offered.has_spec else [None, {}]
    found = _first_admitted(offered, name, [*nothing, *specs(_required_only(offered.spec))])
    if found is None and (found := fullest(offered, name)) is not None:
        while smaller := _first_admitted(offered, name, islice(_without_one(found["spec"]), _MOST_REDUCED)):
            found = smaller
    return found


def fullest(offered: Offered, name: str) -> dict[str, Any] | None:
    """The request with as many fields as possible; None when no request was found that the API allows."""
    found = sorted(specs(_fitting(offered.spec)), key=lambda spec: -_size(spec))
    return _first_admitted(offered, name, chain(found, islice(_with_less(found[:1]), _MOST_REDUCED)))


def why_refused(offered: Offered) -> str:
    """Why the API refuses the fullest request that was made for it; empty when there is no such request."""
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
    """The values without one of their parts, then without two of them, and so on."""
    waiting = deque(values)
    while waiting:
        for smaller in _without_one(waiting.popleft()):
            waiting.append(smaller)
            yield smaller


def _without_one(value: Any) -> Iterator[Any]:
    """The value without one of its parts. Whole parts are removed first, then parts of parts."""
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
    """The schema without optional fields."""
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
    """The schema with an example value for each field whose type it does not say."""
    fitted = dict(schema)
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
