"""The objects of one run, in the order in which they are applied: what each of them needs is there before it.

All of them are for server-side apply: they contain what the operator decides and nothing else, and applying them again
writes nothing. The same run gives the same bytes but for the object in its Job, which may have changed meanwhile: a Job
that is there already must not be applied again, as Kubernetes does not let its Pod be changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from troth.api import labels as names
from troth.api.resources import CONFIG_MAP, JOB
from troth.engine.jobs.access import Placed, make_account, make_asked_access, make_own_access
from troth.engine.jobs.pods import SELECTORS_KEY, make_pod_spec
from troth.engine.jobs.runs import PipelineRun, PodSettings, job_labels, job_name, promise_labels, selectors_name
from troth.engine.yaml.emit import dump_document


@dataclass(frozen=True, slots=True)
class RunObjects:
    """What a run needs on the cluster.

    Attributes:
        account: the ServiceAccount; ask `troth.engine.jobs.access.may_write_account` before writing it.
        access: roles and bindings, a role before its bindings.
        selectors: the ConfigMap with the Promise's destination selectors; None for a run that writes no Works.
        job: the Job.
    """

    account: Placed
    access: tuple[Placed, ...]
    selectors: Placed | None
    job: Placed

    @property
    def in_order(self) -> tuple[Placed, ...]:
        """All of them, the Job last."""
        before = (self.account, *self.access)
        return (*before, self.job) if self.selectors is None else (*before, self.selectors, self.job)


def make_objects(run: PipelineRun, settings: PodSettings, text: str = "") -> RunObjects:
    """Returns the objects of a run.

    Args:
        run: the run.
        settings: of Pods.
        text: what ``object.yaml`` holds (`troth.engine.jobs.inputs`); "" if a container of the Pod has to write it.
    """
    return RunObjects(
        account=make_account(run),
        access=make_own_access(run) + make_asked_access(run),
        selectors=_make_selectors(run) if run.action == "configure" else None,
        job=_make_job(run, settings, text),
    )


def _make_selectors(run: PipelineRun) -> Placed:
    """Returns the ConfigMap. The keys in its list are in lower case, as Kratix writes them."""
    entries = [
        {"matchlabels": dict(selector.match_labels), "source": selector.source} for selector in run.selectors
    ]
    return CONFIG_MAP, {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {"name": selectors_name(run), "namespace": run.namespace, "labels": promise_labels(run)},
        "data": {SELECTORS_KEY: dump_document(entries)},
    }


def pod_annotations(run: PipelineRun) -> dict[str, str]:
    """Returns the annotations of a run's Pod, without the object."""
    return {**run.pipeline.annotations, **run.trace}


def _make_job(run: PipelineRun, settings: PodSettings, text: str) -> Placed:
    labels = job_labels(run)
    metadata: dict[str, Any] = {
        "name": job_name(run),
        "namespace": run.namespace,
        "labels": labels,
        "annotations": {
            names.JOB_RESOURCE_NAMESPACE: run.object_namespace,
            names.JOB_RESOURCE_NAME: run.name,
            names.JOB_RESOURCE_KIND: run.resource.kind,
            names.JOB_RESOURCE_API_VERSION: run.resource.api_version,
            names.ATTEMPT: str(run.attempt),
            **run.trace,
        },
    }
    owner = _owner(run)
    if owner:
        metadata["ownerReferences"] = [owner]
    annotations = pod_annotations(run)
    if text:
        annotations[names.OBJECT] = text
    template = {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": make_pod_spec(run, settings, reads=not text),
    }
    spec: dict[str, Any] = {"template": template}
    limit = settings.backoff_limit if run.pipeline.backoff_limit is None else run.pipeline.backoff_limit
    if limit is not None:
        spec["backoffLimit"] = limit
    if run.pipeline.options.active_deadline is not None:
        spec["activeDeadlineSeconds"] = run.pipeline.options.active_deadline
    return JOB, {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": metadata, "spec": spec}


def _owner(run: PipelineRun) -> Mapping[str, Any] | None:
    """Returns the owner with which the Job is deleted; None if it is in another namespace than the Job.

    The Job of a delete pipeline has none: while its owner is deleted in the foreground, as Argo CD does, the garbage
    collector deletes everything that the owner has, also what runs.
    """
    if run.action == "delete":
        return None
    owner = {
        "apiVersion": run.resource.api_version,
        "kind": run.resource.kind,
        "name": run.name,
        "uid": run.uid,
    }
    if run.type == "promise":
        return {**owner, "controller": True, "blockOwnerDeletion": True}
    return owner if run.object_namespace == run.namespace else None
