"""Measures what an author waits for: whole processes of `troth render`, from their start to the last byte."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.counting import percentile
from tests.bench.table import Row, Section

HOME = Path(__file__).parents[2] / "promises" / "postgresql"
EXAMPLE = HOME / "examples" / "medium.yaml"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The times of whole processes, in seconds.

    Attributes:
        single: the time for one request, once for each run.
        many: the time for all of `requests` at once, in files of a folder.
        requests: the number of requests for `many`.
        cpu: the user and system time of the processes for `many`.
        load: the load of the machine before and after.
    """

    single: Sequence[float]
    many: float
    requests: int
    cpu: float
    load: tuple[float, float]


def measure_rendering(*, runs: int, requests: int) -> Rendered:
    """Renders one request ``runs`` times, and then ``requests`` requests at once.

    Raises:
        RuntimeError: a command failed.
    """
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="troth-bench-") as folder:
        root = Path(folder)
        (root / "requests").mkdir()
        text = EXAMPLE.read_text("utf-8")
        for number in range(requests):
            named = text.replace("name: shop", f"name: shop-{number}", 1)
            (root / "requests" / f"{number}.yaml").write_text(named, "utf-8")
        _run("render", HOME, "-f", EXAMPLE)  # fills the caches of bytecode and files
        single = [_run("render", HOME, "-f", EXAMPLE) for _ in range(runs)]
        spent = _cpu()
        many = _run("render", HOME, "-f", root / "requests", "-o", root / "out")
        written = sum(1 for path in (root / "out").rglob("*") if path.is_file())
    if written < requests:
        raise RuntimeError(f"{requests} requests gave {written} files")
    return Rendered(single, many, requests, _cpu() - spent, (before, os.getloadavg()[0]))


def rendering_section(result: Rendered) -> Section:
    """The rows of `measure_rendering`."""
    rows = [
        Row("troth render, one request of postgresql, p50", percentile(result.single, 50), "s", 0.4),
        Row("the longest", max(result.single), "s"),
        Row(f"troth render, {result.requests:,} requests into a folder", result.many, "s", 5),
        Row("its CPU, both processes", result.cpu, "s"),
    ]
    remarks = [f"{len(result.single)} runs; load before {result.load[0]:.2f}, after {result.load[1]:.2f}"]
    return Section("Authoring: whole processes", rows, remarks)


def _run(*arguments: str | Path) -> float:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "troth.cli", *map(str, arguments)], capture_output=True, check=False, timeout=120
    )
    seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"troth {arguments[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")
    return seconds


def _cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system
