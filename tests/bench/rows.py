"""Turns figures into rows of the table, with what each is compared with.

The targets are those of the design. Kratix's figures were measured on a similar machine (2 cores, with the API server
and Git on it) with a real node, one pipeline container and three files; docs/benchmarks.md says how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.bench.bare import Bare
from tests.bench.counting import percentile
from tests.bench.measure import Burst, Idle, Restart
from tests.bench.processes import Peak
from tests.bench.table import Row, Section, show

SMALL = 50
LARGE = 1000
_MIB = 1024 * 1024


def idle_section(result: Idle, bare: Bare | None) -> Section:
    """Requests one after another."""
    pushed = bare.committed if bare else []
    done = bare.done if bare else []
    rows = [
        Row(
            "apply → committed, p50", _ms(result.committed, 50), "ms", 180, kratix="3,660 ms", bare=_ms(pushed, 50)
        ),
        Row(
            "apply → committed, p95", _ms(result.committed, 95), "ms", 600, kratix="4,000 ms", bare=_ms(pushed, 95)
        ),
        Row("apply → Ready, p50", _ms(result.ready, 50), "ms", kratix="6,980 ms", bare=_ms(done, 50)),
        Row(
            "API writes a request", result.writes, "", 10, inclusive=True, kratix="59.8", bare=8 if bare else None
        ),
        Row("reconciles a request", result.reconciles, "", 8, inclusive=True, kratix="28.5"),
        Row("operator CPU a request, Git included", _milli(result.cpu), "ms", kratix="660 ms"),
    ]
    remarks = [
        f"CPU of its own process {_show_ms(result.own_cpu)}; {_others(result.others)}",
        f"writes a request: {_list(result.breakdown)}",
    ]
    return Section(f"Idle, {len(result.committed)} requests one after another", rows, remarks)


def burst_section(result: Burst, bare: Bare | None) -> Section:
    """Many requests at once. The targets that depend on their number are defined for 50 and for 1,000."""
    count = result.requests
    seconds, commits = {SMALL: (3.0, 5.0), LARGE: (40.0, 40.0)}.get(count, (None, None))
    alone = bare.bursts.get(count) if bare else None
    kratix_seconds = {SMALL: "86 s", LARGE: "1.7 s each"}.get(count, "1.7 s each")
    rows = [
        Row(
            "all committed",
            result.committed,
            "s",
            seconds,
            kratix=kratix_seconds,
            bare=alone.committed if alone else None,
        ),
        Row(
            "all Ready",
            result.ready,
            "s",
            kratix="90 s" if count == SMALL else "",
            bare=alone.done if alone else None,
        ),
        Row(
            "commits",
            result.commits,
            "",
            commits,
            inclusive=True,
            kratix="1 each",
            bare=alone.commits if alone else None,
        ),
        Row("API writes a request", result.writes, "", 10, inclusive=True, kratix="56", bare=8 if alone else None),
        Row("reconciles a request", result.reconciles, "", 8, inclusive=True, kratix="21 to 28"),
        Row(
            "operator CPU a request, Git included",
            _milli(result.cpu),
            "ms",
            20,
            kratix="350 to 660 ms",
            bare=_milli(bare.cpu) if bare and alone else None,
        ),
        Row(
            "peak memory (PSS), operator and its children",
            result.peak.together / _MIB if result.peak.together else None,
            "MiB",
            200 if count >= LARGE else None,
        ),
        Row("  of it the operator's own process", result.peak.alone / _MIB if result.peak.alone else None, "MiB"),
    ]
    remarks = [
        f"sent within {result.sent:.1f} s, quiet after {result.quiet:.1f} s; {_others(result.others)}",
        f"CPU of its own process {_show_ms(result.own_cpu)} a request; memory of its children: {_sizes(result.peak)}",
        f"writes a request: {_list(result.breakdown)}",
        f"reconciles a request: {_list(result.by_kind)}",
    ]
    return Section(f"{count:,} requests at once", rows, remarks)


def restart_section(result: Restart, bare: Bare | None) -> Section:
    """A restart while no request has changed."""
    rows = [
        Row("API writes", result.writes, "", 0, inclusive=True, kratix="4 to 6 a request"),
        Row("commits", result.commits, "", 0, inclusive=True, kratix="0"),
        Row("seconds until ready", result.ready, "s", kratix="0.2 to 0.5 s"),
        Row("seconds until quiet", result.quiet, "s", kratix="48.5 s (461)", bare=bare.listed if bare else None),
        Row("reconciles a request", result.reconciles),
        Row("operator CPU, all of it", result.cpu, "s", kratix="42 s (461)"),
        Row(
            "peak memory (PSS), operator and its children",
            result.peak.together / _MIB if result.peak.together else None,
            "MiB",
        ),
    ]
    remarks = [
        f"{result.reads} gets and lists; {_others(result.others)}",
        f"reconciles a request: {_list(result.by_kind)}",
    ]
    if result.breakdown:
        remarks.append(f"writes: {_list(result.breakdown)}")
    return Section(f"Restart with {result.requests:,} idle requests", rows, remarks)


def failing_section(times: Sequence[float], bare: Bare | None) -> Section:
    """An edit that a template cannot render."""
    alone = bare.failed if bare else []
    rows = [
        Row(
            "edit → failure in the status, p50", _ms(times, 50), "ms", 1000, kratix="7,100 ms", bare=_ms(alone, 50)
        ),
        Row("the longest", _ms(times, 100), "ms", kratix="8,200 ms", bare=_ms(alone, 100)),
    ]
    return Section(f"Failing template, {len(times)} edits", rows)


def bare_section(bare: Bare) -> Section:
    """An explanation of the last column."""
    text = f"the last column was measured at the end, without an operator; {_others(bare.others)}"
    return Section("Bare limit", [], [text])


def _ms(values: Sequence[float], percent: float) -> float | None:
    return percentile(values, percent) * 1000 if values else None


def _milli(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _show_ms(seconds: float | None) -> str:
    return show(_milli(seconds), "ms")


def _sizes(peak: Peak) -> str:
    return _list({f"{name} (MiB)": round(size / _MIB) for name, size in sorted(peak.children.items())})


def _others(cores: float | None) -> str:
    return "" if cores is None else f"other programs used {cores:.2f} cores meanwhile"


def _list(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{what} {count:g}" for what, count in counts.items()) or "none"
