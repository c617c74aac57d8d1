"""What templates may read of a request and its Promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.api import labels as names
from troth.api.objects import Promise, Request
from troth.engine.templates import NamespaceName

_PASSING_LABELS: Final = (names.WORKFLOW_SUSPENDED, names.MANUAL_RECONCILIATION, names.RECONCILE_RESOURCES)


@dataclass(frozen=True, slots=True)
class RenderContext:
    """What templates may read: plain JSON values.

    Attributes:
        promise: name, version and labels; in a Promise workflow the whole object.
        request: the whole object, or None in a Promise workflow.
    """

    promise: Mapping[str, Any]
    request: Mapping[str, Any] | None


def render_context(promise: Promise, request: Request | None, *, version: str = "") -> RenderContext:
    """What the templates of a request, or of a Promise when there is no request, may read.

    Left out is what Troth itself writes (status, finalizers, labels that come and go) and what changes with
    each write: a rendering that read it would never settle.

    Args:
        promise: the Promise.
        request: the request, or None for the Promise's own workflow.
        version: the version that renders, when it is not the Promise's own.
    """
    if request is None:
        return RenderContext(promise=_readable(promise.raw), request=None)
    facts = {
        "name": promise.name,
        "version": version or promise.version,
        "labels": _lasting(promise.metadata.labels),
    }
    return RenderContext(promise=facts, request=_readable(request.raw))


def scope_of(context: RenderContext) -> dict[str, Any]:
    """The names that templates find before any value is evaluated (design 4)."""
    subject = context.promise if context.request is None else context.request
    metadata = subject.get("metadata") or {}
    scope: dict[str, Any] = {
        "promise": context.promise,
        "name": metadata.get("name", ""),
        "namespace": NamespaceName(metadata.get("namespace", "")),
        "labels": metadata.get("labels") or {},
        "annotations": metadata.get("annotations") or {},
    }
    if context.request is not None:
        scope["request"] = context.request
        scope["spec"] = context.request.get("spec") or {}
    return scope


def _readable(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = {
        key: value
        for key, value in (obj.get("metadata") or {}).items()
        if key not in ("managedFields", "resourceVersion", "finalizers")
    }
    if metadata.get("labels"):
        metadata["labels"] = _lasting(metadata["labels"])
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def _lasting(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in _PASSING_LABELS}
