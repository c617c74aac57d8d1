"""Finds what Kubernetes refuses in the Job of a pipeline, and the field of the pipeline that it comes from.

The Job is the one that the operator would apply, so whatever the schemas of Kubernetes know about a Pod is known about
a pipeline, too. What they say about a field of the Job is reported at the field from which it was copied. The
operator's own containers and volumes are left out.

The schemas do not have every rule of Kubernetes' validation code. Those that people break in pipelines are added here,
where a mistake has an exact place (a mount of a volume that does not exist). Source:
``pkg/apis/core/validation/validation.go`` of Kubernetes 1.36.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from troth.api.strict import close_match
from troth.api.typed import read_map, read_maps
from troth.engine.jobs.objects import make_objects
from troth.engine.jobs.runs import PipelineRun, PodSettings
from troth.engine.kinds.schemas import Schemas
from troth.engine.quantities import parse_quantity

Object = Mapping[str, Any]
Problem = tuple[str, str]
"""A field of the pipeline, such as ``spec.containers[0].image``, and what is wrong with it."""

SETTINGS: Final = PodSettings(image="operator:1", resources={})
"""For a Job that is only looked at."""

_POD: Final = "spec.template.spec."
_CONTAINER: Final = re.compile(r"initContainers\[(\d+)\]\.?(.*)", re.DOTALL)
_ENTRY: Final = re.compile(r"(env|volumeMounts)\[(\d+)\](.*)", re.DOTALL)
_VOLUME: Final = re.compile(r"volumes\[(\d+)\](.*)", re.DOTALL)
_COPIED: Final = ("imagePullSecrets", "nodeSelector", "tolerations", "restartPolicy")
_STANDARD: Final = ("cpu", "memory", "ephemeral-storage")


def find_refusals(run: PipelineRun, schemas: Schemas) -> Iterator[Problem]:
    """Yields what Kubernetes refuses in the Job of a run. Fields that it drops count, too."""
    pipeline = run.pipeline
    job = make_objects(run, SETTINGS).job[1]
    for field, problem in schemas.problems(job) or ():
        place = _place(field, run, job)
        if place:
            yield place, problem
    volumes = [str(volume.get("name")) for volume in pipeline.volumes]
    for index, volume in enumerate(pipeline.volumes):
        yield from _volume(volume, f"spec.volumes[{index}]", volumes[:index])
    for index, container in enumerate(pipeline.containers):
        where = f"spec.containers[{index}]"
        yield from _mounts(container.volume_mounts, f"{where}.volumeMounts", volumes)
        yield from chain.from_iterable(
            _variable(entry, f"{where}.env[{number}]") for number, entry in enumerate(container.env)
        )
        yield from _resources(container.resources or {}, f"{where}.resources")


def _place(field: str, run: PipelineRun, job: Object) -> str:
    """Returns the field of the pipeline for one of the Job; "" for the operator's own, or if it is found elsewhere."""
    if field.startswith("spec.backoffLimit"):
        return "spec.jobOptions.backoffLimit"
    if not field.startswith(_POD):
        return ""  # names and labels, of which `check_labels` knows more
    rest = field.removeprefix(_POD)
    if match := _CONTAINER.fullmatch(rest):
        return _place_in_container(int(match[1]), match[2], run, job)
    if match := _VOLUME.fullmatch(rest):
        own = len(job["spec"]["template"]["spec"]["volumes"]) - len(run.pipeline.volumes)
        return f"spec.volumes[{int(match[1]) - own}]{match[2]}" if int(match[1]) >= own else ""
    return f"spec.{rest}" if rest.startswith(_COPIED) else ""


def _place_in_container(index: int, rest: str, run: PipelineRun, job: Object) -> str:
    if not 1 <= index <= len(run.pipeline.containers):  # the reader is before them
        return ""
    container = run.pipeline.containers[index - 1]
    where = f"spec.containers[{index - 1}]"
    match = _ENTRY.fullmatch(rest)
    if match is None:
        return f"{where}.{rest}" if rest else where
    written: Sequence[Object] = container.env if match[1] == "env" else container.volume_mounts
    made = job["spec"]["template"]["spec"]["initContainers"][index][match[1]][int(match[2])]
    found = next((number for number, entry in enumerate(written) if entry is made), None)
    return "" if found is None else f"{where}.{match[1]}[{found}]{match[3]}"


def _volume(volume: Object, where: str, before: Sequence[str]) -> Iterator[Problem]:
    if volume.get("name") in before:
        yield f"{where}.name", f"two volumes are named {volume['name']!r}"
    kinds = [name for name, value in volume.items() if name != "name" and value is not None]
    if len(kinds) > 1:  # without any, Kubernetes takes an emptyDir
        yield where, f"the volume {volume.get('name')!r} is {' and '.join(kinds)} at once"


def _mounts(mounts: Sequence[Object], where: str, volumes: Sequence[str]) -> Iterator[Problem]:
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        name, path = mount.get("name"), mount.get("mountPath")
        if isinstance(name, str) and name and name not in volumes:
            meant = close_match(name, volumes)
            hint = f"; did you mean {meant}?" if meant else ""
            yield (
                f"{where}[{index}].name",
                f"mounts the volume {name!r}, which the pipeline does not declare{hint}",
            )
        if isinstance(path, str) and path:
            if path in paths:
                yield f"{where}[{index}].mountPath", f"two volumes are mounted at {path}"
            paths.add(path)


def _variable(entry: Object, where: str) -> Iterator[Problem]:
    source = entry.get("valueFrom")
    if not isinstance(source, Mapping):
        return
    if entry.get("value"):
        yield where, f"{entry.get('name')} has both value and valueFrom"
    kinds = [name for name, value in source.items() if value is not None]
    if len(kinds) != 1:
        said = f"has {' and '.join(kinds)}" if kinds else "is empty"
        yield f"{where}.valueFrom", f"{said}, but it must name exactly one source"


def _resources(resources: Object, where: str) -> Iterator[Problem]:
    limits = read_map(resources.get("limits"))
    for part in ("requests", "limits"):
        for name, value in read_map(resources.get(part)).items():
            field = f"{where}.{part}.{name}"
            if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
                meant = close_match(name, _STANDARD)
                hint = f"did you mean {meant}?" if meant else f"the known ones are {', '.join(_STANDARD)}"
                yield field, f"is not a resource that a container can have; {hint}"
                continue
            amount = _amount(value)
            most = _amount(limits.get(name)) if part == "requests" else None
            if amount is not None and amount < 0:
                yield field, f"is {value}, which is negative"
            elif amount is not None and most is not None and amount > most:
                yield field, f"is {value}, which is more than the limit, {limits[name]}"
    for index, claim in enumerate(read_maps(resources.get("claims"))):
        yield f"{where}.claims[{index}]", f"claims {claim.get('name')!r}, and a pipeline cannot declare claims"


def _amount(value: Any) -> Any:
    """Returns the amount of a quantity; None when there is none, or when the schema says what is wrong with it."""
    try:
        return None if value is None else parse_quantity(value).amount
    except ValueError:
        return None
