"""What keeps an object from being written: the API server refuses it, or others keep its name.

Both may go away without a word to us, so each comes with what follows: when to look again, and what to tell people.
"""

from __future__ import annotations

from troth.api import labels as names
from troth.api.objects import ObjectMeta
from troth.controllers.result import After, Result, Retry, Terminal
from troth.kube import ApiError, Forbidden, TooLarge

_REFUSED_RETRY = 60.0


def is_kept_by_others(meta: ObjectMeta) -> bool:
    """Whether an object is being deleted, and the operator has no part in it any more."""
    ours = {names.WORK_CLEANUP, names.REPO_CLEANUP, names.DOT_FILES_CLEANUP}
    return meta.deleting and bool(meta.finalizers) and not ours & set(meta.finalizers)


def why_kept(kind: str, meta: ObjectMeta) -> str:
    """Why an object that is being deleted does not go, and what to do."""
    return (
        f"The {kind} {meta.namespace}/{meta.name} is being deleted, and nothing can be written until it is gone: "
        f"it waits for other controllers to remove the finalizers {', '.join(meta.finalizers)}"
    )


def why_refused(error: ApiError, namespace: str) -> tuple[str, str]:
    """The reason, and the same in a sentence, when the API server takes no Work in that namespace."""
    if isinstance(error, Forbidden) and error.namespace_terminating:
        return (
            "NamespaceTerminating",
            f"the namespace {namespace} is being deleted, and nothing new can be kept in it",
        )
    message = f"the API server refused what was rendered: {error.message}"
    if isinstance(error, TooLarge):
        message += "; render less, or divide it among several pipelines, of which each gets an object of its own"
    return "WorksRefused", message


def after_refusal(error: ApiError) -> Result:
    """What follows when the API server refuses something for a reason that may go away without a word to us."""
    if isinstance(error, TooLarge):
        return Terminal("TooLarge", error.message)
    if isinstance(error, Forbidden) and error.namespace_terminating:
        return After(_REFUSED_RETRY, error.message)
    return Retry(f"the API server refused it: {error.message}", longest=_REFUSED_RETRY, warn=True)
