"""Objects as the API server would return them, for rendering without an API server.

The fields that only a server can know have fixed values, so that the same object gives the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from troth.api import labels as names
from troth.api.objects import Promise

UID: Final = "00000000-0000-0000-0000-000000000000"
NOW: Final = "1970-01-01T00:00:00Z"
_LARGEST_INTEGER: Final = 2**63
_NOT_CREATED: Final = ("managedFields", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds")


def as_created(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an object with the fields that the API server generates at its creation, which have fixed values here."""
    given = {key: value for key, value in obj["metadata"].items() if key not in _NOT_CREATED}
    metadata = {"creationTimestamp": NOW, "generation": 1, "uid": UID, **given}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def as_watched(request: Mapping[str, Any], promise: str) -> dict[str, Any]:
    """Returns a request as the operator renders it: created, claimed for that Promise, not paused, and read back."""
    created = as_created(request)
    labels = _unpaused(created["metadata"].get("labels") or {})
    created["metadata"]["labels"] = {**labels, names.PROMISE_NAME: promise}
    return as_served(created)


def as_available(promise: Promise) -> Promise:
    """Returns a Promise as it is when the operator renders a request: observed, available, and not paused."""
    metadata = replace(promise.metadata, deleting=False, labels=_unpaused(promise.metadata.labels))
    status = {"observedGeneration": metadata.generation, "status": "Available"}
    return replace(promise, metadata=metadata, status=status)


def _unpaused(labels: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in labels.items() if (name, value) != (names.PAUSED, "true")}


def as_served(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an object as the API server returns it, with its keys in order and numbers as Go reads them."""
    served: dict[str, Any] = orjson.loads(orjson.dumps(_whole(obj), option=orjson.OPT_SORT_KEYS))
    return served


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _whole(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_whole(child) for child in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_INTEGER:
        return int(value)
    if isinstance(value, int) and abs(value) >= _LARGEST_INTEGER:
        return float(value)
    return value
