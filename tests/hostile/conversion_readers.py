"""The readers of what an API declares about its versions, and of what an API server asks to have converted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

from tests.versioned_api import WRITTEN, made
from troth.api import InvalidObject
from troth.engine.promises.conversion.completeness import check_conversions
from troth.engine.promises.conversion.converting import Converted, Converter, NotConverted
from troth.engine.promises.conversion.declarations import read_conversions
from troth.engine.promises.conversion.reviews import read_review

DECLARED: Final[Mapping[str, Any]] = yaml.safe_load(WRITTEN)
ASKED: Final = made("v1", owner="a", storageGB=3, size="large", users=[{"name": "a", "role": "b"}])
REVIEW: Final[Mapping[str, Any]] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "ConversionReview",
    "request": {"uid": "u", "desiredAPIVersion": "example.com/v2", "objects": [ASKED]},
}


def see_declarations(api: Any) -> list[Converted | NotConverted]:
    """An API is judged, and an object is converted by what it declares."""
    if not isinstance(api, dict):
        return []
    with contextlib.suppress(InvalidObject):
        check_conversions(api)
    return [Converter(api, read_conversions(api)).convert(ASKED, "v2")]


def see_review(body: Any) -> list[Converted | NotConverted]:
    """The objects of a question are converted."""
    review = read_review(body)
    converter = Converter(DECLARED, read_conversions(DECLARED))
    return [converter.convert(obj, review.version) for obj in review.objects]


CONVERSION_READERS: Final[Mapping[str, tuple[Callable[[Any], object], Any]]] = {
    "conversions": (see_declarations, DECLARED),
    "review": (see_review, REVIEW),
}
