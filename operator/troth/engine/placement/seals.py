"""By which mark the operator knows what it wrote itself: seals of Works and WorkPlacements, and of what they record.

Whoever may write Works in one namespace could otherwise have anything written to any Destination: an object says of
itself whose it is, where it goes and what it holds, and nothing of that proves anything. So the operator puts a MAC
(HMAC-SHA256, with a key that it alone has) over all that it would act on, in the same write as the content. What has
no seal, or another one than it should have, is not acted on, whatever it says (`docs/architecture.md`).

What is sealed are the views and not the JSON: the API server fills in defaults, and of contents the caches hold only
the Git blob ids. A seal names the object (kind, namespace, name) and the uid of its owner, so it is worth nothing on
another object, and nothing for a later request of the same name. The record in a status is bound to the object's own
uid as well.

Rejected: a validating webhook or an admission policy that keeps others from writing (one more thing that must run,
and what was written before it ran would pass); `managedFields` (anybody may choose the name of a field manager); a
signature with a key pair (nobody else has to check it); comparing with what was rendered, without a mark (what a
pipeline rendered last is not known while it fails, nor after a restart).
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
    """Makes seals and checks them. Without a key (`use`) nothing can be sealed, and nothing passes for sealed."""

    def __init__(self) -> None:
        self._key = b""
        self._since = ""

    def use(self, key: bytes, *, since: str) -> None:
        """Takes the key, and when it was made (RFC 3339): what is older cannot have a seal by it.

        Raises:
            ValueError: the key has fewer than `KEY_BYTES` bytes.
        """
        if len(key) < KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes is too short")
        self._key = key
        self._since = since

    # ---- sealing

    def seal_work(self, work: Work, owner_uid: str) -> str:
        """The annotation that seals a Work, as it is to be, for an owner."""
        return f"{owner_uid}/{self._mac('Work', _work_content(work), owner_uid)}"

    def seal_placement(self, placement: WorkPlacement, owner_uid: str) -> str:
        """The annotation that seals a WorkPlacement, as it is to be, for the owner of its Work."""
        return f"{owner_uid}/{self._mac('WorkPlacement', _placement_content(placement), owner_uid)}"

    def seal_record(self, meta: ObjectMeta, status: Mapping[str, Any], generation: int) -> str:
        """What seals the record in a WorkPlacement's status: where its files are, and which generation was written."""
        return f"{generation}/{self._mac('record', _record_content(meta, status), generation)}"

    def seal_report(self, meta: ObjectMeta, status: Mapping[str, Any]) -> str:
        """What seals the report in a Work's status: what of it could not be placed."""
        return self._mac("report", _report_content(meta, status), 0)

    # ---- checking

    def read_work(self, obj: Mapping[str, Any], digest: Digest = digest_content) -> Work:
        """The view of a Work, with what its seals are worth."""
        work = read_work(obj, digest)
        uid = self._sealed_for(work.metadata, "Work", _work_content(work))
        said = _text((work.status.get("troth") or {}).get("seal"))
        reported = self._is("report", _report_content(work.metadata, work.status), 0, said)
        return replace(work, sealed_for=uid, reported=reported, former=not uid and self._is_older(work.metadata))

    def read_work_placement(self, obj: Mapping[str, Any], digest: Digest = digest_content) -> WorkPlacement:
        """The view of a WorkPlacement, with what its seals are worth."""
        placement = read_work_placement(obj, digest)
        meta = placement.metadata
        uid = self._sealed_for(meta, "WorkPlacement", _placement_content(placement))
        recorded = self._recorded(meta, placement.status)
        # One that has just been sealed still has the record of before, until it is written.
        former = (not uid or not recorded) and self._is_older(meta)
        return replace(placement, sealed_for=uid, recorded=recorded, former=former)

    def _sealed_for(self, meta: ObjectMeta, kind: str, content: object) -> str:
        uid, _, mac = meta.annotations.get(names.SEAL, "").partition("/")
        return uid if uid and content is not None and self._is(kind, content, uid, mac) else ""

    def _recorded(self, meta: ObjectMeta, status: Mapping[str, Any]) -> int:
        generation, _, mac = _text((status.get("troth") or {}).get("seal")).partition("/")
        if not generation.isdecimal() or not generation.isascii() or len(generation) > 18:
            return 0
        return int(generation) if self._is("record", _record_content(meta, status), int(generation), mac) else 0

    def _is_older(self, meta: ObjectMeta) -> bool:
        # Both times are the API server's own, in one format; nobody can choose them.
        return bool(self._since) and "" < meta.creation_timestamp < self._since

    def _is(self, kind: str, content: object, context: str | int, mac: str) -> bool:
        if not self._key or not mac or not mac.isascii():
            return False
        try:
            return hmac.compare_digest(self._mac(kind, content, context), mac)
        except (TypeError, ValueError, RecursionError):
            return False  # what cannot even be written as JSON was never sealed

    def _mac(self, kind: str, content: object, context: str | int) -> str:
        if not self._key:
            raise ValueError("there is no key yet")
        packed = orjson.dumps(
            [kind, context, content], option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
        )
        return base64.urlsafe_b64encode(hmac.digest(self._key, packed, hashlib.sha256)).decode().rstrip("=")


def _work_content(work: Work) -> object:
    """All of a Work that the operator acts on; None when a file of it cannot be read."""
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
    """The same of a WorkPlacement."""
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
    ours = status.get("troth") or {}
    return [
        meta.namespace,
        meta.name,
        meta.uid,
        ours.get("location") or None,
        ours.get("alsoIn") or None,
        status.get("versionID") or None,
    ]


def _report_content(meta: ObjectMeta, status: Mapping[str, Any]) -> object:
    ours = status.get("troth") or {}
    said = [ours.get(name) or None for name in _REPORTED]
    return [meta.namespace, meta.name, meta.uid, *said]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
