"""The schemas that the library keeps of other projects: where they are from, and that they are what Go has."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.unit.promises.library import PROMISES
from troth.engine.admission.admitting import Admission

# A compound Promise also keeps the APIs of the Promises that it asks.
KEPT = sorted(path for path in PROMISES.glob("*/schemas/*.yaml") if not path.stem.endswith(".example.com"))


def _program(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


TOOL = _program(PROMISES / "reduce_schemas.py")


def _descriptions(schema: Any, inside_properties: bool = False) -> int:
    if isinstance(schema, list):
        return sum(_descriptions(item) for item in schema)
    if not isinstance(schema, dict):
        return 0
    own = 0 if inside_properties else int(isinstance(schema.get("description"), str))
    return own + sum(
        _descriptions(value, not inside_properties and key == "properties") for key, value in schema.items()
    )


def test_there_is_a_file_for_each_schema_that_is_needed_and_no_other() -> None:
    needed = [TOOL.path_of(promise, name) for promise, names in TOOL.NEEDED.items() for name in names]
    assert sorted(needed) == KEPT


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_a_schema_says_its_module_and_version_and_describes_nothing(path: Path) -> None:
    head = path.read_text("utf-8").splitlines()[:2]
    assert re.match(r"# \S+\.\S+/\S+ v\d+\.\d+\.\d+, (Apache|MPL)-2\.0: \S+\.yaml,$", head[0])
    assert "reduce_schemas.py" in head[1]
    definition = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    assert path.stem == definition["metadata"]["name"]
    for version in definition["spec"]["versions"]:
        assert _descriptions(version["schema"]["openAPIV3Schema"]) == 0
    assert Admission(definition)


def _require(module: Any) -> None:
    """Skips where Go, or the module, is not there: nothing is fetched for a test."""
    if shutil.which("go") is None:
        pytest.skip("go is not there")
    cache = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    if not (Path(cache) / f"{module.path}@{module.version}" / module.folder).exists():
        pytest.skip(f"{module.path} {module.version} is not in Go's cache")


@pytest.mark.parametrize("name", sorted({path.stem for path in KEPT}))
def test_a_schema_is_what_the_script_makes_of_the_module(name: str) -> None:
    _require(TOOL.KINDS[name][0])
    for path in KEPT:
        if path.stem == name:
            assert path.read_text("utf-8") == TOOL.text_of(name)


@pytest.mark.parametrize(("promise", "components"), sorted(TOOL.COMPONENTS.items()))
def test_a_compound_promise_keeps_the_apis_of_its_components_as_they_are(
    promise: str, components: tuple[str, ...]
) -> None:
    for component in components:
        name, text = TOOL.component_text(component)
        assert TOOL.path_of(promise, name).read_text("utf-8") == text


def test_the_dependency_of_postgresql_is_what_the_script_makes_of_the_release() -> None:
    program = _program(PROMISES / "postgresql" / "dependencies" / "update.py")
    kept = program.TARGET.read_text("utf-8")
    version = kept.split()[2].rstrip(",")
    _require(TOOL.Module(program.MODULE, version, "releases"))
    assert kept == program.text_of(version)
