"""``troth test``: checks that a Promise renders what its author expects."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from troth.authoring.testing.running import Done
    from troth.authoring.testing.session import Session

_FORMATS: Final = ("text", "github", "json")
_EXAMPLES: Final = 100
_QUIET_SECONDS: Final = 2.0

_EPILOG = """\b
Examples:
  troth test promises/postgresql
  troth test -k "sizes and not large" --update
  troth test --junit results.xml --lcov coverage.info --min-coverage 100

\b
Exit codes:
  0  every case passed
  1  a case failed, or the coverage is too low
  2  a file, a folder or an argument cannot be used; the other Promises are tested all the same

Cases are in tests/*.yaml of a Promise's folder; docs/how-to/test-a-promise.md shows how to write them.
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The arguments of the command line."""

    folders: tuple[Path, ...]
    words: str
    update: bool
    junit: Path | None
    lcov: Path | None
    style: str
    examples: int
    seed: int
    jobs: int | None
    min_coverage: float | None
    generated_coverage: bool
    verbose: bool

    @property
    def covers(self) -> bool:
        """Whether to measure coverage. If only some cases are selected it must be asked for, as it would be low."""
        return not self.words or self.lcov is not None or self.min_coverage is not None


@click.command(epilog=_EPILOG)
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-k", "words", metavar="EXPR", default="", help="Only cases whose PROMISE::FILE::CASE has these words."
)
@click.option("--update", is_flag=True, help="List what will be written, then write the golden folders.")
@click.option("--watch", is_flag=True, help="Run again whenever a file changes, until Ctrl-C.")
@click.option(
    "--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML to this file, too."
)
@click.option("--lcov", metavar="FILE", type=click.Path(path_type=Path), help="Write coverage to this file, too.")
@click.option(
    "--format",
    "style",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="How to write results.",
)
@click.option(
    "--examples",
    metavar="N",
    type=click.IntRange(0, 100_000),
    help=f"How many inputs to generate for each Promise; 0 for none.  [default: {_EXAMPLES}; none with --watch]",
)
@click.option(
    "--seed", metavar="N", type=int, default=0, show_default=True, help="The seed that inputs are generated from."
)
@click.option("--jobs", metavar="N", type=click.IntRange(1, 256), help="How many processes.  [default: the cores]")
@click.option(
    "--min-coverage",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    help="Fail if the coverage of a Promise's templates is lower.",
)
@click.option("--generated-coverage", is_flag=True, help="Count what generated inputs reach as covered, too.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of PromiseTest, for editors, and end.")
@click.option("-v", "--verbose", is_flag=True, help="Name the cases that passed, too.")
def test(
    folders: tuple[Path, ...],
    words: str,
    *,
    update: bool,
    watch: bool,
    junit: Path | None,
    lcov: Path | None,
    style: str,
    examples: int | None,
    seed: int,
    jobs: int | None,
    min_coverage: float | None,
    generated_coverage: bool,
    schema: bool,
    verbose: bool,
) -> None:
    """Run the cases of the Promises in DIR, without a cluster.

    Without DIR: the Promise in the current folder, or all of those below it. Each Promise is also tried with inputs
    that are generated from its API. Only --update, --junit and --lcov write files: --update below the golden folders
    of the tests, and nowhere else.
    """
    if schema:
        from troth.authoring.testing.schema import schema_text

        click.echo(schema_text(), nl=False)
        return
    asked = _Asked(
        folders,
        words,
        update,
        junit,
        lcov,
        style,
        (0 if watch else _EXAMPLES) if examples is None else examples,
        seed,
        jobs,
        min_coverage,
        generated_coverage,
        verbose,
    )
    sys.exit(_again_and_again(asked) if watch else _once(asked))


def _once(asked: _Asked) -> int:
    """Runs the cases once. Returns the exit code."""
    from troth.api import TrothError
    from troth.authoring.home import find_homes
    from troth.authoring.testing import golden, session
    from troth.authoring.testing.running import Options
    from troth.authoring.testing.selecting import choose
    from troth.authoring.testing.spreading import cores

    try:
        homes, missing = find_homes(asked.folders)
        collected = session.collect(homes, choose(asked.words), generated=asked.examples > 0)
        problems = [*missing, *collected.problems]
        for problem in problems:
            _say(str(problem))
        if not collected.count:
            if problems:
                return 2
            _say(f"no case has {asked.words!r}; -v names the cases" if asked.words else "there are no cases")
            return 2
        for note in collected.notes:
            _say(note)
        options = Options(
            update=asked.update,
            coverage=asked.covers,
            generated_coverage=asked.generated_coverage,
            examples=asked.examples,
            seed=asked.seed,
        )
        with _progress(collected.count) as progress:
            found = session.run(collected, options, jobs=asked.jobs or cores(), on_done=progress)
        for line in found.problems:
            _say(line)
        if asked.update:
            for line in golden.plan(found.goldens):
                _say(f"will {line}")
            golden.update(found.goldens)
        return _tell(asked, found, is_whole=not problems and not found.problems)
    except TrothError as error:
        _say(str(error))
        return 2


def _tell(asked: _Asked, found: Session, *, is_whole: bool) -> int:
    """Writes the results. Returns the exit code, which is 2 if not every Promise could be tested."""
    from troth.authoring.output import write_text
    from troth.authoring.testing import reports
    from troth.cli.terminal import has_colour

    if asked.style == "json":
        click.echo(reports.as_json(found), nl=False)
    elif asked.style == "github":
        click.echo(reports.as_github(found), nl=False)
    else:
        click.echo(reports.as_text(found, colour=has_colour(sys.stdout), verbose=asked.verbose), nl=False)
    if asked.junit is not None:
        write_text(asked.junit, reports.as_junit(found))
    if asked.lcov is not None:
        write_text(asked.lcov, "".join(report.as_lcov() for _, report in found.coverage))
    low = reports.too_low(found, asked.min_coverage) if asked.min_coverage is not None else []
    for line in low:
        _say(line)
    _say(reports.summary(found) + ("" if is_whole else "; not every Promise could be tested"))
    if not is_whole:
        return 2
    return 1 if found.failed or low else 0


def _again_and_again(asked: _Asked) -> int:
    from troth.authoring.home import find_homes
    from troth.authoring.testing.watching import state, wait_for_change

    code = 2
    folders, problems = find_homes(asked.folders)
    if not folders:
        for problem in problems:
            _say(str(problem))
        return code
    try:
        while True:
            before = state(folders)
            code = _once(asked)
            _say("waiting for a change; stop with Ctrl-C")
            changed = wait_for_change(folders, before)
            _say(f"{changed[0]} is different" if len(changed) == 1 else f"{len(changed)} files are different")
    except KeyboardInterrupt:
        pass
    return code


@contextlib.contextmanager
def _progress(count: int) -> Iterator[Callable[[Done], None]]:
    """Gives a function that shows the progress on a terminal if the run takes long. Its line is cleared at the end."""
    from troth.cli.terminal import is_terminal

    start, through, is_shown = time.monotonic(), 0, False

    def say(done: Done) -> None:
        nonlocal through, is_shown
        through += len(done.results)
        if is_terminal(sys.stderr) and time.monotonic() - start > _QUIET_SECONDS:
            is_shown = True
            click.echo(f"\r{through} of {count} cases", nl=False, err=True)

    try:
        yield say
    finally:
        if is_shown:
            click.echo("\r\x1b[K", nl=False, err=True)


def _say(what: str) -> None:
    click.echo(f"troth test: {what}", err=True)
