"""Runs cases: each step goes through the operator's own functions, and the result is compared with what is expected.

A `Runner` works in one process: it keeps the schemas that it has compiled, and one child with limits that renders.
`spreading` decides how many processes there are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from troth.api.pipelines import CONTAINER_PIPELINE, JinjaPipeline
from troth.authoring.home import Home, Source, refused
from troth.authoring.input_files import HomeError
from troth.authoring.merge_patch import merged
from troth.authoring.rendering.promise import render_promise
from troth.authoring.rendering.requests import Rendering, Requests
from troth.authoring.testing.cases import Case, Step, Suite
from troth.authoring.testing.expectations import Problem, judge
from troth.authoring.testing.golden import Golden
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.linting.booleans import became_boolean
from troth.engine.rendering.context import RenderContext
from troth.engine.rendering.coverage import Hit
from troth.engine.rendering.render import Outcome
from troth.engine.rendering.sources import pipelines_of
from troth.engine.yaml.emit import TooDeep, dump_document

if TYPE_CHECKING:
    from troth.authoring.testing.kept import GeneratedFailure

GENERATED: Final = "generated inputs"
GENERATED_NAMES: Final = ("renders", "same-twice", "valid-objects")

Word = Literal["passed", "failed"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A Promise and the suites to run with it.

    Attributes:
        home: the Promise.
        suites: its suites, with the cases that were selected.
        generated: which of `GENERATED_NAMES` are checked.
    """

    home: Home
    suites: tuple[Suite, ...]
    generated: tuple[str, ...] = ()

    @property
    def cases(self) -> list[tuple[Suite, Case]]:
        """All cases in their order."""
        return [(suite, case) for suite in self.suites for case in suite.cases]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run.

    Attributes:
        update: whether golden folders that differ are written anew, and are not a problem.
        coverage: whether to measure which lines and branches of the templates are reached.
        generated_coverage: whether generated inputs count for coverage, too.
        examples: how many inputs to generate for each Promise; 0 for none.
        seed: the seed for the generated inputs.
    """

    update: bool = False
    coverage: bool = False
    generated_coverage: bool = False
    examples: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case.

    Attributes:
        promise: the Promise's name.
        file: the file with the case; for a generated one, the file of the Promise.
        suite: the PromiseTest's name.
        name: the case's name.
        source: where it is written.
        problems: what is not as expected; empty when it passed.
        seconds: how long it took, in seconds.
        goldens: the golden folders that are different, with what they should hold.
        unchecked: rules of the API that could not be evaluated.
        unrun: the pipelines of containers that its steps would have run.
    """

    promise: str
    file: Path
    suite: str
    name: str
    source: Source
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0
    goldens: tuple[Golden, ...] = ()
    unchecked: tuple[str, ...] = ()
    unrun: tuple[str, ...] = ()

    @property
    def outcome(self) -> Word:
        """The result in one word."""
        return "failed" if self.problems else "passed"


@dataclass(frozen=True, slots=True)
class Task:
    """Some cases of one subject, or its generated inputs if ``last`` is 0."""

    subject: int
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """The results of a task.

    Attributes:
        task: the task.
        results: the results of its cases.
        hits: what was reached so far in the templates of requests.
        own_hits: what was reached so far in the templates of the Promise's own workflow. They are separate because its
            pipelines may have the same names.
        problem: why the Promise cannot be used, with file and line; empty if it can. Then there are no results.
    """

    task: Task
    results: tuple[CaseResult, ...]
    hits: frozenset[Hit] = frozenset()
    own_hits: frozenset[Hit] = frozenset()
    problem: str = ""


@dataclass(slots=True)
class Runner:
    """Runs tasks, one after the other.

    Args:
        subjects: the subjects that tasks refer to by number.
        options: the options of the run.
    """

    subjects: Sequence[Subject]
    options: Options
    _worker: BoundedWorker | None = None
    _own_worker: BoundedWorker | None = None
    _working: tuple[int, bool] = (-1, False)
    _requests: dict[tuple[int, Path], Requests] = field(default_factory=dict)

    def run(self, task: Task) -> Done:
        """Runs one task.

        Raises:
            HomeError: the Promise cannot be used.
            WorkerError: the process that renders cannot be started.
        """
        subject, options = self.subjects[task.subject], self.options
        covers = options.coverage and (bool(task.last) or options.generated_coverage)
        worker = self._working_for(task.subject, covers=covers)
        if not task.last:
            results = self._generated(task.subject, subject, worker)
        else:
            cases = subject.cases[task.first : task.last]
            results = tuple(self.run_case(task.subject, suite, case) for suite, case in cases)
        if not covers:
            return Done(task, results)
        own = self._own_worker.hits() if self._own_worker is not None else frozenset()
        return Done(task, results, worker.hits(), own)

    def close(self) -> None:
        """Ends the child process."""
        for worker in (self._worker, self._own_worker):
            if worker is not None:
                worker.close()
        self._worker = self._own_worker = None
        self._working = (-1, False)

    def run_case(self, index: int, suite: Suite, case: Case) -> CaseResult:
        """Runs one case of the subject with this number.

        Raises:
            UnboundedTemplate: a template exceeded its limits. No further case of the Promise runs, since it would do
            so in each of them, for seconds.
        """
        home = self.subjects[index].home
        start = time.perf_counter()
        problems: list[Problem] = []
        goldens: list[Golden] = []
        unchecked: list[str] = []
        unrun: list[str] = []
        held: Mapping[str, Any] | None = None
        files: Mapping[str, bytes] | None = None
        for number, step in enumerate(case.steps, start=1):
            rendering = self._rendered(index, suite, step, held)
            if rendering is None:
                found = [Problem("edit", "there is nothing to edit: no earlier request was accepted", step.source)]
            else:
                failure = rendering.failure
                if failure is not None and failure.is_unbounded and step.expect.failure is None:
                    raise refused(home, failure)
                found = self._judge(step, rendering, files, goldens)
                found += _dropped(step, rendering)
                unchecked += rendering.unchecked
                unrun += [run.pipeline.name for run in rendering.runs]
                if not rendering.refusals:
                    held = rendering.request
                    files = rendering.files if rendering.failure is None else files
            if len(case.steps) > 1:
                found = [replace(one, what=f"step {number}: {one.what}".removesuffix(": ")) for one in found]
            problems += found
        return CaseResult(
            promise=home.name,
            file=suite.file,
            suite=suite.name,
            name=case.name,
            source=case.source,
            problems=tuple(problems),
            seconds=time.perf_counter() - start,
            goldens=tuple(goldens),
            unchecked=tuple(dict.fromkeys(unchecked)),
            unrun=tuple(dict.fromkeys(unrun)),
        )

    def _rendered(self, index: int, suite: Suite, step: Step, held: Mapping[str, Any] | None) -> Rendering | None:
        """The rendering of a step; None when it edits a request that does not exist."""
        if step.own:
            home = self.subjects[index].home
            return render_promise(home, destinations=suite.destinations, render=self._render_own)
        request = _requested(step, held)
        if request is None:
            return None
        old = held if _is_same(held, request) else None
        return self.requests_of(index, suite).render_with(self.render, request, old)

    def _judge(
        self, step: Step, rendering: Rendering, before: Mapping[str, bytes] | None, goldens: list[Golden]
    ) -> list[Problem]:
        try:
            found, golden = judge(step.expect, rendering, before)
        except HomeError as error:
            return [Problem("golden", str(error), step.expect.at("golden"))]
        if golden is not None:
            goldens.append(golden)
        if self.options.update:
            found = [one for one in found if one.what != "golden"]
        return found

    def _generated(self, index: int, subject: Subject, worker: BoundedWorker) -> tuple[CaseResult, ...]:
        # Imported here, since the generator takes longer to load than a hundred cases take to run.
        from troth.authoring.testing.generated import check_generated
        from troth.authoring.testing.kept import Promises

        home, start = subject.home, time.perf_counter()
        failures: list[GeneratedFailure] = []
        if self.options.examples:
            own = Promises(home, worker).own(may_refuse=_expects_own_refusal(subject.suites))
            failures += [own] if own is not None else []
        if home.promise["spec"].get("api"):
            requests = self.requests_of(index, None)
            failures += check_generated(
                home, requests, worker, examples=self.options.examples, seed=self.options.seed
            )
        untested = next((one for one in failures if one.untested), None)
        if untested is not None and subject.generated:
            first, *others = subject.generated
            failures = [one for one in failures if one is not untested] + [replace(untested, name=first)]
            message = f"nothing was rendered, so nothing is known of this: see {first}"
            failures += [replace(untested, name=name, request={}, message=message) for name in others]
        seconds = (time.perf_counter() - start) / len(GENERATED_NAMES)
        return tuple(
            CaseResult(
                promise=home.name,
                file=home.file,
                suite=GENERATED,
                name=name,
                source=Source(home.file, 1),
                problems=tuple(_generated_problem(home, one) for one in failures if one.name == name),
                seconds=seconds,
            )
            for name in subject.generated
        )

    def _working_for(self, index: int, *, covers: bool) -> BoundedWorker:
        """The child that renders. One that measures coverage does so for one Promise, as it only knows pipelines."""
        wanted = (index if covers else -1, covers)
        if self._worker is None or self._working != wanted:
            self.close()
            self._worker, self._working = BoundedWorker(coverage=covers), wanted
        return self._worker

    def render(self, pipelines: Sequence[JinjaPipeline], context: RenderContext) -> Sequence[Outcome]:
        """Renders pipelines in the current child, and returns an outcome for each."""
        worker = self._worker or self._working_for(-1, covers=False)
        return worker.render_now(pipelines, context)

    def _render_own(self, pipelines: Sequence[JinjaPipeline], context: RenderContext) -> Sequence[Outcome]:
        """The same for the Promise's own workflow, whose coverage is measured separately."""
        self._own_worker = self._own_worker or BoundedWorker(coverage=self._working[1])
        return self._own_worker.render_now(pipelines, context)

    def requests_of(self, index: int, suite: Suite | None) -> Requests:
        """The renderer for the requests of a suite. The schema is compiled once."""
        destinations = suite.destinations if suite is not None else None
        key = (index, suite.file if suite is not None and destinations is not None else Path())
        if key not in self._requests:
            self._requests[key] = Requests(self.subjects[index].home, destinations=destinations)
        return self._requests[key]


def has_only_containers(home: Home) -> bool:
    """Whether the Promise has pipelines, all of containers, so that generated inputs would test nothing."""
    return {pipeline.get("kind") for _, pipeline in pipelines_of(home.promise)} == {CONTAINER_PIPELINE}


def _expects_own_refusal(suites: Sequence[Suite]) -> bool:
    """Whether a case expects the Promise's own workflow to refuse."""
    steps = (step for suite in suites for case in suite.cases for step in case.steps)
    return any(step.own and step.expect.failure is not None for step in steps)


def _requested(step: Step, held: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if step.request is not None:
        return step.request
    if held is None:
        return None
    patched: Mapping[str, Any] = merged(held, step.edit)
    return patched


def _dropped(step: Step, rendering: Rendering) -> list[Problem]:
    """Problems for fields that the API server would drop: the case has a misspelled field, and tests something else."""
    if rendering.refusals and step.expect.refused is not None:
        return []
    what = "edit" if step.edit is not None else "request"
    words = "is not a field of the API: the API server drops it, and kubectl refuses the request because of it"
    found = []
    for unknown in rendering.dropped:
        hint = became_boolean(unknown.path) or (f"; {unknown.question}" if unknown.question else "")
        found.append(Problem(what, f"{unknown.path} {words}{hint}", step.source))
    return found


def _is_same(held: Mapping[str, Any] | None, request: Mapping[str, Any]) -> bool:
    """Whether a request is a later state of the one that is held, and not another object."""
    if held is None:
        return False
    now, before = request.get("metadata"), held.get("metadata") or {}
    return isinstance(now, Mapping) and all(now.get(key) == before.get(key) for key in ("name", "namespace"))


def _generated_problem(home: Home, failure: GeneratedFailure) -> Problem:
    path, _, line = failure.place.rpartition(":")
    source = Source(home.folder / path, int(line)) if path and line.isdigit() else Source(home.file, 1)
    if not failure.request:
        return Problem("", failure.message, source, "in the Promise's own workflow" if failure.own else "")
    try:
        request = dump_document(dict(failure.request))
    except TooDeep:
        request = repr(failure.request)
    return Problem("", failure.message, source, f"with the request:\n{request.rstrip()}")
