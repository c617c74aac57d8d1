"""Computes the patch that makes a CustomResourceDefinition exactly what its Promise says.

The API server adds defaults, and drops what is empty or unknown to it. So both sides are brought into the form in which
it stores them, and then compared exactly: a rule, a limit, a member of an enum or a short name that was removed from
the Promise is removed from the cluster. Nobody else writes versions and names. Labels, annotations and the conversion
have other writers, too: of those, only what Troth wrote itself is removed again (`definition_owners`). The certificate
of a webhook is left to the program that an annotation asks to put it there.

Some fields of a definition cannot be changed at all (`immutable_field`), and a version in which requests may be stored
cannot be removed (`missing_stored_versions`). The API server refuses such a change as a whole.

Rejected: server-side apply. It finds the fields that Troth wrote by the same records, but only by writing, and it
leaves whatever an earlier release of Troth or Kratix wrote without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from troth.engine.promises.definitions import Definition
from troth.engine.status.patch import same

Object = Mapping[str, Any]

_PORT: Final = 443
_NAMES: Final = ("plural", "singular", "shortNames", "kind", "listKind", "categories")
_COLUMN: Final = ("name", "type", "format", "description", "priority", "jsonPath")
_TEXTS: Final = ("$ref", "$schema", "description", "format", "id", "pattern", "title", "type")
_LISTS_OF_TEXTS: Final = ("required", "x-kubernetes-list-map-keys")
_FLAGS: Final = (
    "exclusiveMaximum",
    "exclusiveMinimum",
    "nullable",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
)
_NUMBERS: Final = ("maximum", "minimum", "multipleOf")
_KEPT: Final = (
    "maxItems",
    "maxLength",
    "maxProperties",
    "minItems",
    "minLength",
    "minProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
)
_VALUES: Final = ("default", "example", "enum")
_MAPS_OF_SCHEMAS: Final = ("definitions", "patternProperties", "properties")
_LISTS_OF_SCHEMAS: Final = ("allOf", "anyOf", "oneOf")
_ASKS_FOR_CERTIFICATE: Final = (
    "cert-manager.io/inject-apiserver-ca",
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "service.beta.openshift.io/inject-cabundle",
)
_SCHEMAS: Final = ("additionalItems", "additionalProperties", "items", "not")
_RULE: Final = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")


def definition_patch(live: Definition, desired: Object) -> dict[str, Any] | None:
    """Returns the JSON merge patch from ``live`` to ``desired``, or None if there is no difference.

    Args:
        live: as the API server has it.
        desired: as `build_definition` makes it.
    """
    patch: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for part in ("labels", "annotations"):
        have: Object = getattr(live.metadata, part)
        if changed := _difference(have, desired["metadata"][part], live.owned.get(part, {})):
            metadata[part] = changed
    if metadata:
        patch["metadata"] = metadata
    noted = {**live.metadata.annotations, **desired["metadata"]["annotations"]}
    if spec := _spec_patch(live, desired["spec"], injected=any(name in noted for name in _ASKS_FOR_CERTIFICATE)):
        patch["spec"] = spec
    return patch or None


def immutable_field(live: Definition, desired: Object) -> str:
    """Returns the first field of an established definition that differs and can never be changed, or "".

    Upstream: ``ValidateCustomResourceDefinitionUpdate`` in `pkg/apis/apiextensions/validation/validation.go` of
    k8s.io/apiextensions-apiserver v0.36.3. The group and the plural are in the name of the definition.
    """
    wanted = desired["spec"]
    if not live.established:
        return ""
    if live.spec.get("scope") != wanted.get("scope"):
        return "spec.scope"
    if (live.spec.get("names") or {}).get("kind") != wanted["names"]["kind"]:
        return "spec.names.kind"
    return ""


def missing_stored_versions(live: Definition, desired: Object) -> tuple[str, ...]:
    """Returns the versions in which requests may be stored and which the desired definition does not have."""
    wanted = {version.get("name") for version in desired["spec"]["versions"]}
    return tuple(name for name in live.stored_versions if name not in wanted)


def _spec_patch(live: Definition, wanted: Object, *, injected: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    versions = [stored_version(version) for version in live.spec.get("versions") or ()]
    if not same(versions, [stored_version(version) for version in wanted["versions"]]):
        spec["versions"] = wanted["versions"]
    have, want = _stored_names(live.spec.get("names") or {}), _stored_names(wanted["names"])
    changed = {key: want.get(key) for key in _NAMES if not same(have.get(key), want.get(key))}
    if changed:
        spec["names"] = changed
    if live.spec.get("scope") != wanted.get("scope"):  # which can be changed until the definition is established
        spec["scope"] = wanted.get("scope")
    if bool(live.spec.get("preserveUnknownFields")) != bool(wanted.get("preserveUnknownFields")):
        spec["preserveUnknownFields"] = bool(wanted.get("preserveUnknownFields"))
    held, wished = live.spec.get("conversion") or {}, wanted.get("conversion") or {}
    if injected and _client(held).get("caBundle"):
        held, wished = _without_certificate(held), _without_certificate(wished)
    if conversion := _conversion_patch(held, wished, live.owned.get("conversion", {})):
        spec["conversion"] = conversion
    return spec


def _conversion_patch(have: Object, want: Object, owned: Object) -> dict[str, Any]:
    if not want:
        if have.get("strategy", "None") == "None" or "f:strategy" not in owned:
            return {}
        want = {"strategy": "None"}
    changed = _difference(have, _stored_conversion(want), owned)
    if want.get("strategy") == "None" and have.get("webhook"):
        changed["webhook"] = None
    for one, other in (("service", "url"), ("url", "service")):
        if _client(want).get(one) and _client(have).get(other):  # only one of them may be there, whoever wrote it
            changed["webhook"]["clientConfig"][other] = None
    return changed


def _client(conversion: Object) -> Object:
    found: Object = (conversion.get("webhook") or {}).get("clientConfig") or {}
    return found


def _without_certificate(conversion: Object) -> Object:
    if "caBundle" not in _client(conversion):
        return conversion
    client = {key: value for key, value in _client(conversion).items() if key != "caBundle"}
    return {**conversion, "webhook": {**conversion["webhook"], "clientConfig": client}}


def _difference(have: Object, want: Object, owned: Object) -> dict[str, Any]:
    """Returns a merge patch for ``have``: it adds ``want``, and removes what Troth wrote and no longer wants."""
    changed: dict[str, Any] = {key: None for key in have if key not in want and f"f:{key}" in owned}
    for key, value in want.items():
        before = have.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := _difference(before, value, owned.get(f"f:{key}", {})):
                changed[key] = inner
        elif not same(before, value):
            changed[key] = value
    return changed


# ---- the form in which the API server stores definitions


def _stored_names(names: Object) -> dict[str, Any]:
    stored = {key: names[key] for key in _NAMES if names.get(key)}
    kind = str(names.get("kind") or "")
    return {"singular": kind.lower(), "listKind": f"{kind}List", **stored}


def _stored_conversion(conversion: Object) -> dict[str, Any]:
    stored = {key: value for key, value in conversion.items() if value is not None}
    config = (stored.get("webhook") or {}).get("clientConfig") or {}
    if config.get("service"):
        service = {"port": _PORT, **config["service"]}
        stored["webhook"] = {**stored["webhook"], "clientConfig": {**config, "service": service}}
    return stored


def stored_version(version: Object) -> dict[str, Any]:
    """Returns a version of a definition as the API server stores it, so that equivalent versions are equal."""
    stored: dict[str, Any] = {
        "name": version.get("name"),
        "served": bool(version.get("served")),
        "storage": bool(version.get("storage")),
        **{key: version[key] for key in ("deprecated", "selectableFields") if version.get(key)},
    }
    if version.get("deprecationWarning") is not None:
        stored["deprecationWarning"] = version["deprecationWarning"]
    subresources = version.get("subresources") or {}
    if subresources:
        stored["subresources"] = {key: subresources[key] for key in ("status", "scale") if key in subresources}
    columns = [
        {key: column[key] for key in _COLUMN if column.get(key)}
        for column in version.get("additionalPrinterColumns") or ()
    ]
    if columns:
        stored["additionalPrinterColumns"] = columns
    root = (version.get("schema") or {}).get("openAPIV3Schema")
    if root is not None:
        stored["schema"] = stored_schema(root)
    return stored


def stored_schema(schema: Any) -> Any:
    """Returns a schema as the API server stores it: without empty values and unknown keywords."""
    if not isinstance(schema, Mapping):
        return schema
    stored: dict[str, Any] = {key: schema[key] for key in (*_TEXTS, *_LISTS_OF_TEXTS, *_FLAGS) if schema.get(key)}
    stored |= {key: schema[key] for key in (*_KEPT, *_VALUES) if schema.get(key) is not None and schema[key] != []}
    stored |= {key: _number(schema[key]) for key in _NUMBERS if schema.get(key) is not None}
    for key in _MAPS_OF_SCHEMAS:
        if schema.get(key):
            stored[key] = {name: stored_schema(child) for name, child in schema[key].items()}
    for key in _LISTS_OF_SCHEMAS:
        if schema.get(key):
            stored[key] = [stored_schema(child) for child in schema[key]]
    stored |= {key: stored_schema(schema[key]) for key in _SCHEMAS if schema.get(key) is not None}
    if schema.get("externalDocs") is not None:
        stored["externalDocs"] = {key: value for key, value in schema["externalDocs"].items() if value}
    rules = [
        {key: rule[key] for key in _RULE if rule.get(key) not in (None, "")} if isinstance(rule, Mapping) else rule
        for rule in schema.get("x-kubernetes-validations") or ()
    ]
    if rules:
        stored["x-kubernetes-validations"] = rules
    return stored


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
