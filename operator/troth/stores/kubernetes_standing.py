"""Whose an object on a cluster is: what may be applied to it, and what becomes of it when its owner leaves.

An object is ours when it says so and we know it to be true. It says so with the label that names its owner's
inventory. Anybody who may label an object can copy that label, so something has to bear it out: the API server has on
record that the label was applied by us, or, as long as the object is wanted, our own record names it with its uid.

Whatever else stands where we want to write is somebody else's, and is left alone until somebody lets us have it:
somebody who may write to the object, by an annotation that names the owner, or the platform, on the Destination. What
was let to us is *adopted*: it carries a mark that says so, is kept as any other object is, and is given back when its
owner leaves.

The calls say on what they rely, so nothing that happens between a look and a write is missed: what was not there is
applied with a resource version that no object can have, so the call fails when the object is there after all; what
was there is applied with its uid.

Rejected: to create an object first and to apply it afterwards (the fields that a creation sets stay ours by another
name in the API server's record, and no later apply takes them away); to take the word of managed fields alone (two
installations of Troth have the same field manager); an annotation that lets anybody adopt an object (every tenant of
a Promise could).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from troth.api import Resource
from troth.api import labels as names
from troth.stores.kubernetes_client import Object
from troth.stores.kubernetes_objects import Manifest, ObjectKey

FIELD_MANAGER: Final = "troth"
INVENTORY: Final = "troth.dev/inventory"
ADOPT: Final = "troth.dev/adopt"
"""The annotation with which somebody lets an object to one owner: its value is the owner's name."""
ADOPTED: Final = "troth.dev/adopted"
"""The annotation that tells an adopted object from one that we made."""

_PARENT: Final = (names.PARENT_PROMISE_NAME, names.PARENT_RESOURCE_NAME, names.PARENT_RESOURCE_NAMESPACE)
_NO_OBJECT_HAS_IT: Final = "1"


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it was last seen.

    Attributes:
        inventory: the inventory that its label names; empty when it has no such label.
        uid: its uid.
        stamp: changes when somebody changes what we applied: the uid, and a hash of the fields that the API server has
            on record as applied by us.
        touched: some of its fields were applied by us.
        applied: its label was.
        adopted: it carries the mark of an object that is not ours to delete.
        adopt: the owner to whom somebody let it, or "".
    """

    inventory: str
    uid: str
    stamp: str
    touched: bool = False
    applied: bool = False
    adopted: bool = False
    adopt: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What our own record says of an object: its uid, as far as it names one (its beginning, in older ones)."""

    uid: str = ""
    adopted: bool = False

    def names(self, uid: str) -> bool:
        """Whether it is the object with this uid that is meant."""
        return bool(self.uid) and uid.startswith(self.uid)


@dataclass(frozen=True, slots=True)
class Footing:
    """What an apply relies on: that nothing is there (no ``uid``), or that the object with this uid is."""

    uid: str = ""
    adopted: bool = False


def see(obj: Object) -> Seen:
    """What matters of an object."""
    metadata = obj["metadata"]
    fields = [entry.get("fieldsV1") for entry in metadata.get("managedFields") or () if _is_ours(entry)]
    digest = hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    annotations = metadata.get("annotations") or {}
    uid = str(metadata.get("uid", ""))
    return Seen(
        inventory=(metadata.get("labels") or {}).get(INVENTORY, ""),
        uid=uid,
        stamp=f"{uid}-{digest}",
        touched=any(fields),
        applied=any(_holds_label(each) for each in fields),
        adopted=ADOPTED in annotations,
        adopt=annotations.get(ADOPT, ""),
    )


def uid_of(stamp: str) -> str:
    """The uid in a stamp; its first eight characters in one of an older release."""
    return stamp.rpartition("-")[0]


def is_same_stamp(recorded: str, now: str) -> bool:
    """Whether a stamp on record, of this release or an older one, is that of what is there now."""
    uid, _, digest = recorded.rpartition("-")
    return recorded == now or (now.endswith(f"-{digest}") and now.startswith(uid))


def judge(
    there: Seen, *, names: Collection[str], recorded: Recorded | None, owner: str, adopts: bool
) -> Footing | None:
    """On what an object may be applied that is there; None when it is somebody else's.

    Args:
        there: the object; one whose label names another inventory is judged as if it had none.
        names: the owner's inventories, by which a label calls an object ours.
        recorded: what they say of the object; None when they do not list it.
        owner: the owner.
        adopts: the platform lets it have what is nobody's.
    """
    before = there.adopted or (recorded is not None and recorded.adopted)
    if there.inventory in names:
        if there.applied or (recorded is not None and recorded.names(there.uid)):
            return Footing(there.uid, before)
        if recorded is not None:
            # Made anew with our label, as a restored backup is: mended, but never deleted.
            return Footing(there.uid, adopted=True)
    elif not there.inventory and recorded is not None and recorded.names(there.uid) and there.touched:
        return Footing(there.uid, before)  # somebody took the label away
    if there.adopt == owner or (adopts and (not there.inventory or there.inventory in names)):
        return Footing(there.uid, adopted=True)
    return None


def is_removable(there: Seen) -> bool:
    """Whether an object whose label calls it ours was made by us."""
    return there.applied


def marked(manifest: Manifest, label: str, footing: Footing) -> dict[str, Any]:
    """The object as it is applied: with our marks, and with what the call relies on."""
    metadata = manifest.body["metadata"]
    annotations = {
        key: value for key, value in (metadata.get("annotations") or {}).items() if key not in (ADOPT, ADOPTED)
    }
    if footing.adopted:
        annotations[ADOPTED] = "true"
    ours = {
        **{key: value for key, value in metadata.items() if key not in ("annotations", "resourceVersion", "uid")},
        "labels": {**(metadata.get("labels") or {}), INVENTORY: label},
        **({"annotations": annotations} if annotations else {}),
        **({"uid": footing.uid} if footing.uid else {"resourceVersion": _NO_OBJECT_HAS_IT}),
    }
    return {**manifest.body, "metadata": ours}


def release(there: Object) -> dict[str, Any]:
    """The merge patch that takes our marks and our claim on its fields from an object, and leaves its values.

    The labels that make it the component of a request go as well when they were applied by us: the request that is
    deleted waits until it has no component any more.
    """
    entries = there["metadata"].get("managedFields") or ()
    fields = [entry for entry in entries if not _is_ours(entry)]
    ours = [entry.get("fieldsV1") for entry in entries if _is_ours(entry)]
    parent = [label for label in _PARENT if any(_holds_label(each, label) for each in ours)]
    return {
        "metadata": {
            "labels": dict.fromkeys((INVENTORY, *parent)),
            "annotations": {ADOPT: None, ADOPTED: None},
            "managedFields": fields or [{}],  # an empty list would change nothing
        }
    }


def refusal(key: ObjectKey, resource: Resource, owner: str, *, inventory: str = "") -> str:
    """Why an object is not applied that somebody else has, and what can be done about it."""
    namespace = f" --namespace {key.namespace}" if key.namespace else ""
    who = "this owner did not make it" if inventory else "Troth did not make it"
    label = f" (its label {INVENTORY} is {inventory})" if inventory else ""
    return (
        f"it exists, and {who}{label}; choose another name, or adopt it on its cluster with: "
        f"kubectl annotate {resource.name} {key.name}{namespace} {ADOPT}={owner}"
    )


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return (
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _holds_label(fields: Any, label: str = INVENTORY) -> bool:
    for step in ("f:metadata", "f:labels"):
        fields = fields.get(step) if isinstance(fields, Mapping) else None
    return isinstance(fields, Mapping) and f"f:{label}" in fields
