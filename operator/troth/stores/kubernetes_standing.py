"""Decides who owns an object on a cluster: whether it may be applied, and what becomes of it when its owner leaves.

An object is ours when it says so and this can be confirmed. It says so by the label that names its owner's inventory.
Everybody who may label an object can copy that label, so it has to be confirmed: either the API server has recorded
that the label was applied by us, or, as long as the object is wanted, our own record names it with its uid.

Every other object where we want to write is somebody else's, and is left alone until somebody allows us to have it:
either somebody who may write to the object, by an annotation that names the owner, or the platform, on the
Destination. Such an object is *adopted*: it carries a mark that says so, is kept up to date as any other object, and
is given back when its owner leaves.

The calls name the conditions that they rely on, so that changes between reading and writing are noticed: an object
that did not exist is applied with a resource version that no object can have, so the call fails if the object exists
after all; an object that existed is applied with its uid.

Rejected: creating an object first and applying it afterwards (the API server records the fields of the creation under
another name, and a later apply does not remove them); relying on managed fields alone (two installations of Troth have
the same field manager); and an annotation that allows anybody to adopt an object (every tenant of a Promise could).
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
"""The annotation by which somebody allows one owner to adopt an object. Its value is the owner's name."""
ADOPTED: Final = "troth.dev/adopted"
"""The annotation that distinguishes an adopted object from one that we created."""

_PARENT: Final = (names.PARENT_PROMISE_NAME, names.PARENT_RESOURCE_NAME, names.PARENT_RESOURCE_NAMESPACE)
_NO_OBJECT_HAS_IT: Final = "1"


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it was last seen.

    Attributes:
        inventory: the inventory that its label names; empty when it does not have the label.
        uid: its uid.
        stamp: a value that changes when somebody changes what we applied: the uid, and a hash of the fields that the
            API server has recorded as applied by us.
        touched: whether some of its fields were applied by us.
        applied: whether its label was applied by us.
        adopted: whether it carries the mark of an object that is not ours to delete.
        adopt: the owner that may adopt it; may be empty.
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
    """What our own record says about an object: its uid, if it has one (older records only have its beginning)."""

    uid: str = ""
    adopted: bool = False

    def names(self, uid: str) -> bool:
        """Whether the record is about the object with this uid."""
        return bool(self.uid) and uid.startswith(self.uid)


@dataclass(frozen=True, slots=True)
class Footing:
    """The condition of an apply: that the object does not exist (without a ``uid``), or that it has this uid."""

    uid: str = ""
    adopted: bool = False


def see(obj: Object) -> Seen:
    """Reads what matters from an object."""
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
    """The uid in a stamp; only its first eight characters in a stamp of an older release."""
    return stamp.rpartition("-")[0]


def is_same_stamp(recorded: str, now: str) -> bool:
    """Whether a recorded stamp, of this release or an older one, is equal to the present one."""
    uid, _, digest = recorded.rpartition("-")
    return recorded == now or (now.endswith(f"-{digest}") and now.startswith(uid))


def judge(
    there: Seen, *, names: Collection[str], recorded: Recorded | None, owner: str, adopts: bool
) -> Footing | None:
    """The footing on which an existing object may be applied; None when it is somebody else's.

    Args:
        there: the object. If its label names another inventory, it is judged as if it did not have the label.
        names: the owner's inventories. A label with one of these names says that the object is ours.
        recorded: what they say about the object; None when they do not list it.
        owner: the owner.
        adopts: whether the platform allows the owner to adopt objects that belong to nobody.
    """
    before = there.adopted or (recorded is not None and recorded.adopted)
    if there.inventory in names:
        if there.applied or (recorded is not None and recorded.names(there.uid)):
            return Footing(there.uid, before)
        if recorded is not None:
            # Somebody has created it again with our label, for example from a backup: it is corrected, but never
            # deleted.
            return Footing(there.uid, adopted=True)
    elif not there.inventory and recorded is not None and recorded.names(there.uid) and there.touched:
        return Footing(there.uid, before)  # somebody removed the label
    if there.adopt == owner or (adopts and (not there.inventory or there.inventory in names)):
        return Footing(there.uid, adopted=True)
    return None


def is_removable(there: Seen) -> bool:
    """Whether an object whose label says that it is ours was created by us."""
    return there.applied


def marked(manifest: Manifest, label: str, footing: Footing) -> dict[str, Any]:
    """The object as it is applied: with our marks, and with the conditions of the call."""
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
    """The merge patch that removes our marks and our claim on its fields from an object, and leaves its values.

    The labels that make it the component of a request are removed as well if they were applied by us, since a request
    that is being deleted waits until it does not have components any more.
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
    """Why an object that belongs to somebody else is not applied, and what can be done about it."""
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
