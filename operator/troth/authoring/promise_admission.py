"""What the API server does with the Promises that people apply, by the definitions that ship with Troth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from troth.api.resources import PROMISE, Resource
from troth.authoring.input_files import HomeError, read_documents
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.refusals import Refusal
from troth.engine.admission.structure import dropped_fields
from troth.engine.admission.unknown_fields import declared_fields
from troth.engine.rendering.suggestions import near
from troth.shipped import NotShipped, shipped_folder


def apply_promise(promise: Mapping[str, Any]) -> Admitted | tuple[Refusal, ...]:
    """The Promise as the API server would store it, or every reason why it would refuse it.

    Raises:
        HomeError: Troth's definitions are missing.
    """
    return _admission(PROMISE).admit(promise)


def misshapen(obj: Mapping[str, Any], resource: Resource) -> Refusal | None:
    """The refusal of the first field in an object's spec that has the wrong type; None if there is no such field.

    Args:
        obj: the object as it was written. Its metadata is not checked.
        resource: its kind, which is one of Troth's.

    Raises:
        HomeError: Troth's definitions are missing.
    """
    return _admission(resource).mistyped({**obj, "apiVersion": resource.api_version, "metadata": {}})


def unknown_fields(promise: Mapping[str, Any], kept: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The unknown fields of a Promise, for which kubectl refuses it, each with what to do.

    Args:
        promise: the Promise as it was written.
        kept: the Promise as the API server would store it.
    """
    found = []
    for field in dropped_fields(promise, kept):
        parent, _, name = field.rpartition(".")
        meant = near(name, _known_in(parent))
        known = ", ".join(_known_in(parent))
        remedy = f"did you mean {' or '.join(meant)}?" if meant else f"known fields: {known}" if known else ""
        found.append((field, remedy))
    return found


def _known_in(field: str) -> Sequence[str]:
    if field == "metadata":
        return ["annotations", "labels", "name"]
    return declared_fields(_definition(PROMISE)["spec"]["versions"][0]["schema"]["openAPIV3Schema"], field)


@cache
def _admission(resource: Resource) -> Admission:
    return Admission(_definition(resource))


@cache
def _definition(resource: Resource) -> Mapping[str, Any]:
    try:
        file = shipped_folder("crds") / f"{resource.group}_{resource.plural}.yaml"
    except NotShipped as error:
        raise HomeError(Path("crds"), str(error)) from None
    (definition,) = read_documents(file)
    found: Mapping[str, Any] = definition
    return found
