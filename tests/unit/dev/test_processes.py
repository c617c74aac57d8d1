"""What we start never outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.waiting import eventually_sync
from troth.dev.errors import ProcessFailed
from troth.dev.processes import Supervised, wait_until

# Starts a child of its own, says both pids, and ignores SIGTERM.
_STUBBORN = """\
import signal, subprocess, sys, os
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
child.wait()
"""


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter when it goes between open and read
        return not Path("/proc").exists() or not Path(f"/proc/{pid}").exists()


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _pids(log: Path) -> list[int]:
    return eventually_sync(lambda: [int(word) for word in log.read_text().split()] if log.exists() else [])


def test_killing_it_ends_its_children_too(tmp_path: Path) -> None:
    process = Supervised("stubborn", _python(_STUBBORN), log=tmp_path / "log")
    pids = _pids(tmp_path / "log")
    assert process.pid == pids[0]
    assert process.kill() == 128 + signal.SIGKILL
    eventually_sync(lambda: all(map(_gone, pids)), "both are gone")


def test_stopping_it_is_polite_first_and_firm_after_the_grace(tmp_path: Path) -> None:
    polite = Supervised("polite", ["sleep", "600"], log=tmp_path / "polite")
    assert polite.stop(grace=30) == 128 + signal.SIGTERM
    stubborn = Supervised("stubborn", _python(_STUBBORN), log=tmp_path / "stubborn")
    _pids(tmp_path / "stubborn")
    assert stubborn.stop(grace=0.2) == 128 + signal.SIGKILL


def test_its_exit_code_is_its_own(tmp_path: Path) -> None:
    assert Supervised("three", _python("raise SystemExit(3)"), log=tmp_path / "log").wait(30) == 3


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_everything_ends_however_the_parent_ends(tmp_path: Path, end: signal.Signals) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    parent = subprocess.Popen(
        _python(
            textwrap.dedent(f"""
            import time
            from pathlib import Path
            from troth.dev.processes import Supervised
            process = Supervised("stubborn", {_python(_STUBBORN)!r}, log=Path({str(tmp_path / "log")!r}),
                                 remove=[Path({str(folder)!r})])
            time.sleep(600)
            """)
        ),
        stderr=subprocess.DEVNULL,
    )
    pids = _pids(tmp_path / "log")
    parent.send_signal(end)
    parent.wait(30)
    eventually_sync(lambda: all(map(_gone, pids)), "both are gone")
    eventually_sync(lambda: not folder.exists(), "the folder is gone")


@pytest.mark.skipif(sys.platform != "linux", reason="a guarantee that only Linux gives")
def test_it_ends_even_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    process = Supervised("sleep", ["sleep", "600"], log=tmp_path / "log")
    os.kill(process._process.pid, signal.SIGKILL)
    eventually_sync(lambda: _gone(process.pid), "the program is gone")
    process.wait(10)


def test_what_cannot_be_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match=r"(?s)nothing could not be started; it said last:.*FileNotFoundError"):
        Supervised("nothing", [tmp_path / "nothing"], log=tmp_path / "log")


def test_waiting_for_one_that_ends_fails_at_once_with_its_last_words(tmp_path: Path) -> None:
    process = Supervised("brief", _python("print('no such option'); raise SystemExit(2)"), log=tmp_path / "log")
    started = time.monotonic()
    with pytest.raises(ProcessFailed, match=r"(?s)brief ended with code 2; it said last:\nno such option"):
        wait_until(lambda: False, processes=[process], what="ready", timeout=60)
    assert time.monotonic() - started < 30
    process.wait(30)


def test_waiting_has_a_deadline(tmp_path: Path) -> None:
    process = Supervised("slow", ["sleep", "600"], log=tmp_path / "log")
    try:
        with pytest.raises(ProcessFailed, match="slow was not ready within 0 s"):
            wait_until(lambda: False, processes=[process], what="ready", timeout=0)
    finally:
        process.kill()
