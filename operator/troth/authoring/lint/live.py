"""Checks whether the requests in a cluster fit an API that is about to be applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from troth.engine.admission.unfit import consequence, named
from troth.engine.linting.remarks import Remark
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
    message = f"{len(unfit)} of {len(requests)} requests in the cluster {verb} not fit this API: {named(unfit)}"
    if more := consequence(unfit):
        message += f"; {more}"
    yield Remark("T308", "spec.api", message, "change them before this is applied, or allow what they say")
