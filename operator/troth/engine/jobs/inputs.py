"""How ``/kratix/input/object.yaml`` comes to a pipeline's containers.

The operator writes the object into an annotation of the Pod, and the kubelet writes the annotation into the file. In
Kratix a container, ``reader``, asks the API server for the object; that container costs about a second. Troth has it,
too, for what an annotation cannot hold, and where the platform does not want requests to be seen in Pods.

Rejected: *a ConfigMap for each run* (one more write, and an object to clean up, for the same text); *a native sidecar*
(a container like any other for the kubelet, which waits for its start).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.engine.yaml.emit import TooDeep, dump_document

FILE: Final = "object.yaml"

MOST_ANNOTATED: Final = 128 * 1024
"""Bytes of all annotations of a Pod with which the object is one of them: half of what Kubernetes takes."""


def object_text(obj: Mapping[str, Any], beside: Mapping[str, str]) -> str:
    """Returns what ``object.yaml`` holds, or "" if the object is too large or too deep for an annotation.

    The text has no control characters but line breaks and tabs, since all others are escaped, so the API server takes
    every such text.

    Args:
        obj: as the API server has it.
        beside: the other annotations of the Pod.
    """
    try:
        text = dump_document(obj)
    except TooDeep:
        return ""
    size = sum(len(part.encode()) for part in (text, *beside, *beside.values()))
    return text if size <= MOST_ANNOTATED else ""
