"""Running cases: each step through the operator's own functions, then what it gave against what is expected.

A `Runner` is what one process does: it keeps the schemas it compiled and one bounded child that renders. How many
processes there are is the business of `spreading`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from troth.api.pipelines import JinjaPipeline
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
        suites: its cases, those that were chosen.
        generated: which of `GENERATED_NAMES` are looked at.
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
    """How to run.

    Attributes:
        update: a golden folder that differs is not a problem: it is written anew.
        coverage: remember what of the templates was reached.
        generated_coverage: by generated inputs, too.
        examples: how many inputs to generate for each Promise; 0 for none.
        seed: what they are generated from.
    """

    update: bool = False
    coverage: bool = False
    generated_coverage: bool = False
    examples: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case.

    Attributes:
        promise: the Promise's name.
        file: where the case is written; of a generated one, the Promise.
        suite: the PromiseTest's name.
        name: the case's name.
        source: where it is written.
        problems: what is not as expected; nothing when it passed.
        seconds: how long it took.
        goldens: golden folders that are different, with what they should hold.
        unchecked: rules of the API that could not be evaluated.
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

    @property
    def outcome(self) -> Word:
        """In a word."""
        return "failed" if self.problems else "passed"


@dataclass(frozen=True, slots=True)
class Task:
    """Some cases of one subject, or its generated inputs (``last`` is 0)."""

    subject: int
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a task.

    Attributes:
        task: which.
        results: of its cases.
        hits: what of the templates of requests was reached until then.
        own_hits: what of those of the Promise's own workflow. Its pipelines may have the names of the others.
    """

    task: Task
    results: tuple[CaseResult, ...]
    hits: frozenset[Hit] = frozenset()
    own_hits: frozenset[Hit] = frozenset()


@dataclass(slots=True)
class Runner:
    """Runs tasks, one after the other.

    Args:
        subjects: what tasks speak of.
        options: how to run.
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
        """Ends the child."""
        for worker in (self._worker, self._own_worker):
            if worker is not None:
                worker.close()
        self._worker = self._own_worker = None
        self._working = (-1, False)

    def run_case(self, index: int, suite: Suite, case: Case) -> CaseResult:
        """Runs one case of the subject of that number.

        Raises:
            UnboundedTemplate: a template goes beyond all bounds, and would in each case, for seconds.
        """
        home = self.subjects[index].home
        start = time.perf_counter()
        problems: list[Problem] = []
        goldens: list[Golden] = []
        unchecked: list[str] = []
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
        )

    def _rendered(self, index: int, suite: Suite, step: Step, held: Mapping[str, Any] | None) -> Rendering | None:
        """What a step gives; None when it edits what is not there."""
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
        # Only now: what generates takes longer to load than a hundred cases take altogether.
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
        """The child that renders; one that measures coverage does so for one Promise, since it speaks of pipelines."""
        wanted = (index if covers else -1, covers)
        if self._worker is None or self._working != wanted:
            self.close()
            self._worker, self._working = BoundedWorker(coverage=covers), wanted
        return self._worker

    def render(self, pipelines: Sequence[JinjaPipeline], context: RenderContext) -> Sequence[Outcome]:
        """An outcome for each pipeline, from the child that there is."""
        worker = self._worker or self._working_for(-1, covers=False)
        return worker.render_now(pipelines, context)

    def _render_own(self, pipelines: Sequence[JinjaPipeline], context: RenderContext) -> Sequence[Outcome]:
        """The same for the Promise's own workflow, with a coverage of its own."""
        self._own_worker = self._own_worker or BoundedWorker(coverage=self._working[1])
        return self._own_worker.render_now(pipelines, context)

    def requests_of(self, index: int, suite: Suite | None) -> Requests:
        """What renders the requests of a suite; its schema is compiled once."""
        destinations = suite.destinations if suite is not None else None
        key = (index, suite.file if suite is not None and destinations is not None else Path())
        if key not in self._requests:
            self._requests[key] = Requests(self.subjects[index].home, destinations=destinations)
        return self._requests[key]


def _expects_own_refusal(suites: Sequence[Suite]) -> bool:
    """Whether a case says that the Promise's own workflow refuses."""
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
    """A misspelled field is dropped, and then the case tests something else."""
    what = "edit" if step.edit is not None else "request"
    words = "is not a field of the API: the API server drops it, and kubectl refuses the request because of it"
    return [Problem(what, f"{field} {words}{became_boolean(field)}", step.source) for field in rendering.dropped]


def _is_same(held: Mapping[str, Any] | None, request: Mapping[str, Any]) -> bool:
    """Whether the one is a later state of the other, and no other object."""
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
