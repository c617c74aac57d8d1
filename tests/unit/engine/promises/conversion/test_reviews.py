"""An API server gets all of its objects or a reason, and a definition carries what is needed to convert."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.versioned_api import WRITTEN, convert, made
from troth.api import InvalidObject
from troth.engine.promises.conversion.converting import NotConverted
from troth.engine.promises.conversion.installing import DECLARED, converter_of, with_conversion
from troth.engine.promises.conversion.reviews import answer, read_review, refusal, say_why


def review(**request: Any) -> dict[str, Any]:
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request}


def test_a_question_is_read_and_answered_under_its_uid() -> None:
    found = read_review(review(uid="u", desiredAPIVersion="example.com/v2", objects=[{"a": 1}]))
    assert (found.uid, found.version, list(found.objects)) == ("u", "v2", [{"a": 1}])
    assert answer(found, [{"b": 2}]) == {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "response": {"uid": "u", "convertedObjects": [{"b": 2}], "result": {"status": "Success"}},
    }


NO_QUESTIONS: list[Any] = [
    None,
    [],
    {},
    {"kind": "ConversionReview"},
    review(objects=5),
    {**review(), "kind": "x"},
]


@pytest.mark.parametrize("body", NO_QUESTIONS)
def test_what_is_not_a_question_is_refused(body: Any) -> None:
    with pytest.raises(InvalidObject):
        read_review(body)


def test_a_question_about_nothing_is_a_question() -> None:
    assert read_review(review()).objects == ()


def test_a_refusal_names_the_object() -> None:
    said = say_why({"metadata": {"namespace": "a", "name": "b"}}, NotConverted("it is too large"), "v2")
    assert said == "a/b cannot be converted to v2: it is too large"
    assert (
        say_why(5, NotConverted("it is not a map"), "v2") == "an object cannot be converted to v2: it is not a map"
    )
    assert refusal("u", said)["response"]["result"] == {"status": "Failure", "message": said}


def test_a_definition_is_all_that_is_needed_to_convert() -> None:
    api = yaml.safe_load(WRITTEN)
    definition = {"metadata": {"name": "things.example.com", "labels": {"a": "b"}}, "spec": api["spec"]}
    found = with_conversion(definition, api["conversions"], {"url": "https://x", "caBundle": "eA=="})
    assert found["metadata"]["labels"] == {"a": "b"}
    assert found["spec"]["conversion"]["webhook"]["clientConfig"] == {"url": "https://x", "caBundle": "eA=="}
    through = converter_of(found["metadata"]["annotations"], found["spec"])
    assert convert(through, made("v1", owner="a"), "v2")["spec"]["contact"] == {"team": "a"}


@pytest.mark.parametrize("annotations", [{}, {DECLARED: "{"}, {DECLARED: "5"}, {DECLARED: "[" * 99999}])
def test_a_definition_without_usable_declarations_says_so(annotations: dict[str, str]) -> None:
    with pytest.raises(InvalidObject):
        converter_of(annotations, yaml.safe_load(WRITTEN)["spec"])
