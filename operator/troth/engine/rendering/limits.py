"""The limits of one rendering. A template is somebody else's program, which Jinja does not bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds for rendering one list of pipelines for one object.

    Attributes:
        seconds: wall-clock time for the whole list; a worker that does not stop by itself is killed soon after.
        memory_bytes: address space of a worker process; the interpreter itself needs about 40 MiB of it. Two workers
            that render and one that lints must fit into the chart's pod together with the operator and its git
            programs.
        source_bytes: size of one template, partial or leaf.
        document_bytes: size of one manifest, as etcd would store it.
        status_bytes: size of the status from one pipeline, which is sent with each write of the object.
        output_bytes: size of all files of one pipeline.
        workflow_bytes: size of all files of all pipelines together.
        documents: number of manifests of one pipeline.
        items: number of files of one pipeline, and so of items in a ``forEach``.
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
