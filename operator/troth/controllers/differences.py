"""Which differences between two versions of an object matter, and to whom.

A watch reports every write; most writes are the operator's own, or do not matter to any other object. Only what the
other object would act on is compared here, so that a changed status does not queue as much as a changed spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.api import find_condition
from troth.api import labels as names
from troth.api.conditions import READY
from troth.api.objects import Destination, ObjectMeta, Promise, Request, Work, WorkPlacement
from troth.api.revisions import PromiseRevision, ResourceBinding
from troth.api.statuses import read_own
from troth.engine.placement.layout import AGGREGATED
from troth.engine.rendering.components import read_parent
from troth.engine.status.requests import is_failing
from troth.engine.workflow.wishes import read_round

FAILING: Final = "failing"


def meant_differs(old: Any, new: Any) -> bool:
    """Whether what people (or another controller) want differs; a change of the status alone does not count.

    Neither does a finalizer or our own label that was added: we write these ourselves, and the watch may report them
    before the write is answered.
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
    """Our own label as it is to be compared: a label that was added does not count as a change."""
    if names.PROMISE_NAME not in before or names.PROMISE_NAME not in after:
        return {}
    return {names.PROMISE_NAME: after[names.PROMISE_NAME]}


def as_offer(promise: Promise | None) -> object:
    """What matters of a Promise to its requests and to the Promises that require it."""
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
        why,  # the status of its requests repeats it
        read_round(status),
        promise.metadata.annotations.get(names.RECONCILIATION_INTERVAL),
    )


def as_dependent(promise: Promise | None) -> object:
    """What matters of a Promise to those that it requires, which name it in their status."""
    if promise is None or not promise.spec.required_promises:
        return None
    return (promise.version, [(entry.name, entry.version) for entry in promise.spec.required_promises])


def as_version(revision: PromiseRevision | None) -> object:
    """What matters of a revision to the requests that stay on its version, and to the Promises that require it."""
    if revision is None:
        return None
    meta = revision.metadata
    interval = meta.annotations.get(names.RECONCILIATION_INTERVAL)
    return (revision.version, meta.uid, meta.generation, meta.deleting, revision.is_available, interval)


def as_choice(binding: ResourceBinding | None) -> object:
    """What matters of a binding to its request. Who changes its labels gets those of the request back."""
    if binding is None:
        return None
    meta = binding.metadata
    return (binding.version, meta.uid, meta.deleting, meta.labels, meta.annotations)


def asks_otherwise(old: ResourceBinding | None, new: ResourceBinding | None) -> bool:
    """Whether a binding asks its request for another version or for a run, which no write of our own makes it do."""
    if old is None or new is None:
        return False
    return old.version != new.version or (new.asks_for_run and not old.asks_for_run)


def as_component(request: Request | None) -> object:
    """What matters of a request to its parent."""
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
    """Whether an object differs from what it was, apart from its status."""
    if old is None or new is None:
        return False
    before, after = old.metadata, new.metadata
    return before.generation != after.generation or before.labels != after.labels


def as_keeper(work: Work) -> object:
    """What matters of a Work to its placements: which of them it still wants, and for whom."""
    return (work.sealed_for, names.RETIRED in work.metadata.labels, {group.id for group in work.groups})


def as_target(destination: Destination | None) -> object:
    """What matters of a Destination to scheduling."""
    if destination is None:
        return None
    meta = destination.metadata
    return (meta.uid, meta.labels, meta.deleting, destination.strict_match_labels, destination.allow)


def was_ever_written(placement: WorkPlacement) -> bool:
    """Whether any content of a placement has reached its Destination.

    The status of a placement that is older than the seals is believed here, so that its group stays where it is.
    """
    status = placement.status
    said = bool(status.get("versionID") or read_own(status).location)
    return placement.recorded > 0 or (placement.former and said)


def as_place(destination: Destination | None) -> object:
    """Where a Destination's files are, and which files it allows."""
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
    """Whether a Destination has its single file, or why not."""
    ready = find_condition(destination.status.get("conditions"), READY) or {}
    return read_own(destination.status).aggregate, ready.get("message")


def readiness(obj: Any) -> tuple[str]:
    """The index value of an object's ``Ready``: status and reason, or ``Unknown/`` before it has the condition."""
    ready = find_condition(obj.status.get("conditions"), READY) or {}
    return (f"{ready.get('status') or 'Unknown'}/{ready.get('reason') or ''}",)


def failing(request: Request | None) -> tuple[str, ...]:
    """The index values of a request that fails and needs somebody's attention; empty for any other."""
    return (FAILING,) if request is not None and is_failing(request.status) else ()
