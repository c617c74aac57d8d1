"""Checks what an API that is about to be applied does to the requests in a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from troth.api import InvalidObject
from troth.api.typed import read_map, read_text
from troth.engine.admission.definitions import definition_refusals
from troth.engine.admission.unfit import Unfit, consequence, counted, named
from troth.engine.linting.remarks import Remark
from troth.engine.promises.api_changes import ChangeKind
from troth.engine.promises.breakage import find_breakage
from troth.engine.promises.conversion.converting import Converted, Converter
from troth.engine.promises.conversion.declarations import read_conversions
from troth.engine.promises.conversion.installing import with_conversion
from troth.engine.promises.definitions import build_definition, request_resource
from troth.engine.promises.fitting import Fitting


def check_requests(
    api: Mapping[str, Any], definition: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]
) -> Iterator[Remark]:
    """Remarks about the live requests that do not fit.

    Args:
        api: the API in the Promise.
        definition: the CustomResourceDefinition that the operator would install for it.
        requests: all live requests, as the API server returns them.
    """
    converted, unfit = _converted(api, definition, requests)
    unfit += Fitting(definition).unfit(converted)
    if not unfit:
        return
    verb = "does" if len(unfit) == 1 else "do"
    which = counted(len(unfit), len(requests))
    message = f"{which} in the cluster {verb} not fit this API: {named(unfit)}"
    if more := consequence(unfit):
        message += f"; {more}"
    yield Remark("T308", "spec.api", message, "change them before this is applied, or allow what they say")


def _converted(
    api: Mapping[str, Any], definition: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]
) -> tuple[Sequence[Mapping[str, Any]], list[Unfit]]:
    """Returns requests as they will be read, if conversions are declared, and those that cannot be read any more."""
    try:
        conversions = read_conversions(api)
        converter = Converter(definition, conversions)
    except InvalidObject:  # the operator refuses the Promise for this, and lint reports it (T001)
        return requests, []
    if not conversions:
        return requests, []
    version = request_resource(definition).version
    converted: list[Mapping[str, Any]] = []
    unfit: list[Unfit] = []
    for request in requests:
        answer = converter.convert(request, version)
        if isinstance(answer, Converted):
            converted.append(answer.object)
        else:
            metadata = read_map(request.get("metadata"))
            namespace, name = read_text(metadata.get("namespace")), read_text(metadata.get("name"))
            unfit.append(Unfit(namespace, name, answer.reason, held=False))
    return converted, unfit


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
        old, new = build_definition("", earlier), build_definition("", api)
        request_resource(old)
    except InvalidObject:
        return
    if definition_refusals(old):
        return
    breakage = find_breakage(_converting(old, earlier), _converting(new, api), requests)
    lost = breakage.only(ChangeKind.REMOVED, ChangeKind.UNSERVED)
    if lost.requests:
        fix = "keep what they use, or change these requests before this is applied"
        yield Remark("T309", "spec.api", f"in the cluster, {lost.sentence()}", fix)


def _converting(definition: dict[str, Any], api: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a definition with the webhook that the operator adds for declared conversions, without its address."""
    declared = api.get("conversions")
    return with_conversion(definition, declared, {}) if declared else definition
