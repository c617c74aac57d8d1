"""``troth test``: whether a Promise gives what its author expects."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_EPILOG = """\b
Examples:
  troth test promises/postgresql
  troth test -k "sizes and not large" --update

\b
Exit codes:
  0  every case passed
  1  a case failed
  2  a file, a folder or an argument cannot be used

Cases are in tests/*.yaml of a Promise's folder; docs/how-to/test-a-promise.md shows how to write them.
"""


@click.command(epilog=_EPILOG)
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-k", "words", metavar="EXPR", default="", help="Only cases whose PROMISE::FILE::CASE has these words."
)
@click.option("--update", is_flag=True, help="Write golden folders; what is written is told first.")
@click.option("--jobs", type=click.IntRange(1), help="How many processes.  [default: one for each core]")
@click.option("-v", "--verbose", is_flag=True, help="Name the cases that passed, too.")
def test(folders: tuple[Path, ...], words: str, *, update: bool, jobs: int | None, verbose: bool) -> None:
    """Run the cases of the Promises in DIR, without a cluster.

    Without DIR: the Promise in the current folder, or all of those below it. Only --update writes, and only below the
    golden folders of the tests.
    """
    from troth.api import TrothError
    from troth.authoring.testing import golden, reports
    from troth.authoring.testing.running import Options
    from troth.authoring.testing.selecting import choose, find_homes
    from troth.authoring.testing.session import collect, run
    from troth.authoring.testing.spreading import cores

    try:
        collected = collect(find_homes(folders), choose(words))
        if collected.problems:
            for problem in collected.problems:
                click.echo(f"troth test: {problem}", err=True)
            sys.exit(2)
        session = run(collected, Options(update=update, examples=100), jobs=jobs or cores())
        if update:
            for line in golden.plan(session.goldens):
                click.echo(f"troth test: will {line}", err=True)
            golden.update(session.goldens)
    except TrothError as error:
        click.echo(f"troth test: {error}", err=True)
        sys.exit(2)
    click.echo(reports.as_text(session, colour=sys.stdout.isatty(), verbose=verbose), nl=False)
    click.echo(f"troth test: {reports.summary(session)}", err=True)
    sys.exit(1 if session.failed else 0)
