"""Which PromiseRevisions a Promise has (kratix-compatibility.md#revisions-and-bindings).

There is one revision for each version of a Promise, and it holds the spec of that version. The one of the version that
was installed last has a label. A Promise without a version has a revision, too, whose version is ``not-set``. Versions
have no order: an older version that is applied again is the latest one again.

A revision is only written for a spec that was found to be sound and whose API is installed, so a mistake in a new
version does not replace what requests rely on.

What is here is pure: it says what is to be written, and `troth.controllers.promise_revisions` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troth.api import Condition, Promise, merge_conditions
from troth.api import conditions as types
from troth.api import labels as names
from troth.api.naming import deterministic_name, shortened_name
from troth.api.resources import PLATFORM_API_VERSION, PROMISE, PROMISE_REVISION
from troth.api.revisions import PromiseRevision, ResourceBinding
from troth.engine.status.facts import requirement_state
from troth.engine.status.patch import same, status_patch, without_nulls

Object = Mapping[str, Any]

_LONGEST_NAME = 63


def version_of(promise: Promise) -> str:
    """Returns the version of a Promise, which is ``not-set`` when its author gave it none."""
    return promise.version or names.VERSION_NOT_SET


def find_revision(revisions: Iterable[PromiseRevision], version: str) -> PromiseRevision | None:
    """Returns the revision of a version among those of a Promise. The one with the computed name comes first."""
    found = [revision for revision in revisions if revision.version == version]
    return min(
        found, key=lambda each: (each.name != revision_name(each.promise, version), each.name), default=None
    )


def find_usable_revision(revisions: Iterable[PromiseRevision], version: str) -> PromiseRevision | None:
    """Returns the revision of a version as `find_revision` does, but not one that is being deleted."""
    return find_revision((each for each in revisions if not each.metadata.deleting), version)


def revision_name(promise: str, version: str) -> str:
    """Returns the name of a revision: Kratix's deterministic name. Any text may be a version, as it is only hashed."""
    return deterministic_name(promise, version)


def state_of_requirement(version: str, promise: Promise | None, revisions: Sequence[PromiseRevision]) -> str:
    """Returns the state of a required Promise, one of the constants of `troth.engine.status.facts`.

    A version that the Promise does not have any more is available if its revision is: whoever requires it does not
    depend on what became of the Promise since then.

    Args:
        version: the required version; empty accepts any version.
        promise: the required Promise; None when it does not exist.
        revisions: its revisions.
    """
    if promise is None:
        return requirement_state(version, installed=False, versions=frozenset(), available=False)
    current = version_of(promise)
    kept = find_usable_revision(revisions, version)
    available = promise.is_available
    if kept is not None and version != current:
        available = kept.is_available and not promise.metadata.is_paused and not promise.metadata.deleting
    versions = frozenset({current, *({kept.version} if kept else ())})
    return requirement_state(version, installed=True, versions=versions, available=available)


@dataclass(frozen=True, slots=True)
class RevisionPlan:
    """What is to be written for the version that a Promise has now.

    Attributes:
        body: the whole revision, for when there is none.
        existing: the revision of this version; None when there is none.
        patch: the merge patch for the existing one; None when it is as it should be.
        demoted: the revisions that are no longer those of the latest version.
        replaced: revisions of this version under the name that an earlier Kratix gave them, which are to be deleted
            without their requests.
    """

    body: Object
    existing: PromiseRevision | None
    patch: Object | None
    demoted: tuple[PromiseRevision, ...]
    replaced: tuple[PromiseRevision, ...]

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to write."""
        return self.existing is not None and self.patch is None and not self.demoted and not self.replaced


def plan_revisions(promise: Promise, revisions: Sequence[PromiseRevision], *, interval: str = "") -> RevisionPlan:
    """Returns what is to be written so that the version that a Promise has now is the latest one.

    Args:
        promise: the Promise, whose spec is sound.
        revisions: the revisions of this Promise.
        interval: the Promise's own reconciliation interval, if it is valid; empty otherwise. A revision keeps the one
            that somebody has written there.
    """
    version = version_of(promise)
    former = f"{promise.name}-{version}"
    name = _free_name(promise.name, version, revisions)
    replaced = tuple(each for each in revisions if each.version == version and each.name == former != name)
    existing = find_revision([each for each in revisions if each not in replaced], version)
    body = _body(promise, version, name, interval)
    patch = _patch(existing, body) if existing is not None and not existing.metadata.deleting else None
    demoted = tuple(
        each
        for each in revisions
        if each is not existing and each not in replaced and each.is_latest and not each.metadata.deleting
    )
    return RevisionPlan(body, existing, patch, demoted, replaced)


def revision_status(revision: PromiseRevision, *, available: bool, now: str) -> dict[str, Any]:
    """Returns the status of a revision.

    A version that was available once stays so until its spec changes: what becomes of a newer version does not touch
    the requests that stay on this one.

    Args:
        revision: the revision as it is now.
        available: whether the Promise can fulfil requests with this spec now.
        now: RFC 3339; only used where something changes.
    """
    available = available or revision.is_available
    condition = (
        Condition(
            types.AVAILABLE, "True", "PromiseAvailable", "Requests can use this version, which has been available"
        )
        if available
        else Condition(
            types.AVAILABLE, "False", "PromiseUnavailable", "The Promise was never available with this spec so far"
        )
    )
    return {
        "latest": revision.is_latest,
        "observedGeneration": revision.metadata.generation,
        "conditions": merge_conditions(revision.status.get("conditions"), (condition,), now=now),
    }


@dataclass(frozen=True, slots=True)
class Removal:
    """What the deletion of a revision takes along before the revision itself goes.

    Attributes:
        requests: the bindings whose requests are to be deleted.
        orphans: the bindings without a request, which are to be deleted themselves.
    """

    requests: tuple[ResourceBinding, ...] = ()
    orphans: tuple[ResourceBinding, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left, so that the revision may go."""
        return not self.requests and not self.orphans


def plan_removal(
    revision: PromiseRevision,
    promise: Promise | None,
    others: Iterable[PromiseRevision],
    bindings: Iterable[ResourceBinding],
    *,
    has_request: Iterable[tuple[str, str]],
) -> Removal:
    """Returns what the deletion of a revision takes along: the requests that are bound to exactly this version.

    It takes nothing along when the annotation says so, when the Promise goes as well, or when its requests can still be
    served: by the Promise itself, which has this version now and gets the revision back, or by another revision of the
    same version.

    Args:
        revision: the revision, which is being deleted.
        promise: its Promise; None when it does not exist.
        others: the other revisions of that Promise.
        bindings: the bindings to this version of that Promise.
        has_request: the requests of the Promise (namespace, name) that exist.
    """
    kept = (
        promise is None
        or promise.metadata.deleting
        or names.SKIP_REQUEST_CLEANUP in revision.metadata.annotations
        or revision.is_latest
        or version_of(promise) == revision.version
        or any(each.version == revision.version and not each.metadata.deleting for each in others)
    )
    if kept:
        return Removal()
    requests = set(has_request)
    bound = [each for each in bindings if each.version == revision.version and each.promise == revision.promise]
    served = tuple(each for each in bound if (each.metadata.namespace, each.resource) in requests)
    return Removal(served, tuple(each for each in bound if each not in served))


def _free_name(promise: str, version: str, revisions: Iterable[PromiseRevision]) -> str:
    """The computed name; a longer one if another version has the same hash, so that both can exist."""
    name = revision_name(promise, version)
    if any(each.name == name and each.version != version for each in revisions):
        return shortened_name(promise, f"{promise}-{version}", _LONGEST_NAME)
    return name


def _body(promise: Promise, version: str, name: str, interval: str) -> Object:
    annotations = {names.RECONCILIATION_INTERVAL: interval} if interval else {}
    return {
        "apiVersion": PLATFORM_API_VERSION,
        "kind": PROMISE_REVISION.kind,
        "metadata": {
            "name": name,
            "labels": {names.PROMISE_NAME: promise.name, names.LATEST_REVISION: "true"},
            **({"annotations": annotations} if annotations else {}),
            "finalizers": [names.RESOURCE_REQUEST_CLEANUP],
            "ownerReferences": [owner_reference(promise)],
        },
        "spec": {
            "promiseRef": {"name": promise.name},
            "version": version,
            "promiseSpec": without_nulls(promise.raw.get("spec") or {}),
        },
    }


def owner_reference(promise: Promise) -> Object:
    """Returns the reference that makes a Promise the controlling owner of its revisions."""
    return {
        "apiVersion": PLATFORM_API_VERSION,
        "kind": PROMISE.kind,
        "name": promise.name,
        "uid": promise.metadata.uid,
        "controller": True,
    }


def _patch(existing: PromiseRevision, body: Object) -> Object | None:
    """The merge patch that makes an existing revision what it should be, whoever made it; None without a difference."""
    meta, wanted = existing.metadata, body["metadata"]
    metadata: dict[str, Any] = {}
    labels = {key: text for key, text in wanted["labels"].items() if meta.labels.get(key) != text}
    if labels:
        metadata["labels"] = labels
    annotations = {
        key: text for key, text in (wanted.get("annotations") or {}).items() if meta.annotations.get(key) != text
    }
    if annotations:
        metadata["annotations"] = annotations
    missing = [name for name in wanted["finalizers"] if name not in meta.finalizers]
    if missing:
        metadata["finalizers"] = [*meta.finalizers, *missing]
    if wanted["ownerReferences"][0]["uid"] not in meta.owner_uids:
        metadata["ownerReferences"] = wanted["ownerReferences"]
    spec = None
    if not same(existing.raw_spec, body["spec"]["promiseSpec"]):
        spec = status_patch({"promiseSpec": existing.raw_spec}, {"promiseSpec": body["spec"]["promiseSpec"]})
    if not metadata and not spec:
        return None
    return {**({"metadata": metadata} if metadata else {}), **({"spec": spec} if spec else {})}
