"""Settings: where they come from, which wins, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from troth.app.settings import (
    InvalidSettings,
    Settings,
    fields,
    flag_of,
    how_to_reread,
    load_settings,
    variable_of,
)
from troth.cli import main


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("workers: 1\nstorePoll: 1\nlog-level: debug\n", encoding="utf-8")
    found = load_settings(
        {"workers": 3, "store_poll": None}, {"TROTH_WORKERS": "2", "TROTH_STORE_POLL": "2.5"}, config
    )
    assert (found.workers, found.store_poll, found.log_level) == (3, 2.5, "debug")


def test_without_anything_the_defaults_hold() -> None:
    assert load_settings({}, {"HOME": "/nowhere"}, None) == Settings()


def test_settings_are_read_again_only_where_there_is_a_file_that_may_change(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("storePoll: 1\n", encoding="utf-8")
    assert how_to_reread({"workers": 3}, {"TROTH_STORE_POLL": "2"}, None) is None
    reread = how_to_reread({"workers": 3}, {}, config)
    assert reread is not None
    config.write_text("storePoll: 7\n", encoding="utf-8")
    assert (reread().workers, reread().store_poll) == (3, 7.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("wrokers: 3\n", "unknown setting 'wrokers'"),
        ("workers: many\n", "workers must be int"),
        ("logFormat: xml\n", "log_format must be one of plain, json"),
        ("storePoll: -1\n", "store_poll must not be negative"),
        ("flatWorkflowStatus: 'off'\n", "flat_workflow_status must be true or false, not 'off'"),
        ("reconciliationInterval: 59\n", "reconciliation_interval must be at least 60, not 59"),
        ("reconcileAfterFailure: perhaps\n", "reconcile_after_failure must be true or false, not 'perhaps'"),
        ("- workers\n", "must be a map"),
        ("a: [\n", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, text: str, problem: str) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidSettings, match=problem) as caught:
        load_settings({}, {}, config)
    assert str(config) in str(caught.value)


def test_the_help_names_every_flag_with_its_variable_and_default() -> None:
    text = " ".join(CliRunner().invoke(main, ["operator", "--help"]).output.split())
    for item in fields():
        assert flag_of(item.name) in text
        assert variable_of(item.name) in text


def test_a_wrong_variable_ends_the_command_with_code_2_and_one_line() -> None:
    result = CliRunner().invoke(main, ["operator"], env={"TROTH_WORKERS": "many"})
    assert result.exit_code == 2
    assert result.stderr == "troth operator: TROTH_WORKERS: workers must be int, not 'many'\n"


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False)])
def test_the_words_true_and_false_are_read_from_a_variable(text: str, value: bool) -> None:
    assert load_settings({}, {"TROTH_FLAT_WORKFLOW_STATUS": text}, None).flat_workflow_status is value
