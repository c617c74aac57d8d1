"""Finds live requests that no longer fit their API, because they were accepted before it was tightened.

Pure: from a definition and the live objects to those that the API server would not accept today. Most of these can
still be written as long as the wrong part does not change. Some cannot be written at all, and therefore not be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.admission.refusals import Refusal
from troth.engine.admission.unfit import Unfit
from troth.engine.promises.definitions import request_resource

_LONGEST: Final = 160


class Fitting:
    """Checks requests against one definition."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        """``definition`` is one that the API server accepts, as `build_definition` makes it."""
        self._admission = Admission(definition)
        self._api_version = request_resource(definition).api_version
        self._compares = "oldSelf" in repr(definition["spec"]["versions"])

    def unfit(self, requests: Iterable[Mapping[str, Any]]) -> list[Unfit]:
        """Returns the requests that do not fit."""
        return [found for request in requests if (found := self._judge(request)) is not None]

    def _judge(self, request: Mapping[str, Any]) -> Unfit | None:
        obj = {**request, "apiVersion": self._api_version}
        refusals = _refusals(self._admission.admit(obj))
        if not refusals and not self._compares:
            return None
        held = _refusals(self._admission.admit(obj, old=_before(obj)))
        if not refusals and not held:
            return None
        metadata = request["metadata"]
        problem = " ".join(str((held or refusals)[0]).split())
        if len(problem) > _LONGEST:
            problem = problem[: _LONGEST - 1] + "…"
        namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
        return Unfit(namespace, name, problem, bool(held), int(metadata.get("generation") or 0))


def _before(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an old version of the object that only has other finalizers, since unchanged faults may be accepted."""
    metadata = obj["metadata"]
    return {
        **obj,
        "metadata": {**metadata, "finalizers": [*(metadata.get("finalizers") or ()), "troth.dev/another"]},
    }


def _refusals(answer: Admitted | tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    return () if isinstance(answer, Admitted) else answer
