"""``reader``: writes the object for which a pipeline runs to ``object.yaml``, for the pipeline's containers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from troth.adapter.errors import Unusable
from troth.adapter.server import ApiServer
from troth.adapter.subject import Subject
from troth.engine.jobs.inputs import FILE
from troth.engine.yaml.emit import TooDeep, dump_document

_READABLE: Final = 0o644  # the pipeline's containers may run as other users


def write_object(server: ApiServer, subject: Subject, folder: Path) -> str:
    """Writes the object as the API server has it, with metadata and status. Returns a sentence about what was done.

    Raises:
        ServerError: it cannot be read.
        Unusable: it nests deeper than anything is read here.
    """
    obj = server.get(subject.resource, subject.name, subject.namespace)
    try:
        text = dump_document(obj)
    except TooDeep as error:
        raise Unusable(FILE, f"the object cannot be written: it is {error}") from None
    # Aside first: a container that is started anew after a crash finds all of it or nothing.
    path, aside = folder / FILE, folder / f".{FILE}.new"
    aside.write_text(text, "utf-8")
    aside.chmod(_READABLE)
    os.replace(aside, path)  # noqa: PTH105 - the path stays a path
    return f"wrote {subject.resource.kind} {subject.name} to {path}"
