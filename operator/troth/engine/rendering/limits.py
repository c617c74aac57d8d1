"""What one rendering may cost. A template is somebody else's program: nothing in Jinja bounds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one list of pipelines for one object.

    Attributes:
        seconds: wall-clock time for the whole list; a worker that does not stop by itself is killed soon after.
        memory_bytes: address space of a worker process; the interpreter itself needs about 40 MiB of it. Two that
            render and one that lints are to fit into the chart's pod with the operator and its git programs.
        source_bytes: one template, partial or leaf.
        document_bytes: one manifest, as etcd would hold it.
        status_bytes: the status that one pipeline gives; all of it travels with each write of the object.
        output_bytes: all files of one pipeline.
        workflow_bytes: all files of all pipelines together.
        documents: manifests of one pipeline.
        items: files of one pipeline, and so the items of a ``forEach``.
    """

    seconds: float = 2.0
    memory_bytes: int = 192 * 1024 * 1024
    source_bytes: int = 256 * 1024
    document_bytes: int = 1536 * 1024
    status_bytes: int = 256 * 1024
    output_bytes: int = 8 * 1024 * 1024
    workflow_bytes: int = 32 * 1024 * 1024
    documents: int = 1000
    items: int = 1000
