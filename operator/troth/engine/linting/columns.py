"""Checks the columns of ``kubectl get`` against the fields of a request.

The API server accepts any path in a column, and prints nothing for a path that does not exist, without a warning. The
fields of a request are those of the API's schema, those that Troth writes into each status, and those that the
pipelines write into it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from troth.engine.jobs.declared import container_steps
from troth.engine.linting.remarks import Remark
from troth.engine.promises.offers import Offer
from troth.engine.status.author import OWNED_KEYS

_STEP: Final = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^']+)'\]")
_METADATA: Final = frozenset(
    {
        "annotations",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "labels",
        "managedFields",
        "name",
        "namespace",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
# The fields that Troth itself writes into the status of a request.
_OWN_STATUS: Final = OWNED_KEYS | {"conditions", "message"}


def check_columns(promise: Mapping[str, Any], offer: Offer) -> Iterator[Remark]:
    """Finds what is wrong with the columns of a Promise's API.

    Args:
        promise: the built Promise.
        offer: the Promise's offer, as the operator reads it.
    """
    if offer.resource is None:
        return
    written: list[Mapping[str, Any]] | None = [
        pipeline.status for pipeline in (*offer.resource_configure, *offer.resource_delete)
    ]
    if any(step.type == "resource" for step in container_steps(promise)):
        written = None  # containers may write any field of the status
    for index, version in enumerate(promise["spec"]["api"]["spec"]["versions"]):
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        for number, column in enumerate(version.get("additionalPrinterColumns") or ()):
            path = str(column.get("jsonPath") or "")
            problem = _problem(_steps(path), schema, written)
            if problem is not None:
                field = f"spec.api.spec.versions[{index}].additionalPrinterColumns[{number}].jsonPath"
                message = f"the column {column.get('name')} stays empty: {problem[0]}"
                yield Remark("T110", field, message, problem[1], needle=path)


def _steps(path: str) -> list[str]:
    """Returns the fields that a path names, up to the first filter or index."""
    steps: list[str] = []
    position = 0
    while match := _STEP.match(path, position):
        steps.append(match[1] or match[2])
        position = match.end()
    return steps


def _problem(
    steps: list[str], schema: Mapping[str, Any], written: list[Mapping[str, Any]] | None
) -> tuple[str, str] | None:
    """Returns what is wrong and what to do; None if nothing is wrong, or if it cannot be known."""
    match steps:
        case ["metadata", name, *_]:
            return None if name in _METADATA else _missing("objects have no", steps[:2], _METADATA)
        case ["status", name, *_]:
            return None if written is None or name in _OWN_STATUS else _unwritten(steps, written)
        case [("apiVersion" | "kind" | "metadata" | "status"), *_] | []:
            return None
    for depth, name in enumerate(steps):
        properties = schema.get("properties") or {}
        if name not in properties:
            is_open = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties")
            return None if is_open else _missing("the API has no", steps[: depth + 1], properties)
        schema = properties[name]
    return None


def _unwritten(steps: list[str], written: list[Mapping[str, Any]]) -> tuple[str, str] | None:
    trees: list[Any] = list(written)
    for depth, name in enumerate(steps[1:], start=1):
        if not all(isinstance(tree, Mapping) for tree in trees):
            return None  # a template gives it, and its content is not known
        names = [key for tree in trees for key in tree]
        if any("{{" in str(key) or "{%" in str(key) for key in names):
            return None
        if name not in names:
            return _missing("no pipeline writes", steps[: depth + 1], names)
        trees = [tree[name] for tree in trees if name in tree]
    return None


def _missing(what: str, steps: list[str], known: Iterable[str]) -> tuple[str, str]:
    near = difflib.get_close_matches(steps[-1], sorted(map(str, known)), n=1)
    fix = f"did you mean {near[0]}?" if near else "name an existing field, or remove the column"
    return f"{what} {'.'.join(steps)}", fix
