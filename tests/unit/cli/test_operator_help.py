"""What the operator's flags count is said beside their defaults."""

from __future__ import annotations

from click.testing import CliRunner

from troth.app.settings import fields, flag_of
from troth.cli import main


def test_every_flag_of_a_duration_or_a_size_says_its_unit() -> None:
    text = " ".join(CliRunner().invoke(main, ["operator", "--help"], terminal_width=100).output.split())
    durations = [item for item in fields() if isinstance(item.default, float)]
    assert durations
    for item in durations:
        assert f"{item.default} seconds" in text.partition(flag_of(item.name))[2][:250]
    for flag in ("--render-memory", "--contents-cache"):
        assert "MiB" in text.partition(flag)[2][:200]
