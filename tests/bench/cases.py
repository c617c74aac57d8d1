"""Measures `troth test` with a thousand cases of the library's Promises.

``python -m tests.bench.cases`` runs them and says how long it took: in a process as people start it, with coverage,
and without generated inputs, whose number does not depend on the author.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[2]
TARGET_SECONDS = 20.0
_FILES = 20


def write_home(folder: Path, cases: int) -> Path:
    """The library's Promise ``environment`` with this many cases: objects, counts, golden folders, refusals, steps."""
    home = folder / "environment"
    home.mkdir(parents=True)
    for path in (ROOT / "promises" / "environment").rglob("*"):
        relative = path.relative_to(ROOT / "promises" / "environment")
        if path.is_file() and relative.parts[0] != "tests":
            (home / relative).parent.mkdir(parents=True, exist_ok=True)
            (home / relative).write_bytes(path.read_bytes())
    (home / "tests").mkdir()
    files = min(_FILES, cases)
    for number in range(files):
        found = [_case(index) for index in range(number, cases, files)]
        document = {
            "apiVersion": "troth.dev/v1alpha1",
            "kind": "PromiseTest",
            "metadata": {"name": f"cases-{number}"},
            "spec": {"cases": found},
        }
        (home / "tests" / f"cases-{number}.yaml").write_text(json.dumps(document, indent=1), "utf-8")
    return home


def _case(index: int) -> dict[str, Any]:
    team = f"team-{index}"
    spec: dict[str, Any] = {
        "team": team,
        "size": ("small", "medium", "large")[index % 3],
        "network": ("open", "guarded", "isolated")[index // 3 % 3],
        "members": [{"name": f"someone-{index}-{number}", "role": "edit"} for number in range(index % 5)],
    }
    name = f"case {index}"
    if index % 10 == 0:
        return {
            "name": name,
            "request": {"spec": {**spec, "size": "huge"}},
            "expect": {"refused": {"field": "spec.size"}},
        }
    counts = {"Namespace": 1, "RoleBinding": index % 5}
    if index % 10 == 1:
        return {
            "name": name,
            "steps": [
                {"request": {"spec": spec}, "expect": {"counts": counts}},
                {"edit": {"spec": {"members": []}}, "expect": {"counts": {"RoleBinding": 0}}},
            ],
        }
    return {
        "name": name,
        "request": {"spec": spec},
        "expect": {
            "counts": counts,
            "objects": [{"kind": "Namespace", "metadata": {"name": f"{team}-test"}}],
            "status": {"namespace": f"{team}-test"},
            **({"golden": f"case-{index}"} if index % 10 < 5 else {}),
        },
    }


def measure(cases: int, *, jobs: int | None = None) -> float:
    """The seconds that a whole `troth test` takes.

    Raises:
        RuntimeError: a case failed.
    """
    with tempfile.TemporaryDirectory(prefix="troth-bench-") as folder:
        home = write_home(Path(folder), cases)
        command = [sys.executable, "-m", "troth.cli", "test", str(home), "--examples", "0"]
        command += ["--jobs", str(jobs)] if jobs else []
        subprocess.run([*command, "--update"], check=False, capture_output=True)
        start = time.perf_counter()
        run = subprocess.run(command, check=False, capture_output=True, text=True)
        seconds = time.perf_counter() - start
    if run.returncode:
        raise RuntimeError(f"troth test ended with {run.returncode}: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    return seconds


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--cases", type=click.IntRange(1), default=1000, show_default=True, help="How many cases.")
@click.option("--jobs", type=click.IntRange(1), help="How many processes.  [default: the cores]")
def main(cases: int, jobs: int | None) -> None:
    """Measure `troth test`: a thousand cases in under 20 s on two cores."""
    load = os.getloadavg()[0]
    try:
        seconds = measure(cases, jobs=jobs)
    except RuntimeError as error:
        click.echo(f"bench: {error}", err=True)
        sys.exit(1)
    target = TARGET_SECONDS * cases / 1000
    print(
        f"{cases} cases in {seconds:.2f} s ({seconds / cases * 1000:.1f} ms each), target {target:.1f} s: "
        f"{'met' if seconds <= target else 'missed'}; {os.cpu_count()} cores, load before {load:.2f}"
    )


if __name__ == "__main__":
    main()
