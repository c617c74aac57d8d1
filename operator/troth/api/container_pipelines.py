"""ContainerPipeline: Kratix's Pipeline, whose containers run in a Job (kratix-compatibility.md#container-pipelines).

It is read here as strictly as Kratix decodes it: an unknown field is refused with its path. Kratix's own fields are
checked, and so are the fields of the Kubernetes types that it embeds (a container's environment, a volume, a
toleration, a rule). What is deeper inside a Kubernetes type (the source of a volume, an affinity) is left to the API
server, which validates it when the Job is created.

Values that Kubernetes defines stay as they were written and are passed on unchanged, so that this reader and the API
server cannot disagree about them.

The containers and volumes of the operator are in the same Pod as the author's. A container or volume of the author with
the name of one that Kratix or Troth has there is refused here, because the API server would refuse it only when a
request has been created.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from troth.api.errors import InvalidObject
from troth.api.pod_options import PodOptions, read_pod_options
from troth.api.strict import refuse_unknown_fields
from troth.api.typed import name_type, require_list, require_map, require_type

Object = Mapping[str, Any]

READER: Final = "reader"
STATUS_WRITER: Final = "status-writer"
INPUT_VOLUME: Final = "shared-input"
OUTPUT_VOLUME: Final = "shared-output"
METADATA_VOLUME: Final = "shared-metadata"
SCHEDULING_VOLUME: Final = "promise-scheduling"

_OWN_CONTAINERS: Final = (READER, "work-writer", STATUS_WRITER)  # Kratix has all three
_OWN_VOLUMES: Final = (INPUT_VOLUME, OUTPUT_VOLUME, METADATA_VOLUME, SCHEDULING_VOLUME)
_SPEC: Final = (
    "containers",
    "volumes",
    "imagePullSecrets",
    "nodeSelector",
    "tolerations",
    "restartPolicy",
    "jobOptions",
    "rbac",
)
_CONTAINER: Final = (
    "name",
    "image",
    "command",
    "args",
    "env",
    "envFrom",
    "volumeMounts",
    "imagePullPolicy",
    "securityContext",
    "resources",
)
_ENVIRONMENT: Final = ("name", "value", "valueFrom")
_ENVIRONMENT_FROM: Final = ("prefix", "configMapRef", "secretRef")
_VOLUME_MOUNT: Final = (
    "name",
    "mountPath",
    "subPath",
    "subPathExpr",
    "readOnly",
    "recursiveReadOnly",
    "mountPropagation",
)
RESOURCES_FIELDS: Final = ("requests", "limits", "claims")
SECURITY_CONTEXT_FIELDS: Final = (
    "allowPrivilegeEscalation",
    "appArmorProfile",
    "capabilities",
    "privileged",
    "procMount",
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxOptions",
    "seccompProfile",
    "windowsOptions",
)
_TOLERATION: Final = ("key", "operator", "value", "effect", "tolerationSeconds")
_RULE: Final = ("apiGroups", "resources", "resourceNames", "verbs", "nonResourceURLs", "resourceNamespace")
_RESTART_POLICIES: Final = ("OnFailure", "Never")  # the values that a Job accepts


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pipeline. All but ``name`` and ``image`` are passed on to Kubernetes as they were written.

    ``security_context`` and ``resources`` are None where nothing was written: only then do defaults take their place.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[Object, ...] = ()
    env_from: tuple[Object, ...] = ()
    volume_mounts: tuple[Object, ...] = ()
    image_pull_policy: str = ""
    security_context: Object | None = None
    resources: Object | None = None


@dataclass(frozen=True, slots=True)
class Permission:
    """What a pipeline's ServiceAccount may do besides what Kratix gives it.

    Attributes:
        rule: the PolicyRule, with the names that Kubernetes gives its fields.
        namespace: where it applies: empty for the pipeline's own namespace, ``*`` for all namespaces.
    """

    rule: Object
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class ContainerPipeline:
    """A pipeline that runs containers one after another, in a Job.

    Attributes:
        name: the pipeline's name.
        labels: of the Job and its Pod.
        annotations: of the Pod.
        containers: in the order in which they run; at least one.
        volumes: as they were written.
        image_pull_secrets: names of Secrets.
        node_selector: labels that the Pod's node must have.
        tolerations: as they were written.
        restart_policy: of the Pod.
        backoff_limit: how often the Job tries again; None leaves it to the configuration.
        service_account: the ServiceAccount to run as; empty for one that is created for the pipeline.
        permissions: what that account may do.
        options: what Kratix has no field for.
    """

    name: str
    containers: tuple[Container, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Object, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Object, ...] = ()
    restart_policy: str = "OnFailure"
    backoff_limit: int | None = None
    service_account: str = ""
    permissions: tuple[Permission, ...] = ()
    options: PodOptions = field(default_factory=PodOptions)


def read_container_pipeline(name: str, metadata: Object, spec: Object, field: str) -> ContainerPipeline:
    """Reads a pipeline of containers from its ``metadata`` and ``spec``; ``field`` is its path in the Promise.

    Raises:
        InvalidObject: a field is unknown or has the wrong type, there is no container, or a name is already that of one
            of the operator's own containers or volumes.
    """
    where = f"{field}.spec"
    refuse_unknown_fields(spec, _SPEC, where)
    containers = _objects(spec.get("containers"), f"{where}.containers")
    if not containers:
        raise InvalidObject(f"{where}.containers", "is empty", "name at least one container with its image")
    policy = _text(spec.get("restartPolicy"), f"{where}.restartPolicy") or "OnFailure"
    if policy not in _RESTART_POLICIES:
        raise InvalidObject(
            f"{where}.restartPolicy", f"{policy!r} is not possible in a Job", "use OnFailure or Never"
        )
    options = require_map(spec.get("jobOptions"), f"{where}.jobOptions")
    refuse_unknown_fields(options, ("backoffLimit",), f"{where}.jobOptions")
    rbac = require_map(spec.get("rbac"), f"{where}.rbac")
    refuse_unknown_fields(rbac, ("serviceAccount", "permissions"), f"{where}.rbac")
    annotations = _texts(metadata.get("annotations"), f"{field}.metadata.annotations")
    return ContainerPipeline(
        name=name,
        labels=_texts(metadata.get("labels"), f"{field}.metadata.labels"),
        annotations=annotations,
        containers=_read_containers(containers, f"{where}.containers"),
        volumes=_read_volumes(spec.get("volumes"), f"{where}.volumes"),
        image_pull_secrets=tuple(
            _named(entry, f"{where}.imagePullSecrets[{index}]")
            for index, entry in enumerate(_objects(spec.get("imagePullSecrets"), f"{where}.imagePullSecrets"))
        ),
        node_selector=_texts(spec.get("nodeSelector"), f"{where}.nodeSelector"),
        tolerations=_objects(spec.get("tolerations"), f"{where}.tolerations", known=_TOLERATION),
        restart_policy=policy,
        backoff_limit=_count(options.get("backoffLimit"), f"{where}.jobOptions.backoffLimit"),
        service_account=_text(rbac.get("serviceAccount"), f"{where}.rbac.serviceAccount"),
        permissions=tuple(
            Permission(
                {key: value for key, value in rule.items() if key != "resourceNamespace"},
                _text(rule.get("resourceNamespace"), f"{where}.rbac.permissions[{index}].resourceNamespace"),
            )
            for index, rule in enumerate(
                _objects(rbac.get("permissions"), f"{where}.rbac.permissions", known=_RULE)
            )
        ),
        options=read_pod_options(annotations, f"{field}.metadata.annotations"),
    )


def _read_volumes(value: Any, field: str) -> tuple[Object, ...]:
    volumes = _named_objects(value, field)
    for index, volume in enumerate(volumes):
        _refuse_own(volume.get("name"), _OWN_VOLUMES, f"{field}[{index}].name", "volume")
    return volumes


def _refuse_own(name: Any, own: Sequence[str], field: str, kind: str) -> None:
    if name in own:
        raise InvalidObject(
            field, f"{name!r} is the name of a {kind} that every Pod of a pipeline has", "choose another name"
        )


def _read_containers(entries: Sequence[Object], field: str) -> tuple[Container, ...]:
    containers: list[Container] = []
    for index, entry in enumerate(entries):
        where = f"{field}[{index}]"
        refuse_unknown_fields(entry, _CONTAINER, where)
        container = Container(
            name=_required(entry, "name", where),
            image=_required(entry, "image", where),
            command=_list_of_texts(entry.get("command"), f"{where}.command"),
            args=_list_of_texts(entry.get("args"), f"{where}.args"),
            env=_named_objects(entry.get("env"), f"{where}.env", known=_ENVIRONMENT),
            env_from=_objects(entry.get("envFrom"), f"{where}.envFrom", known=_ENVIRONMENT_FROM),
            volume_mounts=_objects(entry.get("volumeMounts"), f"{where}.volumeMounts", known=_VOLUME_MOUNT),
            image_pull_policy=_text(entry.get("imagePullPolicy"), f"{where}.imagePullPolicy"),
            security_context=_optional_map(
                entry.get("securityContext"), SECURITY_CONTEXT_FIELDS, f"{where}.securityContext"
            ),
            resources=_optional_map(entry.get("resources"), RESOURCES_FIELDS, f"{where}.resources"),
        )
        _refuse_own(container.name, _OWN_CONTAINERS, f"{where}.name", "container")
        if any(other.name == container.name for other in containers):
            raise InvalidObject(
                f"{where}.name",
                f"two containers are named {container.name!r}",
                "give each container of a pipeline its own name",
            )
        containers.append(container)
    return tuple(containers)


def _optional_map(value: Any, known: Sequence[str], field: str) -> Object | None:
    if value is None:
        return None
    found = require_map(value, field)
    refuse_unknown_fields(found, known, field)
    return found


def _objects(value: Any, field: str, *, known: Sequence[str] = ()) -> tuple[Object, ...]:
    found = tuple(require_list(value, field))
    for index, entry in enumerate(found):
        require_type(entry, dict, f"{field}[{index}]")
        if known:
            refuse_unknown_fields(entry, known, f"{field}[{index}]")
    return found


def _named_objects(value: Any, field: str, *, known: Sequence[str] = ()) -> tuple[Object, ...]:
    found = _objects(value, field, known=known)
    for index, entry in enumerate(found):
        _required(entry, "name", f"{field}[{index}]")
    return found


def _named(entry: Object, field: str) -> str:
    refuse_unknown_fields(entry, ("name",), field)
    return _required(entry, "name", field)


def _required(entry: Object, name: str, field: str) -> str:
    found = _text(entry.get(name), f"{field}.{name}")
    if not found:
        raise InvalidObject(f"{field}.{name}", "is missing")
    return found


def _text(value: Any, field: str) -> str:
    if value is None:
        return ""
    require_type(value, str, field)
    return str(value)


def _list_of_texts(value: Any, field: str) -> tuple[str, ...]:
    found = require_list(value, field)
    for index, entry in enumerate(found):
        require_type(entry, str, f"{field}[{index}]")
    return tuple(found)


def _texts(value: Any, field: str) -> Mapping[str, str]:
    found = require_map(value, field)
    for key, entry in found.items():
        require_type(key, str, field)
        require_type(entry, str, f"{field}.{key}")
    return dict(found)


def _count(value: Any, field: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidObject(field, f"is {name_type(value)}", "write a whole number that is not negative")
    return value
