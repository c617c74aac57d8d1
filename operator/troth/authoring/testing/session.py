"""One run of `troth test`: reads Promises, selects and runs cases, and gathers the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from troth.authoring.home import load_home
from troth.authoring.input_files import HomeError
from troth.authoring.testing.coverage import CoverageReport, TemplateCoverage
from troth.authoring.testing.golden import Golden, unused
from troth.authoring.testing.reading import read_suites
from troth.authoring.testing.running import (
    GENERATED,
    GENERATED_NAMES,
    CaseResult,
    Done,
    Options,
    Runner,
    Subject,
    has_only_containers,
)
from troth.authoring.testing.selecting import Choice
from troth.authoring.testing.spreading import run_tasks, split


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything that is to be run.

    Attributes:
        subjects: the Promises with their selected cases, without those of which a file cannot be used.
        problems: the errors of files that cannot be used.
        deselected: how many cases were not selected.
        notes: what is not a mistake, but good to know.
    """

    subjects: tuple[Subject, ...]
    problems: tuple[HomeError, ...] = ()
    deselected: int = 0
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many cases will run, including those with generated inputs."""
        return sum(len(subject.cases) + len(subject.generated) for subject in self.subjects)


@dataclass(frozen=True, slots=True)
class Session:
    """The results of a run.

    Attributes:
        results: the result of each case, in the order of the files.
        seconds: how long it took, in seconds.
        deselected: how many cases were not selected.
        coverage: the coverage of each Promise's templates; empty when that was not measured.
        problems: a sentence for each Promise that turned out to be unusable when its cases ran. Such a Promise has
            no coverage, and not all of its cases have results.
        caseless: the names of the Promises of which no case ran, so that nothing counts for their coverage; empty if
            generated inputs count.
    """

    results: tuple[CaseResult, ...]
    seconds: float
    deselected: int = 0
    coverage: tuple[tuple[str, CoverageReport], ...] = ()
    problems: tuple[str, ...] = ()
    caseless: frozenset[str] = frozenset()

    @property
    def failed(self) -> list[CaseResult]:
        """The cases that failed."""
        return [result for result in self.results if result.problems]

    @property
    def goldens(self) -> list[Golden]:
        """The golden folders that are different."""
        return [golden for result in self.results for golden in result.goldens]


def collect(homes: Sequence[Path], choice: Choice, *, generated: bool = True) -> Collected:
    """Reads Promises and their cases.

    Args:
        homes: folders or files of Promises.
        choice: selects cases by ``PROMISE::FILE::CASE``.
        generated: whether generated inputs are tried.
    """
    subjects: list[Subject] = []
    problems: list[HomeError] = []
    notes: list[str] = []
    deselected = 0
    for path in homes:
        try:
            home = load_home(path)
            suites, found = read_suites(home)
        except HomeError as error:
            problems.append(error)
            continue
        if found:
            problems += found
            continue
        notes += [f"{folder} belongs to no case" for folder in unused(suites)]
        chosen = []
        for suite in suites:
            where = f"{home.name}::{suite.file.relative_to(home.folder).as_posix()}"
            cases = tuple(case for case in suite.cases if choice(f"{where}::{case.name}"))
            deselected += len(suite.cases) - len(cases)
            if cases:
                chosen.append(replace(suite, cases=cases))
        names = GENERATED_NAMES if generated else ()
        if names and has_only_containers(home):
            notes.append(f"{home.name}: no inputs are generated, since all of its pipelines need containers")
            names = ()
        wanted = tuple(name for name in names if choice(f"{home.name}::{GENERATED}::{name}"))
        deselected += len(names) - len(wanted)
        subjects.append(Subject(home, tuple(chosen), wanted))
    return Collected(tuple(subjects), tuple(problems), deselected, tuple(notes))


def run(
    collected: Collected, options: Options, *, jobs: int, on_done: Callable[[Done], None] | None = None
) -> Session:
    """Runs everything that was collected.

    Raises:
        TrothError: a process cannot be started.
    """
    start = time.perf_counter()
    runner = Runner(collected.subjects, options)
    done = run_tasks(runner, split(runner), jobs=jobs, on_done=on_done)
    done.sort(key=lambda one: (one.task.subject, one.task.last == 0, one.task.first))
    return Session(
        results=tuple(result for one in done for result in one.results),
        seconds=time.perf_counter() - start,
        deselected=collected.deselected,
        coverage=_coverage(collected.subjects, done) if options.coverage else (),
        problems=tuple(dict.fromkeys(one.problem for one in done if one.problem)),
        caseless=frozenset(
            subject.home.name
            for subject in collected.subjects
            if not subject.suites and not options.generated_coverage
        ),
    )


def _coverage(subjects: Sequence[Subject], done: Sequence[Done]) -> tuple[tuple[str, CoverageReport], ...]:
    found = []
    broken = {one.task.subject for one in done if one.problem}
    for index, subject in enumerate(subjects):
        if index in broken:
            continue
        coverage = TemplateCoverage(subject.home)
        for one in done:
            if one.task.subject == index:
                coverage.observe(one.hits, one.own_hits)
        found.append((subject.home.name, coverage.report()))
    return tuple(found)
