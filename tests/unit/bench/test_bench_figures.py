"""What the benchmark says is what was measured: percentiles, counts from the audit log, verdicts, CPU of a family."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.counting import (
    breakdown,
    difference,
    gauge,
    percentile,
    reads_of,
    reconciles,
    without_polling,
    writes_of,
)
from tests.bench.processes import Stat, available, cpu_seconds, family, parse_stat, pss, role
from tests.bench.table import Row, Section, render, show
from troth.dev import AuditEntry, AuditLog

METRICS = """\
# HELP troth_reconciles_total Reconciles
# TYPE troth_reconciles_total counter
troth_reconciles_total{kind="works.platform.kratix.io",outcome="done"} 3.0
troth_reconciles_total{kind="works.platform.kratix.io",outcome="retry"} 1.0
troth_reconciles_total{kind="gitstatestores.platform.kratix.io",outcome="after"} 7.0
# TYPE troth_queue_depth gauge
troth_queue_depth 2.0
"""


def entry(
    verb: str, resource: str, *, user: str = "troth-operator", subresource: str = "", code: int = 200
) -> AuditEntry:
    return AuditEntry(user, "troth", verb, "", resource, subresource, "default", "x", "/", code, "")


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_a_value_that_occurred_and_enough_values_do_not_exceed_it(
    values: list[float], percent: float
) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9


def test_percentiles_of_twenty_values() -> None:
    values = [float(number) for number in range(1, 21)]
    assert (percentile(values, 50), percentile(values, 95), percentile(values, 100)) == (10, 19, 20)
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_only_the_operators_own_writes_count_events_and_refused_ones_included() -> None:
    entries = [
        entry("create", "works"),
        entry("patch", "works", subresource="status"),
        entry("patch", "works", subresource="status"),
        entry("create", "events"),
        entry("create", "works", code=409),
        entry("list", "works"),
        entry("get", "works"),
        entry("watch", "works"),
        entry("create", "benchs", user="admin"),
    ]
    writes = writes_of(entries, "troth-operator")
    assert len(writes) == 5
    assert breakdown(writes, 2) == {
        "patch works/status": 1,
        "create works": 0.5,
        "create events": 0.5,
        "create works → 409": 0.5,
    }
    assert len(reads_of(entries, "troth-operator")) == 2


def test_counting_begins_where_the_audit_log_stood(tmp_path: Path) -> None:
    line = '{"verb":"create","user":{"username":"troth-operator"},"objectRef":{"resource":"works"},"requestURI":"/"}\n'
    path = tmp_path / "audit.log"
    path.write_text(line)
    log = AuditLog(path)
    with path.open("a") as file:
        file.write(line + line)
    assert len(writes_of(log.read(), "troth-operator")) == 2


def test_reconciles_are_added_up_by_kind_and_looks_at_a_store_are_left_out() -> None:
    counts = reconciles(METRICS)
    assert counts == {"works.platform.kratix.io": 4, "gitstatestores.platform.kratix.io": 7}
    assert without_polling(counts) == 4
    assert difference({"works.platform.kratix.io": 4}, counts) == {"gitstatestores.platform.kratix.io": 7}
    assert gauge(METRICS, "troth_queue_depth") == 2


def test_a_strict_target_is_missed_at_its_limit_and_an_inclusive_one_is_not() -> None:
    assert Row("x", 180, "ms", 180).ok is False
    assert Row("x", 10, "", 10, inclusive=True).ok is True
    assert Row("x", 0, "", 0, inclusive=True).ok is True
    assert Row("x", None, "ms", 180).ok is None
    assert Row("x", 1).ok is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (8.0, "", "8"),
        (0.0042, "s", "0.00 s"),
        (9.876, "", "9.88"),
        (45.67, "ms", "45.7 ms"),
        (3660, "ms", "3,660 ms"),
        (123.4, "MiB", "123 MiB"),
        (None, "ms", "-"),
    ],
)
def test_three_digits_are_enough_for_a_figure(value: float | None, unit: str, text: str) -> None:
    assert show(value, unit) == text


def test_columns_stand_in_line_and_colours_change_nothing_but_colour() -> None:
    sections = [
        Section("Idle", [Row("apply → committed", 75, "ms", 180, kratix="3,660 ms", bare=50), Row("commits", 3)]),
        Section("Burst", [Row("all committed", 41, "s", 40)], ["a remark"]),
    ]
    plain = render(sections, colour=False)
    lines = plain.splitlines()
    assert len({line.index("ms") for line in lines if "75 ms" in line}) == 1
    ends = {line.index(value) + len(value) for line in lines for value in (" 75 ms", " 41 s") if value in line}
    assert len(ends) == 1
    assert "✓" in lines[3]
    assert "✗" in plain
    coloured = render(sections, colour=True)
    for code in ("\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"):
        assert code in coloured
        coloured = coloured.replace(code, "")
    assert [line.rstrip() for line in coloured.splitlines()] == lines


def test_a_program_with_parentheses_in_its_name_is_read_like_any_other() -> None:
    fields = "S 41 " + " ".join("0" for _ in range(9)) + " 150 50 20 30 20 0 1 0 1"
    assert parse_stat(f"42 (git (remote) x) {fields}", ticks=100) == Stat(pid=42, parent=41, own=2.0, ended=0.5)


def test_a_family_is_the_process_and_all_that_descend_from_it() -> None:
    stats = {pid: Stat(pid, parent, own=1.0) for pid, parent in ((1, 0), (5, 1), (6, 5), (7, 6), (8, 1))}
    assert {stat.pid for stat in family(5, stats)} == {5, 6, 7}
    assert family(99, stats) == []


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("git -c core.x=1 --git-dir /x push --porcelain origin", "git push"),
        ("/usr/bin/git fast-import --quiet", "git fast-import"),
        ("/usr/lib/git-core/git-remote-http origin http://x", "git-remote-http"),
        ("python -m troth.engine.workers.worker", "render worker"),
        ("git", "git"),
    ],
)
def test_a_child_is_called_by_what_it_does(command: str, name: str) -> None:
    assert role(command.split()) == name


@pytest.mark.skipif(not available(), reason="this system has no /proc")
def test_this_process_uses_cpu_and_memory() -> None:
    used = cpu_seconds(os.getpid())
    assert used is not None
    assert used > 0
    assert pss(os.getpid()) > 1024 * 1024
