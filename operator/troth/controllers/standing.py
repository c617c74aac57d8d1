"""Whether a Work or a WorkPlacement is acted on: only if the operator wrote it, for an owner that exists.

A seal proves that the operator wrote it. It cannot prove that the owner exists: somebody may have kept a sealed object
of a request that is gone, and created it again. So the owner is looked up by the uid that the seal names.

An object that is refused says so in its own status, after a moment: when somebody edits an object that is really the
operator's, its owner corrects it within milliseconds, and nobody needs to be told. An Event is not needed either about
an object that is merely older than the seals, or than the present key: nobody has done anything to it.

A Work that the Pod of a container pipeline writes is sealed when the pipeline has ended. Until then it is not acted on
either, and that is not reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from troth.api import Key
from troth.api import labels as names
from troth.api.objects import Work, WorkPlacement
from troth.api.resources import WORK, WORK_PLACEMENT
from troth.controllers.caches import Caches
from troth.controllers.owners import work_of
from troth.engine.workflow.progress import read_progress

PATIENCE: Final = 2.0
"""Seconds that the owner has to correct an object before its refusal is reported."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an object is acted on, and if it is not, why not, or what is not known yet."""

    refusal: str = ""
    waits_for: str = ""
    former: bool = False
    """Whether it is refused only because it may be from the time before Troth sealed what it writes."""

    @property
    def accepted(self) -> bool:
        """Whether the object is acted on."""
        return not self.refusal and not self.waits_for


def judge_work(caches: Caches, work: Work) -> Standing:
    """Judges a Work. If something is not known yet, the Work is queued when it becomes known."""
    return _judge_work(caches, work, _key(work))


def judge_placement(caches: Caches, placement: WorkPlacement) -> Standing:
    """Judges a placement. If something is not known yet, the placement is queued when it becomes known."""
    if not placement.sealed_for:
        return _unsealed(placement, "WorkPlacement", "Work")
    namespace, _, name = work_of(placement).partition("/")
    work = caches.works.get(namespace, name)
    if work is None:
        return Standing(refusal=f"the Work {name} that it belongs to does not exist; nothing is written for it")
    if not work.sealed_for:
        return Standing(waits_for=f"the Work {name}, which somebody has edited, to be corrected")
    if work.sealed_for != placement.sealed_for:
        return Standing(waits_for=f"the Work {name} to be reconciled for its new owner")
    return _judge_work(caches, work, _key(placement))


def _judge_work(caches: Caches, work: Work, waiting: Key) -> Standing:
    if not work.sealed_for:
        return _unsealed(work, "Work", "request or Promise")
    uid = caches.uid_of_owner(work, waiting=waiting)
    if uid is None:
        return Standing(waits_for="the API of its Promise")
    if not uid:
        return Standing(refusal=f"{_owner(work)} does not exist (any more); nothing is written for it")
    if uid != work.sealed_for:
        return Standing(waits_for=f"{_owner(work)}, which was created again, to take it over")
    return Standing()


def _unsealed(obj: Work | WorkPlacement, kind: str, owner: str) -> Standing:
    # If the status has a seal of the present key, the object had one too, and somebody has edited it since.
    known = obj.reported if isinstance(obj, Work) else obj.recorded > 0
    former = obj.former and not known
    return Standing(refusal=(_FORMER if former else _UNSEALED).format(kind, owner), former=former)


_FORMER = (
    "This {0} was written before Troth sealed its objects, or the key of the seals was replaced since. Nothing more is "
    "written or removed for it, and what is already written stays. It is sealed when its request or Promise is "
    "reconciled again; if it belongs to none, it can be deleted"
)
_UNSEALED = (
    "Somebody other than Troth made this {0} or has edited it, so nothing of it is written and nothing is removed for "
    "it. If it belongs to an existing {1}, it is corrected as soon as possible; otherwise it can be deleted"
)


def is_being_written(caches: Caches, work: Work) -> bool:
    """Whether a Work without a seal is what the Pod of a pipeline writes, as far as the object says.

    Its owner has recorded that this pipeline runs, and seals the Work when the pipeline has ended.
    """
    key = caches.owner_key(work)
    informer = caches.informer_of(key) if key and caches.is_at_home(work) else None
    owner = informer.get(key.namespace, key.name) if key and informer else None
    if owner is None:
        return False
    pipeline = work.metadata.labels.get(names.PIPELINE_NAME)
    return any(record.name == pipeline and record.phase == "Running" for record in read_progress(owner.status))


def _owner(work: Work) -> str:
    meta = work.metadata
    promise = meta.labels.get(names.PROMISE_NAME) or work.promise_name
    if work.type != names.WORK_TYPE_RESOURCE:
        return f"the Promise {promise}"
    namespace = meta.labels.get(names.RESOURCE_NAMESPACE) or meta.namespace
    name = meta.labels.get(names.RESOURCE_NAME) or work.resource_name
    return f"the request {namespace}/{name} of the Promise {promise}"


def _key(obj: Work | WorkPlacement) -> Key:
    resource = WORK if isinstance(obj, Work) else WORK_PLACEMENT
    return Key(resource.name, obj.metadata.namespace, obj.metadata.name)
