"""Checks what an API that is about to be applied does to the requests in a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from troth.api import InvalidObject
from troth.engine.admission.definitions import definition_refusals
from troth.engine.admission.unfit import consequence, counted, named
from troth.engine.linting.remarks import Remark
from troth.engine.promises.api_changes import ChangeKind
from troth.engine.promises.breakage import find_breakage
from troth.engine.promises.conversion.installing import with_conversion
from troth.engine.promises.definitions import build_definition, request_resource
from troth.engine.promises.fitting import Fitting


def check_requests(definition: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> Iterator[Remark]:
    """Remarks about the live requests that do not fit.

    Args:
        definition: the CustomResourceDefinition that the operator would install.
        requests: all live requests, as the API server returns them.
    """
    unfit = Fitting(definition).unfit(requests)
    if not unfit:
        return
    verb = "does" if len(unfit) == 1 else "do"
    which = counted(len(unfit), len(requests))
    message = f"{which} in the cluster {verb} not fit this API: {named(unfit)}"
    if more := consequence(unfit):
        message += f"; {more}"
    yield Remark("T308", "spec.api", message, "change them before this is applied, or allow what they say")


def check_losses(
    earlier: Mapping[str, Any], api: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]
) -> Iterator[Remark]:
    """Remarks about what live requests say and lose. What the API server would refuse is not among it.

    Args:
        earlier: the API in the cluster, as somebody wrote it; nothing is said when it was not valid.
        api: the API in the Promise, which the operator would accept.
        requests: all live requests, as the API server returns them.
    """
    try:
        old = _installed(earlier)
        request_resource(old)
    except InvalidObject:
        return
    if definition_refusals(old):
        return
    lost = find_breakage(old, _installed(api), requests).only(ChangeKind.REMOVED, ChangeKind.UNSERVED)
    if lost.requests:
        fix = "keep what they use, or change these requests before this is applied"
        yield Remark("T309", "spec.api", f"in the cluster, {lost.sentence()}", fix)


def _installed(api: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the definition that the operator installs, whoever converts: a declared conversion loses nothing."""
    definition = build_definition("", api)
    declared = api.get("conversions")
    return with_conversion(definition, declared, {}) if declared else definition
