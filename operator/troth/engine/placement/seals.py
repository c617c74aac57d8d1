"""Seals, by which the operator recognises Works, WorkPlacements and records in their status that it wrote itself.

Otherwise anybody who may write Works in one namespace could have anything written to any Destination: an object itself
says who its owner is, where it goes and what it holds, and none of that is proof. So the operator computes a MAC
(HMAC-SHA256, with a key that only the operator has) over everything that it would act on, and adds it in the same write
as the content. An object without a valid seal is not acted on, whatever it says (`docs/architecture.md`).

The views are sealed and not the JSON, because the API server fills in defaults, and because the caches hold only the
Git blob ids of contents. A seal covers the object's kind, namespace and name and the uid of its owner, so it is invalid
on another object, and for a later request of the same name. The seal of a record in a status also covers the object's
own uid.

Rejected: a validating webhook or an admission policy that keeps others from writing (another component that must run,
and objects from before it ran would be accepted); `managedFields` (anybody may choose the name of a field manager); a
signature with a key pair (nobody else has to check it); comparing with what was rendered, without a seal (the last
result of a pipeline is not known while it fails, or after a restart).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from troth.api import labels as names
from troth.api.objects import ObjectMeta, Work, Workload, WorkPlacement
from troth.api.statuses import read_own
from troth.engine.placement.work import Digest, digest_content, read_work, read_work_placement

KEY_BYTES: Final = 32

WORK_LABELS: Final = (
    names.WORK_TYPE,
    names.PROMISE_NAME,
    names.RESOURCE_NAME,
    names.RESOURCE_NAMESPACE,
    names.PIPELINE_NAME,
    names.DRY_RUN,
    names.RETIRED,
)
"""The labels of a Work that the operator acts on."""

PLACEMENT_LABELS: Final = (
    names.WORK,
    names.WORKLOAD_GROUP_ID,
    names.TARGET_DESTINATION,
    names.PIPELINE_NAME,
    names.RESOURCE_NAMESPACE,
    names.MISPLACED,
)
"""The labels of a WorkPlacement that the operator acts on."""

_WORK_ANNOTATIONS: Final = (names.MOVED,)
_PLACEMENT_ANNOTATIONS: Final = (names.ASKED_FOR, names.ALLOWED)
_REPORTED: Final = (
    "observedGeneration",
    "unscheduled",
    "held",
    "refusal",
    "forbidden",
    "exposed",
    "withheld",
    "obstacle",
)


class Seals:
    """Makes seals and checks them. Without a key (`use`) nothing can be sealed, and nothing counts as sealed."""

    def __init__(self) -> None:
        self._key = b""
        self._since = ""

    def use(self, key: bytes, *, since: str) -> None:
        """Sets the key, and the time when it was made (RFC 3339): older objects cannot have a seal made with it.

        Raises:
            ValueError: the key has fewer than `KEY_BYTES` bytes.
        """
        if len(key) < KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes is too short")
        self._key = key
        self._since = since

    # ---- sealing

    def seal_work(self, work: Work, owner_uid: str) -> str:
        """Returns the annotation that seals a Work, as it will be written, for an owner."""
        return f"{owner_uid}/{self._mac('Work', _work_content(work), owner_uid)}"

    def seal_placement(self, placement: WorkPlacement, owner_uid: str) -> str:
        """Returns the annotation that seals a WorkPlacement, as it will be written, for the owner of its Work."""
        return f"{owner_uid}/{self._mac('WorkPlacement', _placement_content(placement), owner_uid)}"

    def seal_record(self, meta: ObjectMeta, status: Mapping[str, Any], generation: int) -> str:
        """Returns the seal of the record in a WorkPlacement's status: where its files are, and of which generation."""
        return f"{generation}/{self._mac('record', _record_content(meta, status), generation)}"

    def seal_report(self, meta: ObjectMeta, status: Mapping[str, Any]) -> str:
        """Returns the seal of the report in a Work's status: what could not be placed."""
        return self._mac("report", _report_content(meta, status), 0)

    # ---- checking

    def read_work(self, obj: Mapping[str, Any], digest: Digest = digest_content) -> Work:
        """Returns the view of a Work, and checks its seals for it."""
        work = read_work(obj, digest)
        uid = self._sealed_for(work.metadata, "Work", _work_content(work))
        said = read_own(work.status).seal
        reported = self._is("report", _report_content(work.metadata, work.status), 0, said)
        return replace(work, sealed_for=uid, reported=reported, former=not uid and self._is_older(work.metadata))

    def read_work_placement(self, obj: Mapping[str, Any], digest: Digest = digest_content) -> WorkPlacement:
        """Returns the view of a WorkPlacement, and checks its seals for it."""
        placement = read_work_placement(obj, digest)
        meta = placement.metadata
        uid = self._sealed_for(meta, "WorkPlacement", _placement_content(placement))
        recorded = self._recorded(meta, placement.status)
        # An object that has just been sealed still has its former record, until its files are written.
        former = (not uid or not recorded) and self._is_older(meta)
        return replace(placement, sealed_for=uid, recorded=recorded, former=former)

    def _sealed_for(self, meta: ObjectMeta, kind: str, content: object) -> str:
        uid, _, mac = meta.annotations.get(names.SEAL, "").partition("/")
        return uid if uid and content is not None and self._is(kind, content, uid, mac) else ""

    def _recorded(self, meta: ObjectMeta, status: Mapping[str, Any]) -> int:
        generation, _, mac = read_own(status).seal.partition("/")
        if not generation.isdecimal() or not generation.isascii() or len(generation) > 18:
            return 0
        return int(generation) if self._is("record", _record_content(meta, status), int(generation), mac) else 0

    def _is_older(self, meta: ObjectMeta) -> bool:
        # The API server sets both times, in the same format; nobody can choose them.
        return bool(self._since) and "" < meta.creation_timestamp < self._since

    def _is(self, kind: str, content: object, context: str | int, mac: str) -> bool:
        if not self._key or not mac or not mac.isascii():
            return False
        try:
            wanted = self._mac(kind, content, context)
        except orjson.JSONEncodeError:
            return False  # an object that cannot be written as JSON was never sealed
        return hmac.compare_digest(wanted, mac)

    def _mac(self, kind: str, content: object, context: str | int) -> str:
        if not self._key:
            raise ValueError("there is no key yet")
        packed = orjson.dumps(
            [kind, context, content], option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
        )
        return base64.urlsafe_b64encode(hmac.digest(self._key, packed, hashlib.sha256)).decode().rstrip("=")


def _work_content(work: Work) -> object:
    """Returns everything in a Work that the operator acts on; None when one of its files cannot be read."""
    groups = []
    for group in work.groups:
        files = _files(group.workloads)
        if files is None:
            return None
        selectors = [[dict(selector.match_labels), selector.source] for selector in group.selectors]
        groups.append([group.id, group.directory, selectors, files])
    meta = work.metadata
    return [
        *_identity(meta, WORK_LABELS, _WORK_ANNOTATIONS),
        work.promise_name,
        work.resource_name,
        groups,
    ]


def _placement_content(placement: WorkPlacement) -> object:
    """Returns everything in a WorkPlacement that the operator acts on; None when one of its files cannot be read."""
    files = _files(placement.workloads)
    if files is None:
        return None
    return [
        *_identity(placement.metadata, PLACEMENT_LABELS, _PLACEMENT_ANNOTATIONS),
        placement.destination,
        placement.promise_name,
        placement.resource_name,
        placement.group_id,
        files,
    ]


def _identity(meta: ObjectMeta, labels: Sequence[str], annotations: Sequence[str]) -> list[object]:
    return [
        meta.namespace,
        meta.name,
        [meta.labels.get(name) for name in labels],
        [meta.annotations.get(name) for name in annotations],
    ]


def _files(workloads: Sequence[Workload]) -> list[list[str]] | None:
    if not all(workload.blob for workload in workloads):
        return None
    return [[workload.filepath, workload.blob] for workload in workloads]


def _record_content(meta: ObjectMeta, status: Mapping[str, Any]) -> object:
    ours = read_own(status).fields  # as it stands there, since the seal is of exactly that
    return [
        meta.namespace,
        meta.name,
        meta.uid,
        ours.get("location") or None,
        ours.get("alsoIn") or None,
        status.get("versionID") or None,
    ]


def _report_content(meta: ObjectMeta, status: Mapping[str, Any]) -> object:
    ours = read_own(status).fields  # as it stands there, since the seal is of exactly that
    said = [ours.get(name) or None for name in _REPORTED]
    return [meta.namespace, meta.name, meta.uid, *said]
