"""Reads the ConversionReview that an API server sends, and makes the one that it expects as an answer.

An answer has all of its objects or a reason, because the API server accepts nothing else.

Upstream: `pkg/apis/apiextensions/v1/types_conversion.go` and `pkg/apiserver/conversion/webhook_converter.go` of
k8s.io/apiextensions-apiserver v0.36.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.api import InvalidObject
from troth.api.typed import Object, read_map, read_text, require_list, require_map
from troth.engine.promises.conversion.converting import NotConverted

API_VERSION: Final = "apiextensions.k8s.io/v1"
_KIND: Final = "ConversionReview"


@dataclass(frozen=True, slots=True)
class Review:
    """What an API server asks for.

    Attributes:
        uid: the name of the question.
        version: the version that is wanted, without the group.
        objects: what is to be converted.
    """

    uid: str
    version: str
    objects: Sequence[Any]


def read_review(body: Any) -> Review:
    """Reads a question.

    Raises:
        InvalidObject: it is not one.
    """
    review = require_map(body, "ConversionReview")
    if review.get("kind") != _KIND or review.get("apiVersion") != API_VERSION:
        raise InvalidObject("ConversionReview", f"is not a {_KIND} of {API_VERSION}")
    request = require_map(review.get("request"), "request")
    wanted = read_text(request.get("desiredAPIVersion")).rpartition("/")[2]
    return Review(read_text(request.get("uid")), wanted, require_list(request.get("objects"), "request.objects"))


def answer(review: Review, objects: Sequence[Object]) -> dict[str, Any]:
    """Returns the answer with the converted objects, in the order of the question."""
    return _answered(review.uid, {"convertedObjects": list(objects), "result": {"status": "Success"}})


def refusal(uid: str, reason: str) -> dict[str, Any]:
    """Returns the answer that says why nothing was converted."""
    return _answered(uid, {"convertedObjects": [], "result": {"status": "Failure", "message": reason}})


def say_why(obj: Any, refused: NotConverted, version: str) -> str:
    """Returns why an object cannot be converted, with its name, in a sentence."""
    metadata = read_map(read_map(obj).get("metadata"))
    name = "/".join(
        part for part in (read_text(metadata.get("namespace")), read_text(metadata.get("name"))) if part
    )
    return f"{name or 'an object'} cannot be converted to {version}: {refused.reason}"


def _answered(uid: str, response: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": _KIND, "response": {"uid": uid, **response}}
