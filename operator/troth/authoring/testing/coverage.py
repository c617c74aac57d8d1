"""Which lines and branches of a Promise's templates the cases reached, with the places in the author's files.

A case for the large size does not test the loop that is only entered with several users; the report says what no case
has reached. It covers what cases render: the workflows of requests, and the Promise's own workflow. A template that
two places share is covered by either of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from troth.api.pipelines import JinjaPipeline
from troth.authoring.home import Home, Source, locate, offer_of
from troth.engine.rendering.coverage import CoveringEnvironment, Hit, Outline, decisions_of, watched_sources
from troth.engine.rendering.sources import fields_by_name

_REQUESTS: Final = "spec.workflows.resource.configure"
_OWN: Final = "spec.workflows.promise.configure"
_MOST_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class BranchPlace:
    """A branch of a template: the line in the author's file, and words such as ``the loop body``."""

    line: int
    words: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.words}"


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """The lines and branches of one file, and those that no case reached."""

    path: Path
    lines: tuple[int, ...]
    missed_lines: tuple[int, ...]
    branches: tuple[BranchPlace, ...]
    missed_branches: tuple[BranchPlace, ...]

    @property
    def total(self) -> int:
        """The number of lines and branches."""
        return len(self.lines) + len(self.branches)

    @property
    def missed(self) -> int:
        """The number of lines and branches that no case reached."""
        return len(self.missed_lines) + len(self.missed_branches)

    @property
    def percent(self) -> float:
        """The percentage that was reached; 100 when there is nothing to reach."""
        return _percent(self.total, self.missed)


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """The coverage of one Promise, its files sorted by path."""

    files: tuple[FileCoverage, ...] = ()

    @property
    def percent(self) -> float:
        """The percentage of all lines and branches that was reached; 100 when there is nothing to reach."""
        return _percent(sum(file.total for file in self.files), sum(file.missed for file in self.files))

    def as_text(self) -> str:
        """The report for a terminal: one line if everything was reached, otherwise each file with what was not."""
        total, missed = sum(file.total for file in self.files), sum(file.missed for file in self.files)
        found = [
            f"coverage: {shown(self.percent)} of the templates' lines and branches ({total - missed} of {total})"
        ]
        for file in self.files:
            if file.missed:
                found.append(f"  {file.path}  {shown(file.percent)}")
                if file.missed_lines:
                    found.append(f"    not reached: {_ranges(file.missed_lines)}")
                found.extend(f"    never taken: {branch}" for branch in file.missed_branches[:_MOST_SHOWN])
                if len(file.missed_branches) > _MOST_SHOWN:
                    found.append(f"    and {len(file.missed_branches) - _MOST_SHOWN} more branches")
        return "\n".join(found) + "\n"

    def as_lcov(self) -> str:
        """The report as a tracefile of lcov, for editors and services. What was reached has the count 1."""
        return "".join(_lcov(file) for file in self.files)


class TemplateCoverage:
    """Collects what renderings reach in the templates of one Promise.

    Args:
        home: the Promise.

    Raises:
        HomeError: the Promise cannot be used.
    """

    def __init__(self, home: Home) -> None:
        _, offer = offer_of(home)
        self._home = home
        self._workflows = ((_REQUESTS, offer.resource_configure), (_OWN, offer.promise_configure))
        self._hits: dict[str, set[Hit]] = {_REQUESTS: set(), _OWN: set()}

    def observe(self, hits: Iterable[Hit], own: Iterable[Hit] = ()) -> None:
        """Adds what renderings reached, in any order and any number of times.

        Args:
            hits: `BoundedWorker.hits` of a worker that renders requests.
            own: `BoundedWorker.hits` of a worker that renders the Promise's own workflow.
        """
        for workflow, found in ((_REQUESTS, hits), (_OWN, own)):
            self._hits[workflow].update((pipeline, place, point) for pipeline, place, point in found)

    def report(self) -> CoverageReport:
        """The report of what was reached so far."""
        files: dict[Path, _Gathering] = {}
        environment = CoveringEnvironment()
        outlines: dict[str, Outline] = {}
        for workflow, where, pipeline in self._pipelines():
            base = f"{where}.spec"
            for place, source in watched_sources(pipeline):
                outline = outlines.get(source)
                if outline is None:
                    outline = outlines[source] = environment.outline(source)
                start = locate(self._home, f"{base}.{place}")
                reached = self._reached(workflow, pipeline, place)
                # Two fields that take their text from one file share it; in promise.yaml each text counts separately.
                own = "" if f"{base}.{place}" in self._home.sources else f"{base}.{place}"
                files.setdefault(start.path, _Gathering()).add(start, outline, reached, own)
            for place, branch in decisions_of(pipeline):
                start = locate(self._home, f"{base}.{place}")
                reached = self._reached(workflow, pipeline, place)
                files.setdefault(start.path, _Gathering()).add(start, Outline({}, (branch,)), reached, place)
        return CoverageReport(tuple(files[path].coverage(path) for path in sorted(files) if files[path].lines))

    def _pipelines(self) -> Iterator[tuple[str, str, JinjaPipeline]]:
        """Each pipeline of templates, with its workflow and its own field."""
        for workflow, pipelines in self._workflows:
            fields = fields_by_name(self._home.promise, workflow)
            for pipeline in pipelines:
                yield workflow, fields[pipeline.name], pipeline

    def _reached(self, workflow: str, pipeline: JinjaPipeline, place: str) -> frozenset[int]:
        hits = self._hits[workflow]
        return frozenset(point for name, where, point in hits if name == pipeline.name and where == place)


@dataclass(slots=True)
class _Gathering:
    """The lines and branches of one file, and whether each was reached by anything that renders it."""

    lines: dict[int, bool] = field(default_factory=dict)
    branches: dict[tuple[int, int, str, str], bool] = field(default_factory=dict)

    def add(self, start: Source, outline: Outline, reached: frozenset[int], place: str = "") -> None:
        offset = start.line - 1
        for line, points in outline.lines.items():
            self.lines[line + offset] = self.lines.get(line + offset, False) or not reached.isdisjoint(points)
        for branch in outline.branches:
            self.lines.setdefault(branch.line + offset, branch.point in reached)
            key = (branch.line + offset, branch.point, branch.words, place)
            self.branches[key] = self.branches.get(key, False) or branch.point in reached

    def coverage(self, path: Path) -> FileCoverage:
        branches = sorted(self.branches)
        return FileCoverage(
            path,
            tuple(sorted(self.lines)),
            tuple(sorted(line for line, reached in self.lines.items() if not reached)),
            tuple(BranchPlace(line, words) for line, _, words, _ in branches),
            tuple(BranchPlace(key[0], key[2]) for key in branches if not self.branches[key]),
        )


def shown(percent: float) -> str:
    """A percentage for people, which is never 100 % while something is missing."""
    return "100 %" if percent >= 100 else f"{int(percent * 10) / 10:.1f} %"


def _percent(total: int, missed: int) -> float:
    return 100.0 if not total else (total - missed) * 100.0 / total


def _ranges(lines: Iterable[int]) -> str:
    """``line 4`` or ``lines 4-6, 9``."""
    found: list[list[int]] = []
    for line in lines:
        if found and line == found[-1][1] + 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    words = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)
    return f"{'line' if len(found) == 1 and found[0][0] == found[0][1] else 'lines'} {words}"


def _lcov(file: FileCoverage) -> str:
    missed_lines = set(file.missed_lines)
    parts = ["TN:", f"SF:{file.path}"]
    parts.extend(_branches(file))
    parts += [f"BRF:{len(file.branches)}", f"BRH:{len(file.branches) - len(file.missed_branches)}"]
    parts.extend(f"DA:{line},{int(line not in missed_lines)}" for line in file.lines)
    parts += [f"LF:{len(file.lines)}", f"LH:{len(file.lines) - len(file.missed_lines)}", "end_of_record"]
    return "\n".join(parts) + "\n"


def _branches(file: FileCoverage) -> Iterator[str]:
    numbers: dict[int, int] = {}
    missed = list(file.missed_branches)
    for branch in file.branches:
        taken = branch not in missed
        if not taken:
            missed.remove(branch)
        number = numbers[branch.line] = numbers.get(branch.line, -1) + 1
        yield f"BRDA:{branch.line},0,{number},{int(taken)}"


__all__ = ["BranchPlace", "CoverageReport", "FileCoverage", "TemplateCoverage", "shown"]
