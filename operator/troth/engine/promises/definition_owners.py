"""Who wrote which part of a CustomResourceDefinition, according to its ``managedFields``.

Labels, annotations and the conversion of a definition have several writers: people, Argo CD and Flux, cert-manager,
which puts a certificate there. Troth removes from them what it wrote and no longer wants, and nothing else. This is
the rule of server-side apply, so a field that somebody else claims as well stays.

Whoever moves from Kratix has definitions that Kratix wrote. Its records count as Troth's own, because the Promise says
now what Kratix was told before. Kratix has no field manager of its own: the API server calls it by the name of its
program, ``manager``, which other controllers have, too. So only a record that includes the label of the Promise counts,
which nobody else puts on a definition.

A definition that was restored from a backup may have lost these records. What Troth wrote before that then belongs to
the one who restored it, and stays. Rejected: a list of our own in an annotation, which would be lost or stale in the
same cases, and which anybody could edit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.api import labels as names
from troth.api.objects import Object
from troth.api.typed import read_map, read_maps

_KRATIX: Final = "manager"
_SHARED: Final = (("labels", "f:metadata"), ("annotations", "f:metadata"), ("conversion", "f:spec"))


def owned_fields(obj: Object) -> dict[str, Any]:
    """Returns what Troth, or Kratix before it, wrote and nobody else claims.

    Args:
        obj: a CustomResourceDefinition as the API server returns it.

    Returns:
        For ``labels``, ``annotations`` and ``conversion`` the fields in the form of ``managedFields``, such as
        ``{"labels": {"f:team": {}}}``.
    """
    ours: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for manager, fields in _records(obj):
        parts = {name: read_map(read_map(fields.get(where)).get(f"f:{name}")) for name, where in _SHARED}
        if manager == names.FIELD_MANAGER or (manager == _KRATIX and f"f:{names.PROMISE_NAME}" in parts["labels"]):
            ours = _joined(ours, parts)
        else:
            others = _joined(others, parts)
    return _without(ours, others)


def _records(obj: Object) -> Iterator[tuple[Any, Object]]:
    for entry in read_maps(read_map(obj.get("metadata")).get("managedFields")):
        if not entry.get("subresource"):
            yield entry.get("manager"), read_map(entry.get("fieldsV1"))


def _joined(left: Object, right: Object) -> dict[str, Any]:
    return {key: _joined(read_map(left.get(key)), read_map(right.get(key))) for key in {**left, **right}}


def _without(fields: Object, others: Object) -> dict[str, Any]:
    """Returns the fields that ``others`` does not have. A map of which others claim only some fields stays."""
    left: dict[str, Any] = {}
    for key, inner in fields.items():
        if key not in others:
            left[key] = inner
        elif isinstance(inner, Mapping) and (rest := _without(inner, read_map(others[key]))):
            left[key] = rest
    return left
