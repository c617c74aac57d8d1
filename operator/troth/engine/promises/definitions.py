"""The CustomResourceDefinition of a Promise's API (kratix-compatibility.md#a-promises-api).

Pure functions from the Promise to the definition that the API server should have. Every version gets the status
subresource and a schema of the status that lets every field through, as Kratix's does (`troth.engine.status.schema`).
`definition_changes` computes what to write when a definition exists already.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth.api import InvalidObject, Resource
from troth.api import labels as names
from troth.api.objects import Object, ObjectMeta, read_metadata
from troth.api.typed import read_list, read_map, read_maps, read_text, require_map, require_text
from troth.engine.promises.definition_owners import owned_fields
from troth.engine.promises.reach import check_group
from troth.engine.status.schema import request_status_schema

LONGEST_REQUEST_NAME: Final = 63


@dataclass(frozen=True, slots=True)
class Definition:
    """A CustomResourceDefinition as the API server has it.

    Attributes:
        metadata: its metadata.
        spec: its spec.
        established: whether the API is served.
        refusal: why the API server does not accept its names, or "".
        stored_versions: the versions in which objects may be stored.
        owned: those of its labels, its annotations and its conversion that Troth wrote and nobody else claims, in the
            form of ``managedFields`` (`troth.engine.promises.definition_owners`).
    """

    metadata: ObjectMeta
    spec: Object
    established: bool
    refusal: str
    stored_versions: tuple[str, ...]
    owned: Object = field(default_factory=dict)


def read_definition(obj: Object) -> Definition:
    """Returns the view of a CustomResourceDefinition. Its conditions may be null while it is new."""
    status = read_map(obj.get("status"))
    conditions = {read_text(item.get("type")): item for item in read_maps(status.get("conditions"))}
    refused = conditions.get("NamesAccepted", {})
    return Definition(
        metadata=read_metadata(obj),
        spec=read_map(obj.get("spec")),
        established=conditions.get("Established", {}).get("status") == "True",
        refusal=read_text(refused.get("message")) if refused.get("status") == "False" else "",
        stored_versions=tuple(name for name in read_list(status.get("storedVersions")) if isinstance(name, str)),
        owned=owned_fields(obj),
    )


def build_definition(
    promise_name: str, api: Object, derived_status: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Builds the definition to install for ``spec.api``.

    Args:
        promise_name: the name of the Promise that offers the API.
        api: the value of ``spec.api``.
        derived_status: the schemas of status fields that follow from the pipelines (`derived_fields`).

    Raises:
        InvalidObject: the API is not a CustomResourceDefinition or not namespaced, its group is not for Promises
            (`troth.engine.promises.reach`), it has no version that can be stored, or it contradicts itself. What only
            the API server can check is left to the API server.
    """
    field = "spec.api"
    if api.get("kind") == "CustomResourceDefinition" and api.get("apiVersion") == "apiextensions.k8s.io/v1beta1":
        raise InvalidObject(
            f"{field}.apiVersion",
            "is apiextensions.k8s.io/v1beta1, which Kubernetes no longer has since 1.22",
            "write it as apiextensions.k8s.io/v1: there the schema is in each of spec.versions",
        )
    if api.get("kind") != "CustomResourceDefinition" or api.get("apiVersion") != "apiextensions.k8s.io/v1":
        raise InvalidObject(
            field,
            f"is {api.get('apiVersion')!r} {api.get('kind')!r}, not a CustomResourceDefinition",
            "give it apiVersion apiextensions.k8s.io/v1 and kind CustomResourceDefinition",
        )
    spec = _mapping(api.get("spec"), f"{field}.spec")
    names_ = _mapping(spec.get("names"), f"{field}.spec.names")
    for required, where in (("group", spec), ("plural", names_), ("kind", names_)):
        if not isinstance(where.get(required), str) or not where[required]:
            inside = "spec.names" if where is names_ else "spec"
            raise InvalidObject(f"{field}.{inside}.{required}", "is missing")
    check_group(spec["group"])
    expected = f"{names_['plural']}.{spec['group']}"
    metadata = require_map(api.get("metadata"), f"{field}.metadata")
    actual = metadata.get("name")
    if actual != expected:
        raise InvalidObject(
            f"{field}.metadata.name", f"is {actual!r}", f"it must be the plural and the group: {expected!r}"
        )
    if spec.get("scope") != "Namespaced":
        raise InvalidObject(
            f"{field}.spec.scope",
            f"is {spec.get('scope')!r}",
            "a Promise's API must be Namespaced, because a request belongs to a team's namespace",
        )
    definition = copy.deepcopy(dict(api))
    definition.pop("status", None)
    definition.pop("conversions", None)  # not Kubernetes' but ours (troth.engine.promises.conversion)
    versions = definition["spec"].get("versions")
    if not isinstance(versions, list) or not versions:
        raise InvalidObject(f"{field}.spec.versions", "has no version", "declare one with served and storage true")
    storage = _storage_index(versions, f"{field}.spec.versions")
    for index, version in enumerate(versions):
        _complete_version(version, f"{field}.spec.versions[{index}]", derived_status, is_storage=index == storage)
    labels, annotations = (
        _texts(metadata.get(part), f"{field}.metadata.{part}") for part in ("labels", "annotations")
    )
    definition["metadata"] = {
        "name": metadata["name"],
        "labels": {**labels, names.PROMISE_NAME: promise_name},
        "annotations": annotations,
    }
    return definition


def request_resource(definition: Object) -> Resource:
    """Returns the resource of the requests: in the storage version if it is served, else in the first served one."""
    spec = definition["spec"]
    served = [version for version in spec["versions"] if version.get("served")]
    chosen = next((version for version in served if version.get("storage")), served[0] if served else None)
    if chosen is None:
        raise InvalidObject("spec.api.spec.versions", "no version is served", "set served: true on one of them")
    return Resource(spec["group"], chosen["name"], spec["names"]["plural"], spec["names"]["kind"])


def declared_status(api: Object, version: str) -> Mapping[str, Any]:
    """Returns the schema that one version of an API declares for the status; empty if it does not declare one."""
    versions = (api.get("spec") or {}).get("versions") or ()
    schema: Any = next((one.get("schema") for one in versions if one.get("name") == version), None)
    for step in ("openAPIV3Schema", "properties", "status"):
        schema = schema.get(step) if isinstance(schema, Mapping) else None
    return schema if isinstance(schema, Mapping) else {}


def _storage_index(versions: list[Any], field: str) -> int:
    for index, version in enumerate(versions):
        _mapping(version, f"{field}[{index}]")
    chosen = [index for index, version in enumerate(versions) if version.get("storage") is True]
    if not chosen:
        raise InvalidObject(field, "no version has storage: true", "set storage: true on exactly one version")
    if len(chosen) > 1:
        raise InvalidObject(
            f"{field}[{chosen[1]}].storage", "is the second storage version", "only one version can be stored"
        )
    return chosen[0]


def _complete_version(
    version: dict[str, Any], field: str, derived_status: Mapping[str, Any] | None, *, is_storage: bool
) -> None:
    if not require_text(version.get("name"), f"{field}.name"):
        raise InvalidObject(f"{field}.name", "is missing", "give the version a name, such as v1")
    schema = _mapping(version.get("schema"), f"{field}.schema")
    root = _mapping(schema.get("openAPIV3Schema"), f"{field}.schema.openAPIV3Schema")
    version["subresources"] = {**require_map(version.get("subresources"), f"{field}.subresources"), "status": {}}
    version.setdefault("additionalPrinterColumns", _printer_columns())
    root.setdefault("type", "object")
    where = f"{field}.schema.openAPIV3Schema.properties"
    properties = dict(require_map(root.get("properties"), where))
    properties["status"] = request_status_schema(properties.get("status"), derived_status)
    if is_storage:
        metadata = require_map(properties.get("metadata"), f"{where}.metadata") or {"type": "object"}
        inner = require_map(metadata.get("properties"), f"{where}.metadata.properties")
        name = require_map(inner.get("name"), f"{where}.metadata.properties.name") or {"type": "string"}
        named = {**inner, "name": {**name, "maxLength": LONGEST_REQUEST_NAME}}
        properties["metadata"] = {**metadata, "properties": named}
    root["properties"] = properties


def _printer_columns() -> list[dict[str, Any]]:
    return [
        {"name": "status", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Reconciled")].message'},
        {"name": "ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "message", "type": "string", "jsonPath": ".status.message"},
        {
            "name": "reason",
            "type": "string",
            "jsonPath": '.status.conditions[?(@.type=="Ready")].reason',
            "priority": 1,
        },
        {"name": "version", "type": "string", "jsonPath": ".status.promiseVersion", "priority": 1},
        {"name": "age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


def _texts(value: Any, field: str) -> dict[str, str]:
    return {name: require_text(text, f"{field}.{name}") for name, text in require_map(value, field).items()}


def _mapping(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidObject(field, "is missing" if value is None else "is not a map")
    return value
