"""Typed views of PromiseRevisions and ResourceBindings (kratix-compatibility.md#revisions-and-bindings).

A PromiseRevision holds the spec that a Promise had at one version. A ResourceBinding says which of them a request uses.
Unlike other objects they are read strictly: a revision without a version, or a binding that names no request, would
otherwise count for something that nobody has written. The API server refuses such objects today, and may have accepted
them under an older schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from troth.api import labels as names
from troth.api.conditions import AVAILABLE, find_condition
from troth.api.errors import InvalidObject
from troth.api.objects import ObjectMeta, PromiseSpec, read_metadata, read_promise_spec
from troth.api.statuses import read_status
from troth.api.typed import read_maps, read_whole, require_map, require_text

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PromiseRevision:
    """A PromiseRevision.

    Attributes:
        promise: the name of its Promise.
        version: the version of that Promise; ``not-set`` for a Promise without a version.
        spec: the view of the Promise's spec at that version.
        raw_spec: that spec as it was written.
    """

    metadata: ObjectMeta
    promise: str
    version: str
    spec: PromiseSpec
    status: Object
    raw_spec: Object

    @property
    def name(self) -> str:
        """The name of the revision."""
        return self.metadata.name

    @property
    def is_latest(self) -> bool:
        """Whether it has the label of the version that was installed last."""
        return self.metadata.labels.get(names.LATEST_REVISION) == "true"

    @property
    def is_available(self) -> bool:
        """Whether its status says that the Promise was available with this very spec."""
        found = find_condition(read_maps(self.status.get("conditions")), AVAILABLE) or {}
        return (
            found.get("status") == "True"
            and read_whole(self.status.get("observedGeneration")) == self.metadata.generation
        )


@dataclass(frozen=True, slots=True)
class ResourceBinding:
    """A ResourceBinding.

    Attributes:
        promise: the name of the Promise.
        resource: the name of the request, which is in the namespace of the binding.
        version: the version that the request is to use, or ``latest``.
    """

    metadata: ObjectMeta
    promise: str
    resource: str
    version: str
    status: Object

    @property
    def name(self) -> str:
        """The name of the binding, which may be any."""
        return self.metadata.name

    @property
    def applied(self) -> str:
        """The version that was applied completely last; empty before the first."""
        value = self.status.get("lastAppliedVersion")
        return value if isinstance(value, str) else ""

    @property
    def asks_for_run(self) -> bool:
        """Whether it has the label that asks for another run of its request."""
        return self.metadata.labels.get(names.MANUAL_RECONCILIATION) == "true"


def read_promise_revision(obj: Object) -> PromiseRevision:
    """The view of a PromiseRevision.

    Raises:
        InvalidObject: it names no Promise or no version, or a field has a type that the API server would not accept.
    """
    spec = require_map(obj.get("spec"), "spec")
    raw = require_map(spec.get("promiseSpec"), "spec.promiseSpec")
    reference = require_map(spec.get("promiseRef"), "spec.promiseRef")
    return PromiseRevision(
        metadata=read_metadata(obj),
        promise=_require_name(reference.get("name"), "spec.promiseRef.name"),
        version=_require_name(spec.get("version"), "spec.version"),
        spec=read_promise_spec(raw),
        status=read_status(obj),
        raw_spec=raw,
    )


def read_resource_binding(obj: Object) -> ResourceBinding:
    """The view of a ResourceBinding. Its labels, by which Kratix finds it, count before the names in its spec.

    Raises:
        InvalidObject: it names no Promise, no request or no version, or a field has a type that the API server would
            not accept.
    """
    meta = read_metadata(obj)
    spec = require_map(obj.get("spec"), "spec")
    promise = require_map(spec.get("promiseRef"), "spec.promiseRef")
    resource = require_map(spec.get("resourceRef"), "spec.resourceRef")
    return ResourceBinding(
        metadata=meta,
        promise=meta.labels.get(names.PROMISE_NAME) or _require_name(promise.get("name"), "spec.promiseRef.name"),
        resource=meta.labels.get(names.RESOURCE_NAME)
        or _require_name(resource.get("name"), "spec.resourceRef.name"),
        version=_require_name(spec.get("version"), "spec.version"),
        status=read_status(obj),
    )


def _require_name(value: Any, field: str) -> str:
    found = require_text(value, field)
    if not found:
        raise InvalidObject(field, "is empty", "write a name")
    return found
