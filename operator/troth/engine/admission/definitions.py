"""What the API server refuses in a CustomResourceDefinition: names, versions, and schemas that are not structural.

A Promise's API is created by the operator, and the API server's refusal becomes the Promise's condition. These are the
rules that authors meet; each was compared with a real API server. Not checked here are the types of CEL rules, part of
their costs, conversion, and defaults inside ``allOf`` and the like: what is not known here is accepted.

Upstream: `pkg/apis/apiextensions/validation/validation.go` and `pkg/apiserver/schema/validation.go` of
k8s.io/apiextensions-apiserver v0.36.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.engine.admission.cost import cost_refusals
from troth.engine.admission.defaults import refused_default
from troth.engine.admission.formats import format_check
from troth.engine.admission.outline import outline_refusals, top_level_refusals, unknown_words
from troth.engine.admission.refusals import (
    FORBIDDEN,
    Refusal,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from troth.engine.admission.shapes import JUNCTORS, WORD_TYPES, children, mistyped_texts, mistyped_word
from troth.engine.admission.validation import compile_pattern

API_APPROVED: Final = "api-approved.kubernetes.io"
_APPROVALS: Final = "https://github.com/kubernetes/enhancements/pull/1111"
_HAS_HOST: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?[^/?#@]")
_LABEL: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_FORBIDDEN: Final = ("$ref", "definitions", "dependencies", "patternProperties", "additionalItems", "id")
_NOT_IN_JUNCTOR: Final = (
    "type",
    "default",
    "title",
    "description",
    "nullable",
    "additionalProperties",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
)
_INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]
_WORDS_OF_A_SCHEMA: Final = (
    *WORD_TYPES,
    *_FORBIDDEN,
    "$schema",
    "default",
    "example",
    "externalDocs",
)
_RULE: Final = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
_RULE_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")


def definition_refusals(definition: Mapping[str, Any]) -> tuple[Refusal, ...]:
    """Returns why the API server would refuse a definition whose outline `build_definition` has found sound."""
    try:
        found = tuple(dict.fromkeys(_definition(definition["spec"], definition.get("metadata") or {})))
        # The cost of a rule, and whether a default is valid, can only be determined when the schemas are sound.
        found = found or tuple(cost_refusals(definition["spec"]["versions"]))
        if found:
            return found
        default = refused_default(definition)
    except RecursionError:
        return (invalid("spec.versions", "", "the schema is nested too deeply"),)
    return (default,) if default is not None else ()


def _definition(spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Refusal]:
    group = spec["group"]
    if not _SUBDOMAIN.fullmatch(group) or len(group) > 253:
        yield invalid("spec.group", group, "a lowercase RFC 1123 subdomain must consist of lower case characters")
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    yield from _approval(group, metadata)
    yield from _names(spec["names"])
    yield from outline_refusals(spec)
    seen: set[str] = set()
    for index, version in enumerate(spec["versions"]):
        field = f"spec.versions[{index}]"
        name = version.get("name")
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            yield invalid(f"{field}.name", name, "a DNS-1035 label must consist of lower case characters")
        elif name in seen:
            yield invalid("spec.versions", name, "must contain unique version names")
        else:
            seen.add(name)
        for flag in ("served", "storage", "deprecated"):
            if not isinstance(version.get(flag, False), bool):
                yield invalid(f"{field}.{flag}", version[flag], "must be true or false")
        yield from _root(version["schema"]["openAPIV3Schema"], f"{field}.schema.openAPIV3Schema")


def _is_url(text: str) -> bool:
    check = format_check("uri")
    return _HAS_HOST.match(text) is not None and check is not None and check(text)


def _approval(group: str, metadata: Mapping[str, Any]) -> Iterator[Refusal]:
    """Checks that an API in a group of Kubernetes has an annotation that links to its approval, or denies one."""
    if not f".{group}".endswith((".k8s.io", ".kubernetes.io")):
        return
    annotations = metadata.get("annotations")
    approval = annotations.get(API_APPROVED) if isinstance(annotations, Mapping) else None
    field = f"metadata.annotations[{API_APPROVED}]"
    if not isinstance(approval, str) or not approval:
        yield required(field, f'protected groups must have approval annotation "{API_APPROVED}", see {_APPROVALS}')
    elif not approval.startswith("unapproved") and not _is_url(approval):
        yield invalid(
            field,
            approval,
            f'protected groups must have approval annotation "{API_APPROVED}" with either a URL or a reason '
            f'starting with "unapproved", see {_APPROVALS}',
        )


def _names(names: Mapping[str, Any]) -> Iterator[Refusal]:
    kind = names["kind"]
    listed = names.get("listKind") or f"{kind}List"
    words: list[tuple[str, Any]] = [("plural", names["plural"]), ("kind", kind), ("listKind", listed)]
    if names.get("singular"):
        words.append(("singular", names["singular"]))
    for part in ("shortNames", "categories"):
        listed_words = names.get(part) or ()
        if not isinstance(listed_words, list | tuple):
            yield invalid(f"spec.names.{part}", listed_words, "must be a list")
            continue
        words += [(f"{part}[{index}]", word) for index, word in enumerate(listed_words)]
    for part, word in words:
        text = word.lower() if isinstance(word, str) and part in ("kind", "listKind") else word
        if not isinstance(text, str) or not _LABEL.fullmatch(text):
            yield invalid(f"spec.names.{part}", word, "a DNS-1035 label must consist of lower case characters")
    if listed == kind:
        yield invalid("spec.names.listKind", listed, "kind and listKind may not be the same")


def _root(schema: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    misshapen = list(_misshapen(schema, field))
    yield from misshapen
    if misshapen:
        return  # it cannot be read, so it is not checked any further
    if schema.get("type") != "object":
        yield invalid(f"{field}.type", schema.get("type"), "must be object at the root")
    if schema.get("nullable"):
        yield Refusal(f"{field}.nullable", "Forbidden: nullable cannot be true at the root", FORBIDDEN)
    properties = schema.get("properties") or {}
    for name in ("apiVersion", "kind"):
        if name in properties and properties[name].get("type") != "string":
            yield invalid(f"{field}.properties.{name}.type", properties[name].get("type"), "must be string")
    metadata = properties.get("metadata") or {}
    if metadata and metadata.get("type") != "object":
        yield invalid(f"{field}.properties.metadata.type", metadata.get("type"), "must be object")
    if set(metadata) - {"type", "properties", "description"} or set(metadata.get("properties") or ()) - {
        "name",
        "generateName",
    }:
        said = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield Refusal(f"{field}.properties.metadata", f"Forbidden: {said}", FORBIDDEN)
    yield from top_level_refusals(schema, field)
    yield from _node(schema, field, is_root=True)


def _misshapen(schema: Any, field: str) -> Iterator[Refusal]:
    """Yields what cannot be read as a schema at all."""
    if not isinstance(schema, Mapping):
        yield invalid(field, schema, "must be a map")
        return
    yield from unknown_words(schema, _WORDS_OF_A_SCHEMA, field)
    mistyped = mistyped_word(schema, field)
    if mistyped is not None:
        yield mistyped
        return
    yield from mistyped_texts(schema, field)
    for path, child in children(schema):
        yield from _misshapen(child, f"{field}.{path}")


def _node(schema: Mapping[str, Any], field: str, *, is_root: bool = False) -> Iterator[Refusal]:
    kind = schema.get("type")
    free = schema.get("x-kubernetes-preserve-unknown-fields")
    either = schema.get("x-kubernetes-int-or-string")
    embedded = schema.get("x-kubernetes-embedded-resource")
    yield from _value(schema, field)
    if kind is None or kind == "":
        if not either and not free and not is_root:
            yield required(f"{field}.type", "must not be empty for specified object fields")
    elif kind not in _TYPES:
        if kind == "null":
            yield Refusal(f"{field}.type", "Forbidden: type cannot be set to null, use nullable", FORBIDDEN)
        else:
            yield not_supported(f"{field}.type", kind, _TYPES)
    if free is False:
        yield invalid(f"{field}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    if kind == "array" and schema.get("items") is None:
        yield required(f"{field}.items", "must be specified")
    if isinstance(schema.get("items"), list):
        yield Refusal(f"{field}.items", "Forbidden: items must be a schema object and not an array", FORBIDDEN)
    if schema.get("properties") and schema.get("additionalProperties") is not None:
        said = "additionalProperties and properties are mutual exclusive"
        yield Refusal(f"{field}.additionalProperties", f"Forbidden: {said}", FORBIDDEN)
    if embedded:
        if kind != "object":
            yield invalid(f"{field}.type", kind, "must be object if x-kubernetes-embedded-resource is true")
        if not schema.get("properties") and not free:
            said = (
                "must not be empty if x-kubernetes-embedded-resource is true and unknown fields are not preserved"
            )
            yield required(f"{field}.properties", said)
        yield from _embedded(schema.get("properties") or {}, field)
    yield from _lists(schema, field)
    # The meaning of int-or-string may be repeated, in exactly this form, in anyOf or at the beginning of allOf.
    for name in JUNCTORS:
        if not (either and name == "anyOf" and schema.get(name) == _INT_OR_STRING):
            for index, child in enumerate(schema.get(name) or ()):
                first = bool(either) and name == "allOf" and index == 0
                yield from _junctor(child, f"{field}.{name}[{index}]", either=first)
    if isinstance(schema.get("not"), dict):
        yield from _junctor(schema["not"], f"{field}.not")
    for name, child in (schema.get("properties") or {}).items():
        if not (is_root and name == "metadata"):
            yield from _node(child, f"{field}.properties.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _node(schema[name], f"{field}.{name}")


def _value(schema: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    """Yields what is wrong with a schema by the rules for all schemas, inside a junctor as well."""
    for name in _FORBIDDEN:
        if schema.get(name):
            yield Refusal(f"{field}.{name}", f"Forbidden: {name} is not supported", FORBIDDEN)
    if schema.get("uniqueItems"):
        said = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield Refusal(f"{field}.uniqueItems", f"Forbidden: {said}", FORBIDDEN)
    pattern = schema.get("pattern")
    if pattern:
        _, problem = compile_pattern(pattern)
        if problem:
            yield invalid(f"{field}.pattern", pattern, f"must be a valid regular expression, but isn't: {problem}")
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        where = f"{field}.x-kubernetes-validations[{index}]"
        if not isinstance(rule, Mapping):
            yield invalid(where, rule, "must be a map")
        elif not str(rule.get("rule") or "").strip():
            yield required(f"{where}.rule", "rule is not specified")
        else:
            yield from _rule(rule, where)


def _rule(rule: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    """Yields what is wrong with a rule, apart from its expressions."""
    yield from unknown_words(rule, _RULE, field)
    for word in ("rule", "message", "messageExpression", "fieldPath"):
        if rule.get(word) is not None and not isinstance(rule[word], str):
            yield invalid(f"{field}.{word}", rule[word], "must be a text")
    message = rule.get("message")
    if message:
        if not str(message).strip():
            yield invalid(f"{field}.message", message, "must be non-empty if specified")
        elif "\n" in str(message):
            yield invalid(f"{field}.message", message, "must not contain line breaks")
    elif "\n" in str(rule["rule"]).strip() and not rule.get("messageExpression"):
        yield required(f"{field}.message", "message must be specified if rule contains line breaks")
    if rule.get("reason") is not None and rule["reason"] not in _RULE_REASONS:
        yield not_supported(f"{field}.reason", rule["reason"], _RULE_REASONS)


def _embedded(properties: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    for name, kind in (("apiVersion", "string"), ("kind", "string"), ("metadata", "object")):
        if name in properties and properties[name].get("type") != kind:
            yield invalid(f"{field}.properties.{name}.type", properties[name].get("type"), f"must be {kind}")


def _lists(schema: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    kind, listed = schema.get("type"), schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys")
    items = schema.get("items")
    items = items if isinstance(items, dict) else {}
    if listed is not None:
        if listed not in ("atomic", "set", "map"):
            yield not_supported(f"{field}.x-kubernetes-list-type", listed, ("atomic", "set", "map"))
        if kind != "array":
            yield invalid(f"{field}.type", kind, "must be array if x-kubernetes-list-type is specified")
    if schema.get("x-kubernetes-map-type") is not None:
        if schema["x-kubernetes-map-type"] not in ("atomic", "granular"):
            yield not_supported(
                f"{field}.x-kubernetes-map-type", schema["x-kubernetes-map-type"], ("atomic", "granular")
            )
        if kind != "object":
            yield invalid(f"{field}.type", kind, "must be object if x-kubernetes-map-type is specified")
    if keys and listed != "map":
        said = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield invalid(f"{field}.x-kubernetes-list-type", listed, said)
    if listed in ("set", "map") and items.get("nullable"):
        yield forbidden(f"{field}.items.nullable", f"cannot be nullable when x-kubernetes-list-type is {listed}")
    if listed == "set" and items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        said = "must be atomic as item of a list with x-kubernetes-list-type=set"
        yield invalid(f"{field}.items.x-kubernetes-map-type", items.get("x-kubernetes-map-type"), said)
    if listed == "map":
        if not keys:
            yield required(
                f"{field}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map"
            )
        if items and items.get("type") != "object":
            said = "must be object if parent array's x-kubernetes-list-type is map"
            yield invalid(f"{field}.items.type", items.get("type"), said)
        yield from _map_keys(keys or (), items, field)


def _map_keys(keys: Any, items: Mapping[str, Any], field: str) -> Iterator[Refusal]:
    properties = items.get("properties") or {}
    seen: set[str] = set()
    for index, key in enumerate(keys):
        if key in seen:
            yield duplicate(f"{field}.x-kubernetes-list-map-keys[{index}]", key)
        seen.add(key)
        if key not in properties:
            said = "entries must all be names of item properties"
            yield invalid(f"{field}.x-kubernetes-list-map-keys[{index}]", key, said)
            continue
        if properties[key].get("type") in ("array", "object"):
            said = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield invalid(f"{field}.items.properties.{key}.type", properties[key]["type"], said)
        if properties[key].get("nullable"):
            said = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            yield forbidden(f"{field}.items.properties.{key}.nullable", said)
        if "default" not in properties[key] and key not in (items.get("required") or ()):
            said = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield required(f"{field}.items.properties.{key}.default", said)


def _junctor(schema: Mapping[str, Any], field: str, *, either: bool = False) -> Iterator[Refusal]:
    """Checks a schema inside allOf, anyOf, oneOf or not, which may only restrict values and not declare anything.

    Args:
        schema: the schema in the junctor.
        field: the path of that schema.
        either: whether its ``anyOf`` may repeat the meaning of ``x-kubernetes-int-or-string``.
    """
    yield from _value(schema, field)
    for name in _NOT_IN_JUNCTOR:
        if schema.get(name):
            yield Refusal(f"{field}.{name}", "Forbidden: must be empty to be structural", FORBIDDEN)
    for name, child in (schema.get("properties") or {}).items():
        if name == "metadata":
            yield forbidden(f"{field}.properties.metadata", "must not be specified in a nested context")
        yield from _junctor(child, f"{field}.properties.{name}")
    if isinstance(schema.get("items"), dict):
        yield from _junctor(schema["items"], f"{field}.items")
    for name in JUNCTORS:
        if not (either and name == "anyOf" and schema.get(name) == _INT_OR_STRING):
            for index, child in enumerate(schema.get(name) or ()):
                yield from _junctor(child, f"{field}.{name}[{index}]")
    if isinstance(schema.get("not"), dict):
        yield from _junctor(schema["not"], f"{field}.not")
