"""A platform's Destinations are read with the names that an API server would take, each once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from troth.authoring.destinations import read_destinations
from troth.authoring.files import HomeError


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


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="two Destinations 'a'"):
        read_destinations(platform(tmp_path, "a", "b", "a"))
