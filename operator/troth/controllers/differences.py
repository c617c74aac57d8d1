"""Which difference between two versions of an object matters to whom.

A watch tells of every write, most of them the operator's own or of no consequence to anybody else. What is compared
here is what the reader would act on, so that a change of a status does not go through the house like one of a spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.api import find_condition
from troth.api import labels as names
from troth.api.conditions import READY
from troth.api.objects import Destination, ObjectMeta, Promise, Request, Work, WorkPlacement
from troth.api.statuses import read_own
from troth.engine.placement.layout import AGGREGATED
from troth.engine.rendering.components import read_parent
from troth.engine.status import is_failing

FAILING: Final = "failing"


def meant_differs(old: Any, new: Any) -> bool:
    """Whether what people (or another controller) want differs; status alone does not count.

    Neither do a finalizer or our own label that were added: that is what we write ourselves, and the watch may
    bring it before the answer to the write does.
    """
    if old is None or new is None:
        return True
    before: ObjectMeta = old.metadata
    after: ObjectMeta = new.metadata
    return (
        before.generation != after.generation
        or before.uid != after.uid
        or before.deleting != after.deleting
        or before.labels != {**_without_ours(after.labels), **_ours(before.labels, after.labels)}
        or before.annotations != after.annotations
        or not set(before.finalizers) <= set(after.finalizers)
    )


def _without_ours(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != names.PROMISE_NAME}


def _ours(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Our own label as it should be compared: one that was added counts as no change."""
    if names.PROMISE_NAME not in before or names.PROMISE_NAME not in after:
        return {}
    return {names.PROMISE_NAME: after[names.PROMISE_NAME]}


def as_offer(promise: Promise | None) -> object:
    """What a Promise is to its requests and to the Promises that require it."""
    if promise is None:
        return None
    status = promise.status
    ready = find_condition(status.get("conditions"), READY) or {}
    why = None if status.get("status") == "Available" else (ready.get("reason"), ready.get("message"))
    return (
        promise.metadata.labels,
        status.get("status"),
        status.get("observedGeneration"),
        promise.metadata.deleting,
        why,  # its requests repeat it
    )


def as_dependent(promise: Promise | None) -> object:
    """What a Promise is to those that it requires, which name it in their status."""
    if promise is None or not promise.spec.required_promises:
        return None
    return (promise.version, [(entry.name, entry.version) for entry in promise.spec.required_promises])


def as_component(request: Request | None) -> object:
    """What a request is to its parent."""
    if request is None:
        return None
    meta = request.metadata
    ready = find_condition(request.status.get("conditions"), READY) or {}
    return (
        read_parent(meta.labels),
        meta.uid,
        meta.generation,
        meta.deleting,
        request.status.get("observedGeneration"),
        ready.get("status"),
        ready.get("reason"),
        ready.get("message"),
    )


def told_differs(old: Work | WorkPlacement | None, new: Work | WorkPlacement | None) -> bool:
    """Whether the owner must be queued: the object is gone, or its status changed."""
    return new is None or (old is not None and old.status != new.status)


def rewritten(old: Work | WorkPlacement | None, new: Work | WorkPlacement | None) -> bool:
    """Whether what an object says differs from what it said, its status apart."""
    if old is None or new is None:
        return False
    before, after = old.metadata, new.metadata
    return before.generation != after.generation or before.labels != after.labels


def as_keeper(work: Work) -> object:
    """What a Work is to its placements: which of them it still wants, and for whom."""
    return (work.sealed_for, names.RETIRED in work.metadata.labels, {group.id for group in work.groups})


def as_target(destination: Destination | None) -> object:
    """What a Destination is to scheduling."""
    if destination is None:
        return None
    meta = destination.metadata
    return (meta.uid, meta.labels, meta.deleting, destination.strict_match_labels, destination.allow)


def was_ever_written(placement: WorkPlacement) -> bool:
    """Whether some content of a placement has reached its Destination.

    One from before there were seals is taken at its word: then its group stays where it is.
    """
    status = placement.status
    said = bool(status.get("versionID") or read_own(status).fields.get("location"))
    return placement.recorded > 0 or (placement.former and said)


def as_place(destination: Destination | None) -> object:
    """Where a Destination's files are, and which may come there."""
    if destination is None:
        return None
    return (
        destination.metadata.uid,
        destination.allow,
        destination.path,
        destination.store,
        destination.mode,
        destination.filename,
        destination.adopts,
        _as_one_file(destination) if destination.mode == AGGREGATED else None,
    )


def _as_one_file(destination: Destination) -> object:
    """Whether a Destination has its one file, or why not."""
    ready = find_condition(destination.status.get("conditions"), READY) or {}
    return read_own(destination.status).fields.get("aggregate"), ready.get("message")


def readiness(obj: Any) -> tuple[str]:
    """An object's ``Ready`` as the index has it: its status and its reason, ``Unknown/`` before it has one."""
    ready = find_condition(obj.status.get("conditions"), READY) or {}
    return (f"{ready.get('status') or 'Unknown'}/{ready.get('reason') or ''}",)


def failing(request: Request | None) -> tuple[str, ...]:
    """A request that needs somebody, as the index of these has it."""
    return (FAILING,) if request is not None and is_failing(request.status) else ()
