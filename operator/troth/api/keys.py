"""The key of an object. Queues hold keys and reconcilers receive them, never the object itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from troth.api.resources import Resource


class Key(NamedTuple):
    """Names one object. ``kind`` is ``Resource.name`` (``plural.group``); ``namespace`` is "" at cluster scope."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"


def key_of(resource: Resource, obj: Mapping[str, Any]) -> Key:
    """The key of an object as it comes from the API server."""
    metadata = obj["metadata"]
    return Key(resource.name, metadata.get("namespace", ""), metadata["name"])
