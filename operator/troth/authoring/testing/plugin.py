"""The pytest plug-in: it collects PromiseTest files, and has a fixture that renders, for those who prefer Python.

Every file of kind PromiseTest in the ``tests`` folder next to a ``promise.yaml`` gives one test for each case, which
is run by the same code as in `troth test`. The ``promise.yaml`` gives the tests with generated inputs. pytest loads
this module in every project that has Troth installed, so the engine is only imported when there is something to run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from troth.authoring.home import Home
    from troth.authoring.rendering.requests import Rendering
    from troth.authoring.testing.cases import Case, Suite
    from troth.authoring.testing.running import CaseResult, Runner, Subject

_PROMISE: Final = "promise.yaml"
_SUFFIXES: Final = (".yaml", ".yml")
_STATE: Final = pytest.StashKey["_State"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options of the command line."""
    group = parser.getgroup("troth", "tests of Troth's Promises")
    group.addoption("--troth-update", action="store_true", help="write the golden folders of PromiseTests")
    group.addoption(
        "--troth-examples", type=int, default=100, metavar="N", help="inputs generated for each promise.yaml"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Creates the state that the tests share."""
    config.stash[_STATE] = _State(update=bool(config.getoption("troth_update")))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the process that renders."""
    state = config.stash.get(_STATE, None)
    if state is not None:
        state.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collects a file with cases, or a Promise."""
    if file_path.suffix not in _SUFFIXES:
        return None
    if file_path.name == _PROMISE:
        return PromiseFile.from_parent(parent, path=file_path) if (file_path.parent / "tests").is_dir() else None
    folder = _home_of(file_path)
    return PromiseTestFile.from_parent(parent, path=file_path) if folder is not None else None


@pytest.fixture(scope="session")
def troth(pytestconfig: pytest.Config) -> Troth:
    """Renders requests as the operator would: ``troth.render("promises/postgresql", {"spec": {"size": "small"}})``."""
    return Troth(pytestconfig.stash[_STATE])


class Troth:
    """The value of the fixture ``troth``.

    Args:
        state: the state that the tests of this run share.
    """

    def __init__(self, state: _State) -> None:
        self._state = state

    def render(
        self, folder: str | Path, request: Mapping[str, Any], *, old: Mapping[str, Any] | None = None
    ) -> Rendering:
        """What the operator would make of a request of the Promise in a folder.

        Args:
            folder: the folder of the Promise.
            request: the request; apiVersion, kind, metadata.name and metadata.namespace may be left out.
            old: the request that exists already: the ``request`` of an earlier rendering.

        Raises:
            HomeError: the Promise cannot be used.
        """
        index, reader = self._state.subject(Path(folder))
        runner = self._state.runner
        return runner.requests_of(index, None).render_with(runner.render, reader.completed(request), old)

    def objects(self, rendering: Rendering) -> list[Mapping[str, Any]]:
        """The objects in the files of a rendering."""
        from troth.authoring.testing.matching import rendered_objects

        return rendered_objects(rendering.files)


class PromiseTestFile(pytest.File):
    """A file that may hold a PromiseTest."""

    def collect(self) -> Iterator[pytest.Item]:
        """A test for each case."""
        from troth.api import TrothError

        state, folder = self.config.stash[_STATE], _home_of(self.path)
        try:
            suite = None
            if folder is not None and _speaks_of_tests(self.path):
                index, reader = state.subject(folder)
                suite = reader.read(self.path)
        except TrothError as error:
            raise self.CollectError(str(error)) from None
        for case in suite.cases if suite is not None else ():
            yield CaseItem.from_parent(self, name=case.name, index=index, suite=suite, case=case)


class PromiseFile(pytest.File):
    """A Promise, which is tested with generated inputs."""

    def collect(self) -> Iterator[pytest.Item]:
        """A test for each promise that every Promise keeps."""
        from troth.api import TrothError
        from troth.authoring.home import load_home
        from troth.authoring.testing.running import GENERATED_NAMES, has_only_containers

        try:
            nothing = has_only_containers(load_home(self.path.parent))
        except TrothError:
            nothing = False  # the tests say what is wrong
        for name in () if nothing else GENERATED_NAMES:
            yield GeneratedItem.from_parent(self, name=name)


class _Item(pytest.Item):
    """A test whose result may have problems."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Shows what is different, without a traceback, which would not help here."""
        from troth.api import TrothError

        if isinstance(excinfo.value, (CaseFailed, TrothError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


class CaseItem(_Item):
    """The test for one case."""

    def __init__(self, *, index: int, suite: Suite, case: Case, **rest: Any) -> None:
        super().__init__(**rest)
        self._index, self._suite, self._case = index, suite, case

    def runtest(self) -> None:
        """Runs the case. With --troth-update its golden folders are written."""
        from troth.authoring.testing.golden import update

        state = self.config.stash[_STATE]
        runner = state.runner
        result = runner.run_case(self._index, self._suite, self._case)
        if state.update:
            update(result.goldens)
        if result.problems:
            raise CaseFailed(result)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the case is written."""
        return self.path, self._case.source.line - 1, self.name


class GeneratedItem(_Item):
    """The test for one of the promises that every Promise makes, with generated inputs."""

    def runtest(self) -> None:
        """Fails if the promise is broken. The first such test checks all promises and remembers the results."""
        state = self.config.stash[_STATE]
        for result in state.generated(self.path.parent, int(self.config.getoption("troth_examples"))):
            if result.name == self.name and result.problems:
                raise CaseFailed(result)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file of the Promise."""
        return self.path, 0, self.name


class CaseFailed(AssertionError):
    """A case did not give what is expected."""

    def __init__(self, result: CaseResult) -> None:
        lines: list[str] = []
        for problem in result.problems:
            lines += [f"{problem.source}: {problem.sentence}", *problem.diff.splitlines()]
        super().__init__("\n".join(lines))


class _State:
    """The state that the tests of one run share: Promises that were read, and the process that renders."""

    def __init__(self, *, update: bool) -> None:
        self.update = update
        self.subjects: list[Subject] = []
        self._known: dict[Path, tuple[int, Any]] = {}
        self._generated: dict[Path, tuple[CaseResult, ...]] = {}
        self._runner: Runner | None = None

    @property
    def runner(self) -> Runner:
        """The runner of cases, which is made when it is first needed."""
        from troth.authoring.testing.running import Options, Runner

        if self._runner is None:
            self._runner = Runner(self.subjects, Options(update=self.update))
        return self._runner

    def subject(self, folder: Path) -> tuple[int, Any]:
        """The number of the Promise in a folder, and the reader of its cases."""
        from troth.authoring.home import load_home
        from troth.authoring.testing.reading import SuiteReader
        from troth.authoring.testing.running import GENERATED_NAMES, Subject

        key = folder.resolve()
        if key not in self._known:
            home: Home = load_home(folder)
            self._known[key] = (len(self.subjects), SuiteReader(home))
            self.subjects.append(Subject(home, (), GENERATED_NAMES))
        return self._known[key]

    def generated(self, folder: Path, examples: int) -> tuple[CaseResult, ...]:
        """The results of a Promise's generated inputs."""
        from dataclasses import replace

        from troth.authoring.testing.running import Task

        if folder not in self._generated:
            index, _ = self.subject(folder)
            runner = self.runner
            runner.options = replace(runner.options, examples=examples)
            self._generated[folder] = runner.run(Task(index)).results
        return self._generated[folder]

    def close(self) -> None:
        """Ends the process that renders."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None


def _home_of(path: Path) -> Path | None:
    """The folder of the Promise whose test file this may be, or None."""
    for parent in path.parents:
        if parent.name == "golden":
            return None
        if parent.name == "tests":
            return parent.parent if (parent.parent / _PROMISE).is_file() else None
    return None


def _speaks_of_tests(path: Path) -> bool:
    from troth.authoring.input_files import read_text

    return "PromiseTest" in read_text(path)
