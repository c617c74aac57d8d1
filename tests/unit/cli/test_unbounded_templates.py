"""Templates that never end or ask for all memory end a command with exit code 2, soon, and with their place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.platforms import promise, request
from troth.cli import main

HOSTILE = {
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "power": "a: {{ 'x' * (spec.count ** 9) }}\n",
    "memory": "{% set ns = namespace(x='x' * 1000) %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "loop": "{% include 'head' %}\n",
    "macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "huge": "{% for i in range(99999) %}{{ 'y' * 1000 }}{% endfor %}",
}
PARTIALS = {"head": "{% include 'tail' %}", "tail": "{% include 'head' %}"}


def home(tmp_path: Path, template: str, **pipeline: Any) -> tuple[Path, Path]:
    made = promise("things", files=[{"path": "a.yaml", "template": template}], pipeline=pipeline)
    folder = tmp_path / "things"
    folder.mkdir()
    (folder / "promise.yaml").write_text(yaml.safe_dump(made), "utf-8")
    asked = tmp_path / "asked.yaml"
    asked.write_text(
        yaml.safe_dump_all([request("things", f"r{n}", "team", count=99999) for n in range(20)]), "utf-8"
    )
    return folder, asked


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_template_without_bounds_is_unusable_input(name: str, tmp_path: Path) -> None:
    folder, asked = home(tmp_path, HOSTILE[name], partials=PARTIALS)
    started = time.monotonic()
    result = CliRunner().invoke(main, ["render", str(folder), "-f", str(asked)])
    assert result.exit_code == 2, result.output
    assert time.monotonic() - started < 10
    assert "promise.yaml:" in result.stderr, result.stderr
    assert "instance/" in result.stderr, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_building_ends_whatever_a_template_asks_of_the_compiler(tmp_path: Path) -> None:
    folder, _ = home(tmp_path, "a: {{ 9 ** 9 ** 9 ** 9 }}\n")
    started = time.monotonic()
    result = CliRunner().invoke(main, ["build", str(folder)])
    assert result.exit_code in (0, 2), result.output
    assert time.monotonic() - started < 10


def test_a_template_that_is_wrong_or_refuses_is_a_finding(tmp_path: Path) -> None:
    folder, asked = home(tmp_path, "a: {{ fail('not today') if spec.count else spec.count }}\n")
    result = CliRunner().invoke(main, ["render", str(folder), "-f", str(asked)])
    assert result.exit_code == 1
    assert result.stderr.count("not today") == 20
