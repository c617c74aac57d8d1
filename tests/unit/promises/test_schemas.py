"""The schemas that the library keeps of other projects: where they are from, and that they are what Go has."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.unit.promises.library import PROMISES
from troth.engine.admission import Admission

# A compound Promise also keeps the APIs of the Promises that it asks.
KEPT = sorted(path for path in PROMISES.glob("*/schemas/*.yaml") if not path.stem.endswith(".example.com"))


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reduce_schemas", PROMISES / "reduce_schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TOOL = _tool()
KEPT = sorted(path for path in PROMISES.glob("*/schemas/*.yaml") if path.parent.parent.name not in TOOL.COMPONENTS)


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


@pytest.mark.parametrize("name", sorted({path.stem for path in KEPT}))
def test_a_schema_is_what_the_script_makes_of_the_module(name: str) -> None:
    module, file = TOOL.KINDS[name]
    if shutil.which("go") is None:
        pytest.skip("go is not there")
    cache = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    source = Path(cache) / f"{module.path}@{module.version}" / module.folder / file
    if not source.exists():
        pytest.skip(f"{module.path} {module.version} is not in Go's cache")
    for path in KEPT:
        if path.stem == name:
            assert path.read_text("utf-8") == TOOL.text_of(name)


@pytest.mark.parametrize("promise", TOOL.COMPONENTS)
def test_the_schemas_of_a_compound_promise_are_the_apis_of_its_components_as_they_are_now(promise: str) -> None:
    texts = dict(TOOL.component_text(component) for component in TOOL.COMPONENTS[promise])
    kept = {path.stem: path.read_text("utf-8") for path in (PROMISES / promise / "schemas").glob("*.yaml")}
    assert kept == texts, f"write them anew: python promises/reduce_schemas.py {promise}"
