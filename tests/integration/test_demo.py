"""`troth demo` does what it says, as a newcomer runs it, and leaves nothing behind."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.waiting import eventually_sync
from troth.dev import ControlPlane

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

_WITHIN = 180.0
_CHAPTERS = 10
_COMMAND = (sys.executable, "-m", "troth.cli", "demo")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder that the demo takes for the machine's temporary one; short, for the kernel's sake."""
    folder = Path(tempfile.mkdtemp(prefix="t"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def environment(control_plane: ControlPlane, temporary: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}
    }
    return {**kept, "TMPDIR": str(temporary), "KUBEBUILDER_ASSETS": str(control_plane.binaries.etcd.parent)}


def _assert_nothing_is_left(temporary: Path) -> None:
    eventually_sync(lambda: not list(temporary.iterdir()), "its folder is gone")
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listing.splitlines() if str(temporary) in line]


def test_it_shows_everything_and_ends_by_itself(temporary: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        _COMMAND,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_WITHIN,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "\x1b" not in done.stdout + done.stderr
    assert all(len(line) <= 100 for line in lines), max(lines, key=len)
    assert all(line == line.rstrip() for line in lines)
    assert [int(line.split()[0]) for line in lines if re.match(r"\d+  \S", line)] == list(range(1, _CHAPTERS + 1))
    for wanted in (
        'Unsupported value: "huge"',  # a size that is not on offer
        "   16",  # the version that nobody asked for
        "   worker/resources/default/postgresql/shop/instance/5058f/pooler.yaml",  # Kratix's exact path
        "     instances: 1",  # of a manifest
        "   namespace/payments-staging",  # in the cluster
        "         state: Written",  # of status.troth.placements
        "   -  imageName: ghcr.io/cloudnative-pg/postgresql:16",  # of the commit's diff
        "   +  imageName: ghcr.io/cloudnative-pg/postgresql:17",
        "There is no PostgreSQL 9 on offer",
        "         reason: TemplateUndefined",
        "         expression: size.storrage",
        "Delete from: postgresql-orders-",
    ):
        assert wanted in done.stdout
    table = lines[lines.index(next(line for line in lines if line.startswith("   What was applied"))) + 1 :]
    rows = table[: table.index("")]
    assert len(rows) >= 10
    assert all(re.search(r"\d+ ms$", row) for row in rows)
    _assert_nothing_is_left(temporary)


def test_it_stays_until_ctrl_c_when_told_to_and_is_in_colour_on_a_terminal(
    control_plane: ControlPlane, temporary: Path, environment: Mapping[str, str]
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*_COMMAND, "--stay"],
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.STDOUT,
    )
    os.close(theirs)
    shown = b""
    try:
        while b"tail -f operator.log" not in shown:  # the test's time-out is the deadline
            shown += os.read(ours, 65536)
        text = _COLOUR.sub("", shown.decode()).replace("\r", "")
        assert "\x1b[1;36m" in shown.decode()
        kubeconfig = Path(text.partition("export KUBECONFIG=")[2].splitlines()[0])
        folder = Path(text.rpartition("\n  cd ")[2].splitlines()[0])
        got = control_plane.kubectl(
            "get", "promises,postgresqls,environments", "-o", "name", kubeconfig=kubeconfig
        )
        assert set(got.stdout.split()) == {
            "promise.platform.kratix.io/environment",
            "promise.platform.kratix.io/postgresql",
            "postgresql.database.example.com/shop",
            "environment.platform.example.com/staging",
        }
        assert "Traceback" not in (folder / "operator.log").read_text()
        process.send_signal(signal.SIGINT)
        while _read(ours):
            pass
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    _assert_nothing_is_left(temporary)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody holds the other end any more
        return b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_in_the_middle_ends_everything(
    temporary: Path, environment: Mapping[str, str], number: signal.Signals
) -> None:
    process = subprocess.Popen(
        _COMMAND,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "etcd and kube-apiserver run" in line:
                break
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    _assert_nothing_is_left(temporary)


def test_an_operator_that_does_not_come_up_is_a_failure_with_its_last_words(
    temporary: Path, environment: Mapping[str, str]
) -> None:
    done = subprocess.run(
        _COMMAND,
        env={**environment, "TROTH_WORKERS": "many"},
        capture_output=True,
        text=True,
        timeout=_WITHIN,
        check=False,
    )
    assert done.returncode == 1
    assert "troth demo: troth operator ended with code 2; it said last:" in done.stderr
    assert "TROTH_WORKERS" in done.stderr
    _assert_nothing_is_left(temporary)
