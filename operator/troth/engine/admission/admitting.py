"""What the API server does with a request before it stores it: defaults, pruning, validation, CEL rules.

With this, somebody who works without a cluster gets the object that the operator would get, or the refusal that a
person would get. It is a pure function from a definition and an object to the admitted object, or to the reasons
against it. The parts are `structure` (defaults, pruning), `validation` (the schema), `cel` (the rules).

Not done here: admission plug-ins and webhooks, quotas, conversion between versions by a webhook, field validation (an
unknown field is pruned; the API server also warns). The CEL library is loaded only when a definition has rules.

Upstream: `pkg/apiserver/customresource_handler.go` of k8s.io/apiextensions-apiserver v0.36.3 for the order, and
`pkg/api/validation/objectmeta.go` of k8s.io/apimachinery v0.36.3 for names and labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from troth.engine.admission.refusals import (
    BLOCKING,
    TYPE_INVALID,
    Refusal,
    invalid,
    required,
    too_long,
)
from troth.engine.admission.structure import (
    Schema,
    apply_defaults,
    drop_nulls,
    prune,
    settle_numbers,
    wire_value,
)
from troth.engine.admission.validation import ABSENT, Validator, check_list_types

if TYPE_CHECKING:
    from troth.engine.admission.cel import Rules, Unchecked

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_DNS_LABEL: Final = re.compile(_LABEL)
_NAME: Final = re.compile("([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_KIND: Final = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST_ANNOTATIONS: Final = 256 * 1024
_SUBDOMAIN_PROBLEM: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_PROBLEM: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_NAME_PART_PROBLEM: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE_PROBLEM: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_METADATA: Final[Mapping[str, type]] = {
    "name": str,
    "generateName": str,
    "namespace": str,
    "selfLink": str,
    "uid": str,
    "resourceVersion": str,
    "generation": int,
    "creationTimestamp": str,
    "deletionTimestamp": str,
    "deletionGracePeriodSeconds": int,
    "labels": dict,
    "annotations": dict,
    "ownerReferences": list,
    "finalizers": list,
    "managedFields": list,
}


@dataclass(frozen=True, slots=True)
class Admitted:
    """An object that the API server would accept.

    Attributes:
        object: as the API server would store it: with defaults, without unknown fields, and without a status that only
            the status subresource can write. It lacks what the server generates (uid, generation, timestamps).
        unchecked: the rules that could not be evaluated; the API server may still refuse the object because of them.
    """

    object: dict[str, Any]
    unchecked: tuple[Unchecked, ...] = ()


class Admission:
    """Admits objects of one definition as the API server would; compiles the schema of each version once."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        """``definition`` is a CustomResourceDefinition as `build_definition` makes it; it must not change later."""
        spec = definition["spec"]
        self._group: str = spec["group"]
        self._kind: str = spec["names"]["kind"]
        self._namespaced = spec.get("scope") == "Namespaced"
        self._definitions = {version["name"]: version for version in spec["versions"] if version.get("served")}
        self._versions: dict[str, _Version] = {}

    def admit(
        self, obj: Mapping[str, Any], old: Mapping[str, Any] | None = None
    ) -> Admitted | tuple[Refusal, ...]:
        """Returns the object that the API server would store, or every reason why it would refuse it.

        Args:
            obj: the whole object that is applied; it is not changed.
            old: the existing object, for an update, as `Admitted` or an API server gives it.
        """
        refusals = self._check_type(obj)
        if refusals:
            return refusals
        try:
            return self._judge(obj, old)
        except RecursionError:
            return (Refusal("<nil>", "Invalid value: the object is nested too deeply"),)

    def read(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a stored object as the API server reads it: with its defaults, and without fields that are unknown.

        Nothing is validated, and the status is left out.

        Args:
            obj: an object of this kind, in a version that is served; it is not changed.
        """
        version = self._version(str(obj["apiVersion"]).rpartition("/")[2])
        return version.shape(obj, keep_status=None)

    def mistyped(self, obj: Mapping[str, Any]) -> Refusal | None:
        """Returns the first field whose type the schema does not allow, or None. Nothing else is checked, and no rule.

        Args:
            obj: an object of this kind, in a version that is served.
        """
        version = self._version(str(obj["apiVersion"]).rpartition("/")[2])
        found = version.validator.check(version.shape(obj, keep_status=None), "", ABSENT)
        return next((refusal for refusal in found if refusal.reason == TYPE_INVALID), None)

    def _judge(self, obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Admitted | tuple[Refusal, ...]:
        version = self._version(str(obj["apiVersion"]).rpartition("/")[2])
        new = version.shape(obj, keep_status=old)
        problem = _shape_metadata(new)
        if problem is not None:
            return (problem,)
        before = ABSENT if old is None else version.shape(old, keep_status=old)
        found = _check_metadata(new["metadata"], "metadata", is_update=old is not None)
        found += version.validator.check(new, "", before)
        found += _check_embedded(new, version.schema, "")
        if before is ABSENT or not check_list_types(before, version.schema, ""):
            found += check_list_types(new, version.schema, "")
        unchecked: tuple[Unchecked, ...] = ()
        if _meets_rules(new, version.schema) and not any(refusal.reason in BLOCKING for refusal in found):
            broken, missed = version.rules.check(new, before)
            found += broken
            unchecked = tuple(missed)
        return tuple(dict.fromkeys(found)) if found else Admitted(settle_numbers(new), unchecked)

    def _check_type(self, obj: Mapping[str, Any]) -> tuple[Refusal, ...]:
        found = []
        if obj.get("kind") != self._kind:
            found.append(invalid("kind", obj.get("kind"), f"must be {self._kind}"))
        group, _, version = str(obj.get("apiVersion") or "").rpartition("/")
        if group != self._group or version not in self._definitions:
            served = " or ".join(f"{self._group}/{name}" for name in self._definitions)
            found.append(invalid("apiVersion", obj.get("apiVersion"), f"must be {served}"))
        return tuple(found)

    def _version(self, name: str) -> _Version:
        version = self._versions.get(name)
        if version is None:
            version = self._versions[name] = _Version(self._definitions[name])
        return version


def admit(
    definition: Mapping[str, Any], obj: Mapping[str, Any], *, old: Mapping[str, Any] | None = None
) -> Admitted | tuple[Refusal, ...]:
    """Calls `Admission.admit` for a single object. For several objects, keep an `Admission`."""
    return Admission(definition).admit(obj, old)


class _Version:
    """One served version, compiled."""

    __slots__ = ("_has_status", "_rules", "schema", "validator")

    def __init__(self, version: Mapping[str, Any]) -> None:
        self.schema: Schema = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
        self.validator = Validator(self.schema)
        self._rules: Rules | None = None
        self._has_status = "status" in (version.get("subresources") or {})

    @property
    def rules(self) -> Rules:
        """The CEL rules, compiled for the first object to which one of them applies."""
        if self._rules is None:
            # Imported here: loading the library takes longer than a whole render without rules.
            from troth.engine.admission.cel import Rules

            self._rules = Rules(self.schema, is_root=True)
        return self._rules

    def shape(self, obj: Mapping[str, Any], *, keep_status: Mapping[str, Any] | None) -> dict[str, Any]:
        """Returns a copy of an object with its defaults and without unknown fields."""
        new: dict[str, Any] = wire_value(obj)
        type_meta: dict[str, Any] = {name: new[name] for name in ("apiVersion", "kind", "metadata") if name in new}
        apply_defaults(new, self.schema)
        prune(new, self.schema, is_root=True)
        drop_nulls(new, self.schema)
        new |= type_meta
        if self._has_status:
            new.pop("status", None)
            if keep_status is not None and "status" in keep_status:
                new["status"] = wire_value(keep_status["status"])
        return new


def _meets_rules(value: Any, schema: Any) -> bool:
    """Whether any part of a value is at a node of the schema that has a rule."""
    if not isinstance(schema, Mapping):
        return False
    if schema.get("x-kubernetes-validations"):
        return True
    if any(_meets_rules(value, item) for item in schema.get("allOf") or ()):
        return True
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        additional = schema.get("additionalProperties")
        return any(_meets_rules(item, properties.get(name, additional)) for name, item in value.items())
    if isinstance(value, list):
        items = schema.get("items")
        return any(_meets_rules(item, items) for item in value)
    return False


def _shape_metadata(obj: dict[str, Any]) -> Refusal | None:
    """Drops unknown fields of metadata, in place. Returns a refusal if metadata cannot be read."""
    metadata = obj.get("metadata")
    if metadata is None:
        metadata = {}
    if not isinstance(metadata, dict):
        return invalid("metadata", metadata, "must be a map")
    kept: dict[str, Any] = {}
    for name, value in metadata.items():
        kind = _METADATA.get(name)
        if kind is None or value is None:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            return invalid(f"metadata.{name}", value, f"must be a {_TYPE_WORDS[kind]}")
        kept[name] = value
        if isinstance(value, dict):
            for key, item in value.items():
                if item is not None and not isinstance(item, str):
                    return invalid(f"metadata.{name}.{key}", item, "must be a string; put it in quotes")
            kept[name] = {key: item or "" for key, item in value.items()}
    obj["metadata"] = kept
    return None


_TYPE_WORDS: Final[Mapping[type, str]] = {str: "string", int: "number", dict: "map", list: "list"}


def _check_metadata(metadata: Mapping[str, Any], field: str, *, is_update: bool = False) -> list[Refusal]:
    found: list[Refusal] = []
    name, prefix = metadata.get("name") or "", metadata.get("generateName") or ""
    if prefix and not is_update and not _SUBDOMAIN.fullmatch(re.sub("-$", "a", prefix)):
        found.append(invalid(f"{field}.generateName", prefix, _SUBDOMAIN_PROBLEM))
    if not name:
        if not prefix:
            found.append(required(f"{field}.name", "name or generateName is required"))
    else:
        if len(name) > 253:
            found.append(invalid(f"{field}.name", name, "must be no more than 253 bytes"))
        if not _SUBDOMAIN.fullmatch(name):
            found.append(invalid(f"{field}.name", name, _SUBDOMAIN_PROBLEM))
    namespace = metadata.get("namespace") or ""
    if namespace:
        if len(namespace) > 63:
            found.append(invalid(f"{field}.namespace", namespace, "must be no more than 63 bytes"))
        if not _DNS_LABEL.fullmatch(namespace):
            found.append(invalid(f"{field}.namespace", namespace, _LABEL_PROBLEM))
    return found + check_labels(metadata, field)


def check_labels(metadata: Mapping[str, Any], field: str) -> list[Refusal]:
    """Returns what the API server says against the labels, annotations and finalizers of an object.

    Args:
        metadata: the object's metadata, with correct types.
        field: the path of the metadata.
    """
    found: list[Refusal] = []
    for key, value in (metadata.get("labels") or {}).items():
        found += [invalid(f"{field}.labels", key, problem) for problem in _key_problems(key)]
        if len(value) > 63:
            found.append(invalid(f"{field}.labels", value, "must be no more than 63 bytes"))
        if value and not _NAME.fullmatch(value):
            found.append(invalid(f"{field}.labels", value, _LABEL_VALUE_PROBLEM))
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        found += [invalid(f"{field}.annotations", key, problem) for problem in _key_problems(key.lower())]
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _LONGEST_ANNOTATIONS:
        found.append(too_long(f"{field}.annotations", _LONGEST_ANNOTATIONS))
    for key in metadata.get("finalizers") or ():
        found += [invalid(f"{field}.finalizers", key, problem) for problem in _key_problems(str(key))]
    return found


def _key_problems(key: str) -> list[str]:
    """Returns what is wrong with a qualified name: up to 63 characters, with an optional DNS subdomain before it."""
    parts = key.split("/")
    if len(parts) > 2:
        return ["a valid label key must consist of a name, with an optional DNS subdomain prefix and '/'"]
    problems = []
    if len(parts) == 2:
        if not parts[0]:
            problems.append("prefix part must be non-empty")
        elif not _SUBDOMAIN.fullmatch(parts[0]) or len(parts[0]) > 253:
            problems.append(f"prefix part {_SUBDOMAIN_PROBLEM}")
    name = parts[-1]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not _NAME.fullmatch(name):
        problems.append(_NAME_PART_PROBLEM)
    return problems


def _check_embedded(value: Any, schema: Schema | None, path: str) -> list[Refusal]:
    """Checks that embedded objects have an apiVersion and a kind, and valid names."""
    if schema is None:
        return []
    found: list[Refusal] = []
    if isinstance(value, dict):
        if schema.get("x-kubernetes-embedded-resource"):
            found += _check_embedded_object(value, path)
        properties = schema.get("properties") or {}
        additional = schema.get("additionalProperties")
        for name, item in value.items():
            if name in properties:
                found += _check_embedded(item, properties[name], f"{path}.{name}" if path else name)
            elif isinstance(additional, Mapping):
                found += _check_embedded(item, additional, f"{path}[{name}]")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _check_embedded(item, schema.get("items"), f"{path}[{index}]")
    return found


def _check_embedded_object(value: dict[str, Any], path: str) -> list[Refusal]:
    found: list[Refusal] = []
    for name in ("apiVersion", "kind"):
        if name not in value:
            found.append(required(f"{path}.{name}"))
        elif not isinstance(value[name], str):
            found.append(invalid(f"{path}.{name}", value[name], "must be a string"))
        elif not value[name]:
            found.append(invalid(f"{path}.{name}", value[name], "must not be empty"))
    version, kind = value.get("apiVersion"), value.get("kind")
    if isinstance(version, str) and version.count("/") > 1:
        detail = f"unexpected GroupVersion string: {version}"
        found.append(invalid(f"{path}.apiVersion", version, detail))
    if isinstance(kind, str) and kind and (len(kind) > 63 or not _KIND.fullmatch(kind.lower())):
        detail = "may have mixed case, but should otherwise match a DNS-1035 label"
        found.append(invalid(f"{path}.kind", kind, detail))
    if value.get("metadata") is not None:
        problem = _shape_metadata(value)
        if problem is not None:
            found.append(Refusal(f"{path}.{problem.field}", problem.message, problem.reason))
        else:
            found += _check_embedded_names(value["metadata"], f"{path}.metadata")
    return found


def _check_embedded_names(metadata: Mapping[str, Any], field: str) -> list[Refusal]:
    found = check_labels(metadata, field)
    name = metadata.get("name") or ""
    if name in (".", "..") or "/" in name or "%" in name:
        found.append(invalid(f"{field}.name", name, "may not be '.' or '..' and may not contain '/' or '%'"))
    return found
