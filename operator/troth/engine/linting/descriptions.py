"""Finds the parts of an API without a description, which ``kubectl explain`` therefore cannot explain.

Developers who make requests have no access to the templates, so the descriptions of the API are their manual. The
fields of the status that pipelines write are looked for in the API as well, since developers read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.engine.linting.remarks import Remark
from troth.engine.promises.offers import Offer
from troth.engine.promises.request_paths import Path, path_words
from troth.engine.rendering.sources import fields_by_name
from troth.engine.status.author import OWNED_KEYS

_EXPLAINED: Final = frozenset(("apiVersion", "kind", "metadata", "status"))
"""The fields that Kubernetes and Troth describe themselves."""
_OWN_STATUS: Final = OWNED_KEYS | {"conditions", "message"}
_OPENERS: Final = ("{{", "{%", "{#")
_DEEPEST: Final = 30


def check_descriptions(promise: Mapping[str, Any], offer: Offer) -> Iterator[Remark]:
    """Finds the fields of a Promise's API that have no description, and its kind if that has none.

    Args:
        promise: the built Promise.
        offer: the Promise's offer, as the operator reads it.
    """
    if offer.resource is None:
        return
    for index, version in enumerate(promise["spec"]["api"]["spec"]["versions"]):
        field = f"spec.api.spec.versions[{index}].schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        if not _described(schema):
            message = (
                f"kubectl explain shows nothing for the kind {offer.resource.kind}: its schema has no description"
            )
            yield Remark("T112", field, message, "describe what people get", needle="openAPIV3Schema")
        yield from _fields(schema, (), field, 0)
        if version.get("name") == offer.resource.version:
            fields = fields_by_name(promise, "spec.workflows.resource.configure")
            yield from _status(schema, field, offer, fields)


def _fields(schema: Mapping[str, Any], path: Path, field: str, depth: int) -> Iterator[Remark]:
    """Checks the fields of a map, or of the maps in a list or a map."""
    if depth > _DEEPEST:
        return
    for name, child in _mapping(schema.get("properties")).items():
        if not path and name in _EXPLAINED:
            continue
        here, where = (*path, str(name)), f"{field}.properties.{name}"
        if not isinstance(child, Mapping):
            continue
        if not _described(child):
            yield _remark(here, where)
        yield from _fields(child, here, where, depth + 1)
    for key, step in (("items", "[]"), ("additionalProperties", "*")):
        if isinstance(schema.get(key), Mapping):
            yield from _fields(schema[key], (*path, step), f"{field}.{key}", depth + 1)


def _status(schema: Mapping[str, Any], field: str, offer: Offer, fields: Mapping[str, str]) -> Iterator[Remark]:
    """Checks the fields of the status that the pipelines write, and those that the API declares."""
    status = _mapping(_mapping(schema.get("properties")).get("status"))
    declared = _mapping(status.get("properties"))
    where = f"{field}.properties.status"
    yield from (
        remark
        for remark in _fields(status, ("status",), where, 1)
        if remark.field.removeprefix(f"{where}.properties.").partition(".")[0] not in _OWN_STATUS
    )
    for pipeline in offer.resource_configure:
        for name, value in pipeline.status.items():
            known = str(name) in declared or name in _OWN_STATUS or any(word in str(name) for word in _OPENERS)
            if not known and value is not None:
                yield _remark(("status", str(name)), f"{fields[pipeline.name]}.spec.status.{name}")


def _remark(path: Path, field: str) -> Remark:
    words = path_words(path)
    if path[0] == "status" and ".workflows." in field:
        message = f"kubectl explain does not say what {words} is: the API does not describe it"
        fix = "declare it in the schema's status, with a description"
    else:
        message = f"kubectl explain shows nothing for {words}: it has no description"
        fix = "say what it means, in whole sentences"
    return Remark("T112", field, message, fix, needle=path[-1])


def _described(schema: Mapping[str, Any]) -> bool:
    said = schema.get("description")
    return isinstance(said, str) and bool(said.strip())


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
