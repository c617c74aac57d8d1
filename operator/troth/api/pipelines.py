"""The pipelines of a Promise's workflows: templates that Troth renders itself, or containers.

A workflow is a list of both, in any order. They are parsed strictly, unlike the lenient views of `objects`: a pipeline
is embedded in a Promise, where the API server does not validate it by a schema (`troth.api.strict`).

A JinjaPipeline's leaves stay as they were written. Which of them hold expressions, and whether these compile, is the
engine's business (`engine.rendering.check`): this module knows no Jinja.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from troth.api.container_pipelines import ContainerPipeline, read_container_pipeline
from troth.api.errors import InvalidObject
from troth.api.resources import PLATFORM_API_VERSION, TROTH_API_VERSION
from troth.api.strict import refuse_unknown_fields
from troth.api.typed import name_type, require_list, require_map, require_type

JINJA_PIPELINE: Final = "JinjaPipeline"
CONTAINER_PIPELINE: Final = "Pipeline"

SCOPE: Final = (
    "request",
    "spec",
    "name",
    "namespace",
    "labels",
    "annotations",
    "promise",
    "values",
    "item",
    "index",
)
"""The names that templates can use; a value cannot have one of these names."""

_API_VERSIONS: Final[Mapping[Any, str]] = {
    JINJA_PIPELINE: TROTH_API_VERSION,
    CONTAINER_PIPELINE: PLATFORM_API_VERSION,
}

Action = Literal["configure", "delete"]
ACTIONS: Final[tuple[Action, ...]] = ("configure", "delete")

_SPEC_FIELDS: Final = ("values", "files", "partials", "destinations", "moved", "status", "control")
_OWNED_STATUS: Final = ("kratix", "troth")
_CONTROL_TYPES: Final[Mapping[str, tuple[type, ...]]] = {"suspend": (bool,), "maxAttempts": (int,)}
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST_NAME: Final = 63
_EXPRESSION: Final = re.compile(r"\{\{|\{%")


@dataclass(frozen=True, slots=True)
class FileTemplate:
    """One file of a pipeline.

    Attributes:
        path: where the file goes inside the request's folder; may hold expressions.
        template: the text to render; YAML and JSON (by the path's suffix) are parsed and written canonically.
        when: a leaf; the file is left out when it gives false.
        for_each: a leaf that gives a list; the file is rendered once for each item, with ``item`` and ``index``.
    """

    path: str
    template: str
    when: str | None = None
    for_each: str | None = None


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """Labels that the destinations of a directory must have; the directory ``.`` stands for everything else."""

    directory: str
    match_labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Move:
    """An object that was renamed: the old one is not removed before the new one is written.

    Attributes:
        kind: the kind of both objects.
        old: the name that it had; may hold expressions.
        new: the name that it has; may hold expressions.
    """

    kind: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class JinjaPipeline:
    """A pipeline that renders in process. Its leaves may hold expressions."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[FileTemplate, ...] = ()
    partials: Mapping[str, str] = field(default_factory=dict)
    destinations: tuple[DestinationRule, ...] = ()
    moved: tuple[Move, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    control: Mapping[str, Any] = field(default_factory=dict)


Pipeline = JinjaPipeline | ContainerPipeline
"""One step of a workflow."""


def has_containers(pipelines: Sequence[Pipeline]) -> bool:
    """Whether one of the pipelines is one of containers."""
    return any(isinstance(pipeline, ContainerPipeline) for pipeline in pipelines)


def parse_pipelines(
    objs: Sequence[Mapping[str, Any]], field: str, *, action: Action = "configure"
) -> tuple[Pipeline, ...]:
    """The pipelines of one workflow, in their order; ``field`` is their path in the object.

    Raises:
        InvalidObject: a pipeline is invalid, or two have the same name.
    """
    require_type(objs, list, field)
    pipelines: list[Pipeline] = []
    for index, obj in enumerate(objs):
        pipeline = parse_pipeline(obj, f"{field}[{index}]", action=action)
        if any(other.name == pipeline.name for other in pipelines):
            raise InvalidObject(
                f"{field}[{index}].metadata.name",
                f"two pipelines are named {pipeline.name!r}",
                "give each pipeline of a workflow its own name",
            )
        pipelines.append(pipeline)
    return tuple(pipelines)


def parse_pipeline(obj: Mapping[str, Any], field: str, *, action: Action = "configure") -> Pipeline:
    """One pipeline; ``field`` is its path in the object that embeds it, for errors.

    Raises:
        InvalidObject: a kind or a field is unknown, a field has the wrong type, or a rule of the action is broken.
    """
    require_type(obj, dict, field)
    kind = _read_kind(obj, field)
    refuse_unknown_fields(obj, ("apiVersion", "kind", "metadata", "spec"), field)
    metadata = require_map(obj.get("metadata"), f"{field}.metadata")
    name = _read_name(metadata, f"{field}.metadata")
    spec = require_map(obj.get("spec"), f"{field}.spec")
    if kind == CONTAINER_PIPELINE:
        return read_container_pipeline(name, metadata, spec, field)
    pipeline = _read_jinja_pipeline(name, spec, f"{field}.spec")
    if action == "delete":
        _check_delete(pipeline, f"{field}.spec")
    return pipeline


def _read_jinja_pipeline(name: str, spec: Mapping[str, Any], field: str) -> JinjaPipeline:
    refuse_unknown_fields(spec, _SPEC_FIELDS, field)
    return JinjaPipeline(
        name=name,
        values=_read_values(spec.get("values"), f"{field}.values"),
        files=_read_files(spec.get("files"), f"{field}.files"),
        partials=_read_partials(spec.get("partials"), f"{field}.partials"),
        destinations=_read_destinations(spec.get("destinations"), f"{field}.destinations"),
        moved=_read_moved(spec.get("moved"), f"{field}.moved"),
        status=_read_status(spec.get("status"), f"{field}.status"),
        control=_read_control(spec.get("control"), f"{field}.control"),
    )


def check_built(value: Any, field: str) -> None:
    """Refuses ``{from: FILE}``, which is only meant for a Promise's folder: building replaces it by the file's content.

    Raises:
        InvalidObject: the value is such a reference; the error says how to build the Promise.
    """
    if isinstance(value, Mapping) and list(value) == ["from"] and isinstance(value["from"], str):
        raise InvalidObject(
            field,
            f"names the file {value['from']!r}, which only exists in the Promise's folder",
            "build the Promise first: troth build DIR | kubectl apply --server-side -f -",
        )


def _read_kind(obj: Mapping[str, Any], field: str) -> str:
    kind, api_version = obj.get("kind"), obj.get("apiVersion")
    if not isinstance(kind, str) or kind not in _API_VERSIONS:
        raise InvalidObject(
            f"{field}.kind",
            f"{kind!r} is not a kind of pipeline" if kind else "is missing",
            f"use {JINJA_PIPELINE}",
        )
    wanted = _API_VERSIONS[kind]
    if api_version != wanted:
        problem = f"{kind} has no version {api_version!r}" if api_version else "is missing"
        raise InvalidObject(f"{field}.apiVersion", problem, f"use {wanted}")
    return kind


def _read_name(metadata: Mapping[str, Any], field: str) -> str:
    refuse_unknown_fields(metadata, ("name", "namespace", "labels", "annotations", "creationTimestamp"), field)
    name = metadata.get("name")
    if name is None:
        raise InvalidObject(f"{field}.name", "is missing", "give the pipeline a name")
    require_type(name, str, f"{field}.name")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise InvalidObject(
            f"{field}.name",
            f"{name!r} is not a name",
            f"use at most {_LONGEST_NAME} lower-case letters, digits and '-'",
        )
    return str(name)


def _read_values(values: Any, field: str) -> Mapping[str, Any]:
    values = require_map(values, field)
    for name in values:
        require_type(name, str, field)
        if name in SCOPE:
            raise InvalidObject(
                f"{field}.{name}",
                f"{name!r} already means something in templates",
                "choose another name for the value",
            )
        check_built(values[name], f"{field}.{name}")
    return dict(values)


def _read_files(files: Any, field: str) -> tuple[FileTemplate, ...]:
    parsed: list[FileTemplate] = []
    certain: dict[str, int] = {}
    for index, entry in enumerate(require_list(files, field)):
        where = f"{field}[{index}]"
        require_type(entry, dict, where)
        refuse_unknown_fields(entry, ("path", "template", "when", "forEach"), where)
        for required in ("path", "template"):
            if required not in entry:
                raise InvalidObject(f"{where}.{required}", "is missing")
            check_built(entry[required], f"{where}.{required}")
            require_type(entry[required], str, f"{where}.{required}")
        file = FileTemplate(
            path=entry["path"],
            template=entry["template"],
            when=_read_condition(entry.get("when"), f"{where}.when"),
            for_each=_read_condition(entry.get("forEach"), f"{where}.forEach"),
        )
        _check_path(file, where)
        if file.when is None and not _EXPRESSION.search(file.path):
            normal = posixpath.normpath(file.path)
            if normal in certain:
                raise InvalidObject(
                    f"{where}.path",
                    f"{file.path!r} is also the path of files[{certain[normal]}]",
                    "give each its own",
                )
            certain[normal] = index
        parsed.append(file)
    return tuple(parsed)


def _check_path(file: FileTemplate, where: str) -> None:
    if not file.path.strip():
        raise InvalidObject(f"{where}.path", "is empty", "name the file, such as manifest.yaml")
    if _EXPRESSION.search(file.path):
        return
    if file.for_each is not None:
        raise InvalidObject(
            f"{where}.path",
            f"{file.path!r} is the same for each item",
            "put what differs into the path, such as {{ item.name }}.yaml or {{ index }}.yaml",
        )
    if file.path.startswith("/") or "\\" in file.path or ".." in file.path.split("/"):
        raise InvalidObject(
            f"{where}.path", f"{file.path!r} leaves the request's folder", "use a relative path without '..'"
        )


def _read_condition(value: Any, field: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return f"{{{{ {str(value).lower()} }}}}"
    require_type(value, str, field)
    if not _EXPRESSION.search(value):
        raise InvalidObject(
            field, f"{value!r} is text, not an expression", f"write {{{{ {value.strip() or '…'} }}}}"
        )
    return str(value)


def _read_partials(partials: Any, field: str) -> Mapping[str, str]:
    partials = require_map(partials, field)
    for name, source in partials.items():
        require_type(name, str, field)
        check_built(source, f"{field}.{name}")
        require_type(source, str, f"{field}.{name}")
    return dict(partials)


def _read_destinations(rules: Any, field: str) -> tuple[DestinationRule, ...]:
    parsed: list[DestinationRule] = []
    for index, entry in enumerate(require_list(rules, field)):
        where = f"{field}[{index}]"
        require_type(entry, dict, where)
        refuse_unknown_fields(entry, ("directory", "matchLabels"), where)
        directory = entry.get("directory")
        if directory is not None:
            require_type(directory, str, f"{where}.directory")
        labels = entry.get("matchLabels")
        if not labels:
            raise InvalidObject(f"{where}.matchLabels", "is empty", "say which labels a destination must have")
        require_type(labels, dict, f"{where}.matchLabels")
        for label, value in labels.items():
            if isinstance(value, (dict, list)) or value is None:
                raise InvalidObject(f"{where}.matchLabels.{label}", f"a label is text, not {name_type(value)}")
        parsed.append(DestinationRule(directory or ".", dict(labels)))
    return tuple(parsed)


def _read_moved(moves: Any, field: str) -> tuple[Move, ...]:
    parsed: list[Move] = []
    for index, entry in enumerate(require_list(moves, field)):
        where = f"{field}[{index}]"
        require_type(entry, dict, where)
        refuse_unknown_fields(entry, ("kind", "from", "to"), where)
        for name in ("kind", "from", "to"):
            if not entry.get(name):
                raise InvalidObject(f"{where}.{name}", "is missing", "say the kind, and its name before and now")
            require_type(entry[name], str, f"{where}.{name}")
        if entry["from"] == entry["to"]:
            raise InvalidObject(f"{where}.to", "is the name that it had", "remove the entry")
        parsed.append(Move(entry["kind"], entry["from"], entry["to"]))
    return tuple(parsed)


def _read_status(status: Any, field: str) -> Mapping[str, Any]:
    status = require_map(status, field)
    for name in _OWNED_STATUS:
        if name in status:
            raise InvalidObject(f"{field}.{name}", "is written by the platform itself", "choose another field")
    return dict(status)


def _read_control(control: Any, field: str) -> Mapping[str, Any]:
    control = require_map(control, field)
    refuse_unknown_fields(control, ("suspend", "message", "retryAfter", "maxAttempts"), field)
    for name, value in control.items():
        allowed = (str, *_CONTROL_TYPES.get(name, ()), type(None))
        if not isinstance(value, allowed) or (name == "maxAttempts" and isinstance(value, bool)):
            raise InvalidObject(f"{field}.{name}", f"is {name_type(value)}", "write text or an expression")
    return dict(control)


def _check_delete(pipeline: JinjaPipeline, field: str) -> None:
    for name, given in (
        ("files", pipeline.files),
        ("destinations", pipeline.destinations),
        ("moved", pipeline.moved),
    ):
        if given:
            raise InvalidObject(
                f"{field}.{name}",
                f"a delete pipeline has no {name}: what the configure pipelines rendered is removed anyway",
                f"remove {name}, or move the pipeline to configure",
            )
