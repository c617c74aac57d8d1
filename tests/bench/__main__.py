"""`python -m tests.bench`: measures this machine. The table goes to standard output, progress to standard error."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from tests.bench import measure
from tests.bench.authoring import measure_rendering, rendering_section
from tests.bench.bare import Bare, measure_bare
from tests.bench.rows import (
    LARGE,
    SMALL,
    bare_section,
    burst_section,
    failing_section,
    idle_section,
    restart_section,
)
from tests.bench.site import Site, open_site
from tests.bench.table import Section, render
from troth.dev import DevError

ROWS = ("render", "idle", "failing", "small", "large", "restart")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    rows: tuple[str, ...]
    singles: int
    edits: int
    small: int
    large: int
    bare: bool
    profiles: Path | None


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--quick", is_flag=True, help="Fewer requests: for a look, not for a figure.")
@click.option(
    "--only", multiple=True, type=click.Choice(ROWS), help="Only these rows; may be given more than once."
)
@click.option(
    "--requests", type=click.IntRange(1), help=f"How many at once in the large burst.  [default: {LARGE}]"
)
@click.option("--no-bare", is_flag=True, help="Leave the bare limit out.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to this file, too.")
@click.option(
    "--profile",
    type=click.Path(file_okay=False, path_type=Path),
    help="Profile the operator's CPU time into this folder, a file for each start (figures get worse).",
)
def main(
    quick: bool,
    only: tuple[str, ...],
    requests: int | None,
    no_bare: bool,
    json_file: Path | None,
    profile: Path | None,
) -> None:
    """Measure this machine against the targets, Kratix's figures and a loop without an operator.

    A missed target is said in the table and is no error; the exit code is 1 only if something could not be measured.
    """
    if profile is not None:
        profile.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        rows=only or ROWS,
        singles=8 if quick else 20,
        edits=4 if quick else 10,
        small=20 if quick else SMALL,
        large=requests or (200 if quick else LARGE),
        bare=not no_bare,
        profiles=profile,
    )
    load = os.getloadavg()[0]
    try:
        sections = asyncio.run(_measure(plan))
    except KeyboardInterrupt:
        click.echo("bench: interrupted; everything has been ended", err=True)
        sys.exit(130)
    except (TimeoutError, RuntimeError, AssertionError, DevError) as error:
        click.echo(f"bench: could not be measured: {error or 'not finished in time'}", err=True)
        sys.exit(1)
    machine = _machine(load)
    print(f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, load before: {load:.2f}")
    print(render(sections, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    if json_file is not None:
        json_file.write_text(json.dumps(_as_json(machine, sections), indent=2, ensure_ascii=False) + "\n")


async def _measure(plan: Plan) -> list[Section]:
    started = time.monotonic()

    def say(what: str) -> None:
        click.echo(f"bench: {time.monotonic() - started:5.1f} s  {what}", err=True)

    sections: list[Section] = []
    if "render" in plan.rows:
        say(f"rendering {plan.large} requests without a cluster")
        found = await asyncio.to_thread(measure_rendering, runs=plan.singles, requests=plan.large)
        sections.append(rendering_section(found))
    if set(plan.rows) == {"render"}:
        return sections
    async with open_site(say, profiles=plan.profiles) as site:
        try:
            return [*sections, *await _rows(site, plan)]
        except (TimeoutError, RuntimeError, AssertionError):
            click.echo(f"bench: the end of the operator's log:\n{site.tail()}", err=True)
            raise


async def _rows(site: Site, plan: Plan) -> list[Section]:
    rows = plan.rows
    await measure.warm_up(site)
    idle = await measure.idle(site, plan.singles) if "idle" in rows else None
    failing = await measure.failing(site, plan.edits) if "failing" in rows else None
    small = await measure.burst(site, "small", plan.small) if "small" in rows else None
    large = await measure.burst(site, "large", plan.large) if {"large", "restart"} & set(rows) else None
    restart = await measure.restart(site) if "restart" in rows else None
    bare: Bare | None = None
    if plan.bare:
        await site.end_operator()
        sizes = [burst.requests for burst in (small, large) if burst]
        bare = await measure_bare(site, model=measure.MODEL, singles=plan.singles, bursts=sizes)
    sections = []
    if idle:
        sections.append(idle_section(idle, bare))
    if failing:
        sections.append(failing_section(failing, bare))
    sections += [burst_section(burst, bare) for burst in (small, large) if burst]
    if restart:
        sections.append(restart_section(restart, bare))
    if bare:
        sections.append(bare_section(bare))
    return sections


def _machine(load: float) -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": load,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _as_json(machine: dict[str, Any], sections: Sequence[Section]) -> dict[str, Any]:
    return {
        "machine": machine,
        "sections": [
            {
                "title": section.title,
                "rows": [{**asdict(row), "ok": row.ok} for row in section.rows],
                "remarks": section.remarks,
            }
            for section in sections
        ],
    }


if __name__ == "__main__":
    main()
