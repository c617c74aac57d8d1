"""Checks the pipelines of containers of a Promise, as far as they can be checked without running them.

Which files containers write, where these go and what they write into the status is only known when they have run. That
is said once (T402), so that a Promise without findings is not taken for one that was checked as a whole.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from troth.api import labels as names
from troth.api.objects import read_promise
from troth.api.resources import PROMISE
from troth.api.typed import read_text
from troth.engine.admission.admitting import check_labels
from troth.engine.admission.serving import UID
from troth.engine.jobs.declared import ContainerStep, container_steps, describe_unknown
from troth.engine.jobs.pods import make_environment
from troth.engine.jobs.runs import LONGEST_ID, PipelineRun, job_labels, plain_pipeline_id
from troth.engine.kinds.schemas import Schemas
from troth.engine.linting.images import FIX_IMAGE, unfixed_image
from troth.engine.linting.job_fields import find_refusals
from troth.engine.linting.permissions import check_permissions
from troth.engine.linting.remarks import Remark
from troth.engine.promises.offers import Offer

NOT_KNOWN: Final = "T402"
"""The code for what only a run of the containers can show."""

_CONTRACT: Final[Mapping[str, str]] = {
    "/kratix/input": "the containers do not find their input",
    "/kratix/output": "files that are written there are not sent to a Destination",
    "/kratix/metadata": "what is written there is not read",
}


def check_containers(promise: Mapping[str, Any], offer: Offer, schemas: Schemas) -> list[Remark]:
    """Finds mistakes in the pipelines of containers, and says what is not known about them.

    Args:
        promise: the built Promise, as a whole object.
        offer: the Promise's offer, as the operator reads it.
        schemas: the schemas of Kubernetes.
    """
    steps = container_steps(promise)
    remarks: list[Remark] = []
    if steps:
        remarks.append(Remark(NOT_KNOWN, steps[0].field, describe_unknown([step.label for step in steps])))
    for step in steps:
        run = _sample_run(step, promise, offer)
        remarks += _refused(step, run, schemas)
        remarks += _names(step, run)
        remarks += _labels(step, run)
        remarks += check_permissions(run, step.field, schemas)
        remarks += _images(step)
        remarks += _variables(step, run)
        remarks += _volumes(step)
    return remarks


def _sample_run(step: ContainerStep, promise: Mapping[str, Any], offer: Offer) -> PipelineRun:
    """Returns a run of a pipeline for an example of a request, or for the Promise."""
    of_request = step.type == "resource" and offer.resource is not None
    return step.run_for(
        offer.resource if of_request and offer.resource is not None else PROMISE,
        {"metadata": {"name": "example", "namespace": "default", "uid": UID}} if of_request else promise,
        read_promise(promise),
        namespace="default",
        specs="example",
    )


def _refused(step: ContainerStep, run: PipelineRun, schemas: Schemas) -> Iterator[Remark]:
    metadata = {"labels": run.pipeline.labels, "annotations": run.pipeline.annotations}
    for refusal in check_labels(metadata, "metadata"):
        yield Remark("T401", f"{step.field}.{refusal.field}", f"{refusal.field}: {refusal.message}")
    for key in check_labels({"labels": dict.fromkeys(run.pipeline.node_selector, "")}, "spec"):
        yield Remark("T401", f"{step.field}.spec.nodeSelector", f"spec.nodeSelector: {key.message}")
    for field, problem in find_refusals(run, schemas):
        yield Remark("T401", f"{step.field}.{field}", f"{field}: {problem}")


def _names(step: ContainerStep, run: PipelineRun) -> Iterator[Remark]:
    name = plain_pipeline_id(run)
    if len(name) > LONGEST_ID:
        message = (
            f"{name} has {len(name)} characters: Kratix refuses more than {LONGEST_ID}, and Troth gives the"
            " ServiceAccount and the Roles of the pipeline shorter names, which end in a hash"
        )
        yield Remark(
            "T407", f"{step.field}.metadata.name", message, "choose a shorter name", needle=step.pipeline.name
        )


def _labels(step: ContainerStep, run: PipelineRun) -> Iterator[Remark]:
    bare = replace(run, separate=run.type == "resource", pipeline=replace(run.pipeline, labels={}))
    own = {"labels": tuple(job_labels(bare)), "annotations": (names.TRACE_PARENT, names.TRACE_STATE)}
    written = {"labels": run.pipeline.labels, "annotations": run.pipeline.annotations}
    for part, found in written.items():
        for name in found:
            if name in own[part]:
                message = f"the operator writes the {part[:-1]} {name} itself, so this value is not used"
                yield Remark("T403", f"{step.field}.metadata.{part}.{name}", message, "remove it", needle=name)


def _images(step: ContainerStep) -> Iterator[Remark]:
    for index, container in enumerate(step.pipeline.containers):
        if message := unfixed_image(container.image):
            yield Remark(
                "T205", f"{step.field}.spec.containers[{index}].image", message, FIX_IMAGE, needle="image:"
            )


def _variables(step: ContainerStep, run: PipelineRun) -> Iterator[Remark]:
    own = make_environment(replace(run, dry_run=True))
    for index, container in enumerate(step.pipeline.containers):
        seen: set[str] = set()
        for number, entry in enumerate(container.env):
            name = str(entry["name"])
            where = f"{step.field}.spec.containers[{index}].env[{number}]"
            if name in seen:
                message = f"the variable {name} of {container.name} is set twice: only the last value counts"
                yield Remark("T404", where, message, "remove one of them", needle=name)
            elif name in own:
                message = f"the variable {name} of {container.name} replaces the one that every pipeline gets"
                yield Remark("T404", where, message, "give it another name", needle=name)
            seen.add(name)


def _volumes(step: ContainerStep) -> Iterator[Remark]:
    mounted: set[Any] = set()
    for index, container in enumerate(step.pipeline.containers):
        for number, mount in enumerate(container.volume_mounts):
            mounted.add(mount.get("name"))
            path = read_text(mount.get("mountPath"))
            where = f"{step.field}.spec.containers[{index}].volumeMounts[{number}]"
            for directory, consequence in _CONTRACT.items():
                below = posixpath.normpath(posixpath.join("/", path))
                if below == directory or below.startswith(f"{directory}/"):
                    message = f"{container.name} has a volume of its own at {path}: {consequence}"
                    yield Remark("T406", f"{where}.mountPath", message, "mount it elsewhere", needle=path)
    declared = {volume["name"] for volume in step.pipeline.volumes}
    if mounted - declared:
        return  # one of the volumes is probably the one that was meant
    for index, volume in enumerate(step.pipeline.volumes):
        if volume["name"] not in mounted:
            message = f"no container mounts the volume {volume['name']}"
            where = f"{step.field}.spec.volumes[{index}]"
            yield Remark("T405", where, message, "mount it, or remove it", needle=str(volume["name"]))
