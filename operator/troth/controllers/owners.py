"""Whose a Work and a placement are, as far as they say so themselves.

Read from labels, with the spec for what a label lacks: both are what Kratix writes, and somebody may have edited
either. What is read here is a claim. It is true of an object that is sealed (`troth.engine.placement.seals`), and
of any other it only tells who may look whether it is theirs.
"""

from __future__ import annotations

from troth.api import labels as names
from troth.api.naming import short_group_id
from troth.api.objects import ObjectMeta, Work, WorkPlacement
from troth.engine.placement.work import placement_name

_MOST_DOTS = 20


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


def may_be_works(placement: WorkPlacement) -> list[tuple[str, str]]:
    """Namespace and name of the Works that a placement may belong to: the labelled one, and those of its own name.

    A placement is called ``<work>.<destination>-<group>``, and the names of both may have dots.
    """
    meta = placement.metadata
    labelled = meta.labels.get(names.WORK, "")
    if placement.sealed_for:
        return [(meta.namespace, labelled)]
    parts = meta.name.split(".")[:_MOST_DOTS]
    found = [labelled, *(".".join(parts[:number]) for number in range(1, len(parts)))]
    return [(meta.namespace, name) for name in dict.fromkeys(found) if name]


def is_of_old(placement: WorkPlacement) -> bool:
    """Whether an unsealed placement may hold files of the operator's.

    It has since been edited, while its status still proves what was written, or it is from before there were seals.
    """
    return not placement.sealed_for and (placement.recorded > 0 or placement.former)


def claim_of_owner(work: Work) -> str:
    """The index value of a Work without a valid seal: where it is, and whose it claims to be."""
    return claim_to(work_owner(work), work.metadata.namespace)


def claim_to(owner: str, namespace: str) -> str:
    """The index value of Works in a namespace that claim to be those of an owner (`owner_index`)."""
    return f"{namespace}/{owner}"


def slot_of(work: str, placement: WorkPlacement) -> tuple[str, str]:
    """The destination and the group that a placement was made for.

    Its name says so and cannot be changed: where its labels or its spec do not fit the name, somebody edited them.
    """
    labels = placement.metadata.labels
    labelled = (labels.get(names.TARGET_DESTINATION, ""), labels.get(names.WORKLOAD_GROUP_ID, ""))
    spec = (placement.destination, placement.group_id)
    pairs = (spec, labelled, (spec[0], labelled[1]), (labelled[0], spec[1]))
    return next((pair for pair in pairs if _fits(work, placement, *pair)), spec)


def is_named_for(work: str, placement: WorkPlacement) -> bool:
    """Whether the name of a placement is that of one which the Work would have."""
    return _fits(work, placement, *slot_of(work, placement))


def _fits(work: str, placement: WorkPlacement, destination: str, group: str) -> bool:
    if not destination or not group:
        return False
    return placement_name(work, destination, short_group_id(group)) == placement.metadata.name


def is_kept_for_files(placement: WorkPlacement) -> bool:
    """Whether the operator has not let go of a placement yet: files of it may still be somewhere."""
    return bool({names.REPO_CLEANUP, names.DOT_FILES_CLEANUP} & set(placement.metadata.finalizers))


def claims_of(placement: WorkPlacement) -> list[str]:
    """The index values under which a placement without a valid seal is found: its Works and its Destinations."""
    targets = {placement.destination, placement.metadata.labels.get(names.TARGET_DESTINATION, "")}
    works = [claim_of_work(namespace, name) for namespace, name in may_be_works(placement)]
    return [*works, *(claim_of_destination(name) for name in sorted(targets) if name)]


def claim_of_work(namespace: str, name: str) -> str:
    """The index value of placements that claim to belong to a Work."""
    return f"work/{namespace}/{name}"


def claim_of_destination(name: str) -> str:
    """The index value of placements that claim to be on a Destination."""
    return f"destination/{name}"


def work_of(placement: WorkPlacement) -> str:
    """``namespace/name`` of the Work that a placement belongs to."""
    return f"{placement.metadata.namespace}/{placement.metadata.labels.get(names.WORK, '')}"


def promise_of(meta: ObjectMeta) -> str:
    """The Promise that an object's label names; empty without one."""
    return meta.labels.get(names.PROMISE_NAME, "")
