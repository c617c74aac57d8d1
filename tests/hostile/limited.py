"""Runs an operator under the memory limit of the chart's pod."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.memory_limit import MemoryLimit, memory_limit
from tests.operators import OperatorProcess
from troth.dev import ControlPlane

POLLS = ("--store-poll", "1", "--failing-store-poll", "0.5")
CHART = Path(__file__).parents[2] / "charts" / "troth" / "values.yaml"


def chart_limit() -> int:
    """The limit of the chart's pod, in bytes."""
    limit = yaml.safe_load(CHART.read_text())["resources"]["limits"]["memory"]
    assert limit.endswith("Gi")
    return int(limit.removesuffix("Gi")) << 30


@dataclass
class Limited:
    """An operator under the memory limit."""

    control_plane: ControlPlane
    limit: MemoryLimit
    folder: Path
    processes: list[OperatorProcess]
    flags: Sequence[str]

    @property
    def process(self) -> OperatorProcess:
        return self.processes[-1]

    def start(self) -> None:
        process = OperatorProcess(
            self.control_plane.kubeconfig,
            ["--local-stores", self.folder, *self.flags],
            log=self.folder / f"operator-{len(self.processes)}.log",
            environment=self.control_plane.environment(),
            interpreter=self.limit.interpreter,
        )
        self.processes.append(process)
        process.wait_ready()

    def restart(self) -> None:
        self.process.terminate()
        self.start()


@contextmanager
def running_limited(control_plane: ControlPlane, folder: Path, flags: Sequence[str] = POLLS) -> Iterator[Limited]:
    """A running operator under the limit. It is an error if it has logged a traceback by the end.

    Skips the test on a machine that does not allow a control group to be made.
    """
    with ExitStack() as stack:
        try:
            limit = stack.enter_context(memory_limit(chart_limit()))
        except OSError as error:
            pytest.skip(f"this machine lets no control group be made: {error}")
        limited = Limited(control_plane, limit, folder, [], flags)
        try:
            limited.start()
            yield limited
        finally:
            for process in limited.processes:
                process.end()
    for process in limited.processes:
        process.check()
