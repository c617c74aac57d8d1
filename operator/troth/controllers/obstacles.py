"""What prevents an object from being written: the API server refuses it, or another object keeps its name.

Both may end without any notice to the operator. So this module also says when to look again, and what to tell people.
"""

from __future__ import annotations

from troth.api import labels as names
from troth.api.objects import ObjectMeta
from troth.controllers.result import After, Result, Retry, Terminal
from troth.kube import ApiError, Forbidden, TooLarge

_REFUSED_RETRY = 60.0


def is_kept_by_others(meta: ObjectMeta) -> bool:
    """Whether an object is being deleted and only finalizers of others keep it."""
    ours = {names.WORK_CLEANUP, names.REPO_CLEANUP, names.DOT_FILES_CLEANUP}
    return meta.deleting and bool(meta.finalizers) and not ours & set(meta.finalizers)


def why_kept(kind: str, meta: ObjectMeta) -> str:
    """Why an object that is being deleted still exists, and what to do about it."""
    return (
        f"The {kind} {meta.namespace}/{meta.name} is being deleted, and nothing can be written until it is gone: "
        f"it waits for other controllers to remove the finalizers {', '.join(meta.finalizers)}"
    )


def why_refused(error: ApiError, namespace: str) -> tuple[str, str]:
    """The reason of the condition and a sentence for it, when the API server refuses Works in a namespace."""
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
    """The result of a reconcile in which the API server refused something for a reason that may end without notice."""
    if isinstance(error, TooLarge):
        return Terminal("TooLarge", error.message)
    if isinstance(error, Forbidden) and error.namespace_terminating:
        return After(_REFUSED_RETRY, error.message)
    return Retry(f"the API server refused it: {error.message}", longest=_REFUSED_RETRY, warn=True)
