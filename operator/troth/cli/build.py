"""``troth build``: the one document that people apply."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_EPILOG = """\b
Examples:
  troth build promises/postgresql | kubectl apply --server-side -f -
  troth build promises/postgresql --output dist/postgresql.yaml

\b
Exit codes:
  0  built
  1  the operator would refuse it; standard error says why, with file and line
  2  the folder or a file in it cannot be read, a template asks for too much time or memory, or a rule (CEL) never ends
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
def build(folder: Path, output: Path | None) -> None:
    """Build the Promise in DIR into one YAML document.

    Templates and dependencies that stand in files of their own are put in, everything is checked as the operator would
    check it, and the same files always give the same bytes. DIR may also be a single file with a whole Promise.
    """
    from troth.authoring.home import HomeError, RefusedPromise, load_home
    from troth.authoring.home import build as build_home
    from troth.authoring.output import write_text

    try:
        text = build_home(load_home(folder))
    except RefusedPromise as error:
        click.echo(f"troth build: {error}", err=True)
        sys.exit(1)
    except HomeError as error:
        click.echo(f"troth build: {error}", err=True)
        sys.exit(2)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        write_text(output, text)
    except HomeError as error:
        click.echo(f"troth build: {error}", err=True)
        sys.exit(2)
    click.echo(f"wrote {output}", err=True)
