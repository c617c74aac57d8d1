"""The CustomResourceDefinition that a Promise's API becomes (kratix-compatibility.md#a-promises-api)."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from troth.api import InvalidObject
from troth.engine.promises.definition_changes import definition_patch
from troth.engine.promises.definitions import build_definition, read_definition, request_resource

SEED = Path(__file__).parents[3] / "data" / "seed-promise.yaml"


@pytest.fixture
def api() -> dict[str, Any]:
    promise: dict[str, Any] = yaml.safe_load(SEED.read_text(encoding="utf-8"))
    found: dict[str, Any] = promise["spec"]["api"]
    return found


def defaulted(definition: dict[str, Any]) -> dict[str, Any]:
    """What the API server makes of a definition: it adds, it does not take away."""
    live = copy.deepcopy(definition)
    live["metadata"] |= {"uid": "u", "resourceVersion": "1", "generation": 1}
    live["spec"]["conversion"] = {"strategy": "None"}
    live["spec"]["names"] |= {"singular": "postgresql", "listKind": "PostgreSQLList"}
    live["status"] = {"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]}
    return live


def test_the_definition_carries_the_promise_the_status_subresource_and_a_bound_on_names(
    api: dict[str, Any],
) -> None:
    definition = build_definition("postgresql", api)
    version = definition["spec"]["versions"][0]
    assert definition["metadata"]["labels"] == {"kratix.io/promise-name": "postgresql"}
    assert version["subresources"]["status"] == {}
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["properties"]["metadata"]["properties"]["name"]["maxLength"] == 63
    assert schema["properties"]["status"]["x-kubernetes-preserve-unknown-fields"] is True
    assert (
        schema["properties"]["spec"]
        == api["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    )


def test_building_leaves_the_promise_as_it_was(api: dict[str, Any]) -> None:
    before = copy.deepcopy(api)
    build_definition("postgresql", api)
    assert api == before


def test_the_columns_that_an_author_declared_stay(api: dict[str, Any]) -> None:
    own = [{"name": "size", "type": "string", "jsonPath": ".spec.size"}]
    api["spec"]["versions"][0]["additionalPrinterColumns"] = own
    assert build_definition("postgresql", api)["spec"]["versions"][0]["additionalPrinterColumns"] == own


def test_a_definition_that_is_as_desired_needs_no_patch(api: dict[str, Any]) -> None:
    desired = build_definition("postgresql", api)
    assert definition_patch(read_definition(defaulted(desired)), desired) is None


def test_a_property_that_left_the_schema_leaves_the_cluster(api: dict[str, Any]) -> None:
    live = read_definition(defaulted(build_definition("postgresql", api)))
    del api["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
    patch = definition_patch(live, build_definition("postgresql", api))
    assert patch is not None
    spec = patch["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(spec["properties"]) == {"version"}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("x-kubernetes-validations", [{"rule": "size(self) > 1"}]),
        ("maxLength", 9),
        ("maxLength", 0),
        ("minLength", 1),
        ("enum", ["small", "large"]),
        ("pattern", "^s"),
        ("default", ""),
        ("nullable", True),
        ("description", "how large"),
        ("anyOf", [{"minLength": 1}]),
        ("x-kubernetes-preserve-unknown-fields", True),
    ],
)
def test_a_keyword_that_left_the_schema_leaves_the_cluster(
    api: dict[str, Any], keyword: str, value: object
) -> None:
    without = build_definition("postgresql", api)
    size = api["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
    size.pop("enum", None)
    without = build_definition("postgresql", api)
    size[keyword] = value
    live = read_definition(defaulted(build_definition("postgresql", api)))
    assert definition_patch(live, without) == {"spec": {"versions": without["spec"]["versions"]}}


@pytest.mark.parametrize("word", ["shortNames", "categories"])
def test_a_name_that_left_the_api_leaves_the_cluster(api: dict[str, Any], word: str) -> None:
    api["spec"]["names"].pop(word, None)
    without = build_definition("postgresql", api)
    api["spec"]["names"][word] = ["pg"]
    live = read_definition(defaulted(build_definition("postgresql", api)))
    assert definition_patch(live, without) == {"spec": {"names": {word: None}}}


def test_what_is_empty_is_the_same_as_what_is_absent(api: dict[str, Any]) -> None:
    live = read_definition(defaulted(build_definition("postgresql", api)))
    spec = api["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec |= {"required": spec.get("required") or [], "description": "", "nullable": False, "anyOf": []}
    api["spec"]["names"]["categories"] = []
    assert definition_patch(live, build_definition("postgresql", api)) is None


def test_a_label_that_somebody_took_off_comes_back(api: dict[str, Any]) -> None:
    desired = build_definition("postgresql", api)
    live = defaulted(desired)
    live["metadata"]["labels"] = {"other": "stays"}
    assert definition_patch(read_definition(live), desired) == {
        "metadata": {"labels": {"kratix.io/promise-name": "postgresql"}}
    }


def test_requests_live_in_the_storage_version_if_it_is_served(api: dict[str, Any]) -> None:
    versions = api["spec"]["versions"]
    versions.append({**copy.deepcopy(versions[0]), "name": "v2", "storage": False})
    assert request_resource(api).version == "v1"
    versions[0]["served"] = False
    assert request_resource(api).version == "v2"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda api: api.update(kind="ConfigMap"), "spec.api"),
        (lambda api: api["spec"].update(scope="Cluster"), "spec.api.spec.scope"),
        (lambda api: api["spec"]["versions"][0].update(storage=False), "spec.api.spec.versions"),
        (lambda api: api["spec"].update(versions=[]), "spec.api.spec.versions"),
        (lambda api: api["spec"]["names"].pop("kind"), "spec.api.spec.names.kind"),
        (lambda api: api["metadata"].update(name="databases.example.com"), "spec.api.metadata.name"),
        (lambda api: api["spec"]["versions"][0].pop("schema"), "spec.api.spec.versions[0].schema"),
        (lambda api: api["spec"]["versions"][0].pop("name"), "spec.api.spec.versions[0].name"),
        (lambda api: api["spec"]["versions"][0].update(name=["v1"]), "spec.api.spec.versions[0].name"),
        (
            lambda api: api["spec"]["versions"].append(dict(api["spec"]["versions"][0])),
            "spec.api.spec.versions[1].storage",
        ),
    ],
)
def test_what_is_wrong_with_an_api_is_named_by_its_field(api: dict[str, Any], change: Any, field: str) -> None:
    change(api)
    with pytest.raises(InvalidObject) as caught:
        build_definition("postgresql", api)
    assert caught.value.field == field
