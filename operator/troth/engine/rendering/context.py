"""What templates may read of a request and its Promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from troth.api.objects import Promise, Request
from troth.api.typed import read_map
from troth.engine.bookkeeping import FIELDS, without_bookkeeping
from troth.engine.rendering.templates import NamespaceName


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

    Left out is what Troth itself writes (status, finalizers, labels that come and go), what changes with
    each write, and what tools note for themselves: a rendering that read it would never settle, or would depend on
    how the object was applied.

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
        "labels": without_bookkeeping(promise.metadata.labels),
    }
    return RenderContext(promise=facts, request=_readable(request.raw))


def scope_of(context: RenderContext) -> dict[str, Any]:
    """The names that templates find before any value is evaluated."""
    subject = context.promise if context.request is None else context.request
    metadata = read_map(subject.get("metadata"))
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
    metadata = {key: value for key, value in read_map(obj.get("metadata")).items() if key not in FIELDS}
    for field in ("labels", "annotations"):
        shown = without_bookkeeping(read_map(metadata.pop(field, None)))
        if shown:  # the API server keeps no empty map, either
            metadata[field] = shown
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}
