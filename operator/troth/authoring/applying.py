"""What the API server does with a Promise when it is applied: its own definition is Troth's, and ships with it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from troth.api.resources import PROMISE
from troth.authoring.files import HomeError, read_documents
from troth.engine.admission import Admission, Admitted
from troth.engine.admission.refusals import Refusal
from troth.shipped import NotShipped, shipped_folder


def apply_promise(promise: Mapping[str, Any]) -> Admitted | tuple[Refusal, ...]:
    """The Promise as the API server would keep it, or every reason why it would not.

    Raises:
        HomeError: Troth's definitions are missing.
    """
    return _admission().admit(promise)


@cache
def _admission() -> Admission:
    try:
        file = shipped_folder("crds") / f"{PROMISE.group}_{PROMISE.plural}.yaml"
    except NotShipped as error:
        raise HomeError(Path("crds"), str(error)) from None
    (definition,) = read_documents(file)
    return Admission(definition)
