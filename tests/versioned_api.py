"""An API with three versions, whose fields differ in each way that can be declared, and requests of it."""

from __future__ import annotations

from typing import Any

from troth.engine.promises.conversion.converting import Converted, Converter
from troth.engine.promises.conversion.declarations import read_conversions

WRITTEN = """
spec:
  group: example.com
  versions:
  - name: v1
    served: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              owner: {type: string}
              storageGB: {type: integer}
              size: {type: string, enum: [small, large]}
              legacy: {type: string}
              replicas: {type: integer, maximum: 10}
              users:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, role: {type: string}}
  - name: v2
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              contact: {type: object, properties: {team: {type: string}}}
              storage: {type: string, maxLength: 10}
              profile: {type: string, enum: [S, L, XL]}
              tls: {type: boolean}
              replicas: {type: integer, maximum: 5}
              accounts:
                type: object
                additionalProperties:
                  type: object
                  properties: {kind: {type: string}, note: {type: string}}
  - name: v3
    served: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              team: {type: string}
              storageMi: {type: integer}
conversions:
- between: [v1, v2]
  fields:
  - {v1: spec.owner, v2: spec.contact.team}
  - {v1: spec.storageGB, v2: spec.storage, unit: {v1: Gi}}
  - {v1: spec.size, v2: spec.profile, values: [{v1: small, v2: S}, {v1: large, v2: L}, {v1: large, v2: XL}]}
  - {v1: spec.legacy}
  - {v2: spec.tls, default: true}
  - {v1: spec.users, v2: spec.accounts, key: name, fields: [{v1: role, v2: kind}, {v2: note}]}
- between: [v3, v2]
  fields:
  - {v3: spec.team, v2: spec.contact.team}
  - {v3: spec.storageMi, v2: spec.storage, unit: {v3: Mi}}
  - {v2: spec.profile}
  - {v2: spec.tls, default: true}
  - {v2: spec.accounts}
  - {v2: spec.replicas}
"""


def spec_of(version: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of ``spec`` in a version."""
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def made(version: str, **spec: Any) -> dict[str, Any]:
    """Returns a request in a version."""
    return {"apiVersion": f"example.com/{version}", "kind": "Thing", "metadata": {"name": "one"}, "spec": spec}


def converter(definition: dict[str, Any]) -> Converter:
    """Returns the converter of an API."""
    return Converter(definition, read_conversions(definition))


def convert(through: Converter, obj: Any, version: str) -> dict[str, Any]:
    """Returns an object in another version, in which it can be expressed."""
    answer = through.convert(obj, version)
    assert isinstance(answer, Converted), answer
    return answer.object
