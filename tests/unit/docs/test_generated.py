"""The pages of reference that are generated say what the commands and the schemas say."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from tests.documents import ROOT
from troth.cli import COMMANDS


def generator() -> ModuleType:
    specification = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generated() -> dict[Path, str]:
    pages: dict[Path, str] = generator().pages()
    return pages


@pytest.mark.parametrize("name", ["cli.md", "api.md"])
def test_a_generated_page_is_up_to_date(name: str, generated: dict[Path, str]) -> None:
    page = ROOT / "docs" / "reference" / name
    same = page.exists() and page.read_text("utf-8") == generated[page]
    assert same, (
        f"docs/reference/{name} is not what it is generated from; run `make docs`, and commit what it writes"
    )


def test_every_command_and_every_kind_is_on_its_page(generated: dict[Path, str]) -> None:
    cli, api = (generated[ROOT / "docs" / "reference" / name] for name in ("cli.md", "api.md"))
    assert {name for name in COMMANDS if f"## troth {name}\n" not in cli} == set()
    assert api.count("\n## ") == len(list((ROOT / "crds").glob("*.yaml")))


def test_nothing_of_this_machine_is_on_a_generated_page(generated: dict[Path, str]) -> None:
    for text in generated.values():
        assert str(ROOT) not in text
        assert str(Path.home()) + os.sep not in text
