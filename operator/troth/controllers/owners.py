"""Whose a Work and a placement are, as far as they say so themselves.

Read from labels, with the spec for what a label lacks: both are what Kratix writes, and somebody may have edited
either.
"""

from __future__ import annotations

from troth.api import labels as names
from troth.api.objects import ObjectMeta, Work, WorkPlacement


def work_owner(work: Work) -> str:
    """The index value of a Work's owner: what `owner_index` gives for the owner."""
    meta = work.metadata
    if work.type != names.WORK_TYPE_RESOURCE:
        return f"promise/{promise_of(meta) or work.promise_name}"
    namespace = meta.labels.get(names.RESOURCE_NAMESPACE) or meta.namespace
    return owner_index(
        promise_of(meta) or work.promise_name,
        namespace,
        meta.labels.get(names.RESOURCE_NAME) or work.resource_name,
    )


def owner_index(promise: str, namespace: str = "", name: str = "") -> str:
    """The index value under which the Works of a Promise, or of one of its requests, are found."""
    return f"request/{promise}/{namespace}/{name}" if name else f"promise/{promise}"


def work_of(placement: WorkPlacement) -> str:
    """``namespace/name`` of the Work that a placement belongs to."""
    return f"{placement.metadata.namespace}/{placement.metadata.labels.get(names.WORK, '')}"


def promise_of(meta: ObjectMeta) -> str:
    """The Promise that an object's label names; empty without one."""
    return meta.labels.get(names.PROMISE_NAME, "")
