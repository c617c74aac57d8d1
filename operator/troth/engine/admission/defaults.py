"""Whether the API server accepts the defaults of a CustomResourceDefinition.

It validates each default against the schema beside it, with the CEL rules and without the defaults further down:
``default: {}`` beside a rule that reads a field with a default of its own is refused. People would otherwise find that
out when they publish. Transition rules are not evaluated, since there is no old value. The API server skips defaults in
the values of maps, and does not check whether a list has a key twice.

Upstream: `pkg/apiserver/schema/defaulting/validation.go` of k8s.io/apiextensions-apiserver v0.36.3.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from troth.engine.admission.refusals import Refusal, invalid
from troth.engine.admission.steps import Allowance
from troth.engine.admission.structure import prune, wire_value
from troth.engine.admission.validation import Validator

Schema = Mapping[str, Any]


def refused_default(definition: Mapping[str, Any]) -> Refusal | None:
    """Returns the first default that the API server refuses, or None; its field is a path in the definition.

    The status is not checked, since Troth makes its schema.
    """
    allowance = Allowance()
    for index, version in enumerate(definition["spec"].get("versions") or ()):
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        for name, child in (schema.get("properties") or {}).items():
            if name in ("status", "metadata"):
                continue
            for where, node in _nodes(child, f"{path}.properties.{name}"):
                if node.get("default") is not None:
                    refusal = _check(node, f"{where}.default", allowance)
                    if refusal is not None:
                        return refusal
    return None


def _nodes(schema: Any, path: str) -> Iterator[tuple[str, Schema]]:
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for name, child in (schema.get("properties") or {}).items():
        yield from _nodes(child, f"{path}.properties.{name}")
    yield from _nodes(schema.get("items"), f"{path}.items")


def _check(schema: Schema, path: str, allowance: Allowance) -> Refusal | None:
    value = wire_value(schema["default"])
    pruned = copy.deepcopy(value)
    prune(pruned, schema)
    if pruned != value:
        return invalid(path, value, "has fields that the schema does not know")
    found = Validator(schema).check(value, path)
    if found:
        return Refusal(path, _with_place(found[0], path), found[0].reason)
    if not _has_rules(schema):
        return None
    # Imported here: loading the library takes longer than everything else here.
    from troth.engine.admission.cel import Rules

    refusals, _ = Rules(schema).check(value, allowance=allowance)
    if not refusals:
        return None
    below = f" (in {refusals[0].field})" if refusals[0].field else ""
    return Refusal(path, refusals[0].message + below, refusals[0].reason)


def _with_place(refusal: Refusal, path: str) -> str:
    below = refusal.field.removeprefix(path).lstrip(".")
    return f"{refusal.message} (in {below})" if below else refusal.message


def _has_rules(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return "x-kubernetes-validations" in schema or any(_has_rules(child) for child in schema.values())
    return isinstance(schema, list) and any(_has_rules(child) for child in schema)
