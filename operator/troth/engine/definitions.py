"""The CustomResourceDefinition of a Promise's API (kratix-api.md 2.2).

Pure: from the Promise to the definition that the API server should have, and from two definitions to the patch
between them. Every version gets the status subresource and a schema of the status that lets every field through, as
Kratix's does (`troth.engine.status.schema`). Rejected: server-side apply, because a property that leaves the
schema must leave the cluster as well, whoever wrote it first.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.api import InvalidObject, Resource
from troth.api import labels as names
from troth.api.objects import Object, ObjectMeta, read_metadata
from troth.engine.status.schema import request_status_schema

LONGEST_REQUEST_NAME: Final = 63


@dataclass(frozen=True, slots=True)
class Definition:
    """A CustomResourceDefinition as the API server has it."""

    metadata: ObjectMeta
    spec: Object
    established: bool
    refusal: str
    stored_versions: tuple[str, ...]


def read_definition(obj: Object) -> Definition:
    """The view of a CustomResourceDefinition; its conditions may be null while it is new."""
    status = obj.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    refused = conditions.get("NamesAccepted", {})
    return Definition(
        metadata=read_metadata(obj),
        spec=obj.get("spec") or {},
        established=conditions.get("Established", {}).get("status") == "True",
        refusal=refused.get("message", "") if refused.get("status") == "False" else "",
        stored_versions=tuple(status.get("storedVersions") or ()),
    )


def build_definition(
    promise_name: str, api: Object, derived_status: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The definition to install for ``spec.api``.

    Args:
        promise_name: whose API it is.
        api: ``spec.api``.
        derived_status: the fields of the status that follow from the pipelines (`derived_fields`).

    Raises:
        InvalidObject: it is no CustomResourceDefinition, not namespaced, has no version that can be stored, or
            contradicts itself. What only the API server can judge is left to the API server.
    """
    field = "spec.api"
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
    expected = f"{names_['plural']}.{spec['group']}"
    actual = (api.get("metadata") or {}).get("name")
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
    versions = definition["spec"].get("versions")
    if not isinstance(versions, list) or not versions:
        raise InvalidObject(f"{field}.spec.versions", "has no version", "declare one with served and storage true")
    storage = _storage_index(versions, f"{field}.spec.versions")
    for index, version in enumerate(versions):
        _complete_version(version, f"{field}.spec.versions[{index}]", derived_status, is_storage=index == storage)
    metadata = definition["metadata"]
    definition["metadata"] = {
        "name": metadata["name"],
        "labels": {**(metadata.get("labels") or {}), names.PROMISE_NAME: promise_name},
        "annotations": dict(metadata.get("annotations") or {}),
    }
    return definition


def request_resource(definition: Object) -> Resource:
    """Where the requests of that API live: in the storage version if it is served, else in the first served."""
    spec = definition["spec"]
    served = [version for version in spec["versions"] if version.get("served")]
    chosen = next((version for version in served if version.get("storage")), served[0] if served else None)
    if chosen is None:
        raise InvalidObject("spec.api.spec.versions", "no version is served", "set served: true on one of them")
    return Resource(spec["group"], chosen["name"], spec["names"]["plural"], spec["names"]["kind"])


def declared_status(api: Object, version: str) -> Mapping[str, Any]:
    """What one version of an API says of the status of its requests; nothing where it says nothing."""
    versions = (api.get("spec") or {}).get("versions") or ()
    schema: Any = next((one.get("schema") for one in versions if one.get("name") == version), None)
    for step in ("openAPIV3Schema", "properties", "status"):
        schema = schema.get(step) if isinstance(schema, Mapping) else None
    return schema if isinstance(schema, Mapping) else {}


def definition_patch(live: Definition, desired: Object) -> dict[str, Any] | None:
    """The JSON merge patch that brings ``live`` to ``desired``, or None if it holds all of it already.

    The API server adds defaults to what was written, so equal means: everything desired is there, and no version
    has a property that is not desired.
    """
    patch: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for part in ("labels", "annotations"):
        have: Mapping[str, str] = getattr(live.metadata, part)
        missing = {key: value for key, value in desired["metadata"][part].items() if have.get(key) != value}
        if missing:
            metadata[part] = missing
    if metadata:
        patch["metadata"] = metadata
    spec: dict[str, Any] = {}
    wanted = desired["spec"]
    if not _holds(live.spec.get("versions"), wanted["versions"], exact_properties=True):
        spec["versions"] = wanted["versions"]
    for key in ("conversion", "preserveUnknownFields", "names"):
        if key in wanted and not _holds(live.spec.get(key), wanted[key]):
            spec[key] = wanted[key]
    if spec:
        patch["spec"] = spec
    return patch or None


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
    schema = _mapping(version.get("schema"), f"{field}.schema")
    root = _mapping(schema.get("openAPIV3Schema"), f"{field}.schema.openAPIV3Schema")
    version.setdefault("subresources", {})
    version["subresources"]["status"] = {}
    version.setdefault("additionalPrinterColumns", _printer_columns())
    root.setdefault("type", "object")
    properties = root.setdefault("properties", {})
    properties["status"] = request_status_schema(properties.get("status"), derived_status)
    if is_storage:
        metadata = properties.setdefault("metadata", {"type": "object"})
        metadata.setdefault("properties", {}).setdefault("name", {"type": "string"})["maxLength"] = (
            LONGEST_REQUEST_NAME
        )


def _printer_columns() -> list[dict[str, Any]]:
    return [
        {"name": "message", "type": "string", "jsonPath": ".status.message"},
        {"name": "status", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Reconciled")].message'},
        {"name": "ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "version", "type": "string", "jsonPath": ".status.promiseVersion", "priority": 1},
        {"name": "age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


def _holds(live: Any, wanted: Any, *, exact_properties: bool = False) -> bool:
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return False
        for key, value in wanted.items():
            if key not in live:
                # An empty value that was pruned or defaulted away is the same as its absence.
                if value in (None, {}, [], "", False):
                    continue
                return False
            strict = exact_properties and key == "properties"
            if strict and isinstance(value, Mapping) and set(live[key]) != set(value):
                return False
            if not _holds(live[key], value, exact_properties=exact_properties):
                return False
        return True
    if isinstance(wanted, list):
        if not isinstance(live, list) or len(live) != len(wanted):
            return False
        return all(
            _holds(have, want, exact_properties=exact_properties) for have, want in zip(live, wanted, strict=True)
        )
    return bool(live == wanted)


def _mapping(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidObject(field, "is missing" if value is None else "is no map")
    return value
