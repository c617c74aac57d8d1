"""Progress is shown to those who wait, and only to them."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import textwrap

import pytest

from troth.dev import progress
from troth.dev.progress import Progress, clock


def test_what_is_quick_says_nothing() -> None:
    stream = io.StringIO()
    with Progress(stream).step("building"):
        pass
    assert stream.getvalue() == ""


def test_what_is_slow_says_what_it_does_and_in_the_end_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SILENT", 0.0)
    stream = io.StringIO()
    with Progress(stream, summary=0.0).step("building etcd", "half a minute"):
        pass
    lines = stream.getvalue().splitlines()
    assert lines[-1] == "troth: building etcd: 0 s"
    assert all("\x1b" not in line for line in lines)


def test_the_sum_can_be_left_to_whoever_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SILENT", 0.0)
    stream = io.StringIO()
    with Progress(stream, summary=30.0).step("building etcd"):
        pass
    assert "building etcd: " not in stream.getvalue()


def test_on_a_terminal_it_is_one_line_that_changes() -> None:
    program = textwrap.dedent("""
        import time
        from troth.dev import progress
        progress._SILENT = 0.0
        with progress.Progress().step("building etcd"):
            time.sleep(0.3)
    """)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    subprocess.run([sys.executable, "-c", program], stderr=theirs, env=environment, check=True)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert re.search(r"building etcd … [0-9] s", shown), "after a second or more on a busy machine"
    assert "\x1b[" in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (365, "6 min 05 s")]
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert clock(seconds) == text
