"""What kubectl says of the library's APIs: each field has a description, and the columns show what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.unit.promises.library import PROMISES, load_promise
from troth.api.objects import read_promise
from troth.engine.admission.serving import as_served
from troth.engine.linting.descriptions import check_descriptions
from troth.engine.promises.offers import Offer, read_offer

NAMES = sorted(path.parent.name for path in PROMISES.glob("*/promise.yaml"))


def offer_of(name: str) -> Offer:
    return read_offer(read_promise(as_served(load_promise(name))))


def fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for name, child in (schema.get("properties") or {}).items():
        if path != "root" or name not in ("apiVersion", "kind", "metadata"):
            yield from fields(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        for path_, child in fields(schema[key], f"{path}[]") if isinstance(schema.get(key), Mapping) else ():
            if path_ != f"{path}[]":
                yield path_, child


@pytest.mark.parametrize("name", NAMES)
def test_kubectl_explain_has_a_description_of_the_kind_and_of_each_field(name: str) -> None:
    offer = offer_of(name)
    assert offer.definition is not None
    for version in offer.definition["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        assert [path for path, field in fields(schema, "root") if not field.get("description")] == []
    assert list(check_descriptions(load_promise(name), offer)) == []


@pytest.mark.parametrize("name", NAMES)
def test_each_field_of_the_status_is_described_by_the_author_and_has_a_type(name: str) -> None:
    offer = offer_of(name)
    written = {key for pipeline in offer.resource_configure for key in pipeline.status} - {"message"}
    for key in written:
        field = offer.status["properties"][key]
        assert not field["description"].startswith("Written by the pipeline"), key
        assert field.get("type") or field.get("x-kubernetes-int-or-string"), key


@pytest.mark.parametrize("name", NAMES)
def test_an_api_has_a_short_name_and_columns_for_its_size_and_version(name: str) -> None:
    offer = offer_of(name)
    assert offer.definition is not None
    assert offer.definition["spec"]["names"]["shortNames"]
    for version in offer.definition["spec"]["versions"]:
        columns = {column["name"] for column in version["additionalPrinterColumns"]}
        properties = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        assert {"Ready", "Age"} <= columns
        assert {word.capitalize() for word in ("size", "version") if word in properties} <= columns


def test_no_two_apis_have_one_short_name() -> None:
    found = [short for name in NAMES for short in (offer_of(name).definition or {})["spec"]["names"]["shortNames"]]
    assert len(found) == len(set(found))
