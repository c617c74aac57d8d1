"""A platform's Destinations are read with the names that an API server would take, each once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from troth.authoring.input_files import HomeError
from troth.authoring.rendering.destinations import read_destinations


def platform(folder: Path, *names: str) -> Path:
    objects = [
        {
            "apiVersion": "platform.kratix.io/v1alpha1",
            "kind": "Destination",
            "metadata": {"name": name},
            "spec": {},
        }
        for name in names
    ]
    file = folder / "platform.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return file


@pytest.mark.parametrize("name", ["anywhere", "worker-1", "eu.west", "default", "none", "1", "null", "true"])
def test_any_name_that_an_api_server_takes_is_one(tmp_path: Path, name: str) -> None:
    assert read_destinations(platform(tmp_path, name, "other")).named(name).name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "Worker", "a b", "a:", "-a", "a-", "a_b", "é", "x" * 254]
)
def test_any_other_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(HomeError, match="is not a valid name of a Destination"):
        read_destinations(platform(tmp_path, name))


@pytest.mark.parametrize("value", [1, True, 1.5, ["a"]])
def test_a_label_that_an_api_server_does_not_take_is_refused(tmp_path: Path, value: object) -> None:
    file = platform(tmp_path, "a")
    file.write_text(
        yaml.safe_dump(yaml.safe_load(file.read_text()) | {"metadata": {"name": "a", "labels": {"x": value}}})
    )
    with pytest.raises(
        HomeError, match="the label x of the Destination 'a' is not a text; put its value in quotes"
    ):
        read_destinations(file)


def test_a_layout_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    file = platform(tmp_path, "a")
    for mode in ("nestedByMetadata", "aggregatedYAML", "none"):
        file.write_text(file.read_text().replace("spec: {}", f"spec: {{filepath: {{mode: {mode}}}}}"))
        assert read_destinations(file).named("a").mode == mode
        file.write_text(file.read_text().replace(mode, f"{mode}s"))
        with pytest.raises(HomeError, match=f"is '{mode}s'; use nestedByMetadata, aggregatedYAML or none"):
            read_destinations(file)
        file = platform(tmp_path, "a")


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="two Destinations 'a'"):
        read_destinations(platform(tmp_path, "a", "b", "a"))


@pytest.mark.parametrize(
    ("allow", "words"),
    [
        ({"namespace": ["a"]}, "spec.allow.namespace of the Destination 'a' has the wrong type"),
        ({"namespaces": "team-*"}, "use a list of texts"),
        ({"kinds": ["Deployment"]}, "use a list such as"),
        ({"clusterKinds": [{"kind": "Namespace"}]}, "use a list such as"),
        ({"files": "true"}, "use true or false"),
        (["a"], "spec.allow: is a list, not a map"),
    ],
)
def test_rules_that_an_api_server_does_not_take_are_refused(tmp_path: Path, allow: object, words: str) -> None:
    file = platform(tmp_path, "a")
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"spec": {"allow": allow}}))
    with pytest.raises(HomeError, match=words):
        read_destinations(file)
