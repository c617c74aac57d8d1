"""``status-writer``: writes what a pipeline says in its object's status, and what it asks of its workflow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from troth.adapter import control
from troth.adapter.documents import read_document
from troth.adapter.server import ApiServer, Conflict
from troth.adapter.statuses import FILE, Said, make_report, patch_status, read_status_document
from troth.adapter.subject import Subject
from troth.api import labels as names
from troth.api.typed import read_map, read_text

_METADATA: Final = "/kratix/metadata"
_ATTEMPTS: Final = 100


def write_status(
    server: ApiServer, subject: Subject, folder: Path, *, now: Callable[[], str], warn: Callable[[str], None]
) -> str:
    """Writes what a pipeline says into the status of its object. Returns a sentence about what was done.

    The label of a suspended workflow is written before the report. A report without the label therefore means that
    somebody has removed the label.

    Args:
        server: where the object is.
        subject: the object and the pipeline.
        folder: with ``status.yaml`` and ``workflow-control.yaml``.
        now: the time, RFC 3339.
        warn: is told what was left out.

    Raises:
        Unusable: what the containers left cannot be used.
        Conflict: the object has changed under each of a hundred attempts.
        ServerError: it cannot be read or written.
    """
    seen_as = f"{_METADATA}/{FILE}"
    said = read_status_document(
        read_document(folder / FILE, seen_as), seen_as, workflow_type=subject.workflow_type
    )
    for problem in said.left_out:
        warn(f"{seen_as}: left out {problem}")
    seen_as = f"{_METADATA}/{control.FILE}"
    wish = control.read_control(read_document(folder / control.FILE, seen_as), seen_as)
    for key in wish.ignored:
        warn(f"{seen_as}: ignored {key}: it is not a known key")
    for _ in range(_ATTEMPTS - 1):
        with suppress(Conflict):
            return _write(server, subject, said, wish, now())
    return _write(server, subject, said, wish, now())


def _write(server: ApiServer, subject: Subject, said: Said, wish: control.Control, now: str) -> str:
    where = f"{subject.resource.kind} {subject.name}"
    obj = server.get(subject.resource, subject.name, subject.namespace)
    labels = read_map(read_map(obj.get("metadata")).get("labels"))
    if wish.stops and labels.get(names.WORKFLOW_SUSPENDED) != "true":
        suspended = {"metadata": {"labels": {names.WORKFLOW_SUSPENDED: "true"}}}
        obj = server.merge_patch(subject.resource, subject.name, suspended, subject.namespace)
    patch = patch_status(
        read_map(obj.get("status")),
        said,
        make_report(said, wish),
        action=subject.action,
        pipeline=subject.pipeline,
        now=now,
    )
    if patch is None:
        return f"the status of {where} is up to date"
    body: dict[str, Any] = {"status": patch}
    if "conditions" in patch:  # a list, which a patch replaces: nobody else's may be lost with it
        body["metadata"] = {"resourceVersion": read_text(read_map(obj.get("metadata")).get("resourceVersion"))}
    server.merge_patch(subject.resource, subject.name, body, subject.namespace, subresource="status")
    return f"wrote the status of {where}"
