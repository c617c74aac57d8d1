"""Gathers the failures of a claim's objects into one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.api import TrothError
from troth.stores.errors import Reason, StoreError
from troth.stores.kubernetes_client import explain_refusal
from troth.stores.kubernetes_objects import Manifest, ObjectKey, is_namespace

_NAMED: Final = 5
_LONGEST: Final = 300


class Foreign(TrothError):
    """An object belongs to somebody else."""


@dataclass(frozen=True, slots=True)
class ObjectFailure:
    """Why an object of a claim is not as it should be.

    Attributes:
        key: the object.
        problem: what is wrong, as a sentence without a full stop.
        missing_kind: whether its kind is not served.
        foreign: whether it belongs to somebody else, or is in a Namespace that does.
        follows: whether it is the consequence of another failure, which is named first.
    """

    key: ObjectKey
    problem: str
    missing_kind: bool = False
    foreign: bool = False
    follows: bool = False


def read_failure(key: ObjectKey, error: TrothError) -> ObjectFailure:
    """The failure that an error about one object stands for."""
    if isinstance(error, Foreign):
        return ObjectFailure(key, str(error), foreign=True)
    text = error.message if isinstance(error, StoreError) else str(error)
    return ObjectFailure(key, text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}...")


def told(error: Exception, *, doing: str) -> StoreError:
    """The error for a call about the store itself."""
    return error if isinstance(error, StoreError) else explain_refusal(error, doing=doing)


def conflict(key: ObjectKey, first: str, second: str) -> StoreError:
    """The error for an object that two owners want."""
    return StoreError(
        Reason.PATH_CONFLICT,
        f"{key} is claimed by both {first} and {second}; {first} was first and keeps it",
        "give one of them another name, namespace or destination",
    )


def refused(owner: str, failures: Sequence[ObjectFailure], *, of: int, doing: str = "applied") -> StoreError:
    """The error for a claim of which some objects could not be applied or removed."""
    ordered = sorted(failures, key=lambda failure: (failure.follows, not failure.foreign, str(failure.key)))
    sentences = [f"{failure.key}: {failure.problem}" for failure in ordered]
    more = f"; and {len(sentences) - _NAMED} more" if len(sentences) > _NAMED else ""
    text = (
        f"{len(sentences)} of {of} objects of {owner} could not be {doing}: {'; '.join(sentences[:_NAMED])}{more}"
    )
    if all(failure.missing_kind for failure in failures):
        return StoreError(Reason.KIND_MISSING, text, "install what defines the kind; Troth tries again")
    if all(failure.foreign for failure in failures):
        return StoreError(Reason.NOT_OURS, text)
    return StoreError(Reason.OBJECTS_REFUSED, text)


def without_failed(manifests: Sequence[Manifest], failures: list[ObjectFailure]) -> list[Manifest]:
    """The objects that did not fail. Objects in a Namespace that failed because it is somebody else's fail, too."""
    failed = {failure.key for failure in failures}
    strange = {failure.key.name for failure in failures if failure.foreign and is_namespace(failure.key)}
    for manifest in manifests:
        if manifest.key not in failed and manifest.key.namespace in strange:
            problem = f"its Namespace {manifest.key.namespace} is not Troth's"
            failures.append(ObjectFailure(manifest.key, problem, foreign=True, follows=True))
            failed.add(manifest.key)
    return [manifest for manifest in manifests if manifest.key not in failed]
