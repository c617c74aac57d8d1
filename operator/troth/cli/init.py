"""``troth init``: a new Promise, tested and documented from its first minute."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from troth.authoring.starting import Began

_EPILOG = """\b
Examples:
  troth init cache --field size:string:enum=small,large:default=small --field "owner:string:required"
  troth init queue --from-crd crds/queue.yaml
  troth init shop --from-manifests deploy/ --param replicas=Deployment/web:spec.replicas
  troth init shop --from-manifests deploy/ --param "tag=Deployment/web:spec.template.spec.containers[0].image=1.27"

\b
Exit codes:
  0  written, or shown with --dry-run
  1  what it would make does not pass lint, or "no" was the answer; nothing was written
  2  the folder is not empty, or a flag or a file cannot be used

\b
A field is NAME:TYPE[:OPTION]...
  types    string, integer, number, boolean, quantity, map, and string[] for a list of them
  options  required  default=X  enum=A,B,C  min=N  max=N  pattern=REGEX  description=TEXT
  \\: is a colon in a value, \\, a comma. min and max bound a number, or the length of anything else.

\b
A parameter is NAME=KIND/NAME:PATH[=PART]
  replicas=Deployment/web:spec.replicas
  image=Deployment/*:spec.template.spec.containers[name=app].image
  tag=Deployment/*:spec.template.spec.containers[name=app].image=1.27
  port=Deployment/web:spec.template.spec.containers[0].args[0]=--port={8080}
  metadata.name=Service/web:metadata.name      (the request's own name)
  A path has fields, [0], [*], [name=app] and ["with.dots"]. Give a parameter again to use it in further places.
  A part is in the text once; more of the text may stand around it, with the part in braces.
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", metavar="NAME", type=click.Path(path_type=Path))
@click.option("--kind", default="", help="What people ask for. By default it follows from NAME.")
@click.option("--group", default="", help="The API's group.  [default: platform.example.com]")
@click.option("--plural", default="", help="The kind's plural. By default it follows from the kind.")
@click.option("--field", "fields", multiple=True, metavar="FIELD", help="A field of the API; can be repeated.")
@click.option("--from-crd", type=click.Path(path_type=Path), help="This CustomResourceDefinition becomes the API.")
@click.option(
    "--from-manifests", type=click.Path(path_type=Path), help="The manifests in this folder become templates."
)
@click.option(
    "--param",
    "parameters",
    multiple=True,
    metavar="PARAM",
    help="A value in the manifests, or a part of one, that becomes a field; can be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be written, without writing it.")
@click.option("--yes", "-y", is_flag=True, help="Ask no questions, even on a terminal.")
def init(
    folder: Path,
    kind: str,
    group: str,
    plural: str,
    fields: tuple[str, ...],
    from_crd: Path | None,
    from_manifests: Path | None,
    parameters: tuple[str, ...],
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    """Start a Promise in the new folder NAME (or path/NAME).

    On a terminal, and without flags, it asks. It says what it will write before it writes, never overwrites anything,
    and what it makes passes `troth test` and `troth lint` at once.
    """
    from troth.authoring.input_files import HomeError
    from troth.authoring.starting import begin, write
    from troth.authoring.starting.errors import CannotStart
    from troth.authoring.starting.fields import parse_fields
    from troth.authoring.starting.parameters import parse_parameter
    from troth.cli.terminal import is_terminal

    _check_flags(fields, from_crd, from_manifests, parameters, group, plural)
    asking = not yes and is_terminal(sys.stdin) and is_terminal(sys.stderr)
    flagged = kind or group or plural or fields or from_crd or from_manifests
    try:
        if asking and not flagged:
            kind, group, fields = _ask(folder)
        began = begin(
            folder,
            kind=kind,
            group=group,
            plural=plural,
            fields=parse_fields(fields),
            definition=from_crd,
            manifests=from_manifests,
            parameters=[parse_parameter(text) for text in parameters],
        )
        _say(began)
        if any(finding.severity == "error" for finding in began.findings):
            click.echo("troth init: nothing was written: correct this first", err=True)
            sys.exit(1)
        if dry_run:
            return
        if asking and not click.confirm("Write these files?", default=True, err=True):
            sys.exit(1)
        write(began)
    except (CannotStart, HomeError) as error:
        click.echo(f"troth init: {error}", err=True)
        sys.exit(2)
    click.echo(f"wrote {len(began.files)} files to {folder}", err=True)
    quoted = shlex.quote(str(folder))
    click.echo(f"next: troth test {quoted} && troth lint {quoted}", err=True)


def _check_flags(
    fields: tuple[str, ...],
    from_crd: Path | None,
    from_manifests: Path | None,
    parameters: tuple[str, ...],
    group: str,
    plural: str,
) -> None:
    if from_crd and from_manifests:
        raise click.UsageError("--from-crd and --from-manifests cannot be combined")
    if fields and (from_crd or from_manifests):
        raise click.UsageError("--field is for a Promise that starts from nothing")
    if parameters and not from_manifests:
        raise click.UsageError("--param names values in manifests: give --from-manifests")
    if from_crd and (group or plural):
        raise click.UsageError("--group and --plural are already in the CustomResourceDefinition")


def _ask(folder: Path) -> tuple[str, str, tuple[str, ...]]:
    """Asks for kind, group and fields. A question is repeated while its answer cannot be used."""
    from troth.authoring.starting.definitions import GROUP, check_group, check_kind, check_name, kind_of
    from troth.authoring.starting.errors import CannotStart
    from troth.authoring.starting.fields import parse_fields

    name = check_name(folder.name)
    kind = _prompt("What do people ask for (kind)?", kind_of(name), check_kind)
    group = _prompt("The API's group?", GROUP, check_group)
    click.echo(
        "Its fields, one a line, such as size:string:enum=small,large:default=small. An empty line ends.", err=True
    )
    fields: list[str] = []
    while True:
        line = click.prompt("Field", default="", show_default=False, err=True).strip()
        if not line:
            return kind, group, tuple(fields)
        try:
            parse_fields([*fields, line])
        except CannotStart as error:
            click.echo(str(error).removeprefix("--field "), err=True)
        else:
            fields.append(line)


def _prompt(question: str, default: str, check: object) -> str:
    from troth.authoring.starting.errors import CannotStart

    while True:
        answer: str = click.prompt(question, default=default, err=True).strip()
        try:
            check(answer)  # type: ignore[operator]
        except CannotStart as error:
            click.echo(str(error), err=True)
        else:
            return answer


def _say(began: Began) -> None:
    from troth.authoring.lint import report
    from troth.cli.terminal import has_colour

    click.echo(f"This will be written to {began.folder}:", err=True)
    for path in began.files:
        click.echo(f"  {path}", err=True)
    for sentence in began.said:
        click.echo(sentence, err=True)
    if began.findings:
        click.echo(report.as_text(began.findings, colour=has_colour(sys.stderr)), err=True, nl=False)
