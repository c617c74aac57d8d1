"""What the operator's process keeps to itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, subprocess
from troth.app.process import keep_memory_private
keep_memory_private()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
print(subprocess.run(["sh", "-c", "ulimit -H -c"], capture_output=True, text=True).stdout)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
def test_neither_a_dump_nor_another_process_shows_the_operators_memory() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:2] == ["(0, 0) 0", "0"]
