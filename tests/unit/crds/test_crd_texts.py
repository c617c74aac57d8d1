"""What crds/ promises to the people who read it, as far as that needs no API server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from troth.api import resources
from troth.api.resources import Resource
from troth.api.store_kinds import STORE_KINDS

FOLDER = Path(__file__).parents[3] / "crds"
CRDS = {path.name: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}
KINDS = {
    "BucketStateStore",
    "Destination",
    "DirectoryStateStore",
    "DryRun",
    "GitStateStore",
    "HealthRecord",
    "KubernetesStateStore",
    "Promise",
    "PromiseRelease",
    "PromiseRevision",
    "ResourceBinding",
    "Work",
    "WorkPlacement",
}
each_crd = pytest.mark.parametrize("crd", CRDS.values(), ids=CRDS.keys())


def schema_of(crd: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def fields(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every named field below a schema, with its path."""
    for name, field in (schema.get("properties") or {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from fields(schema[key], f"{path}[]")


def test_there_is_one_file_for_each_kind_of_the_design() -> None:
    assert sorted(crd["spec"]["names"]["kind"] for crd in CRDS.values()) == sorted(KINDS)
    for name, crd in CRDS.items():
        spec = crd["spec"]
        assert name == f"{spec['group']}_{spec['names']['plural']}.yaml"
        assert crd["metadata"]["name"] == f"{spec['names']['plural']}.{spec['group']}"


@each_crd
def test_every_field_is_described(crd: Mapping[str, Any]) -> None:
    described = [path for path, field in fields(schema_of(crd)) if not field.get("description", "").strip()]
    assert described == [".metadata"], "metadata is the one field whose description Kubernetes brings along"


@each_crd
def test_every_kind_is_found_by_category_and_shows_its_age(crd: Mapping[str, Any]) -> None:
    names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
    expected = ["troth"] if names["kind"] == "HealthRecord" else ["kratix", "troth"]
    assert names["categories"] == expected
    assert version["additionalPrinterColumns"][-1]["name"] == "Age"
    assert all(
        column.get("description") or column["name"] == "Age" for column in version["additionalPrinterColumns"]
    )


@each_crd
def test_what_troth_adds_to_a_status_is_never_pruned(crd: Mapping[str, Any]) -> None:
    if crd["spec"]["names"]["kind"] == "HealthRecord":
        assert "subresources" not in crd["spec"]["versions"][0], "a HealthRecord has no status"
        return
    assert crd["spec"]["versions"][0]["subresources"] == {"status": {}}
    status = schema_of(crd)["properties"]["status"]
    assert status["properties"]["troth"]["x-kubernetes-preserve-unknown-fields"] is True
    assert "required" not in status, "a merge patch writes a part of a status"


@pytest.mark.parametrize(
    "resource",
    [
        resources.PROMISE,
        resources.DESTINATION,
        resources.WORK,
        resources.WORK_PLACEMENT,
        *(kind.resource for kind in STORE_KINDS.values()),
    ],
    ids=lambda resource: resource.kind,
)
def test_the_vocabulary_says_what_the_definitions_say(resource: Resource) -> None:
    spec = next(crd["spec"] for crd in CRDS.values() if crd["metadata"]["name"] == resource.name)
    assert spec["names"]["kind"] == resource.kind
    assert (spec["scope"] == "Namespaced") is resource.namespaced
    assert [version["name"] for version in spec["versions"]] == [resource.version]
