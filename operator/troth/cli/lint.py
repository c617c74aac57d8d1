"""``troth lint``: what is wrong with a Promise, before anybody asks for anything."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_FORMATS = ("text", "json", "sarif", "github")

_EPILOG = """\b
Examples:
  troth lint promises/postgresql promises/environment
  troth lint promises/postgresql --against origin/main --format sarif > lint.sarif

\b
Exit codes:
  0  nothing was found, or notes only
  1  an error or a warning was found
  2  a file or a folder cannot be used

Each code is explained in docs/reference/lint.md. A comment at the end of a line, or alone above it, silences one code
there: # troth:ignore T107 the portal shows it
"""


@click.command(epilog=_EPILOG)
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--against", metavar="REVISION|FILE", help="Compare the API with an older one, and say what breaks.")
@click.option(
    "--format",
    "style",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="How to write findings.",
)
def lint(folders: tuple[Path, ...], against: str | None, style: str) -> None:
    """Find what is wrong with the Promises in DIR (by default the current folder), without a cluster.

    Each DIR is a folder with promise.yaml, or a file with a whole Promise. Nothing is written but the findings, to
    standard output.
    """
    from troth import __version__
    from troth.authoring.files import HomeError
    from troth.authoring.lint import Finding, report
    from troth.authoring.lint import lint as lint_promise

    findings: list[Finding] = []
    try:
        for folder in folders or (Path(),):
            findings.extend(lint_promise(folder, against=against or ""))
    except HomeError as error:
        click.echo(f"troth lint: {error}", err=True)
        sys.exit(2)
    if style == "json":
        click.echo(report.as_json(findings), nl=False)
    elif style == "sarif":
        click.echo(report.as_sarif(findings, __version__), nl=False)
    elif style == "github":
        click.echo(report.as_github(findings), nl=False)
    else:
        click.echo(report.as_text(findings, colour=sys.stdout.isatty()), nl=False)
    click.echo(f"troth lint: {report.summary(findings)}", err=True)
    sys.exit(1 if any(finding.severity != "note" for finding in findings) else 0)
