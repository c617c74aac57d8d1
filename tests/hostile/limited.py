"""An operator under the memory limit that the chart gives its pod."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.memory_limit import MemoryLimit
from tests.operators import OperatorProcess
from troth.dev import ControlPlane

CHART = Path(__file__).parents[2] / "charts" / "troth" / "values.yaml"


def chart_limit() -> int:
    """The limit of the chart's pod, in bytes."""
    limit = yaml.safe_load(CHART.read_text())["resources"]["limits"]["memory"]
    assert limit.endswith("Gi")
    return int(limit.removesuffix("Gi")) << 30


@dataclass
class Limited:
    """An operator under the limit."""

    control_plane: ControlPlane
    limit: MemoryLimit
    folder: Path
    processes: list[OperatorProcess]
    flags: tuple[str, ...] = ("--store-poll", "1", "--failing-store-poll", "0.5")

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
