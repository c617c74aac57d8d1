"""A machine that cannot have a node fails nothing: the tests on a node are skipped, and the reason is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT
from tests.node.needs import missing_need

pytestmark = pytest.mark.slow

# What is asked for and what asks, without what a package would bring.
_KEPT = ("git", "ip", "iptables", "mkdir", "mount", "nsenter", "sh", "true", "unshare")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine without busybox, on which apt-get reaches nothing."""
    for name in _KEPT:
        if (found := shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")) is not None:
            (tmp_path / name).symlink_to(found)
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: no answer'\nexit 100\n")
    apt.chmod(0o755)
    return {**os.environ, "PATH": str(tmp_path), "CI": "true", "TROTH_TEST_NODE": ""}


def _run(environment: dict[str, str], *arguments: str) -> str:
    """What a program of Python says, which has to end well."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_preparation_says_why_there_is_no_node_and_fails_nothing(environment: dict[str, str]) -> None:
    said = _run(environment, "tests.node", "prepare")
    assert "the tests on a node are skipped: " in said
    assert (missing_need() or "E: no answer") in said


def test_every_test_on_a_node_is_skipped_with_the_reason(environment: dict[str, str]) -> None:
    said = _run(environment, "pytest", "-q", "-rs", "tests/node/test_pods.py")
    assert " skipped" in said.splitlines()[-1]
    assert "passed" not in said
    assert (missing_need() or "E: no answer") in said
