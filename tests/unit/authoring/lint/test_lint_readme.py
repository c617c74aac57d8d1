"""A README whose table of fields has gone stale is told, and one that is up to date is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from troth.authoring.lint import Finding, lint
from troth.cli import main
from troth.engine.yaml.manifests import dump_document

FIELDS = ("size:string:enum=s,m:default=s", "owner:string:required", "n:integer:default=3", "on:boolean")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Promise as init makes it."""
    flags = [part for field in FIELDS for part in ("--field", field)]
    made = CliRunner().invoke(main, ["init", str(tmp_path / "made"), "--yes", *flags])
    assert made.exit_code == 0, made.output
    return tmp_path / "made"


def stale(folder: Path) -> list[Finding]:
    return [finding for finding in lint(folder) if finding.code == "T006"]


def test_what_init_writes_is_up_to_date(folder: Path) -> None:
    assert stale(folder) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda spec: spec["properties"].update(new={"type": "string"}), "does not list spec.new"),
        (lambda spec: spec["properties"].pop("on"), "the API has no spec.on"),
        (lambda spec: spec["properties"]["size"]["enum"].append("l"), "spec.size may also be l"),
        (lambda spec: spec["properties"]["n"].update(default=4), "the default of spec.n is 4, and not 3"),
    ],
)
def test_a_change_of_the_api_that_the_readme_does_not_tell_is_told_at_its_line(
    folder: Path, change: Callable[[dict[str, Any]], Any], says: str
) -> None:
    promise = yaml.safe_load((folder / "promise.yaml").read_text())
    version = promise["spec"]["api"]["spec"]["versions"][0]
    change(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    (folder / "promise.yaml").write_text(dump_document(promise))
    [finding] = stale(folder)
    assert says in finding.message
    assert Path(finding.file).name == "README.md"
    assert (folder / "README.md").read_text().split("\n")[finding.line - 1].startswith("| `spec.")


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "# It\n\nNo table.\n", "| `size` | a | b |\n", "| `spec.size | x |\n", "\0"])
def test_a_readme_without_a_table_of_fields_is_left_alone(folder: Path, text: str) -> None:
    (folder / "README.md").write_text(text)
    assert stale(folder) == []
    (folder / "README.md").write_bytes(b"\xff")
    assert stale(folder) == []
    (folder / "README.md").unlink()
    assert stale(folder) == []
