"""The API of a new Promise: made from fields, or taken from an existing CustomResourceDefinition."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from troth.api import InvalidObject
from troth.api.typed import read_list, read_map
from troth.authoring.input_files import HomeError, read_objects, read_text
from troth.authoring.starting.errors import CannotStart
from troth.authoring.starting.fields import Field
from troth.engine.admission.definitions import API_APPROVED, definition_refusals
from troth.engine.promises.definitions import build_definition, request_resource
from troth.engine.status.author import OWNED_KEYS
from troth.engine.yaml.lines import field_lines

GROUP: Final = "platform.example.com"
VERSION: Final = "v1"

_DEFINITION: Final = "CustomResourceDefinition"
_PROMISE_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_STATUS_COLUMN: Final = re.compile(r"\.?status\.([A-Za-z_]\w*)")
_WRITTEN: Final = OWNED_KEYS | {"conditions", "message"}
_KIND: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")
_PLURAL: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_GROUP: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class Offered:
    """An API that a Promise offers.

    Attributes:
        definition: its CustomResourceDefinition, as the Promise holds it.
        api_version: the apiVersion of requests.
        kind: the kind of requests.
        plural: the name that people write after ``kubectl get``.
        schema: the schema of the whole request, in the version that the operator reads.
        dropped: what was left out of an existing definition, and why.
    """

    definition: dict[str, Any]
    api_version: str
    kind: str
    plural: str
    schema: Mapping[str, Any]
    dropped: tuple[str, ...] = ()

    @property
    def spec(self) -> Mapping[str, Any]:
        """The schema of ``spec``."""
        found = (self.schema.get("properties") or {}).get("spec")
        return found if isinstance(found, Mapping) else {}

    @property
    def has_spec(self) -> bool:
        """Whether every request has a ``spec``. Only then are the defaults in it filled in."""
        return "spec" in (self.schema.get("required") or ()) or "default" in self.spec


def check_name(name: str) -> str:
    """Returns the name if a Promise may have it.

    Raises:
        CannotStart: it may not.
    """
    if not _PROMISE_NAME.fullmatch(name):
        remedy = "use at most 63 lower-case letters, digits and dashes, and begin with a letter"
        raise CannotStart(f"{name!r} is not a valid name of a Promise; {remedy}")
    return name


def kind_of(name: str) -> str:
    """The kind for a Promise of this name: ``web-app`` gives WebApp."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("-"))


def plural_of(kind: str) -> str:
    """The plural of a kind by the usual rules of English."""
    word = kind.lower()
    if re.search(r"(s|x|z|ch|sh)$", word):
        return word + "es"
    return re.sub(r"(?<=[^aeiou])y$", "ie", word) + "s"


def check_kind(kind: str) -> str:
    """Returns the kind if it is valid.

    Raises:
        CannotStart: it cannot.
    """
    if not _KIND.fullmatch(kind):
        raise CannotStart(f"--kind {kind}: begin with a capital letter; letters and digits follow")
    return kind


def check_group(group: str) -> str:
    """Returns the group if it is valid.

    Raises:
        CannotStart: it cannot.
    """
    if len(group) > 150 or not _GROUP.fullmatch(group):
        raise CannotStart(f"--group {group}: name a domain that is yours, such as {GROUP}")
    return group


def offer(name: str, *, kind: str, group: str, plural: str, fields: Sequence[Field]) -> Offered:
    """An API with these fields. Arguments that are empty are derived from the name.

    Raises:
        CannotStart: a name cannot be used.
    """
    kind = check_kind(kind or kind_of(name))
    group = check_group(group or GROUP)
    plural = plural or plural_of(kind)
    if not _PLURAL.fullmatch(plural):
        raise CannotStart(f"--plural {plural}: use lower-case letters, digits and dashes")
    spec: dict[str, Any] = {"description": f"What the Promise {name} is asked for.", "type": "object"}
    if any(field.required for field in fields):
        spec["required"] = [field.name for field in fields if field.required]
    spec["properties"] = {field.name: dict(field.schema) for field in fields}
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "description": f"A request for {kind}, which the Promise {name} fulfils.",
                "type": "object",
                "required": ["spec"],
                "properties": {"spec": spec},
            }
        },
    }
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return read_offered(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": _DEFINITION,
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
        },
        (),
    )


def adopt(file: Path, kind: str) -> Offered:
    """The API of a CustomResourceDefinition in a file. If there are several, ``kind`` selects one.

    Raises:
        HomeError: the file does not have one, or it cannot be a Promise's API.
    """
    found = [obj for obj in read_objects(file) if obj["kind"] == _DEFINITION]
    if kind:
        found = [obj for obj in found if _names(obj).get("kind") == kind]
    if not found:
        wanted = f"{_DEFINITION} of the kind {kind}" if kind else _DEFINITION
        raise HomeError(file, f"has no {wanted}", "name a file that has one")
    if len(found) > 1:
        kinds = ", ".join(str(_names(obj).get("kind")) for obj in found[:8])
        raise HomeError(file, f"has {len(found)} definitions", f"choose one with --kind: {kinds}")
    definition, dropped = _cleaned(found[0])
    try:
        offered = read_offered(definition, dropped)
        refusals = definition_refusals(build_definition("new", definition))
    except InvalidObject as error:
        raise HomeError(file, error.problem, error.remedy, field=error.field.removeprefix("spec.api.")) from None
    if refusals:
        field = refusals[0].field
        raise HomeError(file, refusals[0].message, line=_line(file, field), field=field)
    return offered


def _line(file: Path, field: str) -> int | None:
    """The line of a field of the only definition in a file; None when it is not known."""
    found = [places[field] for places in field_lines(read_text(file)) if field in places]
    return found[0] if len(found) == 1 else None


def read_offered(definition: dict[str, Any], dropped: tuple[str, ...]) -> Offered:
    """Reads the API that a definition describes.

    Raises:
        InvalidObject: it cannot be a Promise's API.
    """
    built = build_definition("new", definition)
    resource = request_resource(built)
    schema = next(
        version["schema"]["openAPIV3Schema"]
        for version in definition["spec"]["versions"]
        if version["name"] == resource.version
    )
    return Offered(definition, resource.api_version, resource.kind, resource.plural, schema, dropped)


def _names(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = obj.get("spec")
    names = spec.get("names") if isinstance(spec, Mapping) else None
    return names if isinstance(names, Mapping) else {}


def _drop_columns(version: dict[str, Any]) -> Iterator[str]:
    """Removes the columns that show what only the status of the former operator had. Yields a sentence for each."""
    columns = version.get("additionalPrinterColumns")
    if not isinstance(columns, list):
        return
    kept = []
    for column in columns:
        found = _STATUS_COLUMN.match(str(column.get("jsonPath"))) if isinstance(column, Mapping) else None
        if found is None or found[1] in _WRITTEN:
            kept.append(column)
        else:
            yield f"the column {column.get('name')} of {version.get('name')}: nothing writes status.{found[1]}"
    version["additionalPrinterColumns"] = kept
    if not kept:
        del version["additionalPrinterColumns"]


def _cleaned(obj: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The definition without what a cluster or a generator added, and a sentence for each part that was left out."""
    definition = copy.deepcopy(dict(obj))
    dropped: list[str] = []
    definition.pop("status", None)
    metadata = definition.get("metadata")
    definition["metadata"] = {"name": metadata.get("name") if isinstance(metadata, dict) else None}
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if isinstance(annotations, dict) and API_APPROVED in annotations:
        definition["metadata"]["annotations"] = {API_APPROVED: annotations[API_APPROVED]}
    spec = definition.get("spec")
    if not isinstance(spec, dict):
        return definition, ()
    conversion = spec.get("conversion")
    if isinstance(conversion, dict) and conversion.get("strategy") == "Webhook":
        del spec["conversion"]
        dropped.append("the conversion webhook, which belongs to another operator")
    for version in read_list(spec.get("versions")):
        if not isinstance(version, dict):
            continue  # `build_definition` reports it
        properties = read_map(read_map(version.get("schema")).get("openAPIV3Schema")).get("properties")
        if isinstance(properties, dict) and properties.pop("status", None) is not None:
            dropped.append(f"the status of {version.get('name')}: the operator writes its own")
        if isinstance(version.get("subresources"), dict):
            version["subresources"].pop("status", None)
            if not version["subresources"]:
                del version["subresources"]
        dropped += _drop_columns(version)
    return definition, tuple(dropped)
