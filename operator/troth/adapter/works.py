"""Makes the Work for a pipeline's output (kratix-compatibility.md#works).

It has the name that the operator computes for it, Kratix's labels and no seal, because the pod does not have the key.
Its contents are a claim of the pod's account until the operator, which knows whose Pod has succeeded, seals them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from troth.adapter.errors import Unusable
from troth.adapter.subject import Subject
from troth.api import labels as names
from troth.api.resources import WORK
from troth.api.typed import read_map, read_texts
from troth.engine.placement.work import GroupContent, Packed, pack_content, work_group
from troth.engine.placement.work import work_name as compute_work_name

MOST_PACKED: Final = 3 * 1024 * 1024
"""Bytes of all contents as they stand in a Work: what an API server reads of an object, whatever its storage keeps."""


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """Whose pipeline runs, and where its Work lives.

    Attributes:
        promise: the Promise.
        pipeline: the pipeline.
        workflow_type: ``resource`` or ``promise``.
        namespace: of the Work.
        resource: the request; empty in a promise workflow.
        resource_namespace: the request's namespace; empty in a promise workflow.
    """

    promise: str
    pipeline: str
    workflow_type: str
    namespace: str
    resource: str = ""
    resource_namespace: str = ""

    @classmethod
    def of(cls, subject: Subject, namespace: str) -> Self:
        """Returns the run of a subject's pipeline, whose Work lives in ``namespace``."""
        is_request = subject.workflow_type == "resource"
        return cls(
            promise=subject.promise,
            pipeline=subject.pipeline,
            workflow_type=subject.workflow_type,
            namespace=namespace,
            resource=subject.name if is_request else "",
            resource_namespace=subject.namespace if is_request else "",
        )

    @property
    def source(self) -> str:
        """Who speaks through the pipeline's own rules for Destinations."""
        return f"{self.workflow_type}-workflow"

    @property
    def elsewhere(self) -> str:
        """The request's namespace when its Work lives in another one; else empty."""
        return self.resource_namespace if self.resource_namespace != self.namespace else ""

    @property
    def labels(self) -> dict[str, str]:
        """The labels by which the Work is found."""
        found = {
            names.PROMISE_NAME: self.promise,
            names.WORK_TYPE: self.workflow_type,
            names.PIPELINE_NAME: self.pipeline,
        }
        if self.resource:
            found[names.RESOURCE_NAME] = self.resource
            if self.elsewhere:
                found[names.RESOURCE_NAMESPACE] = self.elsewhere
        return found

    @property
    def selector(self) -> str:
        """The label selector for exactly the Work of this pipeline."""
        labels = self.labels
        absent = (f"!{name}" for name in (names.RESOURCE_NAME, names.RESOURCE_NAMESPACE) if name not in labels)
        return ",".join([*(f"{name}={value}" for name, value in labels.items()), *absent])

    @property
    def work_name(self) -> str:
        """The name of the Work, if there is none yet."""
        return compute_work_name(
            promise=self.promise,
            pipeline=self.pipeline,
            resource=self.resource,
            resource_namespace=self.elsewhere if self.resource else "",
        )


def pack_files(contents: Iterable[tuple[str, bytes]], seen_as: str, most: int = MOST_PACKED) -> dict[str, Packed]:
    """Packs files as a Work holds them. Each content is dropped once it is packed.

    Args:
        contents: path and content of each.
        seen_as: the folder that they are from, for messages.
        most: bytes that all of them may have once they are packed.

    Raises:
        Unusable: they have more; it names the largest.
    """
    packed: dict[str, Packed] = {}
    left = most
    for path, content in contents:
        packed[path] = pack_content(content)
        left -= len(packed[path].encoded) + len(path)
        if left < 0:
            largest = max(packed, key=lambda path: len(packed[path].encoded))
            raise Unusable(
                seen_as,
                f"its files make a Work of more than {most >> 20} MiB, which no API server takes, although they are "
                f"compressed; the largest so far is {largest} with {packed[largest].size} bytes. "
                "Divide them among several pipelines",
            )
    return packed


def make_work(run: PipelineRun, groups: Sequence[GroupContent]) -> dict[str, Any]:
    """Returns the Work of a pipeline as it is created. It is created without groups, too, as in Kratix."""
    return {
        "apiVersion": WORK.api_version,
        "kind": WORK.kind,
        "metadata": {
            "name": run.work_name,
            "namespace": run.namespace,
            "labels": run.labels,
            "finalizers": [names.WORK_CLEANUP],
        },
        "spec": {
            "promiseName": run.promise,
            "resourceName": run.resource,
            "workloadGroups": [
                work_group(
                    group,
                    (
                        (path, file.encoded)
                        for path, file in sorted(group.files.items())
                        if isinstance(file, Packed)
                    ),
                )
                for group in groups
            ],
        },
    }


def work_patch(existing: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the merge patch that changes a Work to what a pipeline left, or None without a difference.

    A Work is retired while its pipeline does not exist; the patch takes that label off.
    """
    have, want = read_texts(read_map(existing.get("metadata")).get("labels")), wanted["metadata"]["labels"]
    labels: dict[str, str | None] = {name: value for name, value in want.items() if have.get(name) != value}
    if names.RETIRED in have:
        labels[names.RETIRED] = None
    spec = read_map(existing.get("spec"))
    changed = {name: value for name, value in wanted["spec"].items() if spec.get(name) != value}
    patch: dict[str, Any] = {}
    if labels:
        patch["metadata"] = {"labels": labels}
    if changed:
        patch["spec"] = changed
    return patch or None


def is_others(existing: Mapping[str, Any], run: PipelineRun) -> bool:
    """Whether an object with the name of a pipeline's Work has the labels of another owner or pipeline."""
    labels = read_texts(read_map(existing.get("metadata")).get("labels"))
    return any(name in labels and labels[name] != value for name, value in run.labels.items())
