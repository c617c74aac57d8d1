"""``troth lint``: finds mistakes in a Promise before anybody makes a request."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from troth.authoring.home import Home
    from troth.authoring.lint import Earlier, Live

_FORMATS = ("text", "json", "sarif", "github")

_EPILOG = """\b
Examples:
  troth lint promises/postgresql promises/environment
  troth lint promises/postgresql --against origin/main --format sarif > lint.sarif
  troth lint promises/web-app --against cluster --schemas cluster:staging

\b
Exit codes:
  0  nothing was found, or notes only
  1  an error or a warning was found
  2  a file, a folder or a cluster cannot be used, or a template never ends;
     the other Promises are linted all the same

Each code is explained in docs/reference/lint.md. A comment at the end of a line, or alone above it, silences one code
there: # troth:ignore T107 the portal shows it
"""


@click.command(epilog=_EPILOG)
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--against",
    metavar="REVISION|FILE|cluster[:CONTEXT]",
    help="Compare the API with an older one, and say what breaks. Requests in a cluster are checked"
    " against it as well.",
)
@click.option(
    "--schemas",
    metavar="FILE|DIR|cluster[:CONTEXT]",
    multiple=True,
    help="CustomResourceDefinitions and OpenAPI to check objects with. OpenAPI replaces the"
    " schemas of Kubernetes that come with Troth. Can be repeated.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="How to write findings.",
)
def lint(folders: tuple[Path, ...], against: str | None, schemas: tuple[str, ...], style: str) -> None:
    """Find what is wrong with the Promises in DIR, without a cluster.

    Without DIR: the Promise in the current folder, or all of those below it. Each DIR is a folder with promise.yaml, a
    folder of such folders, or a file with a whole Promise. Nothing is written but the findings, to
    standard output. A cluster is read only where one is named: ``cluster`` is that of the current context of your
    kubeconfig.
    """
    from troth import __version__
    from troth.api import TrothError
    from troth.authoring.home import HomeError, find_homes
    from troth.authoring.lint import Finding, known_from, report
    from troth.authoring.lint import lint as lint_promise
    from troth.cli.terminal import has_colour

    if against == "":  # perhaps a variable that is not set: the comparison must not be skipped silently
        raise click.UsageError("--against is empty: name a revision, a file or a cluster, or leave it out")
    findings: list[Finding] = []
    try:
        known = known_from(document for place in schemas for document in _schemas(place))
        earlier = _earlier(against) if against is not None else ""
        live = _live(against) if against is not None else None
        homes, problems = find_homes(folders)
        linted = 0
        for folder in homes:
            try:
                findings.extend(lint_promise(folder, against=earlier, requests=live, known=known))
                linted += 1
            except HomeError as error:  # it concerns this Promise only
                problems.append(error)
    except TrothError as error:
        click.echo(f"troth lint: {error}", err=True)
        sys.exit(2)
    for line in dict.fromkeys(map(str, problems)):
        click.echo(f"troth lint: {line}", err=True)
    if not linted:
        sys.exit(2)
    if style == "json":
        click.echo(report.as_json(findings), nl=False)
    elif style == "sarif":
        click.echo(report.as_sarif(findings, __version__), nl=False)
    elif style == "github":
        click.echo(report.as_github(findings), nl=False)
    else:
        click.echo(report.as_text(findings, colour=has_colour(sys.stdout)), nl=False)
    missing = "; not every Promise could be checked" if problems else ""
    click.echo(f"troth lint: {report.summary(findings)}{missing}", err=True)
    if any(finding.unbounded for finding in findings):
        click.echo(
            "troth lint: a template exceeded its time or memory limit; the remaining checks were skipped", err=True
        )
        sys.exit(2)
    if problems:
        sys.exit(2)
    sys.exit(1 if any(finding.severity != "note" for finding in findings) else 0)


def _schemas(place: str) -> list[Any]:
    """The documents of a file, a folder or a cluster."""
    context = _context(place)
    if context is None:
        from troth.authoring.lint import read_schemas

        return read_schemas(Path(place))
    from troth.cli import cluster

    _tell("reading the schemas of the cluster")
    return cluster.read_schemas(context)


def _earlier(against: str) -> Earlier:
    """The function that reads the earlier API, and says so when there is none."""
    context = _context(against)
    if context is None:
        from troth.authoring.lint.earlier import earlier_api

        def find(home: Home) -> Mapping[str, Any] | None:
            found = earlier_api(home, against)
            if found is None:
                click.echo(f"troth lint: {home.file} has no API at {against}: nothing to compare with", err=True)
            return found

        return find

    def read(home: Home) -> Mapping[str, Any] | None:
        found = _api_in_cluster(context, home)
        if found is None:
            click.echo(f"troth lint: {home.name}: the cluster has no such API: nothing to compare with", err=True)
        return found

    return read


def _live(against: str) -> Live | None:
    """The function that reads the requests in the cluster to compare with; None when it is not a cluster."""
    context = _context(against)
    if context is None:
        return None
    from troth.cli import cluster

    def read(home: Home) -> Sequence[Mapping[str, Any]]:
        api = _api_in_cluster(context, home)
        if api is None:
            return ()
        try:
            return cluster.read_requests(context, api)
        except cluster.ClusterError as error:
            click.echo(f"troth lint: {home.name}: requests were not checked against the API: {error}", err=True)
            return ()

    return read


def _api_in_cluster(context: str, home: Home) -> Mapping[str, Any] | None:
    from troth.cli import cluster

    api = home.promise["spec"].get("api")
    metadata = api.get("metadata") if isinstance(api, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return cluster.read_api(context, home.name, name if isinstance(name, str) else "")


def _context(text: str) -> str | None:
    """The context of a cluster; None when the text is something else."""
    if not text.startswith("cluster"):
        return None  # importing the module for clusters takes time that most runs need not spend
    from troth.cli.cluster import context_of

    return context_of(text)


def _tell(what: str) -> None:
    from troth.cli.terminal import is_terminal

    if is_terminal(sys.stderr):
        click.echo(f"{what} …", err=True)
