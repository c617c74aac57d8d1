"""What a definition has when its versions are converted by Troth, and the converter that follows from a definition.

The declarations are an annotation of the definition itself. So they change together with the schemas, in one write, and
whoever is asked to convert an object needs nothing but the definition.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import orjson

from troth.api import InvalidObject
from troth.api.typed import Object, read_text
from troth.engine.promises.conversion.converting import Converter
from troth.engine.promises.conversion.declarations import read_conversions

DECLARED: Final = "troth.dev/conversions"
"""The annotation of a definition with what the Promise declares, as JSON."""


def with_conversion(definition: Object, declared: Any, client: Object) -> dict[str, Any]:
    """Returns a definition whose versions are converted by a webhook.

    Args:
        definition: as `troth.engine.promises.definitions.build_definition` makes it.
        declared: the value of ``spec.api.conversions``.
        client: how the API server reaches the webhook: a ``clientConfig``.
    """
    metadata = definition["metadata"]
    text = json.dumps(declared, sort_keys=True, separators=(",", ":"))
    annotations: dict[str, Any] = {**metadata.get("annotations", {}), DECLARED: text}
    conversion = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": dict(client), "conversionReviewVersions": ["v1"]},
    }
    return {
        **definition,
        "metadata": {**metadata, "annotations": annotations},
        "spec": {**definition["spec"], "conversion": conversion},
    }


def converter_of(annotations: Mapping[str, str], spec: Object) -> Converter:
    """Returns the converter for the objects of a definition on the cluster.

    Raises:
        InvalidObject: the definition does not declare conversions that can be used.
    """
    field = f"metadata.annotations.{DECLARED}"
    if DECLARED not in annotations:
        raise InvalidObject(field, "is missing")
    try:
        declared = orjson.loads(read_text(annotations[DECLARED]))
    except orjson.JSONDecodeError:
        raise InvalidObject(field, "is not JSON") from None
    return Converter({"spec": spec}, read_conversions({"conversions": declared}))
