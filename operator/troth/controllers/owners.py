"""Whom a Work or a placement belongs to, according to the object itself.

This is read from labels, or from the spec where a label is missing: Kratix writes both, and somebody may have edited
either. What is read here is a claim. It is true for an object that is sealed (`troth.engine.placement.seals`). For any
other object it only says which owners should check whether the object is theirs.
"""

from __future__ import annotations

from troth.api import labels as names
from troth.api.naming import short_group_id
from troth.api.objects import ObjectMeta, Work, WorkPlacement
from troth.api.revisions import ResourceBinding
from troth.engine.placement.work import placement_name

_MOST_DOTS = 20


def work_owner(work: Work) -> str:
    """The index value of a Work's owner: what `owner_index` returns for the owner."""
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


def binding_owner(binding: ResourceBinding) -> str:
    """The index value of the request of a ResourceBinding: what `owner_index` returns for that request."""
    return owner_index(binding.promise, binding.metadata.namespace, binding.resource)


def version_index(promise: str, version: str) -> str:
    """The index value under which the ResourceBindings to one version of a Promise are found."""
    return f"{promise}/{version}"


def may_be_works(placement: WorkPlacement) -> list[tuple[str, str]]:
    """Namespace and name of the Works that a placement may belong to.

    These are the Work that its label names, and those that its own name allows: a placement is called
    ``<work>.<destination>-<group>``, and the names of both may contain dots.
    """
    meta = placement.metadata
    labelled = meta.labels.get(names.WORK, "")
    if placement.sealed_for:
        return [(meta.namespace, labelled)]
    parts = meta.name.split(".")[:_MOST_DOTS]
    found = [labelled, *(".".join(parts[:number]) for number in range(1, len(parts)))]
    return [(meta.namespace, name) for name in dict.fromkeys(found) if name]


def is_of_old(placement: WorkPlacement) -> bool:
    """Whether an unsealed placement may stand for files that the operator wrote.

    Either it has been edited since, and its status still proves what was written, or it is older than the seals.
    """
    return not placement.sealed_for and (placement.recorded > 0 or placement.former)


def claim_of_owner(work: Work) -> str:
    """The index value of a Work without a valid seal: its namespace, and the owner that it claims to have."""
    return claim_to(work_owner(work), work.metadata.namespace)


def claim_to(owner: str, namespace: str) -> str:
    """The index value of the Works in a namespace that claim to belong to an owner (`owner_index`)."""
    return f"{namespace}/{owner}"


def slot_of(work: str, placement: WorkPlacement) -> tuple[str, str]:
    """The Destination and the group that a placement was made for.

    This is read from its name, which cannot be changed. If its labels or its spec do not fit the name, somebody has
    edited them.
    """
    labels = placement.metadata.labels
    labelled = (labels.get(names.TARGET_DESTINATION, ""), labels.get(names.WORKLOAD_GROUP_ID, ""))
    spec = (placement.destination, placement.group_id)
    pairs = (spec, labelled, (spec[0], labelled[1]), (labelled[0], spec[1]))
    return next((pair for pair in pairs if _fits(work, placement, *pair)), spec)


def is_named_for(work: str, placement: WorkPlacement) -> bool:
    """Whether a placement has a name that a placement of the Work would have."""
    return _fits(work, placement, *slot_of(work, placement))


def _fits(work: str, placement: WorkPlacement, destination: str, group: str) -> bool:
    if not destination or not group:
        return False
    return placement_name(work, destination, short_group_id(group)) == placement.metadata.name


def is_kept_for_files(placement: WorkPlacement) -> bool:
    """Whether a placement still has the operator's finalizer, so that files of it may still exist somewhere."""
    return bool({names.REPO_CLEANUP, names.DOT_FILES_CLEANUP} & set(placement.metadata.finalizers))


def claims_of(placement: WorkPlacement) -> list[str]:
    """The index values of a placement without a valid seal: the Works and Destinations that it may belong to."""
    targets = {placement.destination, placement.metadata.labels.get(names.TARGET_DESTINATION, "")}
    works = [claim_of_work(namespace, name) for namespace, name in may_be_works(placement)]
    return [*works, *(claim_of_destination(name) for name in sorted(targets) if name)]


def claim_of_work(namespace: str, name: str) -> str:
    """The index value of the placements that claim to belong to a Work."""
    return f"work/{namespace}/{name}"


def claim_of_destination(name: str) -> str:
    """The index value of the placements that claim to be on a Destination."""
    return f"destination/{name}"


def work_of(placement: WorkPlacement) -> str:
    """``namespace/name`` of the Work that a placement belongs to."""
    return f"{placement.metadata.namespace}/{placement.metadata.labels.get(names.WORK, '')}"


def promise_of(meta: ObjectMeta) -> str:
    """The Promise that an object's label names; empty without one."""
    return meta.labels.get(names.PROMISE_NAME, "")
