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
    """The values that templates may read, as plain JSON.

    Attributes:
        promise: the Promise's name, version and labels; in a Promise workflow the whole object.
        request: the whole request, or None in a Promise workflow.
    """

    promise: Mapping[str, Any]
    request: Mapping[str, Any] | None


def render_context(promise: Promise, request: Request | None, *, version: str = "") -> RenderContext:
    """Returns what the templates of a request, or of a Promise without a request, may read.

    It does not include what Troth itself writes (status, finalizers, labels that come and go), what changes with each
    write, and the bookkeeping of tools: a rendering that read those would never become stable, or would depend on how
    the object was applied.

    Args:
        promise: the Promise.
        request: the request, or None for the Promise's own workflow.
        version: the version of the spec that is rendered, if it is not the Promise's own.
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
    """Returns the names that templates can use before any value is evaluated."""
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
        if shown:  # the API server drops empty maps, too
            metadata[field] = shown
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}
