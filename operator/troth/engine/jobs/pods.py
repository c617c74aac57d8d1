"""The Pod of a run: its containers, what they find there, and how they are run.

The author's containers run one after another, and then the operator's ``status-writer``, which makes a Work of their
files (when a request or Promise is configured) and writes what they say. All but the last are init containers, which
Kubernetes runs in their order. What an author's container sees is Kratix's contract to the letter; the operator's
containers are its own command in its own image.

The object comes from an annotation of the Pod. Where that cannot hold it (`inputs`), the first container is ``reader``,
which asks the API server for it. What is mounted is a folder in the volume and not the volume itself: there, the
kubelet shows a link into a folder with a changing name, and a copy of it would be a link that leads nowhere.

Kratix makes the Work in a container of its own, ``work-writer``. Here it is the same one, since a container costs the
kubelet about a second, and nobody can tell from outside.

Each container leaves the end of its log as its message when it fails, so that why it failed stands in the Pod's status.
Rejected: reading logs, which needs one more right and one more call, and fails once the Pod is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from troth.api import labels as names
from troth.api.container_pipelines import (
    INPUT_VOLUME,
    METADATA_VOLUME,
    OUTPUT_VOLUME,
    READER,
    SCHEDULING_VOLUME,
    STATUS_WRITER,
    Container,
)
from troth.engine.jobs.access import account_name
from troth.engine.jobs.inputs import FILE
from troth.engine.jobs.runs import PipelineRun, PodSettings, selectors_name

Object = Mapping[str, Any]

SELECTORS_KEY: Final = "destinationSelectors"

_FILES: Final = "/work-creator-files"
_OWN_SECURITY: Final[Object] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_INPUT: Final = "/kratix/input"
_FOLDER: Final = "input"
_WRITTEN_OBJECT: Final[Object] = {"name": INPUT_VOLUME, "mountPath": _INPUT, "readOnly": True}
_ANNOTATED_OBJECT: Final[Object] = {**_WRITTEN_OBJECT, "subPath": _FOLDER}
_AUTHORS_MOUNTS: Final[tuple[Object, ...]] = (
    {"name": OUTPUT_VOLUME, "mountPath": "/kratix/output"},
    {"name": METADATA_VOLUME, "mountPath": "/kratix/metadata"},
)


def make_pod_spec(run: PipelineRun, settings: PodSettings, *, reads: bool) -> dict[str, Any]:
    """Returns the spec of a run's Pod, without empty fields.

    ``reads`` says that a container writes the object, which is not among the Pod's annotations.
    """
    pipeline, options = run.pipeline, run.pipeline.options
    secrets = dict.fromkeys(filter(None, (settings.pull_secret, *pipeline.image_pull_secrets)))
    mount = _WRITTEN_OBJECT if reads else _ANNOTATED_OBJECT
    authors = [_authors(run, settings, container, mount) for container in pipeline.containers]
    return _without_nothing(
        restartPolicy=pipeline.restart_policy,
        serviceAccountName=account_name(run),
        initContainers=[_reader(run, settings), *authors] if reads else authors,
        containers=[_status_writer(run, settings)],
        volumes=_volumes(run, reads=reads),
        imagePullSecrets=[{"name": name} for name in secrets],
        nodeSelector=dict(pipeline.node_selector),
        tolerations=list(pipeline.tolerations),
        securityContext=options.security_context,
        affinity=options.affinity,
        priorityClassName=options.priority_class,
        runtimeClassName=options.runtime_class,
    )


def make_environment(run: PipelineRun) -> dict[str, str]:
    """Returns the variables of every container of a run, by their names, in Kratix's order."""
    variables = {
        "KRATIX_WORKFLOW_ACTION": run.action,
        "KRATIX_WORKFLOW_TYPE": run.type,
        "KRATIX_PROMISE_NAME": run.promise,
        "KRATIX_PIPELINE_NAME": run.pipeline.name,
        "KRATIX_OBJECT_KIND": run.resource.kind,
        "KRATIX_OBJECT_GROUP": run.resource.group,
        "KRATIX_OBJECT_VERSION": run.resource.version,
        "KRATIX_OBJECT_NAME": run.name,
        "KRATIX_OBJECT_NAMESPACE": run.object_namespace,
        "KRATIX_CRD_PLURAL": run.resource.plural,
        "KRATIX_CLUSTER_SCOPED": _word(not run.resource.namespaced),
    }
    if run.dry_run:
        variables["KRATIX_DRY_RUN"] = "true"
    return variables


def _authors(run: PipelineRun, settings: PodSettings, container: Container, mount: Object) -> Object:
    security = settings.security_context if container.security_context is None else container.security_context
    return _without_nothing(
        name=container.name,
        image=container.image,
        command=list(container.command),
        args=list(container.args),
        env=_last_of_each([*_as_entries(make_environment(run)), *container.env]),
        envFrom=list(container.env_from),
        volumeMounts=[mount, *_AUTHORS_MOUNTS, *container.volume_mounts],
        imagePullPolicy=container.image_pull_policy or settings.pull_policy,
        securityContext=security,
        resources=settings.resources if container.resources is None else container.resources,
        terminationMessagePolicy="FallbackToLogsOnError",
    )


def _reader(run: PipelineRun, settings: PodSettings) -> Object:
    mounts = {INPUT_VOLUME: _INPUT, OUTPUT_VOLUME: "/kratix/output"}
    return _own(run, settings, READER, (), {}, mounts)


def _status_writer(run: PipelineRun, settings: PodSettings) -> Object:
    variables: dict[str, str | Object] = {}
    mounts = {METADATA_VOLUME: f"{_FILES}/metadata"}
    if run.action == "configure":
        trace = {"KRATIX_TRACE_PARENT": names.TRACE_PARENT, "KRATIX_TRACE_STATE": names.TRACE_STATE}
        for variable, annotation in trace.items():
            variables[variable] = {"fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
        mounts |= {OUTPUT_VOLUME: f"{_FILES}/input", SCHEDULING_VOLUME: f"{_FILES}/kratix-system"}
    variables["IS_LAST_PIPELINE"] = _word(run.last)
    return _own(run, settings, STATUS_WRITER, ("--namespace", run.namespace), variables, mounts)


def _own(
    run: PipelineRun,
    settings: PodSettings,
    name: str,
    arguments: Iterable[str],
    variables: Mapping[str, str | Object],
    mounts: Mapping[str, str],
) -> Object:
    return _without_nothing(
        name=name,
        image=settings.image,
        command=["troth", "adapter", name],
        args=list(arguments),
        env=_as_entries({**make_environment(run), **variables}),
        volumeMounts=[{"name": volume, "mountPath": path} for volume, path in mounts.items()],
        imagePullPolicy=settings.pull_policy,
        securityContext=_OWN_SECURITY,
        resources=settings.own_resources,
        terminationMessagePolicy="FallbackToLogsOnError",
    )


def _volumes(run: PipelineRun, *, reads: bool) -> list[Object]:
    own: list[Object] = []
    if run.action == "configure":
        items = [{"key": SELECTORS_KEY, "path": SCHEDULING_VOLUME}]
        own.append({"name": SCHEDULING_VOLUME, "configMap": {"name": selectors_name(run), "items": items}})
    item = {"path": f"{_FOLDER}/{FILE}", "fieldRef": {"fieldPath": f"metadata.annotations['{names.OBJECT}']"}}
    own.append({"name": INPUT_VOLUME, **({"emptyDir": {}} if reads else {"downwardAPI": {"items": [item]}})})
    own += [{"name": name, "emptyDir": {}} for name in (OUTPUT_VOLUME, METADATA_VOLUME)]
    return [*own, *run.pipeline.volumes]


def _as_entries(variables: Mapping[str, str | Object]) -> list[Object]:
    return [
        {"name": name, "value" if isinstance(value, str) else "valueFrom": value}
        for name, value in variables.items()
    ]


def _last_of_each(entries: list[Object]) -> list[Object]:
    """Returns the later of two variables with the same name, because that is the one that a container would see.

    Server-side apply does not accept a name twice.
    """
    last = {entry.get("name"): index for index, entry in enumerate(entries)}
    return [entry for index, entry in enumerate(entries) if last[entry.get("name")] == index]


def _without_nothing(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None, [], {})}


def _word(truth: bool) -> str:
    return "true" if truth else "false"
